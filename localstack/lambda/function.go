package lambda

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"sync"
	"time"

	"centrifuge/localstack/gateway"
)

// Configuration describes a function.
type Configuration struct {
	// Name is the name of the function. It must be a segment of a URL's path.
	Name string
	// Bootstrap is the program.
	Bootstrap string
	// MemoryMB is in the environment and in the log. It is not enforced.
	MemoryMB int
	// Environment are further environment variables. Those that Lambda sets cannot be
	// replaced. Among them are credentials: AWS_ACCESS_KEY_ID is "NAME.N" for the Nth
	// process of the service, so that the service that gets a request knows the function
	// and the process.
	Environment map[string]string
	// Log receives what the processes print and the lines of Lambda, whole lines in one
	// write each, one write at a time; nil discards them.
	Log io.Writer
}

// Function is a function. It is safe for concurrent use.
type Function struct {
	Configuration
	service *Service
	log     *functionLog

	mu    sync.Mutex
	freed sync.Cond // an environment became idle, or exited
	idle  []*environment
	count int // idle and busy environments
}

var (
	_ gateway.Function = (*Function)(nil)
	_ Asynchronous     = (*Function)(nil)
)

// New adds a function to a service.
func (s *Service) New(c Configuration) *Function {
	c.Environment = maps.Clone(c.Environment)
	if c.Log == nil {
		c.Log = io.Discard
	}
	f := &Function{Configuration: c, service: s, log: &functionLog{w: c.Log}}
	f.freed.L = &f.mu
	return f
}

// answerDelay is how long a response takes to the caller of Invoke, unless the process has
// asked for the next event before. On AWS it takes time too: the next invocation of a
// caller finds an idle process, unless the process does work after its answer.
const answerDelay = 250 * time.Millisecond

// Invoke invokes the function with an event and returns its response. The process may
// still work after its answer, and is not idle until it asks for the next event. Invoke
// fails with a *FunctionError, ErrTimeout, ErrExited or ErrThrottled. It ignores ctx:
// Lambda does not notice that its caller left.
func (f *Function) Invoke(_ context.Context, event []byte) ([]byte, error) {
	if !f.service.startWork() {
		return nil, errClosed
	}
	e := f.acquire(false)
	if e == nil {
		f.service.running.Done()
		return nil, fmt.Errorf("invoke %s: %w", f.Name, ErrThrottled)
	}
	i := newInvocation(newRequestID(), event)
	done := make(chan answer, 1)
	go func() {
		defer f.service.running.Done()
		response, err := f.invoke(e, i)
		done <- answer{response, err}
	}()
	select {
	case a := <-done:
		return a.response, a.err
	case <-i.answered:
	}
	response, err := i.result(nil)
	if err != nil { // a process does no work after an error: it goes on, or exits
		a := <-done
		return a.response, a.err
	}
	timer := time.NewTimer(answerDelay)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
	return response, nil
}

// InvokeAsync has the contract of Asynchronous. The dead-letter target is Options.DeadLetter.
func (f *Function) InvokeAsync(event []byte) error {
	return f.service.queue.add(f.Name, event, func(request string) error {
		_, err := f.invoke(f.acquire(true), newInvocation(request, event))
		return err
	})
}

// acquire returns an idle environment, the one that was used last, or a new one that is
// not started. Where the concurrency does not allow that it returns nil, or waits.
func (f *Function) acquire(wait bool) *environment {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		for len(f.idle) > 0 {
			e := f.idle[len(f.idle)-1]
			f.idle = f.idle[:len(f.idle)-1]
			if !e.exited() {
				return e
			}
			f.count--
			f.service.forget(e)
		}
		if f.count < f.service.options.Concurrency {
			f.count++
			return f.service.newEnvironment(f)
		}
		if !wait {
			return nil
		}
		f.freed.Wait()
	}
}

// release makes an environment idle, or forgets it when its process has exited.
func (f *Function) release(e *environment) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e.exited() {
		f.count--
		f.service.forget(e)
	} else {
		f.idle = append(f.idle, e)
	}
	f.freed.Signal()
}

// invoke runs an invocation in an environment that was acquired, and releases it.
func (f *Function) invoke(e *environment, i *invocation) ([]byte, error) {
	defer f.release(e)
	var initialized time.Duration
	if e.process == nil {
		began := time.Now()
		kind, err := e.start()
		initialized = time.Since(began)
		if err != nil {
			f.log.initFailed(initialized, kind)
			f.log.start(i.id)
			f.log.report(i.id, report{memoryMB: f.MemoryMB, kind: kind})
			return nil, f.failure(i, err)
		}
	}
	f.log.start(i.id)
	began := time.Now()
	end := e.run(i)
	response, err := i.result(end)
	kind := kindOf(err)
	if kind == "" {
		kind = kindOf(end)
	}
	f.log.report(i.id, report{took: time.Since(began), initialized: initialized, memoryMB: f.MemoryMB, kind: kind})
	return response, f.failure(i, err)
}

// failure wraps the error of an invocation, nil for none.
func (f *Function) failure(i *invocation, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("invoke %s: RequestId: %s: %w", f.Name, i.id, err)
}

// kindOf is the error type in the log for the error of an invocation: "" for none.
func kindOf(err error) string {
	var returned *FunctionError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &returned):
		return returned.Type
	case errors.Is(err, ErrTimeout):
		return timeoutKind
	default:
		return exitKind
	}
}

// newRequestID returns a random UUID.
func newRequestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
