package lambda

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"centrifuge/localstack/gateway"
)

// Asynchronous is a function that is invoked asynchronously.
type Asynchronous interface {
	// InvokeAsync invokes the function and does not wait for it. When the function fails it
	// is invoked again with the same request id, at most twice. Then the event goes to the
	// dead-letter target. InvokeAsync fails only when its service or queue is closed.
	InvokeAsync(event []byte) error
}

// errClosed: the service or the queue is closed.
var errClosed = errors.New("lambda: the service is closed")

// QueueOptions configure a Queue.
type QueueOptions struct {
	// RetryDelays are the waits before the two repetitions; one minute and two if zero.
	// Close ends them.
	RetryDelays [2]time.Duration
	// DeadLetter, if set, gets the events that failed in every attempt. It is called
	// concurrently.
	DeadLetter func(DeadLetter)
}

// Queue is the queue of asynchronous invocations. It is safe for concurrent use.
type Queue struct {
	options QueueOptions
	closing chan struct{} // closed by Close

	mu     sync.Mutex
	empty  sync.Cond // count became zero
	count  int       // the invocations that have not ended
	closed bool
}

// NewQueue returns an empty queue.
func NewQueue(o QueueOptions) *Queue {
	if o.RetryDelays == [2]time.Duration{} {
		o.RetryDelays = [2]time.Duration{time.Minute, 2 * time.Minute}
	}
	q := &Queue{options: o, closing: make(chan struct{})}
	q.empty.L = &q.mu
	return q
}

// add invokes a function by run, which gets the request id.
func (q *Queue) add(function string, event []byte, run func(request string) error) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return errClosed
	}
	q.count++
	go func() {
		q.deliver(function, event, run)
		q.mu.Lock()
		defer q.mu.Unlock()
		if q.count--; q.count == 0 {
			q.empty.Broadcast()
		}
	}()
	return nil
}

// deliver runs until it succeeds or no attempt is left.
func (q *Queue) deliver(function string, event []byte, run func(request string) error) {
	request := newRequestID()
	err := run(request)
	for _, delay := range q.options.RetryDelays {
		if err == nil {
			return
		}
		q.wait(delay)
		err = run(request)
	}
	if err != nil && q.options.DeadLetter != nil {
		q.options.DeadLetter(DeadLetter{Function: function, RequestID: request, Event: event, Err: err})
	}
}

// wait waits for d, or until the queue closes.
func (q *Queue) wait(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-q.closing:
	}
}

// Wait returns when all invocations have ended, with those that they add.
func (q *Queue) Wait() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.count > 0 {
		q.empty.Wait()
	}
}

// Close refuses further invocations and waits for the others. Those that wait for a
// repetition are repeated immediately. It may be called more than once.
func (q *Queue) Close() {
	q.mu.Lock()
	if !q.closed {
		q.closed = true
		close(q.closing)
	}
	q.mu.Unlock()
	q.Wait()
}

// InProcess is a function of this process, which a queue invokes. All fields are required
// except Timeout.
type InProcess struct {
	Queue    *Queue
	Name     string
	Function gateway.Function
	// Timeout is how long an invocation may take; DefaultTimeout if zero.
	Timeout time.Duration
}

var _ Asynchronous = InProcess{}

// InvokeAsync has the contract of Asynchronous. The function gets a copy of the event. A
// panic is an error, and so is an invocation that ends after the timeout.
func (f InProcess) InvokeAsync(event []byte) error {
	return f.Queue.add(f.Name, event, func(request string) error { return f.invoke(request, append([]byte(nil), event...)) })
}

func (f InProcess) invoke(request string, event []byte) (err error) {
	ctx := lambdacontext.NewContext(context.Background(), &lambdacontext.LambdaContext{AwsRequestID: request})
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(f.Timeout, DefaultTimeout))
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("function panicked: %v\n%s", p, debug.Stack())
		}
		if ctx.Err() != nil {
			err = ErrTimeout // Lambda would have killed it
		}
	}()
	_, err = f.Function.Invoke(ctx, event)
	return err
}
