package cent

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"centrifuge/pkg/hub"
)

// retry repeats calls; see Options.
type retry struct {
	timeout  time.Duration
	attempts int
	backOff  time.Duration
}

// newRetry sets the defaults and checks the limits.
func newRetry(timeout time.Duration, attempts int, backOff time.Duration) (r retry, err error) {
	if r.timeout, err = within("Timeout", timeout, DefaultTimeout, MaxTimeout); err != nil {
		return retry{}, err
	}
	if r.attempts, err = within("Attempts", attempts, DefaultAttempts, MaxAttempts); err != nil {
		return retry{}, err
	}
	if r.backOff, err = within("BackOff", backOff, DefaultBackOff, MaxBackOff); err != nil {
		return retry{}, err
	}
	return r, nil
}

func within[T int | time.Duration](name string, value, fallback, most T) (T, error) {
	switch {
	case value == 0:
		return fallback, nil
	case value < 0 || value > most:
		return 0, fmt.Errorf("cent: %s is %v: set it between 0 and %v", name, value, most)
	}
	return value, nil
}

// do makes attempts until one succeeds, fails with an error that is not temporary, or
// is the last.
//
// A repeated publish sends the message once because Centrifuge remembers its key for
// hub.IdempotencyWindow. The window begins after the first attempt has begun, so no
// attempt may end later than the window after the start.
func (r retry) do(ctx context.Context, attempt func(context.Context) error) error {
	start, bound := time.Now(), r.backOff
	for n := 1; ; n++ {
		err := r.once(ctx, attempt)
		if err == nil || n == r.attempts || !temporary(err) || ctx.Err() != nil {
			return err
		}
		wait := rand.N(bound + 1)
		bound = min(2*bound, MaxBackOff)
		if time.Since(start)+wait+r.timeout >= hub.IdempotencyWindow {
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

// once makes one attempt within the timeout.
func (r retry) once(ctx context.Context, attempt func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	return attempt(ctx)
}

// temporary reports whether another attempt may succeed: after a temporary Error, and
// after a failure without a response.
func temporary(err error) bool {
	var e *Error
	return !errors.As(err, &e) || e.Temporary
}
