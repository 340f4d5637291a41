package hub

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// maxConcurrentCloses bounds the connections that one operation closes or changes
	// concurrently.
	maxConcurrentCloses = 16
	// cleanupTimeout bounds the time that an operation removes connections that it found
	// gone. The next message finds those that remain.
	cleanupTimeout = 5 * time.Second
)

// closeConnections removes connections, with their subscriptions, and announces their
// leaves: once, or again where the invocation that closed a connection died. The order
// makes that so: a connection is marked; its subscriptions are hidden from presence where
// a leave will be announced; the leaves are announced; and only then the subscriptions are
// removed. Until then the next message finds them, and finishes what an invocation that
// died has begun. found are subscriptions of these connections that dispatches found: those
// without a connection are removed. Connections that a leave finds gone are closed too.
func (h *Hub) closeConnections(ctx context.Context, ids []string, found ...Gone) error {
	var errs []error
	seen := make(map[string]bool)
	for len(ids) > 0 {
		for _, id := range ids {
			seen[id] = true
		}
		closing, absent, err := h.beginClose(ctx, ids)
		orphans := orphans(found, closing, absent)
		gone, closeErr := h.close(ctx, closing)
		errs = append(errs, err, closeErr)
		if len(orphans) > 0 {
			errs = append(errs, h.store.RemoveSubscribers(ctx, orphans))
		}
		found = slices.DeleteFunc(gone, func(g Gone) bool { return seen[g.Connection] })
		ids = connectionsOf(found)
	}
	return errors.Join(errs...)
}

// close announces the leaves of connections that are marked, and removes them. It returns
// what the announcements found gone.
func (h *Hub) close(ctx context.Context, closing []Connection) ([]Gone, error) {
	if len(closing) == 0 {
		return nil, nil
	}
	messages, err := h.messages(ctx, leaves(closing...))
	if err != nil {
		return nil, err
	}
	if len(messages) > 0 {
		hidden := make(map[string][]Place)
		for _, m := range messages {
			hidden[m.Client.Connection] = append(hidden[m.Client.Connection], m.place)
		}
		if err := h.store.HideSubscriptions(ctx, hidden); err != nil {
			return nil, err
		}
	}
	gone, unsent := h.announceAll(ctx, messages)
	// Connections whose leaves were not all sent stay marked: the next message finds their
	// subscriptions, and they are closed again.
	closed := slices.DeleteFunc(closing, func(c Connection) bool { return unsent[c.ID] })
	// They are removed even after ctx has ended.
	ctx, cancel := after(ctx, concludeTimeout)
	defer cancel()
	return gone, h.store.FinishClose(ctx, closed)
}

// orphans are those of the subscriptions that dispatches found that no connection names.
func orphans(found []Gone, closing []Connection, absent []string) []Gone {
	return slices.DeleteFunc(slices.Clone(found), func(s Gone) bool {
		return !slices.Contains(absent, s.Connection) && !slices.ContainsFunc(closing, func(c Connection) bool {
			shard, named := c.Channels[s.Channel]
			return c.ID == s.Connection && (!named || shard != s.Shard)
		})
	})
}

// beginClose marks connections and returns those that are now the caller's to close, and
// those that do not exist.
func (h *Hub) beginClose(ctx context.Context, ids []string) (closing []Connection, absent []string, err error) {
	var (
		mu   sync.Mutex
		errs []error
		g    errgroup.Group
	)
	g.SetLimit(maxConcurrentCloses)
	for _, id := range ids {
		g.Go(func() error {
			c, exists, err := h.store.BeginClose(ctx, id, h.now())
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				errs = append(errs, err)
			case !exists:
				absent = append(absent, id)
			case c.ID != "":
				closing = append(closing, c)
			}
			return nil
		})
	}
	_ = g.Wait() // errs has the failures
	return closing, absent, errors.Join(errs...)
}

// connectionsOf are the connections of subscriptions, each once.
func connectionsOf(subscriptions []Gone) []string {
	ids := make(map[string]bool, len(subscriptions))
	for _, s := range subscriptions {
		ids[s.Connection] = true
	}
	return slices.Collect(maps.Keys(ids))
}

// cleanUp removes what dispatches found: connections that are gone, and subscriptions whose
// right has ended. It ends with ctx. It logs failures: the next message finds what
// remains.
func (h *Hub) cleanUp(ctx context.Context, gone, ended []Gone) {
	if len(gone)+len(ended) == 0 {
		return
	}
	err := errors.Join(h.closeConnections(ctx, connectionsOf(gone), gone...), h.endRights(ctx, ended))
	if err != nil {
		project := append(gone, ended...)[0].Channel.Project
		h.log.WarnContext(ctx, "cleanup failed", "project", project, "connections", len(connectionsOf(gone)), "error", err)
	}
}

// endRights removes subscriptions whose right has ended. A connection that its project does
// not admit any more is closed; others stay in the channels that they may be in. A
// subscription that a renewal did not reach, because it was interrupted, is written again.
func (h *Hub) endRights(ctx context.Context, ended []Gone) error {
	if len(ended) == 0 {
		return nil
	}
	var errs []error
	var connections []Connection
	for _, id := range connectionsOf(ended) {
		c, err := h.store.Connection(ctx, id)
		if err == nil {
			connections = append(connections, c)
		} else if !errors.Is(err, ErrConnectionNotFound) {
			errs = append(errs, err)
		}
	}
	// Read after the connections, as Subscribe does.
	p, err := h.store.ReadProject(ctx, ended[0].Channel.Project)
	if err != nil && !errors.Is(err, ErrProjectNotFound) {
		return err
	}
	var refused []string
	left, found := make(map[string][]Channel), make(map[string][]Channel)
	for _, s := range ended {
		found[s.Connection] = append(found[s.Connection], s.Channel)
	}
	connections = slices.DeleteFunc(connections, func(c Connection) bool {
		if p == nil || !p.admits(c) {
			refused = append(refused, c.ID)
			return true
		}
		left[c.ID] = h.ended(p, c)
		return false
	})
	errs = append(errs, h.closeSockets(ctx, refused), h.changeAll(ctx, connections, func(c Connection) (Change, error) {
		// An auth may have granted them since.
		c.Channels = without(c.Channels, common(left[c.ID], h.ended(p, c)))
		return Change{Connection: c, Renew: found[c.ID]}, nil
	}))
	return errors.Join(errs...)
}
