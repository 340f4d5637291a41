package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"time"

	"centrifuge/localstack/e2e"
	"centrifuge/localstack/probe"
	"centrifuge/localstack/process"
)

// requirements pins MiniStack and its dependencies.
//
//go:embed requirements.txt
var requirements []byte

// venv is the virtual environment that MiniStack is installed in.
const venv = ".tools/ministack"

// ministackVersion is the version that requirements pins.
var ministackVersion = string(regexp.MustCompile(`(?m)^ministack==([0-9.]+)`).FindSubmatch(requirements)[1])

// testOnMiniStack deploys the stack on MiniStack, sets the admin password, signs in to the
// admin pages, tests a webhook and a dispatch, runs the conversations, those of SDKs, and the probes,
// and deletes the stack. MiniStack is stopped in any case. python is the virtual environment of
// centrifuge-python.
func testOnMiniStack(ctx context.Context, python string, out io.Writer) (err error) {
	if runtime.GOOS != "linux" {
		return errors.New("MiniStack runs the bootstraps, which are Linux programs: use a Linux machine or container")
	}
	s := steps{folder: ".build/deploy/ministack", out: out}
	if err := emptyFolder(s.folder); err != nil {
		return err
	}
	if _, err := s.run("install", func(log io.Writer) error { return installMiniStack(ctx, log) }); err != nil {
		return err
	}
	m, err := startMiniStack(ctx, s)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			// ctx may have ended already.
			logsCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			err = errors.Join(err, m.saveFunctionLogs(logsCtx, s.folder))
			cancel()
		}
		err = errors.Join(err, m.stop())
		if err == nil {
			err = os.RemoveAll(s.folder) // the logs are for failures only
		}
	}()
	d := deployment{steps: s, emulator: m.emulator}
	o, took, err := d.deploy(ctx)
	if err != nil {
		return err
	}
	var session http.Header
	if _, err := s.run("admin", func(log io.Writer) (err error) {
		if err := testNoPassword(ctx, o); err != nil {
			return err
		}
		session, err = d.testAdmin(ctx, o, log)
		return err
	}); err != nil {
		return err
	}
	if _, err := s.run("webhook", func(io.Writer) error { return testWebhook(ctx, o, session) }); err != nil {
		return err
	}
	if _, err := s.run("dispatch", func(io.Writer) error { return testDispatch(ctx, d.endpoint, o) }); err != nil {
		return err
	}
	report, err := s.runConversations(ctx, e2e.Target{WebSocketURL: o.WebSocketURL, HTTPURL: o.HTTPURL, Lacks: d.lacks})
	if err != nil {
		return err
	}
	ofSDKs, err := s.runSDKs(ctx, e2e.Target{WebSocketURL: o.WebSocketURL, HTTPURL: o.HTTPURL, ManagementURL: o.ManagementURL, Lacks: sdkLacks}, python)
	if err != nil {
		return err
	}
	var agreement map[probe.Agreement][]string
	if _, err := s.run("probe", func(log io.Writer) (err error) {
		agreement, err = d.probe(ctx, o, log)
		return err
	}); err != nil {
		return err
	}
	if err := d.destroy(ctx); err != nil {
		return err
	}
	printReport(out, fmt.Sprintf("%s (cdk deploy took %.1f s)", d.name, took.Seconds()), report)
	printSDKs(out, d.name, ofSDKs)
	printAgreement(out, d.name, agreement)
	return nil
}

// installMiniStack installs MiniStack in a virtual environment, unless these
// requirements are installed already.
func installMiniStack(ctx context.Context, log io.Writer) error {
	stamp := filepath.Join(venv, "requirements.txt")
	if installed, err := os.ReadFile(stamp); err == nil && bytes.Equal(installed, requirements) {
		return nil
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		return errors.New("python3 is not installed: install Python 3.10 or later with its venv module")
	}
	if err := runProgram(ctx, log, os.Environ(), python, "-c", "import sys; sys.exit(sys.version_info < (3, 10))"); err != nil {
		return fmt.Errorf("MiniStack needs Python 3.10 or later: %w", err)
	}
	if err := runProgram(ctx, log, os.Environ(), python, "-m", "venv", "--clear", venv); err != nil {
		return err
	}
	// The requirements that are embedded in this program; the source folder may be gone.
	list := filepath.Join(venv, "installing.txt")
	if err := os.WriteFile(list, requirements, 0o600); err != nil {
		return fmt.Errorf("write the requirements: %w", err)
	}
	if err := runProgram(ctx, log, os.Environ(), filepath.Join(venv, "bin", "python"), "-m", "pip", "install",
		"--disable-pip-version-check", "--require-hashes", "--only-binary=:all:", "-r", list); err != nil {
		return err
	}
	return os.Rename(list, stamp)
}

// ministack is a running MiniStack.
type ministack struct {
	emulator
	process *process.Process
	log     *os.File
	scratch string
}

// startMiniStack starts an empty MiniStack on a free port of 127.0.0.1.
func startMiniStack(ctx context.Context, s steps) (*ministack, error) {
	scratch, err := filepath.Abs(filepath.Join(s.folder, "tmp"))
	if err != nil {
		return nil, fmt.Errorf("start MiniStack: %w", err)
	}
	if err := os.MkdirAll(scratch, 0o700); err != nil {
		return nil, fmt.Errorf("start MiniStack: %w", err)
	}
	log, err := os.Create(filepath.Join(s.folder, "ministack.log"))
	if err != nil {
		return nil, fmt.Errorf("start MiniStack: %w", err)
	}
	m := &ministack{log: log, scratch: scratch}
	_, err = s.run("start", func(io.Writer) error {
		m.process, err = process.OnFreePort(ctx, func(port int) (*process.Process, error) {
			m.emulator = emulator{
				name:     "MiniStack " + ministackVersion,
				endpoint: "http://127.0.0.1:" + strconv.Itoa(port),
				lacks:    ministackLacks,
			}
			m.workarounds = ministackWorkarounds(m.endpoint)
			return m.launch(ctx, port)
		})
		return err
	})
	if err != nil {
		return nil, errors.Join(err, log.Close(), os.RemoveAll(scratch))
	}
	return m, nil
}

// launch starts MiniStack on a port and waits until it is ready.
func (m *ministack) launch(ctx context.Context, port int) (*process.Process, error) {
	cmd := exec.Command(filepath.Join(venv, "bin", "ministack"))
	// The functions inherit this environment. It contains nothing else of this process.
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + m.scratch, "TMPDIR=" + m.scratch,
		"BIND_HOST=127.0.0.1", "GATEWAY_PORT=" + strconv.Itoa(port), "MINISTACK_REGION=" + region, "PYTHONUNBUFFERED=1",
	}
	p, err := process.Start(cmd, process.Options{Log: m.log, Ready: "Running on " + m.endpoint})
	if err != nil {
		return nil, err
	}
	select {
	case <-p.Ready():
		return p, nil
	case <-p.Done():
		return nil, p.PortError()
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), p.Stop())
	}
}

func (m *ministack) stop() error {
	return errors.Join(m.process.Stop(), m.log.Close(), os.RemoveAll(m.scratch))
}
