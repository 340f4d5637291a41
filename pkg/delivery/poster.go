package delivery

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const (
	// DefaultAttempts is how often a request is made that is answered with 408, 429 or
	// 5xx, or that cannot be sent.
	DefaultAttempts = 4
	// DefaultTimeout ends one attempt, connecting included.
	DefaultTimeout = 3 * time.Second
	// DefaultConcurrency bounds concurrent requests that are not overdue.
	DefaultConcurrency = 64

	connectionsPath = "/@connections/"

	// backOff and maxBackOff bound the random waits between attempts: up to backOff
	// after the first, then up to twice as much each time.
	backOff    = 100 * time.Millisecond
	maxBackOff = 2 * time.Second

	// maxWaiting is how many posts may wait for another attempt without a slot. More
	// mean that the account is throttled, and not only some clients are slow.
	maxWaiting = 4096

	// patience is how long a request keeps its slot without an answer, from when it is
	// written. It is many times what an answer takes, so that requests that get one rarely
	// lose their slot, and so short that 256 requests without an answer, in 64 slots, hold
	// up the others for 0.4 s.
	patience = 100 * time.Millisecond
	// maxSockets bounds the sockets of requests in progress and of connections kept alive.
	// A Lambda has 1,024 file descriptors. What the slots do not need is for overdue
	// requests, 512 with 64 slots.
	maxSockets = 640
)

// PosterOptions are the parts of a Poster.
type PosterOptions struct {
	// URL is the base of the management API, up to and including the stage. Required.
	URL string
	// Region is the AWS region of the API, which signatures name. Required.
	Region string
	// Credentials sign the requests. They are cached until they expire. Required.
	Credentials aws.CredentialsProvider
	// Concurrency bounds the concurrent requests that are not overdue, and the connections
	// kept alive; 0 means 64.
	Concurrency int
	// Timeout ends one attempt, connecting included; 0 means DefaultTimeout.
	Timeout time.Duration
	// Attempts is how often a request is made at most, if it is answered with 408, 429 or
	// 5xx or cannot be sent; 0 means DefaultAttempts.
	Attempts int
	// Wait waits between attempts, until d has passed or ctx ends, whose error it
	// then returns. nil means a timer.
	Wait func(ctx context.Context, d time.Duration) error
	// Now is the time of signatures. nil means time.Now.
	Now func() time.Time
}

// Poster makes requests to the management API of API Gateway. It is safe for
// concurrent use; one serves a whole process, and its bound on concurrency holds
// for all uses together. A request that waits for its next attempt, or is overdue, gives
// its slot to others, so that it does not delay them. A request is overdue when it has had
// no answer for 100 ms on an open connection. With 64 slots, 512 may wait so without one.
//
// A request that was sent and gets no answer may have been carried out. It is repeated at
// once where the server had closed an idle connection, otherwise it fails: a dispatch
// repeats it, after its other requests. No request is repeated so more than once. A
// connection may, rarely, receive a message twice.
type Poster struct {
	path        string // escaped, up to the connection id
	region      string
	credentials aws.CredentialsProvider
	signer      *v4.Signer
	wires       *wires
	timeout     time.Duration
	attempts    int
	wait        func(context.Context, time.Duration) error
	now         func() time.Time

	slots   chan struct{} // holds one for each request in progress that has not lost it
	waiting chan struct{} // holds one for each request that waits for an attempt without a slot
	overdue chan struct{} // holds one for each request that waits for an answer without a slot
}

// NewPoster returns a Poster. It fails when an option is missing or invalid.
func NewPoster(o PosterOptions) (*Poster, error) {
	base, err := url.Parse(o.URL)
	if err != nil || base.Host == "" || base.User != nil || base.RawQuery != "" || base.Fragment != "" ||
		(base.Scheme != "https" && base.Scheme != "http") {
		return nil, errors.New("management URL: it must have the form https://host/stage")
	}
	base = base.JoinPath()
	base.Path, base.RawPath = strings.TrimRight(base.Path, "/"), strings.TrimRight(base.RawPath, "/")
	switch {
	case o.Region == "":
		return nil, errors.New("poster: region is empty")
	case o.Credentials == nil:
		return nil, errors.New("poster: credentials are missing")
	case o.Concurrency < 0 || o.Timeout < 0 || o.Attempts < 0:
		return nil, errors.New("poster: concurrency, timeout or attempts is negative")
	}
	p := &Poster{
		path:        base.EscapedPath() + connectionsPath,
		region:      o.Region,
		credentials: o.Credentials,
		signer:      v4.NewSigner(),
		timeout:     orDefault(o.Timeout, DefaultTimeout),
		attempts:    orDefault(o.Attempts, DefaultAttempts),
		wait:        o.Wait,
		now:         o.Now,
		slots:       make(chan struct{}, orDefault(o.Concurrency, DefaultConcurrency)),
		waiting:     make(chan struct{}, maxWaiting),
	}
	p.overdue = make(chan struct{}, max(maxSockets-2*cap(p.slots), 0))
	p.wires = newWires(base, cap(p.slots))
	if _, cached := p.credentials.(*aws.CredentialsCache); !cached {
		p.credentials = aws.NewCredentialsCache(p.credentials)
	}
	if p.wait == nil {
		p.wait = sleep
	}
	if p.now == nil {
		p.now = time.Now
	}
	return p, nil
}

