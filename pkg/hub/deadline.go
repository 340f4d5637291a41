package hub

import (
	"context"
	"time"
)

// concludeTimeout bounds what follows the dispatch of a message, except announcements.
const concludeTimeout = 10 * time.Second

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

// half returns a context that ends after half of the time that ctx has, which must have
// a deadline.
func half(ctx context.Context) (context.Context, context.CancelFunc) {
	end, _ := ctx.Deadline()
	return context.WithTimeout(ctx, time.Until(end)/2)
}
