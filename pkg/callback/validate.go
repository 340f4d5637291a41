// Package callback sends HTTP requests to the addresses in the options of a project. A
// Validator asks validate_url whether a user may connect. A Notifier posts signed messages
// to webhook_url. A Proxy asks about clients of Centrifugo's protocol. They leave an application
// alone for a while when it does not answer. A Fetcher reads what another address has.
//
// It defines the requests and responses, except of the last. It does not decide
// when to send them. It treats addresses and responses as untrusted: it limits which
// addresses it connects to, how long it waits and how many bytes it reads.
package callback

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"

	"centrifuge/pkg/hub"
)

const (
	// ValidateTimeout limits one attempt at validate_url, including the time to connect,
	// where Options set no other.
	ValidateTimeout = time.Second
	// ValidateAttempts is the number of attempts if a project does not set auth_attempts.
	ValidateAttempts = 5
	// Budget limits all attempts and waits of one validation, where Options set no other.
	Budget = 5 * time.Second
)

// Options configure a Validator. The zero value is the default.
type Options struct {
	// Insecure allows plain http and private addresses. UNSAFE: for the local stack
	// only.
	Insecure bool
	// Breakers are shared by all processes; nil means that every call asks.
	Breakers hub.Breakers
	// Timeout limits one attempt; 0 means ValidateTimeout. Budget limits all attempts and
	// waits of one validation; 0 means the constant Budget.
	Timeout, Budget time.Duration
	// Log receives the error of every failed attempt; nil discards it.
	Log *slog.Logger
	// Now, Wait and Rand replace the clock, the timer and the random numbers; nil means
	// the real ones. Wait returns nil after d, which may be 0, or an error when ctx ends
	// earlier. Rand returns a random number in [0, n).
	Now  func() time.Time
	Wait func(ctx context.Context, d time.Duration) error
	Rand func(n int64) int64
}

// Validator sends requests to validate_url. It is safe for concurrent use. A process
// needs one: it keeps connections alive.
type Validator struct {
	options Options
	client  *http.Client
	breaker breaker
}

var _ hub.Callback = (*Validator)(nil)

// New returns a Validator.
func New(o Options) *Validator {
	if o.Timeout == 0 {
		o.Timeout = ValidateTimeout
	}
	if o.Budget == 0 {
		o.Budget = Budget
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Wait == nil {
		o.Wait = wait
	}
	if o.Rand == nil {
		o.Rand = rand.Int64N
	}
	return &Validator{options: o, client: newClient(o.Insecure, o.Timeout), breaker: breaker{o.Breakers, o.Log, o.Now}}
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return ctx.Err()
	}
}

// Validate asks the ValidateURL of p, which must not be empty, whether user may
// connect with the requested permissions. The request is a POST of
//
//	{"user": "…", "permissions": {…}}
//
// with the permissions as hub.EncodePermissions encodes them. The response means:
//
//   - 200 with an empty body or a JSON object: the user may connect. The object can
//     state "permissions", which restricts and confirms those that were requested, and
//     attach "info" to the user. Without "permissions" all requested permissions are
//     granted, but none is confirmed: private categories stay closed.
//   - 403: the user may not connect. Validate fails with hub.ErrPermissionDenied and
//     makes no further attempt.
//   - Anything else is a failed attempt: other statuses, redirects (which are not
//     followed), timeouts, broken connections, bodies that are compressed or larger
//     than 64 KB, and a 200 with any other body, such as a page, a list, false, or an
//     object that has a key twice or invalid permissions or info.
//
// No response grants more than the requested permissions.
//
// Validate makes at most AuthAttempts attempts. Before each attempt it waits a random
// multiple, from 0 to 2^n - 1, of BackOffInterval, but at most BackOffMaxTimeout. n counts
// the attempts that failed. Validate fails with hub.ErrValidation if all attempts fail, or
// if the next attempt could end later than Budget.
//
// It fails with hub.ErrValidation too, immediately and without a further attempt, while
// the breaker of the address pauses: after hub.BreakerFailures failed attempts in a row,
// in any process and for any user. The help then says when the address is asked again.
//
// It fails with the error of ctx, wrapped, when ctx ends first.
func (v *Validator) Validate(ctx context.Context, p *hub.Project, user string, requested hub.Permissions) (c hub.Confirmation, err error) {
	log := v.options.Log.With("project", p.ID)
	address, err := parseAddress(p.Options.ValidateURL, v.options.Insecure)
	if err != nil {
		log.ErrorContext(ctx, "validate_url failed", "error", err)
		return c, hub.ErrValidation
	}
	body, err := encodeRequest(user, requested)
	if err != nil {
		return c, fmt.Errorf("encode request to validate_url: %w", err)
	}

	deadline := v.options.Now().Add(v.options.Budget)
	turn, err := v.breaker.enter(ctx, p.ID, p.Options.ValidateURL)
	if err != nil {
		return c, noAnswer(err)
	}
	attempts := p.Options.AuthAttempts
	if attempts == 0 {
		attempts = ValidateAttempts
	}
	for failed := range attempts {
		delay := v.backOff(p, failed)
		if v.options.Now().Add(delay + v.options.Timeout).After(deadline) {
			log.WarnContext(ctx, "validate_url out of time", "attempts", failed)
			break
		}
		if err := v.options.Wait(ctx, delay); err != nil {
			return c, fmt.Errorf("wait to request validate_url: %w", err)
		}
		r, err := v.post(ctx, address, body)
		if ctx.Err() != nil {
			return c, fmt.Errorf("request validate_url: %w", ctx.Err())
		}
		if err == nil && r.status == http.StatusForbidden {
			turn.succeeded(ctx)
			return c, hub.ErrPermissionDenied
		}
		if err == nil {
			c, err = decodeResponse(r.body, requested)
		}
		if err == nil {
			turn.succeeded(ctx)
			return c, nil
		}
		log.WarnContext(ctx, "validate_url failed", "host", address.Host, "attempt", failed+1, "error", err)
		if err := turn.failed(ctx); err != nil {
			return c, noAnswer(err)
		}
	}
	return c, hub.ErrValidation
}

// noAnswer is the error of a client while the application is left alone. The time tells
// the client when to repeat.
func noAnswer(err error) error {
	var pause pauseError
	if !errors.As(err, &pause) {
		return err
	}
	return hub.ErrValidation.WithHelp(fmt.Sprintf(
		"the application did not answer at validate_url: it is asked again in %d s, repeat then; the log of the function auth says what it answered", pause.seconds()))
}
