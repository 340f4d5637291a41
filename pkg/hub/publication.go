package hub

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
)

// append appends a message to its stream, announces it, and dispatches the stream unless
// another invocation does.
func (h *Publisher) append(ctx context.Context, p *Project, s Stream, m Message, o PublishOptions) (Published, error) {
	fail := func(err error) (Published, error) {
		return Published{}, fmt.Errorf("publish in %s: %w", m.Channel, err)
	}
	// What is appended must not fail later.
	if err := h.dispatcher.Check(m); err != nil {
		return fail(err)
	}
	a, err := h.store.Append(ctx, s, m, AppendOptions{IdempotencyKey: o.IdempotencyKey, Version: o.Version, VersionEpoch: o.VersionEpoch})
	switch {
	case err != nil:
		return fail(err)
	case a.Direct != nil:
		return Published{Result: *a.Direct}, nil
	case !a.Pending:
		return Published{Position: a.Message.Position}, nil
	}
	var begun []iter.Seq2[[]Subscriber, error]
	if a.Quiet && s.Linger == 0 {
		// Who subscribes from now on subscribes after the message.
		reading, cancel := context.WithCancel(ctx)
		defer cancel()
		begun = h.read(reading, p.audience(s.Channel))
	}
	run := &dispatching{Publisher: h, channel: s.Channel, clean: func(ctx context.Context, gone []Gone, ended []Ended) {
		h.later(ctx, cleanupTimeout, func(ctx context.Context) { h.cleanUp(ctx, gone, ended) })
	}}
	announced, err := h.streams.Announce(ctx, s, a, func(ctx context.Context, batch []Message) error {
		use := begun
		begun = nil
		if len(batch) != 1 || batch[0].Position != a.Message.Position {
			use = nil // later messages have later subscribers
		}
		return run.post(ctx, use, batch)
	})
	if err != nil {
		return fail(err)
	}
	return Published{Position: announced.Position}, nil
}

// DispatchStream dispatches the stream of a channel unless another invocation does. Lambda
// calls it in the invocation request, and repeats it under the same id where it fails or dies.
func (h *Publisher) DispatchStream(ctx context.Context, ch Channel, request string) error {
	load := func(ctx context.Context) (Stream, error) {
		p, err := h.projectOf(ctx, ch)
		if err != nil || p == nil {
			return Stream{Channel: ch}, err
		}
		s, _ := p.Stream(ch)
		return s, nil
	}
	var (
		mu       sync.Mutex
		cleanups sync.WaitGroup
	)
	defer cleanups.Wait()
	run := &dispatching{Publisher: h, channel: ch, clean: func(ctx context.Context, gone []Gone, ended []Ended) {
		// The next batch does not wait for it.
		cleanups.Go(func() {
			mu.Lock()
			defer mu.Unlock()
			ctx, cancel := after(ctx, cleanupTimeout)
			defer cancel()
			h.cleanUp(ctx, gone, ended)
		})
	}}
	return h.streams.Drain(ctx, load, request, func(ctx context.Context, batch []Message) error { return run.post(ctx, nil, batch) })
}

// projectOf returns the project that has a channel, some seconds old at most; nil where none
// has it, because the category was deleted, or created again since.
func (h *Publisher) projectOf(ctx context.Context, ch Channel) (*Project, error) {
	p, err := h.store.Project(ctx, ch.Project)
	if err == nil && !p.has(ch) {
		// It may be older than the category, whose messages were acknowledged.
		p, err = h.store.ReadProject(ctx, ch.Project)
	}
	switch {
	case errors.Is(err, ErrProjectNotFound) || err == nil && !p.has(ch):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return p, nil
}

// dispatching is what one invocation knows while it dispatches a stream.
type dispatching struct {
	*Publisher
	channel Channel
	// clean removes what a batch found gone or ended. It does not hold up the next batch.
	clean func(ctx context.Context, gone []Gone, ended []Ended)
	// seen are the connections that were given to clean, stalled those that held up the last
	// batch.
	seen    map[string]bool
	stalled []string
}

// post dispatches publications of the stream, in their order, to the subscribers, to the feed
// and to the event hooks, and counts them. It fails unless a post to every subscriber was begun,
// and where API Gateway refused all of them. Nobody gets the messages of a category that was
// deleted, or created again since. begun is the read of the subscribers of each shard, or nil.
func (d *dispatching) post(ctx context.Context, begun []iter.Seq2[[]Subscriber, error], batch []Message) error {
	p, err := d.projectOf(ctx, d.channel)
	if err != nil || p == nil {
		return err
	}
	category := p.Categories[d.channel.Category]
	to := p.audience(d.channel)
	to.Stalled = d.stalled
	if len(begun) == to.Shards { // a shard may have been added since
		to.Reading = begun
	}
	result, err := d.deliver(ctx, p, to, batch...)
	if known := new(Error); errors.As(err, &known) {
		return d.leaveOut(ctx, batch, err)
	}
	if err == nil {
		err = result.Err()
	}
	var feed Result
	if err == nil {
		if category.PublishToAdmins {
			feed = d.dispatchToFeed(ctx, p, batch...)
		}
		conclude, cancel := after(ctx, concludeTimeout)
		defer cancel()
		d.emit(conclude, category, batch...)
		d.count(conclude, d.channel.Project, len(batch), result.Delivered+feed.Delivered)
	}
	d.learn(ctx, result, feed)
	return err
}

// leaveOut dispatches one by one the messages of a batch that cannot be encoded, and leaves out
// the one that cannot: it would fail for ever, and hold up all that follow.
func (d *dispatching) leaveOut(ctx context.Context, batch []Message, err error) error {
	if len(batch) == 1 {
		d.log.ErrorContext(ctx, "dispatch failed, and the message is left out", "project", d.channel.Project,
			"channel", d.channel.String(), "message", batch[0].ID, "error", err)
		return nil
	}
	for i := range batch {
		if err := d.post(ctx, nil, batch[i:i+1]); err != nil {
			return err
		}
	}
	return nil
}

// maxStalled is how many connections may hold up a batch because of themselves. Where there are
// more, the account is at its quota, and all get the usual attempts again.
const maxStalled = 100

// learn remembers what a batch has found, in the channel and in the feed. A connection that
// held up the batch before has not held up this one, unless the result names it again.
func (d *dispatching) learn(ctx context.Context, channel, feed Result) {
	d.stalled = channel.Stalled
	if len(d.stalled) > maxStalled {
		d.stalled = nil
	}
	var (
		gone  []Gone
		ended []Ended
	)
	isNew := func(connection string) bool {
		known := d.seen[connection]
		if d.seen == nil {
			d.seen = make(map[string]bool)
		}
		d.seen[connection] = true
		return !known
	}
	for _, r := range []Result{channel, feed} {
		for _, g := range r.Gone {
			if isNew(g.Connection) {
				gone = append(gone, g)
			}
		}
		for _, e := range r.Ended {
			if isNew(e.Connection) {
				ended = append(ended, e)
			}
		}
	}
	if len(gone)+len(ended) > 0 {
		d.clean(ctx, gone, ended)
	}
}
