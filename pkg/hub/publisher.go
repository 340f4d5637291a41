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

// Hooks emits published messages as events.
type Hooks interface {
	// Emit emits a message that was dispatched, within seconds, or until ctx ends. It
	// logs its failures.
	Emit(ctx context.Context, m Message)
}

// Publisher is a Hub that also publishes messages.
type Publisher struct {
	*Hub
	clean Clean
	hooks Hooks
}

// PublisherOptions are the parts of a Publisher. All are required except Hooks and what
// is optional in Options.
type PublisherOptions struct {
	Options
	Clean Clean
	// Hooks gets the messages of categories with Hooks; nil where there is no event bus.
	Hooks Hooks
}

// NewPublisher returns a Publisher. It fails, naming the part, when a required part is
// missing.
func NewPublisher(o PublisherOptions) (*Publisher, error) {
	h, err := New(o.Options)
	if err != nil {
		return nil, err
	}
	if o.Clean == nil {
		return nil, errors.New("hub: Clean is missing")
	}
	return &Publisher{Hub: h, clean: o.Clean, hooks: o.Hooks}, nil
}

// Publish sends an application's message to a channel of its project. With an
// idempotency key, at most MaxNameBytes long, the same key in the same channel sends
// nothing again for IdempotencyWindow, and returns the first result, of which only
// Delivered is kept. It fails with ErrCategoryNotFound, ErrBadRequest,
// ErrLimitExceeded, ErrTooLarge, or ErrConflict while another publish under the same
// key is in progress.
func (h *Publisher) Publish(ctx context.Context, p *Project, ch Channel, data json.RawMessage, idempotencyKey string) (Result, error) {
	category, ok := p.Categories[ch.Category]
	if !ok {
		return Result{}, ErrCategoryNotFound
	}
	if idempotencyKey != "" {
		if err := checkName("idempotency_key", idempotencyKey); err != nil {
			return Result{}, err
		}
	}
	return h.send(ctx, p, category, p.Locate(ch), data, idempotencyKey)
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
	_, err = h.send(ctx, p, p.Categories[ch.Category], ch, data, "")
	return err
}

// send accepts a message and dispatches it, under an idempotency key unless that is "". It
// fails unless a post to every subscriber of the channel was begun, and where API Gateway
// refused all of them. What it found gone is removed after the answer.
func (h *Publisher) send(ctx context.Context, p *Project, category Category, ch Channel, data json.RawMessage, idempotencyKey string) (Result, error) {
	m, err := h.accept(p, category, ch, data)
	if err != nil {
		return Result{}, err
	}
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
		h.emit(ctx, category, m, result)
		h.count(ctx, m, result.Delivered+feed.Delivered)
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
			return ErrTooLarge.With(fmt.Sprintf("data is %d bytes, at most %d are allowed in category %s", len(data), limit, category.Name))
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

// emit emits a message that was dispatched to all subscribers. It comes before the claim
// is settled: a publish that is interrupted between the two is repeated, and emitted again.
func (h *Publisher) emit(ctx context.Context, category Category, m Message, result Result) {
	if category.Hooks && h.hooks != nil && result.Err() == nil {
		// The rest of the time is for the claim.
		ctx, cancel := half(ctx)
		defer cancel()
		h.hooks.Emit(ctx, m)
	}
}

func (h *Publisher) count(ctx context.Context, m Message, deliveries int) {
	if err := h.store.Count(ctx, m.Channel.Project, h.now(), 1, deliveries); err != nil {
		h.log.WarnContext(ctx, "count message failed", "project", m.Channel.Project, "error", err)
	}
}
