package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"centrifuge/pkg/hub"
)

const (
	// batchMessages is how many messages a holder dispatches at a time.
	batchMessages = 256
	// inlineRounds is how often a publisher reads a stream: whoever announced a message to it
	// has invoked a durable dispatcher, which goes on.
	inlineRounds = 2
	// renewEvery is how often a lease is renewed while its holder posts.
	renewEvery = hub.LeaseTime / 4
	// turnTime is how long a durable dispatcher that waits is expected to live.
	turnTime = hub.LeaseTime
	// firstPoll and maxPoll bound the waits of a durable dispatcher for a lease. They double.
	firstPoll, maxPoll = 20 * time.Millisecond, time.Second
	// handOver is the time that a holder leaves to another one to go on in its place.
	handOver = 3 * time.Second
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

// LeasedOptions are the parts of a Leased. All are required except the last three.
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
// The protocol was checked by a model: whatever dies, every acknowledged message is
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
		o.Wait = wait
	}
	return &Leased{o.Streams, o.Invoker, orDefault(o.PostTimeout, DefaultTimeout), o.Log, o.Now, o.Wait}
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
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
	for {
		now := l.now()
		switch {
		case head.Lease.ID == mine.ID:
			h := holder{Leased: l, load: func(context.Context) (hub.Stream, error) { return s, nil }, lease: mine, head: head, post: post}
			return m, h.run(ctx, known)
		case head.Done >= m.Position.Offset || head.Safe(now):
			return m, nil
		case !head.Lease.Free(now):
			if err := l.invoker.Invoke(ctx, s.Channel); err != nil {
				return m, fmt.Errorf("invoke a dispatcher of %s: %w", s.Channel, err)
			}
			return m, nil
		}
		// Its holder has died.
		mine = l.lease(hub.Lease{})
		if head, _, err = l.streams.TakeLease(ctx, s, mine); err != nil {
			return m, fmt.Errorf("take the lease of %s: %w", s.Channel, err)
		}
	}
}

// Drain has the contract of hub.StreamDispatcher.
func (l *Leased) Drain(ctx context.Context, load func(context.Context) (hub.Stream, error), request string, post hub.Post) error {
	for poll := firstPoll; ; poll = min(2*poll, maxPoll) {
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
		switch {
		case taken:
			h := holder{Leased: l, load: load, lease: mine, head: head, post: post}
			return h.run(ctx, nil)
		case head.Epoch == "":
			return nil // the stream has expired, with all that was in it
		case head.Lease.Free(now) || head.Lease.Durable && head.Lease.Request == request:
			// Its lease is that of an earlier run of this invocation, which has died, or of
			// another run of the same event.
		case head.Lease.Durable:
			return nil
		case !head.Next.Free(now) && head.Next.Request != request:
			return nil
		default:
			turn := hub.Turn{Request: request, Until: l.now().Add(turnTime)}
			if _, _, err := l.streams.TakeTurn(ctx, s, turn); err != nil {
				return fmt.Errorf("wait for the lease of %s: %w", s.Channel, err)
			}
		}
		if err := l.wait(ctx, poll); err != nil {
			return fmt.Errorf("wait for the lease of %s: %w", s.Channel, err)
		}
	}
}

// lease gives a lease its id and its end.
func (l *Leased) lease(of hub.Lease) hub.Lease {
	of.ID, of.Until = hub.NewID(l.now()), l.until()
	return of
}

// until is the end of a lease that is taken or renewed now.
func (l *Leased) until() time.Time { return l.now().Add(hub.LeaseTime).Truncate(time.Millisecond) }

// errLost is the cause of a context that has ended because the lease is lost, or may be.
var errLost = errors.New("the lease is lost")

// holder holds the lease of a stream.
type holder struct {
	*Leased
	load  func(context.Context) (hub.Stream, error)
	post  hub.Post
	lease hub.Lease
	// head is as the last write left it: its wake counter was read before the publications that
	// are read next.
	head   hub.Head
	stream hub.Stream
}

// run dispatches until nothing is left, or another goes on. known are the publications that
// come first, where the caller has them.
func (h *holder) run(ctx context.Context, known []hub.Message) error {
	for round := 1; ; round++ {
		batch, err := h.batch(ctx, known)
		if err == nil && len(batch) > 0 {
			err = h.dispatch(ctx, batch)
		}
		if err != nil {
			return h.drop(ctx, err)
		}
		known = nil
		over, err := h.proceed(ctx, batch, round)
		if over || err != nil {
			return err
		}
	}
}

// batch returns the publications that are dispatched next.
func (h *holder) batch(ctx context.Context, known []hub.Message) (batch []hub.Message, err error) {
	if h.stream, err = h.load(ctx); err != nil {
		return nil, err
	}
	if h.stream.Linger == 0 && known != nil {
		return known, nil
	}
	if h.stream.Linger > 0 {
		if err := h.wait(ctx, h.stream.Linger); err != nil {
			return nil, err
		}
	}
	return h.streams.Publications(ctx, h.stream, h.head.Epoch, h.head.Done, batchMessages)
}

