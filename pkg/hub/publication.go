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
	run := h.dispatching(s.Channel)
	announced, err := h.streams.Announce(ctx, s, a, func(ctx context.Context, head Head, batch []Message) (lost bool, err error) {
		use := begun
		begun = nil
		if len(batch) != 1 || batch[0].Position != a.Message.Position || head.Changed == a.Message.Position.Offset {
			use = nil // later messages have later subscribers
		}
		return run.post(ctx, use, head, batch)
	})
	if err != nil {
		return fail(err)
	}
	return Published{Position: announced.Position}, nil
}

// dispatching is the dispatch of a stream by an invocation that has an answer to give: it cleans up
// after that.
func (h *Publisher) dispatching(ch Channel) *dispatching {
	return &dispatching{Publisher: h, channel: ch, clean: func(ctx context.Context, gone []Gone, ended []Ended) {
		h.later(ctx, cleanupTimeout, func(ctx context.Context) { h.cleanUp(ctx, gone, ended) })
	}}
}

// Admit announces the admission of a subscription whose client has the reply. When it returns, the
// subscription has been admitted, or its client is told to subscribe again, or certainly will be;
// where it fails, that is so with the first message of the channel after AbandonTime.
func (h *Publisher) Admit(ctx context.Context, s Stream, a Admission) error {
	run := h.dispatching(s.Channel)
	err := h.streams.Admit(ctx, s, a, func(ctx context.Context, head Head, batch []Message) (lost bool, err error) {
		return run.post(ctx, nil, head, batch)
	})
	if known := new(Error); errors.As(err, &known) {
		// It cannot be admitted. Another subscribe may have a better position, or be later.
		err = h.lose(ctx, Mark{}, []Lost{{Gone{Connection: a.Connection, Channel: a.Channel, Shard: a.Shard}, a.ID}})
	}
	if err != nil {
		return fmt.Errorf("admit connection %s to %s: %w", a.Connection, a.Channel, err)
	}
	return nil
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
	return h.streams.Drain(ctx, load, request, func(ctx context.Context, head Head, batch []Message) (lost bool, err error) {
		return run.post(ctx, nil, head, batch)
	})
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
	// empty means that a batch has found no subscription, and that this is checked at the end.
	empty bool
}

// post is a Post. It dispatches publications of the stream, in their order, to the subscribers, to
// the feed and to the event hooks, and counts them. It fails unless a post to every subscriber was
// begun, and where API Gateway refused all of them. Nobody gets the messages of a category that was
// deleted, or created again since. begun is the read of the subscribers of each shard, or nil.
func (d *dispatching) post(ctx context.Context, begun []iter.Seq2[[]Subscriber, error], head Head, batch []Message) (lost bool, err error) {
	p, err := d.projectOf(ctx, d.channel)
	if err != nil || p == nil {
		return false, err
	}
	if len(batch) == 0 {
		return d.admit(ctx, p, head)
	}
	category := p.Categories[d.channel.Category]
	to := d.audience(p, head)
	to.Stalled = d.stalled
	if len(begun) == to.Shards { // a shard may have been added since
		to.Reading = begun
	}
	result, err := d.deliver(ctx, p, to, batch...)
	if known := new(Error); errors.As(err, &known) {
		return d.leaveOut(ctx, head, batch, err)
	}
	if err == nil {
		err = result.Err()
	}
	if lost = len(result.Lost) > 0; lost && err == nil {
		err = d.lose(ctx, head.Mark(), result.Lost)
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
	if err == nil && !d.empty {
		d.empty = d.reportEmpty(ctx, p, d.channel, result)
	}
	d.learn(ctx, result, feed)
	return lost, err
}

// audience is the subscribers of the stream.
func (d *dispatching) audience(p *Project, head Head) Audience {
	to := p.audience(d.channel)
	to.Era, to.Abandoned = head.Era, d.now().Add(-AbandonTime)
	return to
}

// leaveOut dispatches one by one the messages of a batch that cannot be encoded, and leaves out
// the one that cannot: it would fail for ever, and hold up all that follow.
func (d *dispatching) leaveOut(ctx context.Context, head Head, batch []Message, err error) (lost bool, _ error) {
	if len(batch) == 1 {
		d.log.ErrorContext(ctx, "dispatch failed, and the message is left out", "project", d.channel.Project,
			"channel", d.channel.String(), "message", batch[0].ID, "error", err)
		return false, nil
	}
	for i := range batch {
		some, err := d.post(ctx, nil, head, batch[i:i+1])
		if lost = lost || some; err != nil {
			return lost, err
		}
	}
	return lost, nil
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
	d.tidy(ctx, channel, feed)
}

// tidy gives what dispatches have found gone or ended to clean, each connection once.
func (d *dispatching) tidy(ctx context.Context, results ...Result) {
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
	for _, r := range results {
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
