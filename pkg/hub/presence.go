package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
)

// The limits on who Presence names. PresenceStats counts any number.
const (
	// MaxPresence is how many clients it names.
	MaxPresence = 10_000
	// MaxPresenceBytes is about how many bytes its answer has at most: less than the 6
	// MB that a Lambda may answer, escaped as they are on their way.
	MaxPresenceBytes = 4 << 20
)

// Client is who is in a channel with one connection.
type Client struct {
	// Connection is API Gateway's connection id.
	Connection string
	// User is "" for an anonymous client, Info nil where none was attached.
	User string
	Info json.RawMessage
}

// PresenceStats counts who is in a channel.
type PresenceStats struct {
	// Clients counts connections, Users distinct named users.
	Clients, Users int
}

// Presences reads who is in a channel. It costs nothing to keep: subscriptions
// carry what it tells.
type Presences interface {
	// Presence yields the clients in one shard of a channel, page by page, and none
	// whose subscription has expired. After an error it yields nothing more.
	Presence(ctx context.Context, ch Channel, shard int) iter.Seq2[[]Client, error]
}

// Presence returns who is in a channel, in no order. It fails with
// ErrCategoryNotFound, ErrNotAvailable where the category does not have it,
// ErrBadRequest, and ErrLimitExceeded for more than MaxPresence clients or
// MaxPresenceBytes.
func (h *Hub) Presence(ctx context.Context, p *Project, ch Channel) ([]Client, error) {
	return h.presence(ctx, p, ch, MaxPresenceBytes)
}

func (h *Hub) presence(ctx context.Context, p *Project, ch Channel, maxBytes int) ([]Client, error) {
	// keys is about what a client's keys, quotes and braces take on the wire.
	const keys = 50
	var clients []Client
	bytes := 0
	err := h.present(ctx, p, ch, func(page []Client) error {
		clients = append(clients, page...)
		for _, c := range page {
			bytes += keys + 2*len(c.Connection) + len(c.User) + len(c.Info)
		}
		if len(clients) > MaxPresence || bytes > maxBytes {
			return ErrLimitExceeded.With(fmt.Sprintf("more clients are in %s than an answer holds; presence_stats counts them", ch))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return clients, nil
}

// PresenceStats counts who is in a channel. It fails as Presence does, but for the
// limit.
func (h *Hub) PresenceStats(ctx context.Context, p *Project, ch Channel) (PresenceStats, error) {
	var stats PresenceStats
	users := make(map[string]bool)
	err := h.present(ctx, p, ch, func(page []Client) error {
		stats.Clients += len(page)
		for _, c := range page {
			if c.User != "" {
				users[c.User] = true
			}
		}
		return nil
	})
	stats.Users = len(users)
	return stats, err
}

// present calls page with all who are in a channel whose category tells.
func (h *Hub) present(ctx context.Context, p *Project, ch Channel, page func([]Client) error) error {
	if err := ch.Validate(); err != nil {
		return err
	}
	category, ok := p.Categories[ch.Category]
	switch {
	case !ok:
		return ErrCategoryNotFound
	case !category.Presence:
		return ErrNotAvailable.With("category " + ch.Category + " has no presence")
	}
	for shard := range category.ShardCount() {
		for clients, err := range h.Presences.Presence(ctx, ch, shard) {
			if err != nil {
				return err
			}
			if err := page(clients); err != nil {
				return err
			}
		}
	}
	return nil
}
