package hub

import (
	"context"
	"time"
)

// settleTimeout bounds the time to settle or release a claim, and that to count a
// message and emit its event hook.
const settleTimeout = 5 * time.Second

type stopKey struct{}

// WithStop returns a context that carries the time at which the process may be stopped.
// What does not end with the context, because it settles or announces what has
// happened, ends then.
func WithStop(ctx context.Context, at time.Time) context.Context {
	return context.WithValue(ctx, stopKey{}, at)
}

// after returns a context for what follows an operation. It does not end with ctx. It
// ends after limit, and when the process may be stopped.
func after(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	end := time.Now().Add(limit)
	if stop, ok := ctx.Value(stopKey{}).(time.Time); ok && stop.Before(end) {
		end = stop
	}
	return context.WithDeadline(context.WithoutCancel(ctx), end)
}
