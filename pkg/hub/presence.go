package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
)

// MaxPresence is how many clients Presence names. PresenceStats counts any number.
const MaxPresence = 10_000

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
// ErrBadRequest, and ErrLimitExceeded for more than MaxPresence clients.
func (h *Hub) Presence(ctx context.Context, p *Project, ch Channel) ([]Client, error) {
	var clients []Client
	err := h.present(ctx, p, ch, func(page []Client) error {
		clients = append(clients, page...)
		if len(clients) > MaxPresence {
			return ErrLimitExceeded.With(fmt.Sprintf("more than %d clients are in %s", MaxPresence, ch))
		}
		return nil
	})
	return clients, err
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
