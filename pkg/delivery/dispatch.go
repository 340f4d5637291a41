package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"centrifuge/pkg/hub"
)

const (
	// firstBatch and maxBatch are how many messages a holder dispatches at first, and at most.
	// After a batch that took less than fastBatch the next may be twice as large, after one that
	// took more than slowBatch half. So what does not fit into the time of an invocation is not
	// tried again and again.
	firstBatch, maxBatch = 32, 256
	fastBatch, slowBatch = 500 * time.Millisecond, 5 * time.Second
	// failedBatch is by how much the first batch of the next holder is smaller, where one has
	// failed.
	failedBatch = 4
	// inlineRounds is how often a publisher dispatches: whoever announced a message to it
	// meanwhile has invoked a durable dispatcher, which goes on.
	inlineRounds = 2
	// renewEvery is how often a lease is renewed while its holder posts.
	renewEvery = hub.LeaseTime / 4
	// turnTime is how long a durable dispatcher that waits is expected to live.
	turnTime = hub.LeaseTime
	// firstPoll and the others bound the waits of a durable dispatcher for a lease, which double:
	// of an inline holder, which holds it for milliseconds, and of a run that has died.
	firstPoll, maxPoll, maxDeadPoll = 20 * time.Millisecond, 80 * time.Millisecond, time.Second
	// handOver is the time that a holder leaves to another one to go on in its place, and
	// headTime the longest that it may take to let go after its time has ended.
	handOver, headTime = 3 * time.Second, 2 * time.Second
)

// Streams are the streams that a Leased dispatches.
type Streams interface {
	hub.Leases
	// Announce and Publications have the contracts of hub.Streams.
	Announce(ctx context.Context, s hub.Stream, a hub.Appended, mine hub.Lease) (hub.Announced, error)
	Publications(ctx context.Context, s hub.Stream, epoch string, after uint64, limit int) ([]hub.Message, error)
}

// Invoker invokes durable dispatchers.
type Invoker interface {
	// Invoke makes an invocation for a channel begin, soon, that calls Leased.Drain. It is begun
	// again where it dies. When Invoke returns without an error that is certain.
	Invoke(ctx context.Context, ch hub.Channel) error
}

// LeasedOptions are the parts of a Leased. Streams and Invoker are required.
type LeasedOptions struct {
	Streams Streams
	Invoker Invoker
	// PostTimeout is the longest time that a post may take: a holder begins none later than
	// that before the end of its lease. 0 means DefaultTimeout.
	PostTimeout time.Duration
	// Log gets what is unusual; nil discards it.
	Log *slog.Logger
	// Now is the clock, and Wait waits by it, or until ctx ends, and then fails; nil means
	// time.Now and a timer.
	Now  func() time.Time
	Wait func(ctx context.Context, d time.Duration) error
}

// Leased dispatches streams: of all invocations, only the holder of the lease of a stream
// dispatches it. A publisher takes a free lease with its announcement, dispatches at once, and
// lets go: it is inline. Who announces to an inline holder invokes a durable dispatcher, which
// follows it; who announces to a durable one is done. So a quiet channel waits for nothing, and
// a busy one has one dispatcher, which sends all that has been appended meanwhile in one batch.
//
// The protocol is checked by a model, model_test.go: whatever dies, every acknowledged message is
// dispatched, only the holder dispatches, and in order. A holder that dies leaves its batch to
// be dispatched again.
//
// A Leased is safe for concurrent use.
type Leased struct {
	streams     Streams
	invoker     Invoker
	postTimeout time.Duration
	log         *slog.Logger
	now         func() time.Time
	wait        func(context.Context, time.Duration) error
	// firstBatch, maxBatch and rounds are the constants; tests have smaller ones.
	firstBatch, maxBatch, rounds int
}

var _ hub.StreamDispatcher = (*Leased)(nil)

// NewLeased returns a Leased.
func NewLeased(o LeasedOptions) *Leased {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Wait == nil {
		o.Wait = sleep
	}
	return &Leased{
		o.Streams, o.Invoker, orDefault(o.PostTimeout, DefaultTimeout), o.Log, o.Now, o.Wait, firstBatch, maxBatch, inlineRounds,
	}
}

// Announce has the contract of hub.StreamDispatcher.
func (l *Leased) Announce(ctx context.Context, s hub.Stream, a hub.Appended, post hub.Post) (hub.Message, error) {
	mine := l.lease(hub.Lease{})
	announced, err := l.streams.Announce(ctx, s, a, mine)
	if err != nil {
		return hub.Message{}, fmt.Errorf("announce a message in %s: %w", s.Channel, err)
	}
	m, head := announced.Message, announced.Head
	var known []hub.Message
	if head.Lease.ID == mine.ID && head.Done+1 == m.Position.Offset && a.Pending && !a.Repeated && !a.Skipped {
		// The lease was free: its last holder has dispatched all that was announced before, or
		// a durable dispatcher will.
		known = []hub.Message{m}
	}
	return m, l.follow(ctx, s, head, mine, known, post, func(head hub.Head) bool { return head.Done >= m.Position.Offset })
}

// Admit has the contract of hub.StreamDispatcher.
func (l *Leased) Admit(ctx context.Context, s hub.Stream, a hub.Admission, post hub.Post) error {
	mine := l.lease(hub.Lease{})
	head, announced, err := l.streams.AnnounceAdmission(ctx, s, a, mine)
	switch {
	case err != nil:
		return fmt.Errorf("announce an admission to %s: %w", s.Channel, err)
	case !announced:
		return fmt.Errorf("announce an admission to %s: %w", s.Channel, hub.ErrUnrecoverablePosition)
	}
	waits := func(other hub.Admission) bool { return other.ID == a.ID && other.Connection == a.Connection }
	return l.follow(ctx, s, head, mine, nil, post, func(head hub.Head) bool { return !slices.ContainsFunc(head.Joins, waits) })
}

