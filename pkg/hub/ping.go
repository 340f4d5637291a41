package hub

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Ping is that a connection gets pings. Its client answers each, which keeps the connection open.
type Ping struct {
	Connection string
	// Minutes is the time between two pings: 1 to maxPingMinutes.
	Minutes int
	// Ends is when the token of the connection ended when the Ping was written, zero for never. A
	// renewal may have changed that.
	Ends time.Time `json:",omitzero"`
}

// Slot is the slot that the connection is in. It follows from the id: the connections of a project
// that connect in the same minute are spread over the minutes between two pings.
func (p Ping) Slot() PingSlot {
	return PingSlot{p.Minutes, shardOf(p.Connection, p.Minutes*pingShards)}
}

// PingSlot names connections that get their pings in the same minutes: those of all projects with
// this time between two pings. Number is below Minutes*pingShards, and the pings are due in each
// minute since 1970 that has the same rest, divided by Minutes, as Number. It must never change:
// stored pings depend on it.
type PingSlot struct{ Minutes, Number int }

const (
	// maxPingMinutes is the longest time between two pings: API Gateway closes a connection that was
	// idle for ten minutes.
	maxPingMinutes = 8
	// pingShards is how many slots are due in a minute for each time between two pings. They share
	// the writes of a storm of logins.
	pingShards = 4
	// pingMargin is how much later than they are due a client expects pings: a minute may be
	// left out. EventBridge promises a schedule to the minute.
	pingMargin = time.Minute
	// pingBatch is how many pings one invocation sends at most. Its event has less than 256 KB.
	pingBatch = 2000
	// maxConcurrentPingReads bounds the slots that are read concurrently.
	maxConcurrentPingReads = 12
	// pingLate is how long after its minute a ping is still sent. Lambda repeats a failed invocation a
	// minute later.
	pingLate = 2 * time.Minute
	// expiryGrace is how long after the end of its token a connection is closed whose client has not
	// renewed it, as in Centrifugo.
	expiryGrace = 25 * time.Second
)

// pingMinutes is the time between two pings of an option: whole minutes, rounded up; 0 for none.
func pingMinutes(interval Duration) int {
	return int((time.Duration(interval) + time.Minute - 1) / time.Minute)
}

// Pings keeps which connections get pings. Pings of a connection that is over may remain.
type Pings interface {
	// PutPing writes a ping of a connection, which ends at expires, replacing the one of the same
	// Slot. One request.
	PutPing(ctx context.Context, p Ping, expires time.Time) error
	// Pings yields the pings of a slot, page by page, as they were a moment ago: one request for each
	// megabyte, which is some thousands of them. It ends after an error.
	Pings(ctx context.Context, slot PingSlot) iter.Seq2[[]Ping, error]
	// RemovePings removes pings: one request for every 25. What does not exist is no error.
	RemovePings(ctx context.Context, pings []Ping) error
}

// Supports fails with ErrBadRequest for options that are not in force, and that this deployment
// cannot put in force.
func (h *Hub) Supports(o, inForce ProjectOptions) error {
	if !h.pings && o.PingInterval != 0 && o.PingInterval != inForce.PingInterval {
		return ErrBadRequest.With("ping_interval needs a schedule, which this deployment does not have: deploy it with PINGS=true")
	}
	return nil
}

// writePing writes that the connection gets pings, after the answer to its login: no ping arrives
// before it. A client whose ping could not be written connects again.
func (s *Session) writePing(ctx context.Context, c Connection) {
	s.later(ctx, concludeTimeout, func(ctx context.Context) {
		if err := s.store.PutPing(ctx, Ping{c.ID, c.PingMinutes, c.TokenExpires}, c.Expires); err != nil {
			s.log.WarnContext(ctx, "write ping failed", "project", c.Project, "connection", c.ID, "error", err)
		}
	})
}

// SendDuePings sends the pings that are due in the minute of at, and ends connections as SendPings
// does. Each batch but the last is passed to invoke, which has another invocation call SendPings.
// Where at has passed long ago it does nothing. It fails where pings could not be read or sent:
// repeating it sends some twice, which does no harm.
func (h *Hub) SendDuePings(ctx context.Context, at time.Time, invoke func(context.Context, []Ping) error) error {
	if h.pingsLate(ctx, at) {
		return nil
	}
	var (
		errs  []error
		batch []Ping
	)
	for page, err := range h.duePings(ctx, at) {
		errs = append(errs, err)
		batch = append(batch, page...)
		for len(batch) > pingBatch { // the last batch stays here
			errs = append(errs, invoke(ctx, batch[:pingBatch]))
			batch = batch[pingBatch:]
		}
	}
	return errors.Join(append(errs, h.SendPings(ctx, at, batch))...)
}

// pingsLate reports whether pings that were due at that time are not sent any more: those of the next
// minutes follow.
func (h *Hub) pingsLate(ctx context.Context, at time.Time) bool {
	late := h.now().Sub(at)
	if late > pingLate {
		h.log.WarnContext(ctx, "pings dropped: they are late", "minute", at, "late", late)
	}
	return late > pingLate
}

