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
	encoders         map[hub.Protocol]Encoder
	messages         []hub.Message
	frames           map[format][]*Payload
	rests            map[rest][]*Payload
	unknownProtocols map[hub.Protocol]int // number of subscribers, by protocol without an encoder
	queue            chan post
	workers          sync.WaitGroup

	mu         sync.Mutex
	result     hub.Result
	cause      error  // of the first failed post
	unanswered []post // to be repeated
}

// rest is what follows an offset, in one format.
type rest struct {
	format
	from uint64
}

// post is the frames of one subscriber, in order.
type post struct {
	connection string
	shard      int
	frames     []*Payload
	repeated   bool // after it got no answer
	stalled    bool // it held up an earlier dispatch
	// recoverer is the ID of a subscriber to a stream that recovers what it misses, "" for another:
	// it is lost after a post that failed, or whose outcome is not known, and gets none twice.
	recoverer string
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
	joining := make(map[string]int)      // the shard, by connection
	for p := range f.pages(ctx, subscribers) {
		for _, s := range p.subscribers {
			if f.awaits(s) {
				joining[s.Connection] = p.shard
				continue
			}
			admits, decided := admitted[s.Basis]
			if !decided {
				admits = f.to.Rule.Admits(s.Basis)
				admitted[s.Basis] = admits
			}
			ended := s.Expired || !admits
			switch found := (hub.Gone{Connection: s.Connection, Channel: f.to.Channel, Shard: p.shard}); {
			case s.Hidden:
				found.Hidden = true
				f.mu.Lock()
				f.result.Gone = append(f.result.Gone, found)
				f.mu.Unlock()
				continue
			case ended:
				f.result.Ended = append(f.result.Ended, hub.Ended{Gone: found, Protocol: s.Protocol, Batch: s.Batch, Basis: s.Basis, Standing: s.Standing})
				continue
			case f.loses(s):
				f.lose(found, s.ID)
				continue
			}
			f.postTo(ctx, s, p.shard)
		}
	}
	f.finish()
	f.repeat(ctx)
	f.await(ctx, subscribers, joining)
}

// postTo begins the posts to one subscriber.
func (f *fanout) postTo(ctx context.Context, s hub.Subscriber, shard int) {
	frames, err := f.framesOf(s)
	if err != nil {
		f.unknownProtocols[s.Protocol]++
		f.fail(err, len(f.messages))
		return
	}
	if len(frames) == 0 {
		return
	}
	if err := f.poster.acquire(ctx); err != nil {
		f.leaveUnsent(err, len(frames))
		return
	}
	stalled := slices.Contains(f.to.Stalled, s.Connection) // of few
	next := post{connection: s.Connection, shard: shard, frames: frames, repeated: stalled, stalled: stalled}
	if s.Recoverable && f.streams() {
		next.recoverer = s.ID
	}
	f.begin(ctx, next)
}

// The waits for the reply to a subscribe, which double.
const firstAwait, maxAwait = 20 * time.Millisecond, 500 * time.Millisecond

// awaits reports whether a message that is sent direct waits for the reply to the subscribe of a
// subscriber. The client may have it already, and nothing keeps the message for it.
func (f *fanout) awaits(s hub.Subscriber) bool {
	return s.Joining && !s.Expired && !s.Since.Before(f.to.Abandoned) && !f.streams() && f.messages[0].Event == ""
}

// await waits until subscribers have the replies to their subscribes, and begins the posts to them.
// Those that do not have it in time get nothing: it must not overtake the reply.
func (f *fanout) await(ctx context.Context, subscribers Subscribers, joining map[string]int) {
	for wait := firstAwait; len(joining) > 0 && wait <= maxAwait; wait *= 2 {
		if err := sleep(ctx, wait); err != nil {
			f.leaveUnsent(err, len(joining)*len(f.messages))
			return
		}
		f.queue = make(chan post)
		shards := make(map[int]bool)
		for _, shard := range joining {
			shards[shard] = true
		}
		for shard := range shards {
			for page, err := range subscribers.Subscribers(ctx, f.to.Channel, shard) {
				if err != nil {
					f.unread(shard, err)
				}
				for _, s := range page {
					if _, waits := joining[s.Connection]; !waits || s.Joining {
						continue
					}
					delete(joining, s.Connection)
					if !s.Hidden && !s.Expired && f.to.Rule.Admits(s.Basis) {
						f.postTo(ctx, s, shard)
					}
				}
			}
		}
		f.finish()
		f.repeat(ctx)
	}
}