// follow is what follows an announcement that has left the head so: where mine is the lease of
// the head, or that of the head is taken from one that has died, this invocation dispatches; known
// are then the publications that come first. Otherwise it sees to it that another one does, unless
// done reports, of a head, that it has.
func (l *Leased) follow(ctx context.Context, s hub.Stream, head hub.Head, mine hub.Lease, known []hub.Message, post hub.Post, done func(hub.Head) bool) error {
	for taken := head.Lease.ID == mine.ID; !taken; {
		switch now := l.now(); {
		case done(head) || head.Safe(now):
			return nil
		case !head.Lease.Free(now):
			return l.invoke(ctx, s.Channel)
		}
		mine = l.lease(hub.Lease{})
		var err error
		if head, taken, err = l.take(ctx, s, head, mine); err != nil {
			return err
		}
	}
	h := &holder{Leased: l, load: func(context.Context) (hub.Stream, error) { return s, nil }, lease: mine, head: head, post: post}
	if err := h.run(ctx, known); err != nil {
		return err
	}
	if !done(h.head) && !h.followed {
		return l.invoke(ctx, s.Channel)
	}
	return nil
}

// take takes a lease that is free in head. Where its holder has died and may have posted messages
// that it has not recorded, another era begins.
func (l *Leased) take(ctx context.Context, s hub.Stream, head hub.Head, mine hub.Lease) (h hub.Head, taken bool, err error) {
	dead := head.Lease
	if dead.ID == "" {
		h, taken, err = l.streams.TakeLease(ctx, s, mine)
	} else {
		var next []hub.Message
		if !dead.Granted { // who has not taken it has posted nothing
			next, err = l.streams.Publications(ctx, s, head.Epoch, head.Done, 1)
		}
		var era uint64
		if len(next) > 0 && !next[0].Time.After(dead.Until) {
			era = hub.NewEra()
		}
		if err == nil {
			h, taken, err = l.streams.TakeOver(ctx, s, mine, dead.ID, era)
		}
	}
	if err != nil {
		return hub.Head{}, false, fmt.Errorf("take the lease of %s: %w", s.Channel, err)
	}
	return h, taken, nil
}

func (l *Leased) invoke(ctx context.Context, ch hub.Channel) error {
	if err := l.invoker.Invoke(ctx, ch); err != nil {
		return fmt.Errorf("invoke a dispatcher of %s: %w", ch, err)
	}
	return nil
}

// Drain has the contract of hub.StreamDispatcher.
func (l *Leased) Drain(ctx context.Context, load func(context.Context) (hub.Stream, error), request string, post hub.Post) error {
	var failure error
	for poll := firstPoll; ; poll = min(2*poll, maxDeadPoll) {
		s, err := load(ctx)
		if err != nil {
			return err
		}
		mine := l.lease(hub.Lease{Durable: true, Request: request})
		head, taken, err := l.streams.TakeLease(ctx, s, mine)
		if err != nil {
			return fmt.Errorf("take the lease of %s: %w", s.Channel, err)
		}
		now := l.now()
		if !taken && head.Epoch != "" && head.Lease.Free(now) {
			mine = l.lease(mine)
			if head, taken, err = l.take(ctx, s, head, mine); err != nil {
				return err
			}
		}
		switch {
		case taken:
			h := &holder{Leased: l, load: load, lease: mine, head: head, post: post}
			if failure = h.run(ctx, nil); !errors.Is(failure, errLost) {
				return failure
			}
		case head.Epoch == "":
			return nil // the stream has expired, with all that was in it
		case head.Lease.Free(now) || head.Lease.Durable && (head.Lease.Granted || head.Lease.Request == request):
			// Its lease is that of an earlier run of this invocation, which has died, or of
			// another run of the same event. One that was granted expires soon where the
			// dispatcher that waited for it has ended.
		case head.Lease.Durable:
			return nil
		case !head.Next.Free(now) && head.Next.Request != request:
			return nil
		default:
			poll = min(poll, maxPoll)
			if head.Next.Request != request || head.Next.Until.Before(now.Add(turnTime/2)) {
				turn := hub.Turn{Request: request, Until: now.Add(turnTime).Truncate(time.Millisecond)}
				if _, _, err := l.streams.TakeTurn(ctx, s, turn); err != nil {
					return fmt.Errorf("take a turn at the lease of %s: %w", s.Channel, err)
				}
			}
		}
		if err := l.wait(ctx, poll); err != nil {
			// What was announced meanwhile relies on this request, also when its turn or a lease
			// is granted to it: so it fails, and Lambda runs it again.
			return cmp.Or(failure, fmt.Errorf("wait for the lease of %s: %w", s.Channel, err))
		}
	}
}

// briefly is a context in which a holder lets go, also when its time has ended.
func briefly(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), headTime)
}

// lease gives a lease its id and its end.
func (l *Leased) lease(of hub.Lease) hub.Lease {
	of.ID, of.Until = hub.NewID(l.now()), l.until()
	return of
}

// until is the end of a lease that is taken or renewed now.
func (l *Leased) until() time.Time { return l.now().Add(hub.LeaseTime).Truncate(time.Millisecond) }
