// Package dynamodb finds, installs and starts a DynamoDB on this machine, for the
// local stack and for tests. There are two engines: dynoxide, one binary on SQLite,
// and DynamoDB Local, AWS's own, which needs Java.
//
// It knows nothing about tables. dynoxide never deletes expired items and treats
// every read as consistent: a test on it shows our own filters for expiry and
// consistency, not the behaviour of AWS.
package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"time"

	"centrifuge/localstack/process"
	"centrifuge/pkg/config"
)

const (
	// startLimit bounds a start without the installation. DynamoDB Local takes one to
	// three seconds.
	startLimit = time.Minute
	// pollInterval is the time between two health checks during a start.
	pollInterval = 50 * time.Millisecond
)

// Options configure a Server. The zero value keeps the data in memory and prints
// nothing.
type Options struct {
	// Path is the file that keeps the data, in a folder that exists. DynamoDB Local
	// chooses the name of the file in that folder. "" keeps the data in memory.
	Path string
	// Log receives the output of the process. nil discards it.
	Log io.Writer
	// Progress receives the output of npm during an installation, and says which engine
	// runs where that failed. nil discards it.
	Progress io.Writer
}

// engine is a DynamoDB that is installed.
type engine struct {
	name    string
	command func(port int, path string) *exec.Cmd
	// ready is what the process prints when it listens; "" when it prints nothing.
	ready string
	// health is the status of its answer to GET /.
	health int
}

// Server is a running DynamoDB. It is safe for concurrent use.
type Server struct {
	engine   engine
	endpoint string
	process  *process.Process
	stop     func() error
}

// Start starts the first engine that this machine can run on a free port and
// returns when it answers: dynoxide from npm, where npm has a binary for the
// platform and can install it; dynoxide on PATH; DynamoDB Local, where there is a java on PATH. ctx
// bounds the start alone, with the installation. The server runs until Stop, or until
// this process ends (on Linux; on other systems until Stop).
//
// It fails when there is no engine; the error says what to install. When the process
// exits, the error has its output.
func Start(ctx context.Context, o Options) (*Server, error) {
	e, err := choose(ctx, runtime.GOOS+"/"+runtime.GOARCH, o.Progress)
	if err != nil {
		return nil, err
	}
	return e.start(ctx, o)
}

// StartLocal is Start for DynamoDB Local.
func StartLocal(ctx context.Context, o Options) (*Server, error) {
	e, err := local(ctx, o.Progress)
	if err != nil {
		return nil, err
	}
	return e.start(ctx, o)
}

// choose returns the first engine that this machine can run. An installation that fails
// leads to the next engine; progress then has its error, as does the error of choose
// where no engine is left.
func choose(ctx context.Context, platform string, progress io.Writer) (engine, error) {
	var failure error
	if platform == dynoxidePlatform {
		path, err := dynoxidePackage.Install(ctx, discard(progress))
		if err == nil {
			return dynoxide(path), nil
		}
		failure = fmt.Errorf("install dynoxide: %w", err)
		if ctx.Err() != nil {
			return engine{}, failure
		}
	}
	e, err := installed(ctx, platform, progress)
	if err != nil {
		return engine{}, errors.Join(failure, err)
	}
	if failure != nil {
		fmt.Fprintf(discard(progress), "%v\nusing %s on this machine, which does not have the data of another engine\n", failure, e.name)
	}
	return e, nil
}

// installed returns the engine that the programs on PATH can run.
func installed(ctx context.Context, platform string, progress io.Writer) (engine, error) {
	if path, err := exec.LookPath("dynoxide"); err == nil {
		return dynoxide(path), nil
	}
	if _, err := exec.LookPath("java"); err == nil {
		return local(ctx, progress)
	}
	return engine{}, fmt.Errorf("no DynamoDB for %s: install dynoxide, or Java 17 or later, or set %s to the address of another DynamoDB", platform, config.DynamoDBEndpoint)
}

func discard(w io.Writer) io.Writer {
	if w == nil {
		return io.Discard
	}
	return w
}

func (e engine) start(ctx context.Context, o Options) (*Server, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, startLimit, fmt.Errorf("no answer within %s", startLimit))
	defer cancel()
	s, err := process.OnFreePort(ctx, func(port int) (*Server, error) { return e.startOn(ctx, port, o) })
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", e.name, err)
	}
	return s, nil
}

func (e engine) startOn(ctx context.Context, port int, o Options) (*Server, error) {
	p, err := process.Start(e.command(port, o.Path), process.Options{Log: o.Log, Ready: e.ready})
	if err != nil {
		return nil, err
	}
	s := &Server{engine: e, endpoint: "http://127.0.0.1:" + strconv.Itoa(port), process: p}
	s.stop = sync.OnceValue(s.stopOnce)
	if err := s.wait(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// wait returns when the server answers. An answer alone does not prove that this
// process listens: another one may have taken the port. When it fails the process
// has ended.
func (s *Server) wait(ctx context.Context) error {
	ready := s.process.Ready()
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	for {
		select {
		case <-ready:
			if s.answers(ctx) {
				return nil
			}
			ready = nil // from now on, at every tick
		case <-poll.C:
			if ready == nil && s.answers(ctx) {
				return nil
			}
		case <-s.process.Done():
			return s.process.PortError()
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), s.process.Stop())
		}
	}
}

func (s *Server) answers(ctx context.Context) bool {
	status, err := process.Get(ctx, s.endpoint)
	return err == nil && status == s.engine.health
}

// Endpoint is the address for a DynamoDB client: http://127.0.0.1:PORT.
func (s *Server) Endpoint() string { return s.endpoint }

// Stop ends the process and returns when it has exited and its data is written. It
// fails when the server no longer answered, with the output of the process. Further
// calls return the result of the first.
func (s *Server) Stop() error { return s.stop() }

func (s *Server) stopOnce() error {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	// A process that is about to exit still runs, and would pass for one that was stopped.
	healthy := s.answers(ctx)
	if err := s.process.Stop(); err != nil || healthy {
		return err
	}
	return fmt.Errorf("%s no longer answered: %s", s.engine.name, s.process.Output())
}
