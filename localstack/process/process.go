// Package process runs other programs as child processes that end with this process,
// even when it is killed (on Linux).
//
// It knows nothing about the programs.
package process

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopGrace is how long a process has to exit after SIGTERM.
const stopGrace = 5 * time.Second

// tailBytes is how much of the output is kept for error messages.
const tailBytes = 2048

// Options configure a Process. The zero value discards its output.
type Options struct {
	// Log receives the output of the process. nil discards it.
	Log io.Writer
	// Ready is what the process prints when it is ready. "" means that it prints
	// nothing: it counts as ready when it starts.
	Ready string
}

// Process is a running program. It is safe for concurrent use.
type Process struct {
	cmd   *exec.Cmd
	ready chan struct{}
	done  chan struct{}
	err   error // of Wait; valid after done
	stop  func() error

	output output
}

// Start starts cmd. It sets Stdout, Stderr and SysProcAttr. The process runs until
// Stop, or until this process ends (on Linux; on other systems until Stop). On Linux,
// a Ctrl-C in the terminal does not reach it.
func Start(cmd *exec.Cmd, o Options) (*Process, error) {
	if o.Log == nil {
		o.Log = io.Discard
	}
	p := &Process{cmd: cmd, ready: make(chan struct{}), done: make(chan struct{})}
	p.output = output{log: o.Log, ready: []byte(o.Ready), isReady: p.ready}
	if o.Ready == "" {
		p.output.seen = true
		close(p.ready)
	}
	p.stop = sync.OnceValue(p.stopOnce)
	cmd.Stdout, cmd.Stderr = &p.output, &p.output
	// Its own children may outlive it and keep its output open.
	cmd.WaitDelay = stopGrace
	started := make(chan error)
	go func() {
		defer keep(cmd)()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// Run runs cmd to its end. It sets SysProcAttr; the process ends with this process, as
// in Start.
func Run(cmd *exec.Cmd) error {
	defer keep(cmd)()
	return cmd.Run()
}

// keep makes the process of cmd end with this process. Linux kills a child when the
// thread that started it ends: the caller stays on its thread until the child has
// exited, then calls release.
func keep(cmd *exec.Cmd) (release func()) {
	cmd.SysProcAttr = attributes()
	runtime.LockOSThread()
	return runtime.UnlockOSThread
}

// Ready is closed when the process has printed Options.Ready.
func (p *Process) Ready() <-chan struct{} { return p.ready }

// Done is closed when the process has exited.
func (p *Process) Done() <-chan struct{} { return p.done }

// Output is the end of the output of the process.
func (p *Process) Output() string { return p.output.end() }

// Err is the error of a process that exited before Stop. It has the end of the output
// and the exit status and is never nil. It waits for Done.
func (p *Process) Err() error {
	<-p.done
	out := p.Output()
	if out == "" {
		out = "no output"
	}
	return errors.Join(fmt.Errorf("%s exited unexpectedly: %s", filepath.Base(p.cmd.Path), out), p.err)
}

// ExitError is the exit status of the process as an error, or nil where that is 0. It
// waits for Done.
func (p *Process) ExitError() error {
	<-p.done
	return p.err
}

// Signal sends a signal to the process. It fails when the process has exited.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Kill kills the process, also when it is stopped, and returns when it has exited. A
// process that has exited is not affected.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Stop sends SIGTERM, kills the process after a grace period, and returns when it has
// exited. It fails with Err when the process had exited before. Further calls return
// the result of the first.
func (p *Process) Stop() error { return p.stop() }

func (p *Process) stopOnce() error {
	select {
	case <-p.done:
		return p.Err()
	default:
	}
	// Not every system has SIGTERM.
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		_ = p.cmd.Process.Kill()
	}
	grace := time.AfterFunc(stopGrace, func() { _ = p.cmd.Process.Kill() })
	defer grace.Stop()
	<-p.done
	return nil
}

// output receives the output of a process.
type output struct {
	ready   []byte
	isReady chan struct{}

	mu   sync.Mutex
	log  io.Writer
	tail []byte
	seen bool
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tail = append(o.tail, b...)
	if !o.seen && len(o.ready) > 0 && bytes.Contains(o.tail, o.ready) {
		o.seen = true
		close(o.isReady)
	}
	if n := len(o.tail) - tailBytes; n > 0 {
		o.tail = append(o.tail[:0], o.tail[n:]...)
	}
	// An error of the log must not end the process.
	_, _ = o.log.Write(b)
	return len(b), nil
}

func (o *output) end() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.TrimSpace(string(o.tail))
}
