package delivery

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"centrifuge/pkg/hub"
)

// fanout posts the frames of one dispatch to all subscribers.
type fanout struct {
	to               hub.Audience
	poster           *Poster
	messages         int
	frames           map[hub.Protocol][]*Payload
	unknownProtocols map[hub.Protocol]int // number of subscribers, by protocol without an encoder
	queue            chan post
	workers          sync.WaitGroup

	mu     sync.Mutex
	result hub.Result
	cause  error // of the first failed post
}

// post is the frames of one subscriber, in order.
type post struct {
	connection string
	shard      int
	frames     []*Payload
}

// page is a page of subscribers of one shard.
type page struct {
	shard       int
	subscribers []hub.Subscriber
}

// run reads all shards concurrently, begins the posts to every subscriber, and returns
// when the last has ended.
func (f *fanout) run(ctx context.Context, subscribers Subscribers) {
	admitted := make(map[hub.Basis]bool) // most subscribers have one of a few
	for p := range f.read(ctx, subscribers) {
		for _, s := range p.subscribers {
			admits, decided := admitted[s.Basis]
			if !decided {
				admits = f.to.Rule.Admits(s.Basis)
				admitted[s.Basis] = admits
			}
			switch found := (hub.Gone{Connection: s.Connection, Channel: f.to.Channel, Shard: p.shard}); {
			case s.Hidden:
				f.addGone(found)
				continue
			case !admits:
				f.result.Ended = append(f.result.Ended, found)
				continue
			}
			frames, known := f.frames[s.Protocol]
			if !known {
				f.unknownProtocols[s.Protocol]++
				f.fail(fmt.Errorf("no encoder for protocol %q", s.Protocol), f.messages)
				continue
			}
			if err := f.poster.acquire(ctx); err != nil {
				f.leaveUnsent(err, len(frames))
				continue
			}
			f.begin(ctx, post{s.Connection, p.shard, frames})
		}
	}
	close(f.queue)
	f.workers.Wait()
}

// read returns the pages of all shards as they arrive. The next page of a shard is
// read while the posts of the one before begin.
func (f *fanout) read(ctx context.Context, subscribers Subscribers) <-chan page {
	var readers sync.WaitGroup
	pages := make(chan page)
	for shard := range max(f.to.Shards, 1) {
		readers.Go(func() {
			for subs, err := range subscribers.Subscribers(ctx, f.to.Channel, shard) {
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
	for n, frame := range p.frames {
		if n > 0 {
			if err := f.poster.acquire(ctx); err != nil {
				f.leaveUnsent(err, len(p.frames)-n)
				return
			}
		}
		if err := f.poster.post(ctx, p.connection, frame); err != nil {
			f.count(err, p, len(p.frames)-n)
			return
		}
		f.mu.Lock()
		f.result.Delivered++
		f.mu.Unlock()
	}
}

func (f *fanout) addGone(g hub.Gone) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.result.Gone = append(f.result.Gone, g)
}

// count records why the last frames of a subscriber were not delivered.
func (f *fanout) count(err error, p post, frames int) {
	switch {
	case errors.Is(err, ErrGone):
		f.addGone(hub.Gone{Connection: p.connection, Channel: f.to.Channel, Shard: p.shard})
	case errors.Is(err, ErrSlow):
		f.mu.Lock()
		defer f.mu.Unlock()
		f.result.Slow += frames
	default:
		f.fail(err, frames)
	}
}

// fail counts posts that failed and keeps the first cause.
func (f *fanout) fail(err error, posts int) {
	f.mu.Lock()
	defer f.mu.Unlock()
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
