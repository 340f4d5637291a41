// Package process supervises another program for as long as it is needed: a
// process that ends with us, whatever happens to us.
//
// It knows nothing of what the program does.
package process

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopGrace is how long a process has to end in order, such as to close its
// database.
const stopGrace = 5 * time.Second

// tailBytes is how much of what a process printed is kept for error messages.
const tailBytes = 2048

// Options say how a Process is watched. The zero value discards what it prints.
type Options struct {
	// Log receives what the process prints. nil discards it.
	Log io.Writer
	// Ready is what the process prints once it is ready. "" means that it does not
	// say so.
	Ready string
}

// Process is a running program. It is safe for concurrent use.
type Process struct {
	cmd   *exec.Cmd
	ready chan struct{}
	done  chan struct{}
	err   error // of Wait; to be read after done
	stop  sync.Once
	fate  error

	output output
}

// Start starts cmd, whose Stdout, Stderr and SysProcAttr it sets. The process runs
// until Stop, or until this process ends in whatever way (on Linux; elsewhere until
// Stop). A Ctrl-C in the terminal does not reach it.
func Start(cmd *exec.Cmd, o Options) (*Process, error) {
	if o.Log == nil {
		o.Log = io.Discard
	}
	p := &Process{cmd: cmd, ready: make(chan struct{}), done: make(chan struct{})}
	p.output = output{log: o.Log, ready: []byte(o.Ready), isReady: p.ready}
	cmd.Stdout, cmd.Stderr = &p.output, &p.output
	// What it has started itself may outlive it, and hold on to its output.
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

// Run runs cmd, whose SysProcAttr it sets, to its end: a process that ends with us
// as those of Start do.
func Run(cmd *exec.Cmd) error {
	defer keep(cmd)()
	return cmd.Run()
}

// keep makes the process of cmd end with us. On Linux a child is killed when the
// thread that started it ends, not the process: the caller stays on its thread for
// as long as the child lives, then calls release.
func keep(cmd *exec.Cmd) (release func()) {
	cmd.SysProcAttr = attributes()
	runtime.LockOSThread()
	return runtime.UnlockOSThread
}

// Ready is closed when the process has printed what Options.Ready says.
func (p *Process) Ready() <-chan struct{} { return p.ready }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Output is the end of what the process has printed.
func (p *Process) Output() string { return p.output.end() }

// Err tells how a process that is Done ended: with what it printed, if anything.
// It is never nil.
func (p *Process) Err() error {
	<-p.done
	name, out := filepath.Base(p.cmd.Path), p.Output()
	if out == "" {
		out = "without a word"
	}
	return errors.Join(fmt.Errorf("%s had ended on its own: %s", name, out), p.err)
}

// Stop ends the process, kindly first, and returns when it is gone. It fails with
// Err when the process had ended on its own before. Further calls return what the
// first did.
func (p *Process) Stop() error {
	p.stop.Do(func() {
		select {
		case <-p.done:
			p.fate = p.Err()
			return
		default:
		}
		// SIGTERM is not to be had on every system; there, the kill must do.
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			_ = p.cmd.Process.Kill()
		}
		grace := time.AfterFunc(stopGrace, func() { _ = p.cmd.Process.Kill() })
		defer grace.Stop()
		<-p.done
	})
	return p.fate
}

// output takes what a process prints.
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
	// A log that cannot be written must not end the process.
	_, _ = o.log.Write(b)
	return len(b), nil
}

func (o *output) end() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.TrimSpace(string(o.tail))
}
