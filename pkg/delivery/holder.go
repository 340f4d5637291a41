package delivery

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"centrifuge/pkg/hub"
)

// errLost means that a holder has lost its lease, or does not know whether it has.
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
	// size is how many messages the next batch has at most.
	size int
	// admitted and lost are what happened to subscribers since the last write.
	admitted []hub.Admission
	lost     bool
	// followed means that a durable dispatcher was invoked, and goes on.
	followed bool
}

// batch are publications that are dispatched together. full means that more may follow, begun
// that some may have been posted.
type batch struct {
	messages    []hub.Message
	full, begun bool
}

// run dispatches until nothing is left, or another goes on. known are the publications that
// come first, where the caller has them.
func (h *holder) run(ctx context.Context, known []hub.Message) error {
	h.size = h.firstBatch
	if h.head.Batch > 0 {
		h.size = min(h.size, h.head.Batch)
	}
	for round := 1; ; round++ {
		b, err := h.next(ctx, known)
		began := h.now()
		if err == nil && len(b.messages) > 0 {
			b.begun = true
			err = h.dispatch(ctx, b.messages)
		}
		if err != nil {
			return h.drop(ctx, b, err)
		}
		known = nil
		took := h.now().Sub(began)
		switch {
		case took < fastBatch:
			h.size = min(2*h.size, h.maxBatch)
		case took > slowBatch:
			h.size = max(h.size/2, 1)
		}
		over, err := h.proceed(ctx, b, round, took)
		if over || err != nil {
			return err
		}
	}
}

// next admits those who wait, and returns the publications that are dispatched next. They are read
// afterwards: who has read the subscribers before they were admitted had appended its message, and
// will not dispatch it.
func (h *holder) next(ctx context.Context, known []hub.Message) (b batch, err error) {
	if h.stream, err = h.load(ctx); err != nil {
		return batch{}, err
	}
	if len(h.head.Joins) > 0 {
		if err := h.dispatch(ctx, nil); err != nil {
			return batch{}, err
		}
		h.admitted, h.head.Joins, known = h.head.Joins, nil, nil
	}
	if h.stream.Linger == 0 && known != nil {
		return batch{messages: known}, nil
	}
	if h.stream.Linger > 0 {
		if err := h.wait(ctx, h.stream.Linger); err != nil {
			return batch{}, err
		}
	}
	b.messages, err = h.streams.Publications(ctx, h.stream, h.head.Epoch, h.head.Done, h.size)
	b.full = len(b.messages) == h.size
	return b, err
}

// dispatch posts a batch or, with none, admits those who wait, and renews the lease meanwhile. It
// fails with errLost where the lease is lost, or may be before the posts have ended.
func (h *holder) dispatch(ctx context.Context, messages []hub.Message) error {
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
	lost, err := h.post(ctx, h.head, messages)
	h.lost = h.lost || lost
	stop()
	renewal.Wait()
	if errors.Is(context.Cause(ctx), errLost) {
		return errLost
	}
	return err
}

// keep renews the lease until ctx ends. It fails with errLost when no post may begin any more.
func (h *holder) keep(ctx context.Context) error {
	for left := h.left(); left > 0; left = h.left() {
		if err := h.wait(ctx, min(left, renewEvery)); err != nil {
			return nil //nolint:nilerr // the posts have ended
		}
		if left = h.left(); left <= 0 {
			break
		}
		until := h.until()
		renewal, cancel := context.WithTimeout(ctx, left)
		_, kept, err := h.streams.RenewLease(renewal, h.stream, h.progress(), until)
		cancel()
		switch {
		case err == nil && !kept:
			return errLost
		case err == nil:
			h.lease.Until = until
		}
	}
	return errLost
}

// left is the time in which posts may begin.
func (h *holder) left() time.Duration { return h.lease.Until.Add(-h.postTimeout).Sub(h.now()) }

func (h *holder) progress() hub.Progress { return hub.Progress{Lease: h.lease.ID, Done: h.head.Done} }

// settled is the progress between two batches.
func (h *holder) settled() hub.Progress {
	p := h.progress()
	p.Admitted, p.Lost = h.admitted, h.lost
	return p
}

