package hub

import (
	"context"
	"errors"
	"fmt"
	"iter"
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
	announced, err := h.streams.Announce(ctx, s, a, func(ctx context.Context, batch []Message) error {
		use := begun
		begun = nil
		if len(batch) != 1 || batch[0].Position != a.Message.Position {
			use = nil // later messages have later subscribers
		}
		return h.dispatchBatch(ctx, s.Channel, use, batch)
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
		p, err := h.store.Project(ctx, ch.Project)
		if errors.Is(err, ErrProjectNotFound) {
			return Stream{Channel: ch}, nil
		}
		if err != nil {
			return Stream{}, err
		}
		s, _ := p.Stream(ch)
		s.Channel = ch // what was appended before the category was created again is in its old stream
		return s, nil
	}
	return h.streams.Drain(ctx, load, request, func(ctx context.Context, batch []Message) error {
		return h.dispatchBatch(ctx, ch, nil, batch)
	})
}

// dispatchBatch dispatches publications of one stream, in their order, to the subscribers, to
// the feed and to the event hooks, and counts them. It fails unless a post to every subscriber
// was begun, and where API Gateway refused all of them. The messages of a category that was
// deleted, or created again since, are for nobody. begun is the read of the subscribers of each
// shard, or nil.
func (h *Publisher) dispatchBatch(ctx context.Context, ch Channel, begun []iter.Seq2[[]Subscriber, error], batch []Message) error {
	p, err := h.store.Project(ctx, ch.Project)
	if errors.Is(err, ErrProjectNotFound) || err == nil && ch != p.Locate(ch) {
		return nil
	}
	if err != nil {
		return err
	}
	category := p.Categories[ch.Category]
	to := p.audience(ch)
	if len(begun) == to.Shards { // a shard may have been added since
		to.Reading = begun
	}
	result, err := h.deliver(ctx, p, to, batch...)
	if known := new(Error); errors.As(err, &known) {
		// It would fail for ever, and hold up all that follow.
		h.log.ErrorContext(ctx, "dispatch failed, and the messages are left out", "project", ch.Project, "channel", ch.String(),
			"message", batch[0].ID, "messages", len(batch), "error", err)
		return nil
	}
	if err == nil {
		err = result.Err()
	}
	gone, ended := result.Gone, result.Ended
	if err == nil {
		var feed Result
		if category.PublishToAdmins {
			feed = h.dispatchToFeed(ctx, p, batch...)
			gone, ended = append(gone, feed.Gone...), append(ended, feed.Ended...)
		}
		conclude, cancel := after(ctx, concludeTimeout)
		defer cancel()
		h.emit(conclude, category, batch...)
		h.count(conclude, ch.Project, len(batch), result.Delivered+feed.Delivered)
	}
	if len(gone)+len(ended) > 0 {
		h.later(ctx, cleanupTimeout, func(ctx context.Context) { h.cleanUp(ctx, gone, ended) })
	}
	return err
}
