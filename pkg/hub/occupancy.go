package hub

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Occupancy is what is known of a channel whose category has OccupancyEvents. The zero Occupancy
// is that of a channel that never had a subscriber.
type Occupancy struct {
	// Occupied means that the channel has been occupied, and not vacated since.
	Occupied bool
	// Sequence is that of the last event: each has the next number. It is in milliseconds since
	// 1970 at first, so that it also grows after what was known has expired.
	Sequence uint64
	// Version changes with every subscription.
	Version uint64
}

// OccupancyRetention is how long an Occupancy is known after the last subscription. It is much
// longer than a connection lives.
const OccupancyRetention = 7 * 24 * time.Hour

// Occupancies keeps the occupancy of channels. These are the rules that make its events agree with
// the subscriptions, whatever commands overlap:
//
//   - Occupy follows every write of a subscription, also of one that was there: it may have expired,
//     or was hidden, and is a subscriber again. Where it is still none, such as one with an end of
//     its own that has passed, Occupy may be left out. Vacate fails where an Occupy came since the
//     Occupancy was read. So who reads an Occupancy, then finds no subscriber, and then vacates,
//     overlooks none.
//   - Who removes a subscription checks after that whether the channel is vacated, and so does who
//     has occupied a channel: its subscription may have been removed, and checked, before.
type Occupancies interface {
	// Occupy records that a subscription to a channel was written, or written again. It returns the Occupancy, and
	// whether this call has occupied the channel. It is one write, two where it has, and one or two
	// more for each call of others that comes between.
	Occupy(ctx context.Context, ch Channel, now time.Time) (o Occupancy, occupied bool, err error)
	// Occupancy returns what the last write left. It is one read.
	Occupancy(ctx context.Context, ch Channel) (Occupancy, error)
	// Vacate records that a channel has no subscriber, unless its Version is not that of o any
	// more. It returns the new Occupancy, and whether this call has vacated the channel. It is
	// one write.
	Vacate(ctx context.Context, ch Channel, o Occupancy, now time.Time) (_ Occupancy, vacated bool, err error)
	// HasSubscriber reports whether a shard of a channel has a subscription that has not expired
	// and whose connection is not being closed. It sees what was written before. It is one
	// request, and more where expired ones come first.
	HasSubscriber(ctx context.Context, ch Channel, shard int) (bool, error)
}

// renewal is the event of a subscription that was there before, and was written again. It is
// not announced.
const renewal Event = "renewal"

// renewals are the subscriptions that a change has written again, also some that it was about to
// write when it failed.
func (h *Hub) renewals(before, after Connection, change Change) (all []announcement) {
	if h.hooks == nil || before.User != after.User {
		return nil // where the user is another one, all are joins
	}
	for ch := range after.Channels {
		if _, was := before.Channels[ch]; was && change.Writes(before, ch) {
			all = append(all, announcement{event: renewal, connection: after, channel: ch})
		}
	}
	return all
}

// withOccupancy are those of the joins, leaves and renewals whose category has OccupancyEvents.
func withOccupancy(projects projects, all []announcement) (some []announcement) {
	for _, a := range all {
		if category, exists := projects[a.connection.Project].categoryIn(a.channel); exists && category.OccupancyEvents {
			some = append(some, a)
		}
	}
	return some
}

// reportVacancies emits, after the answer, that channels were vacated by subscriptions that were
// removed. It logs its failures.
func (h *Hub) reportVacancies(ctx context.Context, removed []announcement) {
	if h.hooks == nil || len(removed) == 0 {
		return
	}
	projects, err := h.projects(ctx, projectsOf(removed))
	if err != nil {
		h.log.ErrorContext(ctx, "report vacated channels failed", "project", removed[0].connection.Project, "error", err)
		return
	}
	if some := withOccupancy(projects, removed); len(some) > 0 {
		h.later(ctx, reportTimeout, func(ctx context.Context) { h.settle(ctx, projects, some) })
	}
}