// dispatch posts a batch, and renews the lease meanwhile. It fails with errLost where the lease
// is lost, or may be before the posts have ended.
func (h *holder) dispatch(ctx context.Context, batch []hub.Message) error {
	if h.left() <= 0 {
		return errLost
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	keeping, stop := context.WithCancel(ctx)
	var renewal sync.WaitGroup
	renewal.Go(func() {
		if err := h.keep(keeping); err != nil {
			cancel(err)
		}
	})
	err := h.post(ctx, batch)
	stop()
	renewal.Wait()
	if errors.Is(context.Cause(ctx), errLost) {
		return errLost
	}
	return err
}

// keep renews the lease until ctx ends. It fails with errLost when no post may begin any more.
func (h *holder) keep(ctx context.Context) error {
	for {
		left := h.left()
		if left <= 0 {
			return errLost
		}
		if h.wait(ctx, min(left, renewEvery)) != nil {
			return nil
		}
		until := h.until()
		_, kept, err := h.streams.RenewLease(ctx, h.stream, h.progress(), until)
		switch {
		case err == nil && !kept:
			return errLost
		case err == nil:
			h.lease.Until = until
		}
	}
}

// left is the time in which posts may begin.
func (h *holder) left() time.Duration { return h.lease.Until.Add(-h.postTimeout).Sub(h.now()) }

func (h *holder) progress() hub.Progress { return hub.Progress{Lease: h.lease.ID, Done: h.head.Done} }

// proceed records that a batch was dispatched, and lets go where nothing is left, where a
// durable dispatcher follows, or where no time is left. over means that the lease is not held
// any more.
func (h *holder) proceed(ctx context.Context, batch []hub.Message, round int) (over bool, err error) {
	if len(batch) > 0 {
		h.head.Done = batch[len(batch)-1].Position.Offset
	}
	if len(batch) < batchMessages {
		head, released, err := h.streams.ReleaseLease(ctx, h.stream, h.progress(), h.head.Wake)
		if err != nil || released || head.Lease.ID != h.lease.ID {
			return true, h.quit(ctx, "release", err)
		}
		h.head.Wake = head.Wake
	}
	if end, limited := ctx.Deadline(); !h.lease.Durable && round >= inlineRounds || limited && time.Until(end) < handOver {
		return true, h.handOver(ctx)
	}
	until := h.until()
	head, kept, err := h.streams.RenewLease(ctx, h.stream, h.progress(), until)
	if err != nil || !kept {
		return true, h.quit(ctx, "renew", err)
	}
	h.head, h.lease.Until = head, until
	return false, nil
}

// quit is the result of a holder that has dispatched, and has lost its lease or could not write
// it. An inline holder has done what its caller wants.
func (h *holder) quit(ctx context.Context, step string, err error) error {
	if err == nil {
		return nil
	}
	if h.lease.Durable {
		return fmt.Errorf("%s the lease of %s: %w", step, h.stream.Channel, err)
	}
	h.log.WarnContext(ctx, step+" lease failed", "project", h.stream.Channel.Project, "channel", h.stream.Channel.String(), "error", err)
	return nil
}

// handOver lets go while there is more to dispatch. What was announced to an inline holder has
// a durable dispatcher already, which was invoked by who announced it. A durable holder invokes
// another one when it has let go: one that began before would find the lease held, and end.
// Where it dies in between, or cannot invoke, it is itself invoked again.
func (h *holder) handOver(ctx context.Context) error {
	_, dropped, err := h.streams.DropLease(ctx, h.stream, h.progress())
	if err != nil || !dropped || !h.lease.Durable {
		return h.quit(ctx, "drop", err)
	}
	if err := h.invoker.Invoke(ctx, h.stream.Channel); err != nil {
		return fmt.Errorf("invoke a dispatcher of %s: %w", h.stream.Channel, err)
	}
	return nil
}

// drop lets go after a batch that failed. A durable dispatcher repeats it: the one that returns
// this error, which is invoked again, one that has taken over or is next, or the one that an
// inline holder invokes.
func (h *holder) drop(ctx context.Context, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), handOver)
	defer cancel()
	head, dropped, err := h.streams.DropLease(ctx, h.stream, h.progress())
	if err == nil && !dropped && head.Safe(h.now()) {
		return nil
	}
	cause = fmt.Errorf("dispatch %s: %w", h.stream.Channel, cause)
	if h.lease.Durable {
		return cause
	}
	if err := h.invoker.Invoke(ctx, h.stream.Channel); err != nil {
		return errors.Join(cause, err)
	}
	h.log.WarnContext(ctx, "dispatch failed, and is repeated", "project", h.stream.Channel.Project, "channel", h.stream.Channel.String(), "error", cause)
	return nil
}
