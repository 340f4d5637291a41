package delivery

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"centrifuge/pkg/hub"
)

// fanout is one message on its way to all subscribers.
type fanout struct {
	poster    *Poster
	payloads  map[hub.Protocol]*Payload
	strangers map[hub.Protocol]int // subscribers by protocol that has no encoder
	reaping   reaping
	queue     chan post
	workers   sync.WaitGroup
	unread    []error // of audiences that fail nothing

	mu     sync.Mutex
	report hub.Report
	cause  error // of the first failed post
}

// post is one subscriber's.
type post struct {
	at      hub.Place
	payload *Payload
}

// page is what one shard of a channel yields at once.
type page struct {
	channel     hub.Channel
	shard       int
	subscribers []hub.Subscriber
}

// run reads all shards at once and begins a post for every subscriber. It returns
// when the last has ended, with the error of every shard that could not be read
// to its end.
func (f *fanout) run(ctx context.Context, subscribers Subscribers, to []hub.Audience) error {
	var (
		readers sync.WaitGroup
		pages   = make(chan page)
		mu      sync.Mutex
		errs    []error
	)
	for _, audience := range to {
		for shard := range max(audience.Shards, 1) {
			// The next page of each shard is fetched while the posts of this one begin.
			readers.Go(func() {
				for subs, err := range subscribers.Subscribers(ctx, audience.Channel, shard) {
					if err != nil {
						mu.Lock()
						defer mu.Unlock()
						err = fmt.Errorf("read subscribers of shard %d of %s: %w", shard, audience.Channel, err)
						if audience.BestEffort {
							f.unread = append(f.unread, err)
						} else {
							errs = append(errs, err)
						}
						return
					}
					pages <- page{audience.Channel, shard, subs}
				}
			})
		}
	}
	go func() {
		readers.Wait()
		close(pages)
	}()

	var cut error
	for p := range pages {
		for _, s := range p.subscribers {
			payload, ok := f.payloads[s.Protocol]
			if !ok {
				f.strangers[s.Protocol]++
				f.mu.Lock()
				f.fail(fmt.Errorf("no encoder for protocol %q", s.Protocol))
				f.mu.Unlock()
				continue
			}
			if err := f.poster.acquire(ctx); err != nil {
				cut = err
				f.mu.Lock()
				f.fail(err)
				f.mu.Unlock()
				continue
			}
			f.begin(ctx, post{hub.Place{Channel: p.channel, Shard: p.shard, Connection: s.Connection}, payload})
		}
	}
	close(f.queue)
	f.workers.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return cut
}

// begin hands over a post, with the slot that was acquired for it, to a worker that
// is free or else to a new one. Workers are kept for the length of a fan-out, since
// a goroutine's stack has to grow first to make a request.
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

// send posts and counts.
func (f *fanout) send(ctx context.Context, p post) {
	err := f.poster.post(ctx, p.at.Connection, p.payload)
	if errors.Is(err, ErrGone) {
		f.reaping.add(ctx, p.at)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case err == nil:
		f.report.Delivered++
	case errors.Is(err, ErrGone):
		f.report.Gone++
	case errors.Is(err, ErrSlow):
		f.report.Slow++
	default:
		f.fail(err)
	}
}

// fail counts a failed post and keeps the first cause. It needs the lock.
func (f *fanout) fail(err error) {
	f.report.Failed++
	if f.cause == nil {
		f.cause = err
	}
}
