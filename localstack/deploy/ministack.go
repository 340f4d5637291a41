package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"time"

	"centrifuge/localstack/e2e"
	"centrifuge/localstack/process"
)

// requirements pins MiniStack and all that it needs.
//
//go:embed requirements.txt
var requirements []byte

// venv is the virtual environment that MiniStack is installed in.
const venv = ".tools/ministack"

// ministackVersion is the version that requirements pins.
var ministackVersion = string(regexp.MustCompile(`(?m)^ministack==([0-9.]+)`).FindSubmatch(requirements)[1])

// testOnMiniStack deploys the stack on MiniStack, signs in as its administrator, has
// a webhook called, plays the conversations and takes everything down again, whatever
// happens.
func testOnMiniStack(ctx context.Context, out io.Writer) (err error) {
	if runtime.GOOS != "linux" {
		return errors.New("MiniStack runs the bootstraps as they are, which are programs for Linux: use a Linux machine or container")
	}
	s := steps{folder: ".build/deploy/ministack", out: out}
	if err := emptyFolder(s.folder); err != nil {
		return err
	}
	if _, err := s.do("install", func(log io.Writer) error { return installMiniStack(ctx, log) }); err != nil {
		return err
	}
	m, err := startMiniStack(ctx, s)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			// ctx may have ended, and it must not take long.
			logsCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			err = errors.Join(err, m.keepFunctionLogs(logsCtx, s.folder))
			cancel()
		}
		err = errors.Join(err, m.stop())
		if err == nil {
			err = os.RemoveAll(s.folder) // logs are for failures
		}
	}()
	d := deployment{steps: s, emulator: m.emulator}
	o, took, err := d.deploy(ctx)
	if err != nil {
		return err
	}
	if _, err := s.do("admin, hooks", func(io.Writer) error { return d.hook(ctx, o) }); err != nil {
		return err
	}
	report, err := s.converse(ctx, e2e.Target{WebSocketURL: o.WebSocketURL, HTTPURL: o.HTTPURL, Lacks: d.lacks})
	if err != nil {
		return err
	}
	if err := d.destroy(ctx); err != nil {
		return err
	}
	tell(out, fmt.Sprintf("%s, where cdk deploy took %.1f s", d.name, took.Seconds()), report)
	return nil
}

// installMiniStack makes the virtual environment, unless it has been made for
// these requirements.
func installMiniStack(ctx context.Context, log io.Writer) error {
	stamp := filepath.Join(venv, "requirements.txt")
	if installed, err := os.ReadFile(stamp); err == nil && bytes.Equal(installed, requirements) {
		return nil
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		return errors.New("python3, which MiniStack runs on, is not installed: install Python 3.10 or later, with its venv module")
	}
	if err := run(ctx, log, os.Environ(), python, "-c", "import sys; sys.exit(sys.version_info < (3, 10))"); err != nil {
		return fmt.Errorf("MiniStack needs Python 3.10 or later: %w", err)
	}
	if err := run(ctx, log, os.Environ(), python, "-m", "venv", "--clear", venv); err != nil {
		return err
	}
	// The pinned list, from the program rather than from where it was built.
	list := filepath.Join(venv, "wanted.txt")
	if err := os.WriteFile(list, requirements, 0o600); err != nil {
		return fmt.Errorf("write what to install: %w", err)
	}
	if err := run(ctx, log, os.Environ(), filepath.Join(venv, "bin", "python"), "-m", "pip", "install",
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

// startMiniStack starts MiniStack on a free port of 127.0.0.1, with nothing in it.
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
	_, err = s.do("start", func(io.Writer) error {
		m.process, err = process.OnFreePort(ctx, func(port int) (*process.Process, error) {
			m.emulator = emulator{
				name:     "MiniStack " + ministackVersion,
				endpoint: "http://127.0.0.1:" + strconv.Itoa(port),
				lacks:    ministackLacks,
			}
			m.workarounds = onMiniStack(m.endpoint)
			return m.listen(ctx, port)
		})
		return err
	})
	if err != nil {
		return nil, errors.Join(err, log.Close(), os.RemoveAll(scratch))
	}
	return m, nil
}

func (m *ministack) listen(ctx context.Context, port int) (*process.Process, error) {
	cmd := exec.Command(filepath.Join(venv, "bin", "ministack"))
	// The functions find this environment too, and nothing of ours.
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
