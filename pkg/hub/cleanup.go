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
	// endChunk is how many connections are read before the subscriptions of the first of them end.
	endChunk = 2 * maxConcurrentCloses
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
	var failed failures
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
			failed.add(err)
		}
		gone, closeErr := h.close(ctx, closing, h.leaving(ctx, leaves(closing...)), false, why)
		failed.add(err)
		failed.add(closeErr)
		if len(orphans) > 0 {
			failed.add(h.store.RemoveSubscribers(ctx, orphans))
			h.reportVacancies(ctx, orphaned(orphans))
		}
		gone = slices.DeleteFunc(gone, func(g Gone) bool { return seen[g.Connection] || slices.Contains(ids, g.Connection) })
		found = append(found, gone...)
		ids, why = append(ids, connectionsOf(gone)...), connectionLost
	}
	if len(ids) > 0 {
		failed.add(fmt.Errorf("%d connections remain: %w", len(ids), ctx.Err()))
	}
	return failed.err()
}

// close announces the leaves of connections that are marked, with what was read of their
// subscriptions, reports their ends, and removes them. hidden means that their subscriptions are
// hidden already, expired are those of them that had expired. It returns what the announcements
// found gone.
func (h *Hub) close(ctx context.Context, closing []Connection, read left, hidden bool, why Ending, expired ...Gone) ([]Gone, error) {
	if len(closing) == 0 {
		return nil, nil
	}
	// What is marked is closed even after ctx has ended.
	ctx, cancel := after(ctx, concludeTimeout)
	defer cancel()
	messages, err := h.messages(ctx, read.with(leaves(closing...)))
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
	h.reportEnds(ctx, closed, why, expired...)
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
		mu     sync.Mutex
		failed failures
		g      errgroup.Group
	)
	g.SetLimit(maxConcurrentCloses)
	for _, id := range ids {
		g.Go(func() error {
			c, exists, err := h.store.BeginClose(ctx, id, h.now())
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				failed.add(err)
			case !exists:
				absent = append(absent, id)
			case c.ID != "":
				closing = append(closing, c)
			}
			return nil
		})
	}
	_ = g.Wait() // failed has the failures
	return closing, absent, failed.err()
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
// right has ended, or which have expired. It ends with ctx, which must have a deadline. It logs
// failures: the next message finds what remains.
func (h *Hub) cleanUp(ctx context.Context, gone []Gone, ended []Ended) {
	err := errors.Join(h.closeConnections(ctx, connectionLost, connectionsOf(gone), gone...), h.endSubscriptions(ctx, ended))
	if err != nil {
		for _, e := range ended {
			gone = append(gone, e.Gone)
		}
		h.log.WarnContext(ctx, "cleanup failed", "project", gone[0].Channel.Project, "connections", len(connectionsOf(gone)), "error", err)
	}
}

// endSubscriptions ends subscriptions that dispatches found Ended, and notifies their clients. What was
// subscribed or granted anew since stays. It begins no more in the second half of the time of ctx,
// which must have a deadline: the process may be stopped then, and nothing finds later what has ended
// without a notice.
func (h *Hub) endSubscriptions(ctx context.Context, all []Ended) error {
	ctx, cancel := half(ctx)
	defer cancel()
	found := make(map[string][]Ended)
	for _, e := range all {
		found[e.Connection] = append(found[e.Connection], e)
	}
	var failed failures
	remain := len(found)
	for ids := range slices.Chunk(slices.Collect(maps.Keys(found)), endChunk) {
		if ctx.Err() != nil {
			failed.add(fmt.Errorf("%d connections remain: %w", remain, ctx.Err()))
			break
		}
		remain -= len(ids)
		endings, absent, err := h.readEndings(ctx, ids, found)
		failed.add(err)
		endings, err = h.endExpired(ctx, endings)
		failed.add(err)
		failed.add(h.endRights(ctx, endings))
		failed.add(h.closeConnections(ctx, connectionLost, connectionsOf(absent), absent...))
	}
	return failed.err()
}

// ending is a connection with subscriptions that are to end.
type ending struct {
	Connection
	// expired are the channels of those whose own end has passed.
	expired []Channel
	// refused are those whose right has ended.
	refused []Ended
	// server means that the client did not ask for one that has expired.
	server bool
}

