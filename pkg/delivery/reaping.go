package delivery

import (
	"context"
	"fmt"
	"sync"

	"centrifuge/pkg/hub"
)

// maxReapers is how many connections are removed at once, by one Deliver.
const maxReapers = 16

// reaping hands on what one fan-out found to be over beside its posts, with workers
// that exist only while there is work.
type reaping struct {
	gone func(context.Context, hub.Place) error

	mu      sync.Mutex
	queue   []hub.Place
	workers int
	errs    []error
	running sync.WaitGroup
}

// add has a connection removed. It does not wait for that.
func (r *reaping) add(ctx context.Context, at hub.Place) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queue = append(r.queue, at)
	if r.workers < maxReapers {
		r.workers++
		r.running.Go(func() { r.work(ctx) })
	}
}

func (r *reaping) work(ctx context.Context) {
	for {
		r.mu.Lock()
		if len(r.queue) == 0 {
			r.workers--
			r.mu.Unlock()
			return
		}
		at := r.queue[0]
		r.queue = r.queue[1:]
		r.mu.Unlock()

		if err := r.gone(ctx, at); err != nil {
			r.mu.Lock()
			r.errs = append(r.errs, fmt.Errorf("remove connection %s: %w", at.Connection, err))
			r.mu.Unlock()
		}
	}
}

// finish waits until all is removed and returns what could not be. Nothing is
// added any more by then.
func (r *reaping) finish() []error {
	r.running.Wait()
	return r.errs
}
