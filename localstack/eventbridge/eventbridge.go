// Package eventbridge is Amazon EventBridge in process: an http.Handler that takes
// PutEvents from the unmodified SDK and invokes Lambda functions that live in the same
// process, asynchronously and with Lambda's retries.
//
//	bus := eventbridge.New(eventbridge.Options{
//		Functions: []gateway.Function{gateway.NewFunction(handle)},
//	})
//	defer bus.Close()
//	server := httptest.NewServer(bus) // the client's BaseEndpoint, with or without a path
//
// It validates what AWS validates: the number and size of entries, and of each its
// source, detail type and detail; a refused entry leaves the others alone. It builds the
// event that AWS builds. An invocation that fails, by an error, a panic or a time-out, is
// made again after each of the delays, with the same request id, and is a dead letter in
// the end: as on AWS, where an event that is lost is an event that nobody looked for.
//
// It refuses to know buses and rules: whatever the bus of an entry, every function gets
// every event. There are no archives, no schemas, no global endpoints, and none of the
// other operations. Signatures must be present but are not verified.
package eventbridge

import (
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"centrifuge/localstack/gateway"
)

// The limits of EventBridge.
const (
	// MaxEntries is how many entries one request may have.
	MaxEntries = 10
	// MaxBytes is how large the entries of one request may be together: the UTF-8 of
	// source, detail type, detail and resources, and 14 bytes for a time.
	MaxBytes = 256 << 10
)

// DefaultTimeout is the default of Options.Timeout.
const DefaultTimeout = 30 * time.Second

// Options describe a bus.
type Options struct {
	// Functions are invoked for every event, each by itself.
	Functions []gateway.Function
	// Delays are the waits before an invocation that failed is made again, and so how
	// often it is; nil means a second and two. (On AWS it is a minute and two.)
	Delays []time.Duration
	// Timeout is how long a function may take, and the deadline of its context;
	// DefaultTimeout if zero.
	Timeout time.Duration
	// Region and AccountID are what events say, "us-east-1" and "000000000000" by
	// default.
	Region, AccountID string
	// Log gets the dead letters, without their details; nil discards them.
	Log *slog.Logger
}

// Bus is an event bus that serves. All its methods are safe for concurrent use.
type Bus struct {
	options Options
	dead    atomic.Int64

	mu      sync.Mutex
	closed  bool
	closing chan struct{} // closed by Close
	// running counts requests and invocations.
	running sync.WaitGroup
}

// New returns a bus. It panics when a function is nil.
func New(o Options) *Bus {
	if slices.Contains(o.Functions, nil) {
		panic("eventbridge: a function is nil")
	}
	if o.Delays == nil {
		o.Delays = []time.Duration{time.Second, 2 * time.Second}
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	if o.AccountID == "" {
		o.AccountID = "000000000000"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Bus{options: o, closing: make(chan struct{})}
}

// DeadLetters returns how many invocations have failed in every attempt.
func (b *Bus) DeadLetters() int { return int(b.dead.Load()) }

// Close refuses new requests with 503 and waits until all invocations under way have
// succeeded or become dead letters. Delays are cut short: what waits is tried again at
// once. It may be called more than once; each call waits.
func (b *Bus) Close() {
	b.mu.Lock()
	if !b.closed {
		b.closed = true
		close(b.closing)
	}
	b.mu.Unlock()
	b.running.Wait()
}

// enter counts something that Close waits for, unless the bus is closed. The caller
// calls running.Done.
func (b *Bus) enter() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.running.Add(1)
	return true
}

// ServeHTTP serves PutEvents, at any path.
func (b *Bus) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !b.enter() {
		failure{http.StatusServiceUnavailable, "ServiceUnavailableException", "The service is being shut down."}.write(w)
		return
	}
	defer b.running.Done()
	entries, refused := read(w, r)
	if refused != nil {
		refused.write(w)
		return
	}
	write(w, http.StatusOK, b.put(entries))
}

// put hands on the entries that are valid, and says what became of each.
func (b *Bus) put(entries []entry) result {
	r := result{Entries: make([]resultEntry, len(entries))}
	for i, e := range entries {
		if refused := e.validate(); refused != nil {
			r.Entries[i] = *refused
			r.FailedEntryCount++
			continue
		}
		event := b.event(e, time.Now())
		r.Entries[i].EventID = event.ID
		for _, function := range b.options.Functions {
			b.running.Go(func() { b.deliver(function, event) })
		}
	}
	return r
}
