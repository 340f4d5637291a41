package callback

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"centrifuge/pkg/hub"
)

// pauseError is why an address is not asked: it is left alone for this time.
type pauseError struct{ wait time.Duration }

func (e pauseError) Error() string {
	return fmt.Sprintf("the address is left alone after too many failures: it is asked again in %d s", e.seconds())
}

// seconds is the wait in whole seconds, rounded up.
func (e pauseError) seconds() int { return int((e.wait + time.Second - 1) / time.Second) }

// breaker keeps processes from asking addresses that do not answer. Without breakers it
// lets everybody ask.
type breaker struct {
	breakers hub.Breakers
	log      *slog.Logger
	now      func() time.Time
}

// turn is the right to ask an address of a project until the first failure after which the
// address is left alone. It must not be used concurrently.
type turn struct {
	breaker
	project, address string
	state            hub.Breaker
	prober           bool
}

// enter fails with a pauseError where nobody, or somebody else, may ask the address. A
// breaker that cannot be read lets its caller ask.
func (b breaker) enter(ctx context.Context, project, address string) (*turn, error) {
	t := &turn{breaker: b, project: project, address: address}
	if b.breakers == nil {
		return t, nil
	}
	var err error
	if t.state, err = b.breakers.Breaker(ctx, project, address); err != nil {
		b.log.WarnContext(ctx, "breaker not read", "project", project, "error", err)
		return t, nil
	}
	next, wait := t.state.Ask(b.now())
	switch {
	case wait > 0:
		return nil, pauseError{wait}
	case next == t.state:
		return t, nil
	}
	if t.state, t.prober, err = b.breakers.ReplaceBreaker(ctx, project, address, t.state, next); err != nil {
		b.log.WarnContext(ctx, "breaker not written", "project", project, "error", err)
		return nil, pauseError{next.Until.Sub(b.now())}
	}
	if t.prober {
		return t, nil
	}
	// Another process was first: it probes, or has failed, or has succeeded.
	if next, wait = t.state.Ask(b.now()); wait > 0 || next != t.state {
		return nil, pauseError{max(wait, time.Second)}
	}
	return t, nil
}

// succeeded forgets the failures of the address.
func (t *turn) succeeded(ctx context.Context) {
	if t.state == (hub.Breaker{}) {
		return
	}
	t.replace(ctx, hub.Breaker{})
}

// failed counts a failure of the address. It returns a pauseError where the address is to
// be left alone, and otherwise nil.
func (t *turn) failed(ctx context.Context) error {
	if t.breakers == nil {
		return nil
	}
	// Others count at the same time. In each round one of them succeeds, so that the pause
	// has begun when the rounds end.
	for range hub.BreakerFailures {
		next := t.state.Failed(t.now(), t.prober)
		if next == t.state || t.replace(ctx, next) {
			break
		}
	}
	if wait := t.state.Until.Sub(t.now()); wait > 0 {
		return pauseError{wait}
	}
	return nil
}

// replace replaces the state, or updates what is known of it and returns false. A breaker
// that cannot be written counts nothing.
func (t *turn) replace(ctx context.Context, next hub.Breaker) bool {
	current, replaced, err := t.breakers.ReplaceBreaker(ctx, t.project, t.address, t.state, next)
	if err != nil {
		t.log.WarnContext(ctx, "breaker not written", "project", t.project, "error", err)
		return true
	}
	t.state, t.prober = current, false
	if replaced && !next.Until.IsZero() {
		t.log.WarnContext(ctx, "application left alone", "project", t.project, "failures", next.Failures, "until", next.Until)
	}
	return replaced
}
