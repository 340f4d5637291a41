package hub

import (
	"context"
	"errors"
	"fmt"
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
	// closeChunk is how many connections are marked before the first of them are removed.
	closeChunk = 256
	// maxHidden is how many subscriptions are hidden before the first of their sockets are
	// closed.
	maxHidden = 2048
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
// without a connection are removed, and the sockets of those that are hidden are closed.
// Connections that a leave finds gone are closed too. why is of those in ids.
func (h *Hub) closeConnections(ctx context.Context, why Ending, ids []string, found ...Gone) error {
	var errs []error
	seen := make(map[string]bool)
	for len(ids) > 0 && ctx.Err() == nil {
		// A few at a time: what is marked is also removed before the time is over.
		chunk := ids[:min(len(ids), closeChunk)]
		ids = ids[len(chunk):]
		for _, id := range chunk {
			seen[id] = true
		}
		closing, absent, err := h.beginClose(ctx, chunk)
		orphans := orphans(found, closing, absent)
		if hidden := hidden(found, closing); len(hidden) > 0 {
			var err error
			closing, err = h.disconnect(ctx, closing, hidden)
			errs = append(errs, err)
		}
		gone, closeErr := h.close(ctx, closing, h.infos(ctx, leaves(closing...)), false, why)
		errs = append(errs, err, closeErr)
		if len(orphans) > 0 {
			errs = append(errs, h.store.RemoveSubscribers(ctx, orphans))
			h.reportVacancies(ctx, orphaned(orphans))
		}
		gone = slices.DeleteFunc(gone, func(g Gone) bool { return seen[g.Connection] || slices.Contains(ids, g.Connection) })
		found = append(found, gone...)
		ids, why = append(ids, connectionsOf(gone)...), connectionLost
	}
	if len(ids) > 0 {
		errs = append(errs, fmt.Errorf("%d connections remain: %w", len(ids), ctx.Err()))
	}
	return errors.Join(errs...)
}

// close announces the leaves of connections that are marked, with what was read of their
// subscriptions, reports their ends, and removes them. hidden means that their subscriptions are
// hidden already. It returns what the announcements found gone.
func (h *Hub) close(ctx context.Context, closing []Connection, left infos, hidden bool, why Ending) ([]Gone, error) {
	if len(closing) == 0 {
		return nil, nil
	}
	// What is marked is closed even after ctx has ended.
	ctx, cancel := after(ctx, concludeTimeout)
	defer cancel()
	messages, err := h.messages(ctx, left.with(leaves(closing...)))
	if err != nil {
		return nil, err
	}
	if len(messages) > 0 && !hidden {
		places := make(map[string][]Place)
		for _, m := range messages {
			places[m.Client.Connection] = append(places[m.Client.Connection], m.place)
		}
		if err := h.store.HideSubscriptions(ctx, places); err != nil {
			return nil, err
		}
	}
	gone, unsent := h.announceAll(ctx, messages)
	// Connections whose leaves were not all sent stay marked: the next message finds their
	// subscriptions, and they are closed again.
	closed := slices.DeleteFunc(closing, func(c Connection) bool { return unsent[c.ID] })
	h.reportEnds(ctx, closed, why)
	err = h.store.FinishClose(ctx, closed)
	h.reportVacancies(ctx, leaves(closed...))
	return gone, err
}

// orphaned are the leaves of subscriptions that no connection names.
func orphaned(orphans []Gone) (all []announcement) {
	for _, o := range orphans {
		all = append(all, announcement{event: Leave, connection: Connection{ID: o.Connection, Project: o.Channel.Project}, channel: o.Channel})
	}
	return all
}

// orphans are those of the subscriptions that dispatches found that no connection names.
func orphans(found []Gone, closing []Connection, absent []string) (all []Gone) {
	channels := make(map[string]map[Channel]int, len(closing)+len(absent))
	for _, id := range absent {
		channels[id] = nil
	}
	for _, c := range closing {
		channels[c.ID] = c.Channels
	}
	for _, s := range found {
		named, known := channels[s.Connection]
		if shard, in := named[s.Channel]; known && (!in || shard != s.Shard) {
			all = append(all, s)
		}
	}
	return all
}

// hidden are those of the connections that have a hidden subscription among those found.
func hidden(found []Gone, closing []Connection) (ids []string) {
	for _, c := range closing {
		if slices.ContainsFunc(found, func(s Gone) bool { return s.Hidden && s.Connection == c.ID }) {
			ids = append(ids, c.ID)
		}
	}
	return ids
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
func (h *Hub) cleanUp(ctx context.Context, gone []Gone, ended []Ended) {
	var expired, refused []Ended
	for _, e := range ended {
		if e.Standing.Expired {
			expired = append(expired, e)
		} else {
			refused = append(refused, e)
		}
	}
	err := errors.Join(h.closeConnections(ctx, connectionLost, connectionsOf(gone), gone...), h.endRights(ctx, refused), h.endExpired(ctx, expired))
	if err != nil {
		for _, e := range ended {
			gone = append(gone, e.Gone)
		}
		h.log.WarnContext(ctx, "cleanup failed", "project", gone[0].Channel.Project, "connections", len(connectionsOf(gone)), "error", err)
	}
}

// endExpired ends subscriptions whose own end has passed, and tells their clients, which subscribe
// again if they may. A client would not subscribe again where it did not ask for the subscription:
// it is made to connect again. What was subscribed anew since stays.
func (h *Hub) endExpired(ctx context.Context, all []Ended) error {
	var (
		mu          sync.Mutex
		g           errgroup.Group
		connections []Connection
		made        []Connection
		over        []Gone
	)
	found := make(map[string][]Ended)
	for _, e := range all {
		found[e.Connection] = append(found[e.Connection], e)
	}
	revisions, left := make(map[string]int), make(map[string][]Channel)
	g.SetLimit(maxConcurrentCloses)
	for id, some := range found {
		g.Go(func() error {
			c, err := h.store.Connection(ctx, id)
			if err != nil && !errors.Is(err, ErrConnectionNotFound) {
				return err
			}
			var channels []Channel
			byServer := false
			for _, e := range some {
				// Read after the connection: who subscribes again afterwards changes that.
				_, valid, err := h.store.ReadSubscriber(ctx, e.Gone)
				if err != nil {
					return err
				}
				if !valid {
					channels = append(channels, e.Channel)
					byServer = byServer || e.Standing.Server
				}
			}
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				for _, e := range some {
					over = append(over, e.Gone)
				}
			case byServer:
				made = append(made, c)
			case len(channels) > 0:
				connections = append(connections, c)
				revisions[id], left[id] = c.Revision, channels
			}
			return nil
		})
	}
	read := g.Wait()
	return errors.Join(read, h.closeSockets(ctx, made, DisconnectExpired), h.closeConnections(ctx, connectionLost, connectionsOf(over), over...),
		h.changeAll(ctx, connections, UnsubscribedExpired, func(c Connection) (Change, error) {
			if c.Revision == revisions[c.ID] {
				c.Channels = without(c.Channels, left[c.ID])
			}
			return Change{Connection: c}, nil
		}))
}

// endRights removes subscriptions whose right has ended. A connection that its project does
// not admit any more is closed; others stay in the channels that they may be in. A
// subscription that a renewal did not reach, because it was interrupted, is written again.
func (h *Hub) endRights(ctx context.Context, ended []Ended) error {
	found := make(map[string][]Ended)
	for _, s := range ended {
		found[s.Connection] = append(found[s.Connection], s)
	}
	var errs []error
	for ids := range slices.Chunk(slices.Collect(maps.Keys(found)), closeChunk) {
		if ctx.Err() != nil {
			return errors.Join(append(errs, ctx.Err())...)
		}
		errs = append(errs, h.endRightsOf(ctx, ended[0].Channel.Project, ids, found))
	}
	return errors.Join(errs...)
}

// endRightsOf is endRights for some connections.
func (h *Hub) endRightsOf(ctx context.Context, project string, ids []string, found map[string][]Ended) error {
	var (
		mu          sync.Mutex
		g           errgroup.Group
		connections []Connection
		over        []Gone
		errs        []error
	)
	g.SetLimit(maxConcurrentCloses)
	for _, id := range ids {
		g.Go(func() error {
			c, err := h.store.Connection(ctx, id)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				connections = append(connections, c)
			case errors.Is(err, ErrConnectionNotFound):
				for _, s := range found[id] {
					over = append(over, s.Gone)
				}
			default:
				errs = append(errs, err)
			}
			return nil
		})
	}
	_ = g.Wait() // errs has the failures
	// Read after the connections, as Subscribe does.
	p, err := h.store.ReadProject(ctx, project)
	if err != nil && !errors.Is(err, ErrProjectNotFound) {
		return errors.Join(append(errs, err)...)
	}
	var refused []Connection
	left := make(map[string][]Channel)
	connections = slices.DeleteFunc(connections, func(c Connection) bool {
		if p == nil || !p.admits(c) {
			refused = append(refused, c)
			return true
		}
		left[c.ID] = h.ended(p, c)
		for _, s := range found[c.ID] {
			if c.Protocol != Classic && !p.audience(s.Channel).Rule.Admits(s.Basis) && !slices.Contains(left[c.ID], s.Channel) {
				left[c.ID] = append(left[c.ID], s.Channel)
			}
		}
		return false
	})
	errs = append(errs, h.closeSockets(ctx, refused, DisconnectPermissionDenied), h.changeAll(ctx, connections, UnsubscribedInsufficientState, func(c Connection) (Change, error) {
		var renew []Channel
		for _, s := range found[c.ID] {
			renew = append(renew, s.Channel)
		}
		if c.Protocol != Classic {
			c.Channels = without(c.Channels, left[c.ID])
			return Change{Connection: c}, nil
		}
		// An auth may have granted them since.
		c.Channels = without(c.Channels, common(left[c.ID], h.ended(p, c)))
		return Change{Connection: c, Renew: renew}, nil
	}), h.closeConnections(ctx, connectionLost, connectionsOf(over), over...))
	return errors.Join(errs...)
}
