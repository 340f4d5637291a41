package hub

import (
	"context"
	"errors"
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
// and returns them as they were. It logs failures: they do not fail the operation.
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
	type outcome struct {
		closed Connection
		err    error
	}
	outcomes := make(chan outcome, len(found))
	var group errgroup.Group
	group.SetLimit(maxConcurrentCloses)
	for id, subscriptions := range found {
		group.Go(func() error {
			c, err := h.store.CloseConnection(ctx, id)
			for _, s := range subscriptions {
				// Closing removed the subscriptions that the connection named.
				if shard, named := c.Channels[s.Channel]; err != nil || !named || shard != s.Shard {
					err = errors.Join(err, h.store.RemoveSubscriber(ctx, s.Channel, s.Shard, id))
				}
			}
			outcomes <- outcome{c, err}
			return nil
		})
	}
	_ = group.Wait() // outcomes has the failures
	close(outcomes)
	var closed []Connection
	var errs []error
	for o := range outcomes {
		closed = append(closed, o.closed)
		if o.err != nil {
			errs = append(errs, o.err)
		}
	}
	if len(errs) > 0 {
		h.log.WarnContext(ctx, "cleanup failed", "project", gone[0].Channel.Project, "connections", len(errs), "error", errs[0])
	}
	return closed
}