// unread records that the subscribers of a shard could not all be read.
func (f *fanout) unread(shard int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.result.Unread = append(f.result.Unread, hub.Unread{Shard: shard, Cause: err.Error()})
}

// streams reports whether the messages are publications of the channel's stream.
func (f *fanout) streams() bool {
	return f.messages[0].Position.Epoch != ""
}

// loses reports whether a subscriber to a stream is to be told to subscribe again, instead of
// getting the messages.
func (f *fanout) loses(s hub.Subscriber) bool {
	switch {
	case !f.streams():
		return false
	case s.Joining:
		return s.Since.Before(f.to.Abandoned)
	}
	return (s.Lost || s.Recoverable) && s.Mark.Era != f.to.Era
}

// framesOf are the frames for a subscriber, none where it gets none of the messages.
func (f *fanout) framesOf(s hub.Subscriber) ([]*Payload, error) {
	as := format{s.Protocol, s.Batch}
	all, known := f.frames[as]
	last := f.messages[len(f.messages)-1].Position
	switch {
	case s.Joining && !s.Since.Before(f.to.Abandoned) || s.Lost || !s.Gets(f.messages[0].Event):
		return nil, nil
	case !known:
		return nil, fmt.Errorf("no encoder for protocol %q", s.Protocol)
	case !f.streams() || s.From < f.messages[0].Position.Offset || s.Mark.Era != f.to.Era:
		return all, nil
	}
	after := rest{as, s.From}
	if frames, encoded := f.rests[after]; encoded || s.From >= last.Offset {
		return frames, nil
	}
	frames, err := payloads(f.encoders[s.Protocol](f.messages[len(f.messages)-int(last.Offset-s.From):], s.Batch)) //nolint:gosec // less than a batch
	f.rests[after] = frames
	return frames, err
}

// lose records a subscription as lost.
func (f *fanout) lose(found hub.Gone, id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.result.Lost = append(f.result.Lost, hub.Lost{Gone: found, ID: id})
}

// failPost counts a post that failed and was not sent.
func (f *fanout) failPost(err error, p post, posts int) {
	f.fail(err, posts)
	if p.recoverer != "" {
		f.lose(hub.Gone{Connection: p.connection, Channel: f.to.Channel, Shard: p.shard}, p.recoverer)
	}
}

// finish waits for the posts that were begun, and ends their workers.
func (f *fanout) finish() {
	close(f.queue)
	f.workers.Wait()
}

// repeat begins the posts again that got no answer, when all others have ended, and waits
// for them.
func (f *fanout) repeat(ctx context.Context) {
	again := f.unanswered
	f.queue, f.unanswered = make(chan post), nil
	for _, p := range again {
		if err := f.poster.acquire(ctx); err != nil {
			f.failPost(err, p, len(p.frames))
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
				pages <- page{s.Shard, []hub.Subscriber{{Connection: s.Connection, Protocol: s.Protocol, Batch: s.Batch, Basis: s.Basis, Standing: s.Standing}}}
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
					f.unread(shard, err)
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
					f.failPost(err, p, len(p.frames)-n)
				} else {
					f.leaveUnsent(err, len(p.frames)-n)
				}
				return
			}
		}
		c := usual
		switch {
		case p.recoverer != "":
			c = once
		case p.repeated && n == 0:
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
	found := hub.Gone{Connection: p.connection, Channel: f.to.Channel, Shard: p.shard}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case errors.Is(err, ErrGone):
		f.result.Gone = append(f.result.Gone, found)
		return
	case silent && !p.repeated && !silence.repeated:
		f.unanswered = append(f.unanswered, p)
		return
	}
	if p.recoverer != "" {
		f.result.Lost = append(f.result.Lost, hub.Lost{Gone: found, ID: p.recoverer})
	}
	switch {
	case errors.Is(err, ErrSlow):
		f.result.Slow += len(p.frames)
		f.result.Stalled = append(f.result.Stalled, p.connection)
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