// readEndings reads connections, and their subscriptions that a dispatch found Expired. absent are
// subscriptions whose connection does not exist.
func (h *Hub) readEndings(ctx context.Context, ids []string, found map[string][]Ended) (endings []ending, absent []Gone, err error) {
	var (
		mu     sync.Mutex
		g      errgroup.Group
		failed failures
	)
	g.SetLimit(maxConcurrentCloses)
	for _, id := range ids {
		g.Go(func() error {
			e, err := h.readEnding(ctx, id, found[id])
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				endings = append(endings, e)
			case errors.Is(err, ErrConnectionNotFound):
				for _, s := range found[id] {
					absent = append(absent, s.Gone)
				}
			default:
				failed.add(err)
			}
			return nil
		})
	}
	_ = g.Wait() // failed has the failures
	return endings, absent, failed.err()
}

// readEnding is readEndings for one connection. It fails with ErrConnectionNotFound.
func (h *Hub) readEnding(ctx context.Context, id string, found []Ended) (ending, error) {
	c, err := h.store.Connection(ctx, id)
	if err != nil {
		return ending{}, err
	}
	e := ending{Connection: c}
	for _, f := range found {
		if !f.Standing.Expired {
			e.refused = append(e.refused, f)
			continue
		}
		// Read after the connection: who subscribes again afterwards changes that.
		s, _, err := h.store.ReadSubscriber(ctx, f.Gone)
		if err != nil {
			return ending{}, err
		}
		if s.Expired {
			e.expired, e.server = append(e.expired, f.Channel), e.server || s.Server
		}
	}
	return e, nil
}

// endExpired ends the subscriptions that have expired. Their clients subscribe again if they may. A
// client would not subscribe again where it did not ask for the subscription: it is made to connect
// again. endExpired returns the connections that are not closed so.
func (h *Hub) endExpired(ctx context.Context, endings []ending) (rest []ending, err error) {
	var (
		closed, changed []Connection
		causes          []Gone
		expired         = make(map[string]ending)
	)
	for _, e := range endings {
		switch {
		case e.server:
			closed = append(closed, e.Connection)
			for _, ch := range e.expired {
				causes = append(causes, Gone{Connection: e.ID, Channel: ch})
			}
			continue
		case len(e.expired) > 0:
			changed, expired[e.ID] = append(changed, e.Connection), e
		}
		rest = append(rest, e)
	}
	var failed failures
	failed.add(h.closeSockets(ctx, closed, DisconnectSubscriptionExpired, causes...))
	failed.add(h.changeAll(ctx, changed, UnsubscribedExpired, func(c Connection) (Change, error) {
		if e := expired[c.ID]; c.Revision == e.Revision {
			c.Channels = without(c.Channels, e.expired)
		}
		return Change{Connection: c}, nil
	}))
	return rest, failed.err()
}

// endRights ends the subscriptions whose right has ended. A connection that its project does
// not admit any more is closed; others stay in the channels that they may be in. A
// subscription that a renewal did not reach, because it was interrupted, is written again.
func (h *Hub) endRights(ctx context.Context, endings []ending) error {
	endings = slices.DeleteFunc(slices.Clone(endings), func(e ending) bool { return len(e.refused) == 0 })
	if len(endings) == 0 {
		return nil
	}
	// Read after the connections, as Subscribe does.
	p, err := h.store.ReadProject(ctx, endings[0].refused[0].Channel.Project)
	if err != nil && !errors.Is(err, ErrProjectNotFound) {
		return err
	}
	var closed, changed []Connection
	left, renew := make(map[string][]Channel), make(map[string][]Channel)
	for _, e := range endings {
		if p == nil || !p.admits(e.Connection) {
			closed = append(closed, e.Connection)
			continue
		}
		changed, left[e.ID] = append(changed, e.Connection), h.ended(p, e.Connection)
		for _, s := range e.refused {
			switch {
			case e.Protocol == Classic:
				renew[e.ID] = append(renew[e.ID], s.Channel)
			case !p.audience(s.Channel).Rule.Admits(s.Basis) && !slices.Contains(left[e.ID], s.Channel):
				left[e.ID] = append(left[e.ID], s.Channel)
			}
		}
	}
	var failed failures
	failed.add(h.closeSockets(ctx, closed, DisconnectPermissionDenied))
	failed.add(h.changeAll(ctx, changed, UnsubscribedInsufficientState, func(c Connection) (Change, error) {
		some := left[c.ID]
		if c.Protocol == Classic { // an auth may have granted them since
			some = common(some, h.ended(p, c))
		}
		c.Channels = without(c.Channels, some)
		return Change{Connection: c, Renew: renew[c.ID]}, nil
	}))
	return failed.err()
}
