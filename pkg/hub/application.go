package hub

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Publication is a message to be sent.
type Publication struct {
	Category string
	Channel  string
	// Data is any JSON value.
	Data json.RawMessage
}

// Publish sends an application's message. With an idempotency key, at most
// MaxNameBytes long, the same key in the same channel sends nothing again for
// IdempotencyWindow. It fails with ErrCategoryNotFound, ErrBadRequest,
// ErrLimitExceeded, ErrTooLarge, or ErrConflict while a publish under the same
// key is under way.
func (h *Hub) Publish(ctx context.Context, p *Project, pub Publication, idempotencyKey string) (Report, error) {
	options, ok := p.Categories[pub.Category]
	if !ok {
		return Report{}, ErrCategoryNotFound
	}
	if idempotencyKey == "" {
		report, dead, err := h.send(ctx, p, options, pub)
		h.tell(ctx, left(dead...))
		return report, err
	}
	ch := Channel{Project: p.ID, Category: pub.Category, Name: pub.Channel}
	if err := ch.Validate(); err != nil {
		return Report{}, err
	}
	if err := checkName("idempotency_key", idempotencyKey); err != nil {
		return Report{}, err
	}
	settled, err := h.Claims.Claim(ctx, ch, idempotencyKey, h.Now())
	if settled || err != nil {
		return Report{}, err
	}
	report, dead, err := h.send(ctx, p, options, pub)
	// The claim is settled or freed even when the caller has gone meanwhile, and before
	// anything that could take long.
	after := context.WithoutCancel(ctx)
	if err != nil {
		err = errors.Join(err, h.Claims.Release(after, ch, idempotencyKey))
	} else {
		err = h.Claims.Settle(after, ch, idempotencyKey, h.Now())
	}
	h.tell(ctx, left(dead...))
	return report, err
}

// send delivers a message that its sender was entitled to send, and returns the
// connections that turned out to be over, of which nobody has been told.
func (h *Hub) send(ctx context.Context, p *Project, options Category, pub Publication) (Report, []Connection, error) {
	m := Message{
		ID: NewID(h.Now()), Channel: Channel{Project: p.ID, Category: pub.Category, Name: pub.Channel},
		ProjectName: p.Name, CategoryID: options.ID,
	}
	if err := m.Channel.Validate(); err != nil {
		return Report{}, nil, err
	}
	var err error
	if m.Data, err = h.data(options, pub.Data); err != nil {
		return Report{}, nil, err
	}
	to := []Audience{{Channel: m.Channel, Shards: options.ShardCount()}}
	if options.PublishToAdmins {
		to = append(to, Audience{Channel: Feed(p.ID), Shards: 1, BestEffort: true})
	}
	report, dead, err := h.post(ctx, m, to)
	if errors.Is(err, ErrTooLarge) {
		return report, nil, err
	}
	// Counted and handed on even when the caller has gone meanwhile.
	after := context.WithoutCancel(ctx)
	if err == nil && options.Hooks && h.Hooks != nil {
		h.Hooks.Emit(after, m)
	}
	if err := h.Counters.Count(after, p.ID, h.Now(), 1, report.Delivered); err != nil {
		h.Log.WarnContext(ctx, "a message is not counted", "project", p.ID, "error", err)
	}
	return report, dead, err
}

// data is what is sent of the data that a sender gave.
func (h *Hub) data(options Category, given json.RawMessage) (json.RawMessage, error) {
	fits := func(data []byte) error {
		if limit := options.MessageBytes(); len(data) > limit {
			return ErrTooLarge.With(fmt.Sprintf("data is %d bytes, at most %d are allowed in category %s", len(data), limit, options.Name))
		}
		return nil
	}
	var data bytes.Buffer
	if err := json.Compact(&data, given); err != nil || data.Len() == 0 {
		return nil, ErrBadRequest.With("data is not JSON")
	}
	if err := fits(data.Bytes()); err != nil || !options.CleanHTML {
		return data.Bytes(), err
	}
	// Cleaning may make data longer, by escaping.
	cleaned, err := h.Clean(data.Bytes(), options.AllowedDomains)
	if err != nil {
		return nil, err
	}
	return cleaned, fits(cleaned)
}

