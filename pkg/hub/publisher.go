package hub

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Clean removes unsafe HTML from the strings in a JSON value. Links and images may lead
// to these domains. It fails with ErrBadRequest.
type Clean func(data json.RawMessage, domains []string) (json.RawMessage, error)

// Publisher is a Hub that also publishes messages.
type Publisher struct {
	*Hub
	streams StreamDispatcher
	clean   Clean
}

// PublisherOptions are the parts of a Publisher. All are required except what is optional in
// Options.
type PublisherOptions struct {
	Options
	Streams StreamDispatcher
	Clean   Clean
}

// NewPublisher returns a Publisher. It fails, naming the part, when a required part is
// missing.
func NewPublisher(o PublisherOptions) (*Publisher, error) {
	h, err := New(o.Options)
	if err != nil {
		return nil, err
	}
	switch {
	case o.Clean == nil:
		return nil, errors.New("hub: Clean is missing")
	case o.Streams == nil:
		return nil, errors.New("hub: Streams is missing")
	}
	return &Publisher{Hub: h, streams: o.Streams, clean: o.Clean}, nil
}

// PublishOptions are the options of one publish. The zero value is the default.
type PublishOptions struct {
	// IdempotencyKey, at most MaxNameBytes long, makes a repeat in the same channel within
	// IdempotencyWindow send nothing, and return the first result; "" for none.
	IdempotencyKey string
	// SkipHistory sends direct in a channel with history: without an offset and without order.
	SkipHistory bool
	// Tags are sent with the message. Their limits are those of ValidateTags.
	Tags map[string]string
	// Version and VersionEpoch have the meaning of AppendOptions. They need a stream.
	Version      uint64
	VersionEpoch string
}

// Published is the result of a publish.
type Published struct {
	// Position is that of the message in its stream. It is zero for a message that was sent
	// direct.
	Position Position
	// Result is that of the dispatch of a message that was sent direct. Of an earlier publish
	// under the same idempotency key only Delivered is known.
	Result
}

// Publish sends an application's message to a channel of its project. In a channel with a
// stream the message is appended: when Publish returns it has been dispatched, or certainly
// will be. It fails with ErrCategoryNotFound, ErrBadRequest, ErrLimitExceeded, ErrTooLarge,
// ErrTooManyRequests where the stream is more than MaxAhead ahead of its dispatch, or
// ErrConflict while another publish under the same key is in progress.
func (h *Publisher) Publish(ctx context.Context, p *Project, ch Channel, data json.RawMessage, o PublishOptions) (Published, error) {
	category, err := p.CategoryOf(ch)
	if err != nil {
		return Published{}, err
	}
	if o.IdempotencyKey != "" {
		if err := checkName("idempotency_key", o.IdempotencyKey); err != nil {
			return Published{}, err
		}
	}
	if len(o.VersionEpoch) > MaxNameBytes {
		return Published{}, ErrLimitExceeded.With("version_epoch is longer than 255 bytes")
	}
	if err := ValidateTags(o.Tags); err != nil {
		return Published{}, err
	}
	m, err := h.accept(p, category, p.Locate(ch), data)
	if err != nil {
		return Published{}, err
	}
	m.Tags = o.Tags
	return h.send(ctx, p, category, m, o)
}

// Broadcast sends a client's message to a channel of its project, which it need not be
// subscribed to. It fails, in this order, with ErrUnauthorized, ErrTokenExpired,
// ErrCategoryDenied, ErrOneWay, ErrChannelDenied, and as Publish does; with
// ErrTooManyRequests for a connection that sends faster than it may.
func (h *Publisher) Broadcast(ctx context.Context, cmd Command, ch Channel, data json.RawMessage) error {
	c, p, err := h.authenticated(ctx, cmd)
	if err != nil {
		return err
	}
	ch = p.Locate(ch)
	if err := authorize(p, c, Publish, ch); err != nil {
		return err
	}
	category := p.Categories[ch.Category]
	m, err := h.accept(p, category, ch, data)
	if err != nil {
		return err
	}
	m.Client = Client{Connection: c.ID, User: c.User, Info: c.Info}
	_, err = h.send(ctx, p, category, m, PublishOptions{})
	return err
}

// send sends a message as the options of its category say: direct or through its stream.
func (h *Publisher) send(ctx context.Context, p *Project, category Category, m Message, o PublishOptions) (Published, error) {
	if s, ok := p.Stream(m.Channel); ok && (!o.SkipHistory || s.Retention.Size == 0) {
		return h.append(ctx, p, s, m, o)
	}
	if o.Version != 0 {
		return Published{}, ErrBadRequest.With("version needs a category with history_size or ordered, and no skip_history")
	}
	result, err := h.sendDirect(ctx, p, category, m, o.IdempotencyKey)
	return Published{Result: result}, err
}

