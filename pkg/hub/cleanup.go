package hub

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// maxConcurrentCloses bounds the connections that one operation removes
	// concurrently.
	maxConcurrentCloses = 16
	// cleanupTimeout bounds the time that an operation removes connections. The next
	// message finds those that remain.
	cleanupTimeout = 5 * time.Second
)

// cleanUp removes connections that posts found to be gone, with their subscriptions,
// and returns them as they were. It ends after cleanupTimeout, and with ctx. It logs
// failures, and how many connections remain: they do not fail the operation.
func (h *Hub) cleanUp(ctx context.Context, gone []Gone) []Connection {
	if len(gone) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, cleanupTimeout)
	defer cancel()
	found := make(map[string][]Gone)
	for _, g := range gone {
		found[g.Connection] = append(found[g.Connection], g)
	}
	var (
		mu       sync.Mutex
		closed   []Connection
		failures int
		failure  error // the first
		group    errgroup.Group
	)
	group.SetLimit(maxConcurrentCloses)
	for id, subscriptions := range found {
		group.Go(func() error {
			c, err := Connection{}, ctx.Err()
			if err == nil {
				c, err = h.remove(ctx, id, subscriptions)
			}
			mu.Lock()
			defer mu.Unlock()
			closed = append(closed, c)
			if err != nil {
				failures++
				failure = cmp.Or(failure, err)
			}
			return nil
		})
	}
	_ = group.Wait() // failures are logged below
	if failures > 0 {
		h.log.WarnContext(ctx, "cleanup failed", "project", gone[0].Channel.Project, "connections", failures, "error", failure)
	}
	return closed
}

// cleanUpAndAnnounce removes connections that are gone and announces their leaves.
func (h *Hub) cleanUpAndAnnounce(ctx context.Context, gone []Gone) {
	h.announce(ctx, leaves(h.cleanUp(ctx, gone)...))
}

// remove removes a connection and the subscriptions that were found gone, and returns
// it as it was.
func (h *Hub) remove(ctx context.Context, id string, subscriptions []Gone) (Connection, error) {
	c, err := h.store.CloseConnection(ctx, id)
	for _, s := range subscriptions {
		// Closing removed the subscriptions that the connection named.
		if shard, named := c.Channels[s.Channel]; err != nil || !named || shard != s.Shard {
			err = errors.Join(err, h.store.RemoveSubscriber(ctx, s.Channel, s.Shard, id))
		}
	}
	return c, err
}
