package hub

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

type laterKey struct{}

// WithLater returns a context for one call of a Hub, and a function that does the work
// which the call left for later, in the order in which it was left. Its caller answers
// first and then calls run, once, also where the call failed. run returns when the work
// has ended.
func WithLater(ctx context.Context) (_ context.Context, run func()) {
	p := new(postponed)
	return context.WithValue(ctx, laterKey{}, p), p.run
}

// Later does work on which the answer to a call does not depend. With a context of
// WithLater the work is done after the answer was sent. With any other context, and
// during that work, it is done before Later returns.
//
// The context of the call has ended when the work begins. Later is safe for concurrent
// use.
func Later(ctx context.Context, work func()) {
	if p, ok := ctx.Value(laterKey{}).(*postponed); !ok || !p.add(work) {
		work()
	}
}

// later is Later for work of the hub. The context of the work has the values of ctx, and
// does not end with it. It ends limit after the work has begun, and when the process may
// be stopped; the work then ends, and logs what it could not do. A panic is logged, and
// is not passed on: the answer is sent.
func (h *Hub) later(ctx context.Context, limit time.Duration, work func(context.Context)) {
	Later(ctx, func() {
		ctx, cancel := after(ctx, limit)
		defer cancel()
		defer func() {
			if p := recover(); p != nil {
				h.log.ErrorContext(ctx, "work after the answer panicked", "error", fmt.Sprint(p), "stack", string(debug.Stack()))
			}
		}()
		work(ctx)
	})
}

// postponed is the work that a call left for later.
type postponed struct {
	mu    sync.Mutex
	work  []func()
	begun bool
}

// add returns false when run has begun.
func (p *postponed) add(work func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.begun {
		return false
	}
	p.work = append(p.work, work)
	return true
}

func (p *postponed) run() {
	p.mu.Lock()
	p.begun = true
	work := p.work
	p.mu.Unlock()
	for _, do := range work {
		do()
	}
}