// proceed records that a batch was dispatched, and lets go where nothing is left, where a
// durable dispatcher follows, or where no time is left. over means that the lease is not held
// any more.
func (h *holder) proceed(ctx context.Context, b batch, round int, took time.Duration) (over bool, err error) {
	if n := len(b.messages); n > 0 {
		h.head.Done = b.messages[n-1].Position.Offset
	}
	// What was dispatched is recorded, also when the time has ended.
	write, cancel := briefly(ctx)
	defer cancel()
	if !h.lease.Durable && !h.head.Next.Free(h.now()) {
		return true, h.handOver(write, b)
	}
	if !b.full {
		head, released, err := h.streams.ReleaseLease(write, h.stream, h.settled(), h.head.Wake)
		switch {
		case released:
			return true, nil
		case err != nil || head.Lease.ID != h.lease.ID:
			return true, h.quit(ctx, "release", err)
		}
		h.head.Wake, h.head.Next = head.Wake, head.Next
	}
	if end, limited := ctx.Deadline(); !h.lease.Durable && round >= h.rounds || limited && time.Until(end) < max(handOver, 2*took) {
		return true, h.handOver(write, b)
	}
	until := h.until()
	head, kept, err := h.streams.RenewLease(write, h.stream, h.settled(), until)
	if err != nil || !kept {
		return true, h.quit(ctx, "renew", err)
	}
	h.head, h.lease.Until, h.admitted, h.lost = head, until, nil, false
	return false, nil
}

// quit is the result of a holder that has dispatched, and has lost its lease or, with an error,
// could not write it. A durable one, on which others rely, tries again to take it; what an
// inline one has dispatched is done.
func (h *holder) quit(ctx context.Context, step string, err error) error {
	h.log.WarnContext(ctx, step+" lease failed", "project", h.stream.Channel.Project, "channel", h.stream.Channel.String(), "error", err)
	if h.lease.Durable {
		return errLost
	}
	return nil
}

// handOver lets go while there may be more to dispatch. Who announced a message to an inline
// holder has invoked a durable dispatcher. One that waits for its turn gets the lease. A durable
// holder invokes another one when it has let go: one that began before would find the lease
// held, and end. Where it dies in between, or cannot invoke, it is itself invoked again.
func (h *holder) handOver(ctx context.Context, b batch) error {
	next := h.head.Next
	if next.Free(h.now()) {
		next = hub.Turn{}
	}
	if _, _, err := h.streams.DropLease(ctx, h.stream, h.settled(), next); err != nil {
		return h.quit(ctx, "drop", err)
	}
	if next.Request != "" || !h.lease.Durable && !b.full {
		return nil
	}
	h.followed = true
	return h.invoke(ctx, h.stream.Channel)
}

// drop lets go after a batch that failed: the next one is smaller, and another era begins where
// some may have got it. A durable dispatcher repeats
// it: the one that returns this error, which is invoked again, one that has taken over or is
// next, or the one that an inline holder invokes.
func (h *holder) drop(ctx context.Context, b batch, cause error) error {
	ctx, cancel := briefly(ctx)
	defer cancel()
	p := h.settled()
	// One message that was alone says nothing about what would be too much.
	if n := len(b.messages); n > 1 || b.full {
		p.Batch = max(n/failedBatch, 1)
	}
	if b.begun {
		p.Era = hub.NewEra()
	}
	head, dropped, err := h.streams.DropLease(ctx, h.stream, p, hub.Turn{})
	if h.followed = err == nil && !dropped && head.Safe(h.now()); h.followed {
		return nil
	}
	cause = fmt.Errorf("dispatch %s: %w", h.stream.Channel, cause)
	if h.lease.Durable {
		return cause
	}
	if err := h.invoke(ctx, h.stream.Channel); err != nil {
		return errors.Join(cause, err)
	}
	h.followed = true
	h.log.WarnContext(ctx, "dispatch failed, and is repeated", "project", h.stream.Channel.Project, "channel", h.stream.Channel.String(), "error", cause)
	return nil
}
