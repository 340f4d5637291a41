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
	// DefaultAttempts is how often a request is made that is answered with 429 or 5xx, or
	// gets no answer.
	DefaultAttempts = 4
	// DefaultTimeout ends one attempt, connecting included.
	DefaultTimeout = 3 * time.Second
	// DefaultConcurrency bounds concurrent requests.
	DefaultConcurrency = 64

	connectionsPath = "/@connections/"

	// backOff and maxBackOff bound the random waits between attempts: up to backOff
	// after the first, then up to twice as much each time.
	backOff    = 100 * time.Millisecond
	maxBackOff = 2 * time.Second

	// maxWaiting is how many posts may wait for another attempt without a slot. More
	// mean that the account is throttled, and not only some clients are slow.
	maxWaiting = 4096
)

// PosterOptions are the parts of a Poster.
type PosterOptions struct {
	// URL is the base of the management API, up to and including the stage. Required.
	URL string
	// Region is the AWS region of the API, which signatures name. Required.
	Region string
	// Credentials sign the requests. They are cached until they expire. Required.
	Credentials aws.CredentialsProvider
	// Concurrency bounds the concurrent requests and the connections kept alive; 0
	// means 64.
	Concurrency int
	// Timeout ends one attempt, connecting included; 0 means DefaultTimeout.
	Timeout time.Duration
	// Attempts is how often a request is made at most, if it is answered with 429 or 5xx
	// or gets no answer; 0 means DefaultAttempts.
	Attempts int
	// Wait waits between attempts, until d has passed or ctx ends, whose error it
	// then returns. nil means a timer.
	Wait func(ctx context.Context, d time.Duration) error
	// Now is the time of signatures. nil means time.Now.
	Now func() time.Time
}

// Poster makes requests to the management API of API Gateway. It is safe for
// concurrent use; one serves a whole process, and its bound on concurrency holds
// for all uses together. A request that waits for its next attempt gives its slot to
// others, so that a slow client does not delay them.
//
// A request that got no answer is repeated although it may have been carried out: a
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

	slots   chan struct{} // holds one for each request in progress
	waiting chan struct{} // holds one for each request that waits without a slot
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
	return p.post(ctx, connection, payload)
}

// post is Post for a caller that has acquired a slot. It gives the slot back.
func (p *Poster) post(ctx context.Context, connection string, payload *Payload) error {
	if err := p.try(ctx, http.MethodPost, connection, payload); err != nil {
		return fmt.Errorf("post to connection %s: %w", connection, err)
	}
	return nil
}

// Delete closes a connection. It fails as Post does.
func (p *Poster) Delete(ctx context.Context, connection string) error {
	if err := p.acquire(ctx); err != nil {
		return fmt.Errorf("delete connection %s: %w", connection, err)
	}
	return p.delete(ctx, connection)
}

// delete is Delete for a caller that has acquired a slot. It gives the slot back.
func (p *Poster) delete(ctx context.Context, connection string) error {
	if err := p.try(ctx, http.MethodDelete, connection, empty); err != nil {
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

func (p *Poster) release() { <-p.slots }

// try makes attempts in the caller's slot, which it gives back.
func (p *Poster) try(ctx context.Context, method, connection string, payload *Payload) error {
	for n := 1; ; n++ {
		err := p.attempt(ctx, method, connection, payload)
		var again transient
		switch {
		case !errors.As(err, &again):
			p.release()
			return err
		case n == p.attempts:
			p.release()
			return again.error
		}
		if err := p.pause(ctx, n); err != nil {
			return err
		}
	}
}

// pause gives the caller's slot back, waits after the nth attempt and acquires a slot
// again. If it fails the caller has no slot.
func (p *Poster) pause(ctx context.Context, n int) error {
	d := rand.N(min(backOff<<(n-1), maxBackOff) + 1)
	select {
	case p.waiting <- struct{}{}:
		p.release()
		defer func() { <-p.waiting }()
		if err := p.wait(ctx, d); err != nil {
			return err
		}
		return p.acquire(ctx)
	default:
		// The slot is kept: other requests would be refused too.
		err := p.wait(ctx, d)
		if err != nil {
			p.release()
		}
		return err
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
