package delivery

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"centrifuge/pkg/hub"
)

// maxReapers is how many connections are removed at once, by one Deliver.
const maxReapers = 16

// Reaper removes what a post found to be over.
type Reaper interface {
	// CloseConnection removes a connection and all the subscriptions it names. One
	// that is gone already is no error.
	CloseConnection(ctx context.Context, id string) error
	// DropSubscriber removes one subscription, which matters for a ghost: one that
	// its connection does not name. One that is gone already is no error.
	DropSubscriber(ctx context.Context, ch hub.Channel, shard int, connection string) error
}

// reaping removes the dead of one fan-out beside its posts, each once, with
// workers that exist only while there is work.
type reaping struct {
	reaper  Reaper
	channel hub.Channel

	mu      sync.Mutex
	queue   []grave
	closed  map[string]bool // the connections seen before
	workers int
	errs    []error
	running sync.WaitGroup
}

// grave is where a subscription of a connection that is over lies.
type grave struct {
	shard      int
	connection string
	again      bool // the connection itself is removed already, or about to be
}

// add has a connection removed. It does not wait for that.
func (r *reaping) add(ctx context.Context, shard int, connection string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed == nil {
		r.closed = make(map[string]bool)
	}
	r.queue = append(r.queue, grave{shard, connection, r.closed[connection]})
	r.closed[connection] = true
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
		g := r.queue[0]
		r.queue = r.queue[1:]
		r.mu.Unlock()

		if err := r.bury(ctx, g); err != nil {
			r.mu.Lock()
			r.errs = append(r.errs, fmt.Errorf("remove connection %s: %w", g.connection, err))
			r.mu.Unlock()
		}
	}
}

func (r *reaping) bury(ctx context.Context, g grave) error {
	var err error
	if !g.again {
		err = r.reaper.CloseConnection(ctx, g.connection)
	}
	return errors.Join(err, r.reaper.DropSubscriber(ctx, r.channel, g.shard, g.connection))
}

// finish waits until all is removed and returns what could not be. Nothing is
// added any more by then.
func (r *reaping) finish() []error {
	r.running.Wait()
	return r.errs
}
