package hub

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/errgroup"
)

// maxBehind is how many messages an admission sends at most that were dispatched between its reply
// and itself. A client that is further behind recovers them.
const maxBehind = 256

// maxConcurrentMarks bounds the subscriptions that one operation marks concurrently.
const maxConcurrentMarks = 32

// outcome is what became of an admission: nothing where its subscription has been ended or replaced
// since, or was notified already; lost; or behind by some messages.
type outcome int

const (
	settled outcome = iota
	isLost
	isBehind
)

// admit makes the subscriptions active whose admissions wait in the head, and then sends each of
// them what was dispatched since its position. A subscription is marked before anything is sent to
// it, so that a holder that finds the mark of another one knows that its client may have got some
// of that. lost means that subscribers were lost.
func (d *dispatching) admit(ctx context.Context, p *Project, head Head) (lost bool, err error) {
	var (
		mu     sync.Mutex
		g      errgroup.Group
		losses []Lost
		behind []Ended
	)
	g.SetLimit(maxConcurrentMarks)
	for _, a := range head.Joins {
		g.Go(func() error {
			s, became, err := d.admitOne(ctx, head, a)
			mu.Lock()
			defer mu.Unlock()
			switch where := (Gone{Connection: a.Connection, Channel: a.Channel, Shard: a.Shard}); became {
			case isLost:
				losses = append(losses, Lost{where, a.ID})
			case isBehind:
				s.From = a.Position.Offset
				behind = append(behind, Ended{Gone: where, Protocol: s.Protocol, Batch: s.Batch, Basis: s.Basis, Standing: s.Standing})
			case settled:
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return false, err
	}
	missed, err := d.catchUp(ctx, p, head, behind)
	if losses = append(losses, missed...); err == nil && len(losses) > 0 {
		err = d.lose(ctx, head.Mark(), losses)
	}
	return len(losses) > 0, err
}

// admitOne makes one subscription active.
func (d *dispatching) admitOne(ctx context.Context, head Head, a Admission) (Subscriber, outcome, error) {
	s, admitted, err := d.store.AdmitSubscriber(ctx, a, max(a.Position.Offset, head.Done), head.Mark())
	switch {
	case err != nil:
		return s, settled, err
	case s.ID != a.ID, s.Hidden:
		return s, settled, nil
	case !admitted && s.Lost && s.Mark == head.Mark():
		return s, settled, nil // by this holder, before the admission was announced
	case !admitted && (s.Lost || s.Recoverable):
		// An earlier holder has died, or failed, in the middle.
		return s, isLost, nil
	case head.Done > a.Position.Offset+maxBehind:
		return s, isLost, nil
	case head.Done > a.Position.Offset:
		return s, isBehind, nil
	}
	return s, settled, nil
}

// catchUp sends subscribers what was dispatched since the offsets that they are From, and returns
// those that did not get it, and recover or cannot get it at all.
func (d *dispatching) catchUp(ctx context.Context, p *Project, head Head, behind []Ended) ([]Lost, error) {
	if len(behind) == 0 {
		return nil, nil
	}
	to := d.audience(p, head)
	to.Only = behind
	after := behind[0].Standing.From
	for _, s := range behind {
		after = min(after, s.Standing.From)
	}
	stream, _ := p.Stream(d.channel)
	count := int(head.Done - after) //nolint:gosec // at most maxBehind
	missed, err := d.store.Publications(ctx, stream, head.Epoch, after, count)
	if err != nil {
		return nil, err
	}
	if len(missed) == count {
		result, err := d.deliver(ctx, p, to, missed...)
		if err == nil {
			d.count(ctx, p.ID, 0, result.Delivered)
			d.tidy(ctx, result)
			return result.Lost, result.Err()
		}
		if known := new(Error); !errors.As(err, &known) {
			return nil, err
		}
	}
	// They have expired, or cannot be encoded.
	var lost []Lost
	for _, s := range behind {
		lost = append(lost, Lost{s.Gone, s.Standing.ID})
	}
	return lost, nil
}

// lose ends subscriptions to a stream whose clients may have missed a message, and notifies the
// clients, which then subscribe again and recover. Nothing is sent to such a subscription until that.
// A connection that may not have got the notice is closed, so that its client connects again. When
// lose fails, some may have been notified, and others not.
func (h *Hub) lose(ctx context.Context, m Mark, all []Lost) error {
	var (
		mu      sync.Mutex
		g       errgroup.Group
		notices []Notice
		ended   []string
	)
	g.SetLimit(maxConcurrentMarks)
	for _, l := range all {
		g.Go(func() error {
			s, lost, err := h.store.LoseSubscriber(ctx, l, m)
			if err != nil || !lost || s.Hidden {
				return err // it was ended or replaced since, and gets no notice
			}
			mu.Lock()
			defer mu.Unlock()
			if s.Server {
				// Its client would not subscribe again; when it connects again, the service does.
				ended = append(ended, s.Connection)
				return nil
			}
			notices = append(notices, UnsubscribedInsufficientState.notice(s.Connection, s.Protocol, l.Channel))
			return nil
		})
	}
	marked := g.Wait()
	missed, err := h.inform(ctx, notices, ended)
	for _, id := range missed {
		// Its subscriptions are hidden: the messages that follow try again to close it.
		if c, readErr := h.store.Connection(ctx, id); readErr == nil {
			err = h.closeSockets(ctx, []Connection{c}, DisconnectInsufficientState)
		}
	}
	if err != nil {
		h.log.WarnContext(ctx, "close connections failed", "project", all[0].Channel.Project, "connections", len(missed), "error", err)
	}
	return errors.Join(marked, ctx.Err())
}