// sendDirect dispatches a message, under an idempotency key unless that is "". It fails unless
// a post to every subscriber of the channel was begun, and where API Gateway refused all of
// them. What it found gone is removed after the answer.
func (h *Publisher) sendDirect(ctx context.Context, p *Project, category Category, m Message, idempotencyKey string) (Result, error) {
	ch := m.Channel
	if idempotencyKey != "" {
		claim, err := h.store.Claim(ctx, ch, idempotencyKey, m.ID, h.now())
		if err != nil {
			return Result{}, err
		}
		if claim.Settled != nil {
			return *claim.Settled, nil
		}
		m.ID = claim.Message
	}
	result, feed, err := h.dispatch(ctx, p, m)
	// What follows is done even after ctx has ended.
	ctx, cancel := after(ctx, concludeTimeout)
	defer cancel()
	if err == nil {
		err = result.Err()
		if err == nil {
			h.emit(ctx, category, m)
		}
		h.count(ctx, ch.Project, 1, result.Delivered+feed.Delivered)
		h.reportEmpty(ctx, p, ch, result)
		if gone, ended := slices.Concat(result.Gone, feed.Gone), slices.Concat(result.Ended, feed.Ended); len(gone)+len(ended) > 0 {
			// Deferred, so that the claim is settled before work that may take long.
			defer h.later(ctx, cleanupTimeout, func(ctx context.Context) { h.cleanUp(ctx, gone, ended) })
		}
	}
	if err != nil {
		err = fmt.Errorf("publish in %s: %w", ch, err)
	}
	if idempotencyKey == "" {
		return result, err
	}
	if err != nil {
		return result, errors.Join(err, h.store.Release(ctx, ch, idempotencyKey))
	}
	// The message is delivered: an error would make the application send it again.
	if err := h.store.Settle(ctx, ch, idempotencyKey, Claim{&result, m.ID}, h.now()); err != nil {
		h.log.WarnContext(ctx, "settle idempotency key failed", "project", p.ID, "channel", ch.String(), "message", m.ID, "error", err)
	}
	return result, nil
}

// accept makes the message of a publish, within the limits of its category.
func (h *Publisher) accept(p *Project, category Category, ch Channel, data json.RawMessage) (Message, error) {
	if err := ch.Validate(); err != nil {
		return Message{}, err
	}
	data, err := h.prepare(category, data)
	if err != nil {
		return Message{}, err
	}
	return Message{ID: NewID(h.now()), Channel: ch, ProjectName: p.Name, CategoryID: category.ID, Data: data}, nil
}

// prepare compacts data and cleans it where the category says so.
func (h *Publisher) prepare(category Category, data json.RawMessage) (json.RawMessage, error) {
	checkSize := func(data []byte) error {
		if limit := category.MessageBytes(); len(data) > limit {
			return ErrTooLarge.With(fmt.Sprintf("data is %d bytes, at most %d are allowed in %s", len(data), limit, category.Title()))
		}
		return nil
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, data); err != nil || compact.Len() == 0 {
		return nil, ErrBadRequest.With("data is not JSON")
	}
	if err := checkSize(compact.Bytes()); err != nil {
		return nil, err
	}
	if category.CleanHTML || category.Hooks {
		// What this service cleans or others parse means the same to all of them.
		if err := checkPortable(compact.Bytes()); err != nil {
			return nil, err
		}
	}
	if !category.CleanHTML {
		return compact.Bytes(), nil
	}
	// Cleaning may make data longer, by escaping.
	cleaned, err := h.clean(compact.Bytes(), category.AllowedDomains)
	if err != nil {
		return nil, err
	}
	return cleaned, checkSize(cleaned)
}

// emit emits messages that were dispatched to all subscribers. It comes before the claim is
// settled or the progress recorded: what is interrupted between the two is repeated, and
// emitted again.
func (h *Publisher) emit(ctx context.Context, category Category, messages ...Message) {
	if category.Hooks && h.hooks != nil {
		// The rest of the time is for what follows.
		ctx, cancel := half(ctx)
		defer cancel()
		h.hooks.Emit(ctx, messages...)
	}
}

func (h *Publisher) count(ctx context.Context, project string, messages, deliveries int) {
	if err := h.store.Count(ctx, project, h.now(), messages, deliveries); err != nil {
		h.log.WarnContext(ctx, "count message failed", "project", project, "error", err)
	}
}
