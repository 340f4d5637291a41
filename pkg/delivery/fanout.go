package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"centrifuge/pkg/hub"
)

// fanout posts the frames of one dispatch to all subscribers.
type fanout struct {
	to               hub.Audience
	poster           *Poster
	messages         int
	frames           map[format][]*Payload
	unknownProtocols map[hub.Protocol]int // number of subscribers, by protocol without an encoder
	queue            chan post
	workers          sync.WaitGroup

	mu         sync.Mutex
	result     hub.Result
	cause      error  // of the first failed post
	unanswered []post // to be repeated
}

// post is the frames of one subscriber, in order.
type post struct {
	connection string
	shard      int
	frames     []*Payload
	repeated   bool // after it got no answer
	stalled    bool // it held up an earlier dispatch
}

// stalledTime is how long the posts of a connection may take that held up an earlier dispatch.
const stalledTime = 250 * time.Millisecond

// page is a page of subscribers of one shard.
type page struct {
	shard       int
	subscribers []hub.Subscriber
}

// run reads all shards concurrently, begins the posts to every subscriber, and repeats
// those without an answer once, after all others. It returns when the last has ended.
func (f *fanout) run(ctx context.Context, subscribers Subscribers) {
	admitted := make(map[hub.Basis]bool) // most subscribers have one of a few
	for p := range f.pages(ctx, subscribers) {
		for _, s := range p.subscribers {
			admits, decided := admitted[s.Basis]
			if !decided {
				admits = f.to.Rule.Admits(s.Basis)
				admitted[s.Basis] = admits
			}
			switch found := (hub.Gone{Connection: s.Connection, Channel: f.to.Channel, Shard: p.shard}); {
			case s.Hidden:
				found.Hidden = true
				f.mu.Lock()
				f.result.Gone = append(f.result.Gone, found)
				f.mu.Unlock()
				continue
			case !admits:
				f.result.Ended = append(f.result.Ended, hub.Ended{Gone: found, Protocol: s.Protocol, Batch: s.Batch, Basis: s.Basis})
				continue
			}
			frames, known := f.frames[format{s.Protocol, s.Batch}]
			if !known {
				f.unknownProtocols[s.Protocol]++
				f.fail(fmt.Errorf("no encoder for protocol %q", s.Protocol), f.messages)
				continue
			}
			if err := f.poster.acquire(ctx); err != nil {
				f.leaveUnsent(err, len(frames))
				continue
			}
			stalled := slices.Contains(f.to.Stalled, s.Connection) // of few
			f.begin(ctx, post{connection: s.Connection, shard: p.shard, frames: frames, repeated: stalled, stalled: stalled})
		}
	}
	f.finish()
	f.repeat(ctx)
}

// finish waits for the posts that were begun, and ends their workers.
func (f *fanout) finish() {
	close(f.queue)
	f.workers.Wait()
}

// repeat begins the posts again that got no answer, when all others have ended, and waits
// for them.
func (f *fanout) repeat(ctx context.Context) {
	f.queue = make(chan post)
	for _, p := range f.unanswered {
		if err := f.poster.acquire(ctx); err != nil {
			f.fail(err, len(p.frames))
			continue
		}
		p.repeated = true
		f.begin(ctx, p)
	}
	f.finish()
}

// pages returns the subscribers as they arrive. The next page of a shard is read while the
// posts of the one before begin.
func (f *fanout) pages(ctx context.Context, subscribers Subscribers) <-chan page {
	var readers sync.WaitGroup
	pages := make(chan page)
	if f.to.Only != nil {
		go func() {
			defer close(pages)
			for _, s := range f.to.Only {
				pages <- page{s.Shard, []hub.Subscriber{{Connection: s.Connection, Protocol: s.Protocol, Batch: s.Batch, Basis: s.Basis}}}
			}
		}()
		return pages
	}
	for shard := range max(f.to.Shards, 1) {
		readers.Go(func() {
			read := subscribers.Subscribers(ctx, f.to.Channel, shard)
			if shard < len(f.to.Reading) {
				read = f.to.Reading[shard]
			}
			for subs, err := range read {
				if err != nil {
					f.mu.Lock()
					defer f.mu.Unlock()
					f.result.Unread = append(f.result.Unread, hub.Unread{Shard: shard, Cause: err.Error()})
					return
				}
				pages <- page{shard, subs}
			}
		})
	}
	go func() {
		readers.Wait()
		close(pages)
	}()
	return pages
}

// begin gives a post, with the slot that was acquired for it, to a free worker or a new
// one. Workers run until the fan-out ends: the stack of a new goroutine would have to grow
// for every request.
func (f *fanout) begin(ctx context.Context, p post) {
	select {
	case f.queue <- p:
	default:
		f.workers.Go(func() {
			f.send(ctx, p)
			for p := range f.queue {
				f.send(ctx, p)
			}
		})
	}
}

// send posts the frames of a subscriber until one fails, and counts.
func (f *fanout) send(ctx context.Context, p post) {
	if p.stalled {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, stalledTime)
		defer cancel()
	}
	for n, frame := range p.frames {
		if n > 0 {
			if err := f.poster.acquire(ctx); err != nil {
				if p.stalled {
					f.fail(err, len(p.frames)-n)
				} else {
					f.leaveUnsent(err, len(p.frames)-n)
				}
				return
			}
		}
		c := usual
		if p.repeated && n == 0 {
			c = repeated
		}
		if err := f.poster.post(ctx, p.connection, frame, c); err != nil {
			p.frames = p.frames[n:]
			f.end(err, p)
			return
		}
		f.mu.Lock()
		f.result.Delivered++
		f.mu.Unlock()
	}
}

// end records why the post of the first frame of p failed. The others are not posted either,
// unless p is put aside to be repeated.
func (f *fanout) end(err error, p post) {
	silence, silent := errors.AsType[unanswered](err)
	ended := !silent && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded))
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case errors.Is(err, ErrGone):
		f.result.Gone = append(f.result.Gone, hub.Gone{Connection: p.connection, Channel: f.to.Channel, Shard: p.shard})
		return
	case errors.Is(err, ErrSlow):
		f.result.Slow += len(p.frames)
		f.result.Stalled = append(f.result.Stalled, p.connection)
		return
	case silent && !p.repeated && !silence.repeated:
		f.unanswered = append(f.unanswered, p)
		return
	case silent || p.stalled:
		f.result.Stalled = append(f.result.Stalled, p.connection)
	}
	if !ended && (!silent || !silence.sent) { // it was certainly not delivered
		f.result.Refused += len(p.frames)
		if f.result.Refusal == "" {
			f.result.Refusal = err.Error()
		}
	}
	f.failLocked(err, len(p.frames))
}

// fail counts posts that failed and keeps the first cause.
func (f *fanout) fail(err error, posts int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failLocked(err, posts)
}

func (f *fanout) failLocked(err error, posts int) {
	f.result.Failed += posts
	if f.cause == nil {
		f.cause = err
	}
}

// leaveUnsent counts posts that were not begun.
func (f *fanout) leaveUnsent(err error, posts int) {
	f.fail(err, posts)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.result.Unsent += posts
}
