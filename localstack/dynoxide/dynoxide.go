// Package dynoxide runs a DynamoDB on this machine for the local stack and for
// tests: the dynoxide binary, one process on SQLite, which it installs from npm
// on first use.
//
// It knows nothing of tables. dynoxide never deletes expired items and treats
// every read as consistent, so what is proven on it of expiry and consistency is
// proven of our own filters, not of AWS.
package dynoxide

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Options say how a Server runs. The zero value keeps everything in memory and
// says nothing.
type Options struct {
	// Path is the SQLite file that holds the data, in a folder that exists; the file
	// is made when absent. "" keeps the data in memory until Stop.
	Path string
	// Log receives what the process prints. nil discards it.
	Log io.Writer
	// Progress receives what npm prints while the binary is being installed. nil
	// discards it.
	Progress io.Writer
}

// Server is a running dynoxide process. It is safe for concurrent use.
type Server struct {
	endpoint string
	process  *process
	stop     sync.Once
	err      error
}

const (
	// attempts is how often another port is tried when one was taken between being
	// found free and being listened on.
	attempts = 10
	// stopGrace is how long the process has to close its database.
	stopGrace = 5 * time.Second
)

// errPortTaken: another process was quicker to listen on the port.
var errPortTaken = errors.New("port is in use")

// Start installs dynoxide where it is missing, starts it on a free port of
// 127.0.0.1 and returns when it answers. ctx bounds the start alone, the
// installation included: a started server runs until Stop, or until this process
// ends in whatever way (on Linux; elsewhere until Stop).
//
// It fails where npm or a package for this platform is missing, naming
// DYNAMODB_ENDPOINT as the way out, and with what the process printed when that
// ends at once.
func Start(ctx context.Context, o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = io.Discard
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	binary, err := install(ctx, o.Progress)
	if err != nil {
		return nil, fmt.Errorf("install dynoxide: %w", err)
	}
	for range attempts {
		var s *Server
		if s, err = start(ctx, binary, o); !errors.Is(err, errPortTaken) {
			return s, err
		}
	}
	return nil, err
}

func start(ctx context.Context, binary string, o Options) (*Server, error) {
	port, err := freePort()
	if err != nil {
		return nil, fmt.Errorf("find a port for dynoxide: %w", err)
	}
	args := []string{"serve", "--host", "127.0.0.1", "--port", strconv.Itoa(port)}
	if o.Path != "" {
		args = append(args, "--db-path", o.Path)
	}
	p, err := run(exec.Command(binary, args...), o.Log)
	if err != nil {
		return nil, fmt.Errorf("start dynoxide: %w", err)
	}
	s := &Server{endpoint: "http://127.0.0.1:" + strconv.Itoa(port), process: p}
	if err := s.ready(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start dynoxide: %w", err), s.Stop())
	}
	return s, nil
}

// freePort asks the kernel for a port that nobody listens on. dynoxide could do
// so itself, with --port 0, but does not tell which one it got.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// ready waits until the process says that it listens, which an answer on the port
// would not prove: that could be somebody else's. Then it waits for an answer.
func (s *Server) ready(ctx context.Context) error {
	select {
	case <-s.process.listening:
	case <-s.process.done:
		// It ended on its own, which Stop need not report again.
		s.stop.Do(func() {})
		if out := s.process.output(); strings.Contains(out, "in use") {
			return errPortTaken
		} else if out != "" {
			return errors.New(out)
		}
		return errors.Join(errors.New("it ended without a word"), s.process.err)
	case <-ctx.Done():
		return ctx.Err()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.endpoint, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("health check: status %d", resp.StatusCode)
	}
	return nil
}

// Endpoint is the address to give to a DynamoDB client: http://127.0.0.1:PORT.
func (s *Server) Endpoint() string { return s.endpoint }

// Stop ends the process and returns when it is gone, its data written. It fails
// when the process had ended on its own before, with what it printed. Further
// calls return what the first did.
func (s *Server) Stop() error {
	s.stop.Do(func() {
		if s.process.terminate() {
			return
		}
		s.err = errors.Join(fmt.Errorf("dynoxide had ended on its own: %s", s.process.output()), s.process.err)
	})
	return s.err
}

// process is a child that ends with us.
type process struct {
	cmd       *exec.Cmd
	listening chan struct{}
	done      chan struct{}
	err       error // of Wait; to be read after done

	mu    sync.Mutex
	log   io.Writer
	tail  []byte
	ready bool
}

func run(cmd *exec.Cmd, log io.Writer) (*process, error) {
	p := &process{cmd: cmd, listening: make(chan struct{}), done: make(chan struct{}), log: log}
	cmd.Stdout, cmd.Stderr = p, p
	cmd.SysProcAttr = childAttributes()
	started := make(chan error)
	go func() {
		// On Linux the child is killed when the thread that started it ends, not the
		// process: the thread is kept here for as long as the child lives.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.done)
		}
	}()
	return p, <-started
}

// terminate ends the child, kindly first, and waits for its end. It returns false
// when the child had ended on its own.
func (p *process) terminate() bool {
	select {
	case <-p.done:
		return false
	default:
	}
	// SIGTERM is not to be had on every system; there, the kill must do.
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		_ = p.cmd.Process.Kill()
	}
	grace := time.AfterFunc(stopGrace, func() { _ = p.cmd.Process.Kill() })
	defer grace.Stop()
	<-p.done
	return true
}

// Write takes what the child prints: to the log, and its end to output.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tail = append(p.tail, b...)
	if !p.ready && bytes.Contains(p.tail, []byte("listening on")) {
		p.ready = true
		close(p.listening)
	}
	if n := len(p.tail) - 2048; n > 0 {
		p.tail = append(p.tail[:0], p.tail[n:]...)
	}
	// A log that cannot be written must not end the child.
	_, _ = p.log.Write(b)
	return len(b), nil
}

// output is the end of what the child printed.
func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.TrimSpace(string(p.tail))
}