// settle records joins and renewals, checks what leaves have vacated, and emits what has changed. The caller
// has written the joins and renewals, and removed the leaves. It logs its failures: the next direct message, and
// the next batch of a stream, that finds no subscriber checks again.
func (h *Hub) settle(ctx context.Context, projects projects, all []announcement) {
	written, left := make(map[Channel]bool), make(map[Channel]bool) // written: whether one is new
	for _, a := range all {
		switch a.event {
		case Join, renewal:
			written[a.channel] = written[a.channel] || a.event == Join
		default:
			left[a.channel] = true
		}
	}
	var g errgroup.Group
	g.SetLimit(maxConcurrentCloses)
	var mu sync.Mutex
	for ch, joined := range written {
		g.Go(func() error {
			occupied, err := h.occupy(ctx, projects[ch.Project], ch, joined)
			h.logOccupancy(ctx, ch, err)
			if occupied {
				mu.Lock()
				defer mu.Unlock()
				left[ch] = true
			}
			return nil
		})
	}
	_ = g.Wait() // failures are logged
	for ch := range left {
		g.Go(func() error {
			h.logOccupancy(ctx, ch, h.vacate(ctx, projects[ch.Project], ch))
			return nil
		})
	}
	_ = g.Wait() // failures are logged
}

func (h *Hub) logOccupancy(ctx context.Context, ch Channel, err error) {
	if err != nil {
		h.log.ErrorContext(ctx, "report occupancy failed", "project", ch.Project, "channel", ch.String(), "error", err)
	}
}

// occupy records a subscription, and emits that the channel is occupied where it was not. joined
// means that the subscription is new, and not renewed.
func (h *Hub) occupy(ctx context.Context, p *Project, ch Channel, joined bool) (occupied bool, err error) {
	if !joined {
		// What is renewed may be expired still: that must not occupy the channel for a moment.
		if has, err := h.hasSubscriber(ctx, p, ch); err != nil || !has {
			return false, err
		}
	}
	o, occupied, err := h.store.Occupy(ctx, ch, h.now())
	if err == nil && occupied {
		h.report(ctx, []HookEvent{h.occupancyEvent(OccupiedHook, p, ch, o)})
	}
	return occupied, err
}

// maxVacates is how often a check begins again because others subscribe.
const maxVacates = 16

var errOccupancyChanges = errors.New("others subscribe all the time")

// vacate emits that a channel is vacated where it is known as occupied and has no subscriber.
func (h *Hub) vacate(ctx context.Context, p *Project, ch Channel) error {
	for range maxVacates {
		o, err := h.store.Occupancy(ctx, ch)
		if err != nil || !o.Occupied {
			return err
		}
		if has, err := h.hasSubscriber(ctx, p, ch); err != nil || has {
			return err
		}
		o, vacated, err := h.store.Vacate(ctx, ch, o, h.now())
		if err != nil {
			return err
		}
		if vacated {
			h.report(ctx, []HookEvent{h.occupancyEvent(VacatedHook, p, ch, o)})
			return nil
		}
	}
	return fmt.Errorf("check %s: %w", ch, errOccupancyChanges)
}

// hasSubscriber is Occupancies.HasSubscriber for all shards.
func (h *Hub) hasSubscriber(ctx context.Context, p *Project, ch Channel) (bool, error) {
	for shard := range p.Categories[ch.Category].ShardCount() {
		if has, err := h.store.HasSubscriber(ctx, ch, shard); err != nil || has {
			return has, err
		}
	}
	return false, nil
}

func (h *Hub) occupancyEvent(t HookType, p *Project, ch Channel, o Occupancy) HookEvent {
	return HookEvent{
		Type: t, ID: hookID(t, channelID(ch), strconv.FormatUint(o.Sequence, 10)), Time: h.now(),
		Project: p.ID, ProjectName: p.Name, Channel: ch, CategoryID: p.Categories[ch.Category].ID, Sequence: o.Sequence,
	}
}

// reportEmpty checks after the answer whether a channel is vacated in which a dispatch has found
// no subscription: an invocation that was to check may have died, and subscriptions expire. It
// returns whether it does.
func (h *Hub) reportEmpty(ctx context.Context, p *Project, ch Channel, r Result) bool {
	found := r.Delivered + r.Slow + r.Failed + len(r.Gone) + len(r.Ended) + len(r.Lost) + len(r.Unread)
	if h.hooks == nil || found > 0 || !p.Categories[ch.Category].OccupancyEvents {
		return false
	}
	h.later(ctx, reportTimeout, func(ctx context.Context) { h.logOccupancy(ctx, ch, h.vacate(ctx, p, ch)) })
	return true
}