// duePings reads the slots that are due in the minute of at, some concurrently.
func (h *Hub) duePings(ctx context.Context, at time.Time) iter.Seq2[[]Ping, error] {
	type page struct {
		pings []Ping
		err   error
	}
	return func(yield func([]Ping, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		pages := make(chan page)
		go func() {
			defer close(pages)
			var g errgroup.Group
			g.SetLimit(maxConcurrentPingReads)
			for _, slot := range dueSlots(at) {
				g.Go(func() error {
					for pings, err := range h.store.Pings(ctx, slot) {
						select {
						case pages <- page{pings, err}:
						case <-ctx.Done():
							return nil
						}
					}
					return nil
				})
			}
			_ = g.Wait() // the pages have the failures
		}()
		for p := range pages {
			if !yield(p.pings, p.err) {
				return
			}
		}
		if ctx.Err() != nil {
			yield(nil, ctx.Err())
		}
	}
}

// dueSlots are the slots that are due in the minute of at.
func dueSlots(at time.Time) (due []PingSlot) {
	minute := int(at.Unix() / 60)
	for minutes := 1; minutes <= maxPingMinutes; minutes++ {
		for shard := range pingShards {
			due = append(due, PingSlot{minutes, minute%minutes + shard*minutes})
		}
	}
	return due
}

// SendPings sends pings that are due in the minute of at, each once. It ends connections whose token
// has ended and was not renewed, so that their clients connect again, and removes those that are gone.
// Where at has passed long ago it does nothing. It fails where ctx ended before all were sent, and
// where API Gateway took none.
func (h *Hub) SendPings(ctx context.Context, at time.Time, pings []Ping) error {
	if len(pings) == 0 || h.pingsLate(ctx, at) {
		return nil
	}
	ended, over, err := h.endedPings(ctx, pings)
	closes := make(map[string]bool, len(ended)+len(over))
	for _, c := range ended {
		closes[c.ID] = true
	}
	for _, p := range over {
		closes[p.Connection] = true
	}
	left := slices.DeleteFunc(slices.Clone(pings), func(p Ping) bool { return closes[p.Connection] })
	connections := make([]string, len(left))
	for i, p := range left {
		connections[i] = p.Connection
	}
	result, sendErr := h.dispatcher.Ping(ctx, Centrifugo, connections)
	if sendErr == nil {
		sendErr = result.Err()
	}
	if sendErr != nil {
		sendErr = fmt.Errorf("send %d pings: %w", len(left), sendErr)
	}
	gone := make(map[string]bool, len(result.Gone))
	for _, g := range result.Gone {
		gone[g.Connection] = true
	}
	over = append(over, slices.DeleteFunc(left, func(p Ping) bool { return !gone[p.Connection] })...)
	return errors.Join(err, sendErr, h.endConnections(ctx, ended, over))
}

// endConnections closes connections whose token has ended, and removes those that are over, with
// their pings.
func (h *Hub) endConnections(ctx context.Context, ended []Connection, over []Ping) error {
	var errs []error
	if len(ended) > 0 {
		h.log.InfoContext(ctx, "connections expired", "connections", len(ended))
		errs = append(errs, h.terminate(ctx, ended, DisconnectExpired))
	}
	if len(over) > 0 {
		ids := make([]string, len(over))
		for i, p := range over {
			ids[i] = p.Connection
		}
		// A connection that is removed already has left its ping.
		errs = append(errs, h.closeConnections(ctx, connectionLost, ids), h.store.RemovePings(ctx, over))
	}
	return errors.Join(errs...)
}

// endedPings returns the connections among those of pings whose token has ended, and the pings of
// those that do not exist. It reads what its ping says to have ended, and writes the new end of one
// that was renewed.
func (h *Hub) endedPings(ctx context.Context, pings []Ping) (ended []Connection, over []Ping, err error) {
	var (
		mu   sync.Mutex
		errs []error
		g    errgroup.Group
	)
	g.SetLimit(maxConcurrentCloses)
	for _, p := range pings {
		if !h.pastGrace(p.Ends) {
			continue
		}
		g.Go(func() error {
			c, err := h.store.Connection(ctx, p.Connection)
			if err == nil && !h.pastGrace(c.TokenExpires) {
				err = h.store.PutPing(ctx, Ping{c.ID, p.Minutes, c.TokenExpires}, c.Expires)
			}
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, ErrConnectionNotFound):
				over = append(over, p)
			case err != nil:
				errs = append(errs, err)
			case h.pastGrace(c.TokenExpires):
				ended = append(ended, c)
			}
			return nil
		})
	}
	_ = g.Wait() // errs has the failures
	return ended, over, errors.Join(errs...)
}

// pastGrace reports whether the end of a token has passed, and expiryGrace too.
func (h *Hub) pastGrace(end time.Time) bool {
	return !end.IsZero() && !h.now().Before(end.Add(expiryGrace))
}
