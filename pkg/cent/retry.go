package cent

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"centrifuge/pkg/hub"
)

// tries is how often and how long something is tried; see Options.
type tries struct {
	timeout  time.Duration
	attempts int
	backOff  time.Duration
}

// newTries fills in the defaults and checks the bounds.
func newTries(timeout time.Duration, attempts int, backOff time.Duration) (t tries, err error) {
	if t.timeout, err = within("Timeout", timeout, DefaultTimeout, MaxTimeout); err != nil {
		return tries{}, err
	}
	if t.attempts, err = within("Attempts", attempts, DefaultAttempts, MaxAttempts); err != nil {
		return tries{}, err
	}
	if t.backOff, err = within("BackOff", backOff, DefaultBackOff, MaxBackOff); err != nil {
		return tries{}, err
	}
	return t, nil
}

func within[T int | time.Duration](name string, value, absent, most T) (T, error) {
	switch {
	case value == 0:
		return absent, nil
	case value < 0 || value > most:
		return 0, fmt.Errorf("cent: %s is %v, not between 0 and %v", name, value, most)
	}
	return value, nil
}

// repeat tries until attempt succeeds, fails for good, or may not be repeated.
//
// A publish that is repeated goes out once because Centrifuge remembers its key,
// for hub.IdempotencyWindow after it was done, which is after the first attempt
// began. No attempt of any call may therefore reach it later than that.
func (t tries) repeat(ctx context.Context, attempt func(context.Context) error) error {
	start, bound := time.Now(), t.backOff
	for n := 1; ; n++ {
		err := t.bounded(ctx, attempt)
		if err == nil || n == t.attempts || !temporary(err) || ctx.Err() != nil {
			return err
		}
		wait := rand.N(bound + 1)
		bound = min(2*bound, MaxBackOff)
		if time.Since(start)+wait+t.timeout >= hub.IdempotencyWindow {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%w; gave up: %w", err, ctx.Err())
		case <-timer.C:
		}
	}
}

// bounded is one attempt.
func (t tries) bounded(ctx context.Context, attempt func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	return attempt(ctx)
}

// temporary tells whether another attempt may succeed: after an answer that says
// so, and after none.
func temporary(err error) bool {
	var e *Error
	return !errors.As(err, &e) || e.Temporary
}
