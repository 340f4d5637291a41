// Package callback calls applications at the addresses that their projects name: a
// Validator asks validate_url whether a user may connect, and damps the rush of
// questions that follows an outage; a Notifier posts messages to webhook_url, signed.
//
// It knows the requests and the answers of these two addresses. It does not know when
// to call, and treats everything at the other end as untrusted: where it connects
// to, how long it waits and how much it reads are bounded.
package callback

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"

	"centrifuge/pkg/hub"
)

const (
	// DefaultTimeout is how long one attempt may take, connecting included.
	DefaultTimeout = time.Second
	// DefaultAttempts is how often is asked where a project says nothing else.
	DefaultAttempts = 5
	// Budget is how long all attempts of one question may take together. API
	// Gateway gives up at 29 s.
	Budget = 25 * time.Second
)

// Options set up a Validator. The zero value is the default.
type Options struct {
	// Insecure allows plain http and private addresses. UNSAFE: only for the stack
	// on one machine.
	Insecure bool
	// Timeout is how long one attempt may take; 0 means DefaultTimeout.
	Timeout time.Duration
	// Log is told the cause of every failed attempt; nil keeps silent.
	Log *slog.Logger
	// Now, Wait and Rand are time and chance; nil means the real ones. Wait returns
	// after d, or with an error as soon as ctx ends; d may be 0. Rand returns a
	// random number in [0, n).
	Now  func() time.Time
	Wait func(ctx context.Context, d time.Duration) error
	Rand func(n int64) int64
}

// Validator asks. It is safe for concurrent use and should live as long as its
// process: it holds the connections and the back-off of each project.
type Validator struct {
	options Options
	client  *http.Client
	failing failures
}

var _ hub.Callback = (*Validator)(nil)

// New makes a Validator.
func New(o Options) *Validator {
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
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
	return &Validator{options: o, client: newClient(o.Insecure, o.Timeout)}
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

// Validate asks the ValidateURL of p, which must have one, whether user may
// connect with the permissions that it wishes for. The question is a POST of
//
//	{"user": "…", "permissions": {…}}
//
// with the permissions in the wire form of package permission. What it answers:
//
//   - 200 is yes. A JSON object in the body may narrow the grant by its
//     "permissions" and attach "info" to the user; any other body, or none, grants
//     the whole wish. What is granted is confirmed.
//   - 403 is no, at once: hub.ErrPermissionDenied.
//   - Anything else counts as no answer: other statuses, redirects (which are not
//     followed), time-outs, broken connections, bodies over 64 KB or compressed,
//     and a 200 whose object is not valid JSON, or has permissions or info that
//     are not as they should be. Nothing of that kind ever widens a grant.
//
// Without an answer it asks again, AuthAttempts times in all. Before each attempt,
// the first included, it waits a random multiple, from 0 to 2^n - 1, of
// BackOffInterval, at most BackOffMaxTimeout. n belongs to the project: each failed
// attempt on behalf of any client adds one, an answer with a status of 2xx makes it
// 0 again. When all attempts have failed, or another would not end within Budget,
// it fails with hub.ErrValidation.
//
// It fails with the error of ctx, wrapped, when ctx ends first.
func (v *Validator) Validate(ctx context.Context, p *hub.Project, user string, wish hub.Permissions) (hub.Answer, error) {
	log := v.options.Log.With("project", p.ID)
	address, err := parseAddress(p.Options.ValidateURL, v.options.Insecure)
	if err != nil {
		log.ErrorContext(ctx, "validate_url is not an https address")
		return hub.Answer{}, hub.ErrValidation
	}
	body, err := encodeQuestion(user, hub.EncodePermissions(wish))
	if err != nil {
		return hub.Answer{}, fmt.Errorf("encode question to validate_url: %w", err)
	}

	deadline := v.options.Now().Add(Budget)
	attempts := p.Options.AuthAttempts
	if attempts == 0 {
		attempts = DefaultAttempts
	}
	for attempt := 1; attempt <= attempts; attempt++ {
		pause := v.pause(p)
		if v.options.Now().Add(pause + v.options.Timeout).After(deadline) {
			log.WarnContext(ctx, "validate_url has no time left for another attempt", "attempts", attempt-1)
			break
		}
		if err := v.options.Wait(ctx, pause); err != nil {
			return hub.Answer{}, fmt.Errorf("wait to ask validate_url: %w", err)
		}
		reply, err := v.ask(ctx, address, body)
		if ctx.Err() != nil {
			return hub.Answer{}, fmt.Errorf("ask validate_url: %w", ctx.Err())
		}
		if reply.status/100 == 2 {
			v.failing.reset(p.ID)
		}
		if err == nil && reply.status == http.StatusForbidden {
			return hub.Answer{}, hub.ErrPermissionDenied
		}
		var answer hub.Answer
		if err == nil {
			answer, err = reply.answer(wish)
		}
		if err == nil {
			return answer, nil
		}
		v.failing.add(p.ID)
		log.WarnContext(ctx, "validate_url gave no answer", "host", address.Host, "attempt", attempt, "cause", err.Error())
	}
	return hub.Answer{}, hub.ErrValidation
}