// Post sends payload to a connection. It fails with ErrGone, with ErrSlow, with
// hub.ErrTooLarge, with the error of ctx if that ended first, or with the error of the
// last attempt.
func (p *Poster) Post(ctx context.Context, connection string, payload *Payload) error {
	if err := p.acquire(ctx); err != nil {
		return fmt.Errorf("post to connection %s: %w", connection, err)
	}
	return p.post(ctx, connection, payload, usual)
}

// care is how a request treats a lack of an answer.
type care int

const (
	// usual: it is sent again where the server had closed an idle connection.
	usual care = iota
	// repeated: it got no answer before. Each attempt has a new connection.
	repeated
	// once: it is not sent again where it may have been carried out. That is the case after an
	// answer of 5xx too, which is then an unanswered that was sent.
	once
)

// post is Post for a caller that has acquired a slot. It gives the slot back.
func (p *Poster) post(ctx context.Context, connection string, payload *Payload, c care) error {
	if err := p.try(ctx, http.MethodPost, connection, payload, c); err != nil {
		return fmt.Errorf("post to connection %s: %w", connection, err)
	}
	return nil
}

// Delete closes a connection. It fails as Post does.
func (p *Poster) Delete(ctx context.Context, connection string) error {
	if err := p.acquire(ctx); err != nil {
		return fmt.Errorf("delete connection %s: %w", connection, err)
	}
	return p.delete(ctx, connection, usual)
}

// delete is Delete for a caller that has acquired a slot. It gives the slot back.
func (p *Poster) delete(ctx context.Context, connection string, c care) error {
	if err := p.try(ctx, http.MethodDelete, connection, empty, c); err != nil {
		return fmt.Errorf("delete connection %s: %w", connection, err)
	}
	return nil
}

// Close closes the connections that are kept alive and not in use.
func (p *Poster) Close() { p.wires.closeIdle() }

// acquire takes a slot, first come, first served. It fails when ctx has ended.
func (p *Poster) acquire(ctx context.Context) error {
	if ctx.Err() == nil {
		select {
		case p.slots <- struct{}{}:
			return nil
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

// try makes attempts in the caller's slot, which it gives back.
func (p *Poster) try(ctx context.Context, method, connection string, payload *Payload, c care) error {
	t := turn{poster: p, slot: true, repeated: c == repeated, once: c == once}
	defer t.end()
	for n := 1; ; n++ {
		err := p.attempt(ctx, &t, method, connection, payload)
		again, ok := errors.AsType[transient](err)
		switch {
		case !ok:
			return err
		case n == p.attempts:
			return again.error
		}
		if err := t.pause(ctx, n); err != nil {
			return err
		}
	}
}

// turn is the use of a slot by one request with all its attempts. One goroutine uses it.
type turn struct {
	poster   *Poster
	slot     bool // is held
	overdue  bool // holds a place among the overdue requests
	repeated bool // got no answer before; now each attempt has a new connection
	once     bool // must not be sent again where it may have been carried out
}

// yield gives the slot to others while the request waits for an overdue answer. It keeps
// it when too many others wait so.
func (t *turn) yield() {
	if !t.slot { // the connection before this one was overdue already
		return
	}
	select {
	case t.poster.overdue <- struct{}{}:
		t.overdue = true
		t.release()
	default:
	}
}

// pause waits, without a slot, after the nth attempt, and takes a slot for the next. It
// fails when ctx has ended.
func (t *turn) pause(ctx context.Context, n int) error {
	d := rand.N(min(backOff<<(n-1), maxBackOff) + 1)
	select {
	case t.poster.waiting <- struct{}{}:
		t.end()
		defer func() { <-t.poster.waiting }()
	default:
		// The slot, or the place among the overdue, is kept: other requests would be
		// refused too.
	}
	if err := t.poster.wait(ctx, d); err != nil {
		return err
	}
	if !t.slot {
		t.end()
		if err := t.poster.acquire(ctx); err != nil {
			return err
		}
		t.slot = true
	}
	return nil
}

// end gives back what is held.
func (t *turn) end() {
	t.release()
	if t.overdue {
		<-t.poster.overdue
		t.overdue = false
	}
}

func (t *turn) release() {
	if t.slot {
		<-t.poster.slots
		t.slot = false
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func orDefault[T int | time.Duration](value, otherwise T) T {
	if value == 0 {
		return otherwise
	}
	return value
}