// UnsubscribeUser takes all connections of a user out of channels: from an empty
// Selection, out of every channel; from a category with no names, out of all its
// channels. The anonymous user has no connections of its own: nothing is done. It
// fails with ErrLimitExceeded for a name that is too long.
func (h *Hub) UnsubscribeUser(ctx context.Context, p *Project, user string, from Selection) error {
	if user == "" {
		return nil
	}
	if err := checkName("user", user); err != nil {
		return err
	}
	connections, err := h.Connections.UserConnections(ctx, p.ID, user)
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range connections {
		var channels []Channel
		for ch := range c.Channels {
			names, listed := from[ch.Category]
			if len(from) == 0 || listed && (len(names) == 0 || slices.Contains(names, ch.Name)) {
				channels = append(channels, ch)
			}
		}
		if err := h.leave(ctx, c, channels); err != nil && !errors.Is(err, ErrConnectionNotFound) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// DisconnectUser ends all connections of a user. It fails with ErrBadRequest for
// the anonymous user and with ErrLimitExceeded for a name that is too long.
func (h *Hub) DisconnectUser(ctx context.Context, p *Project, user string) error {
	connections, err := h.ConnectionsOf(ctx, p, user)
	if err != nil {
		return err
	}
	// State goes first: when this returns nothing of the user is left, whereas what
	// $disconnect does comes in its own time.
	ids := make([]string, len(connections))
	var errs []error
	var closed []Connection
	for i, c := range connections {
		ids[i] = c.ID
		was, err := h.Connections.CloseConnection(ctx, c.ID)
		closed, errs = append(closed, was), append(errs, err)
	}
	errs = append(errs, h.Delivery.Disconnect(ctx, ids))
	h.tell(ctx, left(closed...))
	return errors.Join(errs...)
}

// ConnectionsOf returns the connections of a named user, as they were a moment
// ago. It fails with ErrBadRequest for the anonymous user and with ErrLimitExceeded
// for a name that is too long.
func (h *Hub) ConnectionsOf(ctx context.Context, p *Project, user string) ([]Connection, error) {
	if err := checkName("user", user); err != nil {
		return nil, err
	}
	return h.Connections.UserConnections(ctx, p.ID, user)
}

// Usage counts who is connected to a project, in the channels whose
// "category:name" matches pattern: shell wildcards as in path.Match, but with
// "*" crossing slashes too, and "" for all. It reads the whole table. It fails
// with ErrBadRequest for a malformed pattern.
func (h *Hub) Usage(ctx context.Context, p *Project, pattern string) (Usage, error) {
	matches, err := glob(pattern)
	if err != nil {
		return Usage{}, err
	}
	usage, err := h.Usages.Usage(ctx, p.ID)
	if err != nil {
		return Usage{}, err
	}
	for ch := range usage.Subscribers {
		if ch == Feed(p.ID) || !matches(ch.String()) {
			delete(usage.Subscribers, ch)
		}
	}
	return usage, nil
}

// glob compiles a pattern.
func glob(pattern string) (func(string) bool, error) {
	if pattern == "" {
		return func(string) bool { return true }, nil
	}
	// path.Match stops "*" at a slash; channel names have no hierarchy.
	flat := func(s string) string { return strings.ReplaceAll(s, "/", "\x00") }
	if _, err := path.Match(flat(pattern), ""); err != nil || len(pattern) > MaxNameBytes {
		return nil, ErrBadRequest.With("pattern is not a shell pattern of at most 255 bytes")
	}
	return func(s string) bool {
		ok, _ := path.Match(flat(pattern), flat(s))
		return ok
	}, nil
}
