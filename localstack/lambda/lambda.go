package lambda

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"centrifuge/localstack/gateway"
)

// The limits of Lambda.
const (
	// DefaultTimeout is the default of Options.Timeout, and the timeout of the deployed
	// functions.
	DefaultTimeout = 29 * time.Second
	// DefaultConcurrency is the default of Options.Concurrency. An AWS account has 1,000
	// for all its functions, and a new account fewer.
	DefaultConcurrency = 10
	// initTimeout is how long a process may take from its start until it asks for the
	// first event.
	initTimeout = 10 * time.Second
	// maxPayload is the largest response of a function.
	maxPayload = 6 << 20
)

// The failures of an invocation that the function did not answer. They wrap
// gateway.ErrUnavailable. An answer that is an error is a *FunctionError.
var (
	// ErrTimeout: the process was killed at the timeout.
	ErrTimeout = fmt.Errorf("%w: it timed out", gateway.ErrUnavailable)
	// ErrExited: the process exited before it answered.
	ErrExited = fmt.Errorf("%w: it exited", gateway.ErrUnavailable)
	// ErrThrottled: as many processes as Options.Concurrency allows were busy.
	ErrThrottled = fmt.Errorf("%w: it is throttled, raise its concurrency", gateway.ErrUnavailable)
)

// FunctionError is an error that a function returned.
type FunctionError struct {
	Type    string `json:"errorType"`
	Message string `json:"errorMessage"`
}

func (e *FunctionError) Error() string { return e.Type + ": " + e.Message }

// Options configure a Service. The zero value has the limits of AWS, without a
// dead-letter target.
type Options struct {
	// Timeout is how long an invocation may take; DefaultTimeout if zero.
	Timeout time.Duration
	// Concurrency is the largest number of processes of one function;
	// DefaultConcurrency if zero.
	Concurrency int
	// QueueOptions are those of asynchronous invocations.
	QueueOptions
	// Region is the AWS region; "us-east-1" by default.
	Region string
}

// DeadLetter is an event that a function could not handle.
type DeadLetter struct {
	Function, RequestID string
	Event               []byte
	// Err is the error of the last attempt.
	Err error
}

// Service runs functions. It is safe for concurrent use.
type Service struct {
	options Options
	address string
	server  *http.Server
	queue   *Queue

	mu           sync.Mutex
	environments map[string]*environment // by access key id
	started      int                     // the number of processes ever started
	closed       bool
	running      sync.WaitGroup
}

// Start starts a service: it serves the Runtime API on a free port of 127.0.0.1. ctx
// limits the start only.
func Start(ctx context.Context, o Options) (*Service, error) {
	o.Timeout = cmp.Or(o.Timeout, DefaultTimeout)
	o.Concurrency = cmp.Or(o.Concurrency, DefaultConcurrency)
	o.Region = cmp.Or(o.Region, "us-east-1")
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("serve the Lambda Runtime API: %w", err)
	}
	s := &Service{
		options: o, address: listener.Addr().String(), queue: NewQueue(o.QueueOptions),
		environments: make(map[string]*environment),
	}
	s.server = &http.Server{Handler: s.runtimeAPI(), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.server.Serve(listener) }() // fails only when Close ends it
	return s, nil
}

// Kill kills a process, as Lambda does when it is out of memory, and returns when the
// process has exited. The process is named by its access key id; see
// Configuration.Environment. An unknown process is ignored.
func (s *Service) Kill(accessKeyID string) {
	s.mu.Lock()
	e := s.environments[accessKeyID]
	s.mu.Unlock()
	if e != nil {
		e.kill()
	}
}

// Close refuses further invocations and waits for running ones. Asynchronous
// invocations that wait for a repetition are repeated immediately. Then it kills all
// processes. It may be called more than once.
func (s *Service) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.queue.Close()
	s.running.Wait()
	s.mu.Lock()
	environments := s.environments
	s.environments = make(map[string]*environment)
	s.mu.Unlock()
	for _, e := range environments {
		e.kill()
	}
	return s.server.Close()
}

// startWork registers an invocation that Close waits for. It returns false when the
// service is closed; otherwise the caller must call running.Done.
func (s *Service) startWork() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.running.Add(1)
	return true
}
