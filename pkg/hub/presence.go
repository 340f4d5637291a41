package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"sync"

	"golang.org/x/sync/errgroup"
)

// The limits of Presence and PresenceStats.
const (
	// MaxPresence is how many clients Presence lists at most.
	MaxPresence = 10_000
	// MaxCounted is how many clients PresenceStats counts at most in each shard of a channel. Those
	// that have lost their right are not counted, and take their places: they are read, too.
	// That is about 2 MB of subscriptions.
	MaxCounted = 10_000
	// maxConcurrentShards is how many shards of a channel are read concurrently.
	maxConcurrentShards = 8
	// MaxPresenceBytes is the approximate limit on the bytes of its answer: less than the
	// 6 MB that a Lambda may return, with JSON's escapes.
	MaxPresenceBytes = 4 << 20
)

// Client is a connection that is in a channel.
type Client struct {
	// Connection is API Gateway's connection id.
	Connection string
	// User is "" for an anonymous client, Info nil where none was attached.
	User string
	Info json.RawMessage `json:",omitempty"`
	// ChannelInfo is the Info of its Membership, nil where it has none.
	ChannelInfo json.RawMessage `json:",omitempty"`
}

// Present is a client in a channel, and what its right to be there rests on.
type Present struct {
	Client
	Basis Basis
}

// PresenceStats counts the clients in a channel.
type PresenceStats struct {
	// Clients counts connections, Users distinct users: those without a name are one, as in
	// Centrifugo.
	Clients, Users int
	// Partial is set where a shard has more than MaxCounted clients, with those that have lost their
	// right: the counts may be too low.
	Partial bool
}

// Presences reads the clients in a channel. It costs no write: subscriptions carry
// the user and the info.
type Presences interface {
	// Presence yields the clients in one shard of a channel, page by page, and none
	// whose subscription has expired, is hidden, Unlisted or lost. After an error it yields nothing more.
	Presence(ctx context.Context, ch Channel, shard int) iter.Seq2[[]Present, error]
}

// Presence returns the clients in a channel, in no order. It fails with
// ErrCategoryNotFound, ErrNotAvailable where the category has no presence,
// ErrBadRequest, and ErrLimitExceeded for more than MaxPresence clients or
// MaxPresenceBytes.
func (h *Hub) Presence(ctx context.Context, p *Project, ch Channel) ([]Client, error) {
	return h.presence(ctx, p, ch, MaxPresenceBytes)
}

// ClientPresence returns the clients in a channel to a client of the same project, which
// need not be subscribed to the channel. It fails, in this order, with ErrUnauthorized,
// ErrTokenExpired, ErrCategoryDenied, ErrChannelDenied, and as Presence does, with
// MaxMessageBytes instead of MaxPresenceBytes.
func (h *Hub) ClientPresence(ctx context.Context, cmd Command, ch Channel) ([]Client, error) {
	c, p, err := h.authenticated(ctx, cmd)
	if err != nil {
		return nil, err
	}
	ch = p.Locate(ch)
	if err := authorize(p, c, ReadPresence, ch); err != nil {
		return nil, err
	}
	return h.presence(ctx, p, ch, MaxMessageBytes)
}

func (h *Hub) presence(ctx context.Context, p *Project, ch Channel, maxBytes int) ([]Client, error) {
	// keys is the approximate size of a client's keys, quotes and braces on the wire.
	const keys = 50
	var clients []Client
	bytes := 0
	err := h.presencePages(ctx, p, ch, func(_, _ int, page []Client) (bool, error) {
		clients = append(clients, page...)
		for _, c := range page {
			bytes += keys + 2*len(c.Connection) + len(c.User) + len(c.Info) + len(c.ChannelInfo)
		}
		if len(clients) > MaxPresence || bytes > maxBytes {
			return false, ErrLimitExceeded.With(fmt.Sprintf("the list of clients in %s is too long; presence_stats counts them", ch))
		}
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	return clients, nil
}

// PresenceStats counts the clients in a channel, at most MaxCounted in each of its shards. It
// fails as Presence does, but not for many clients.
func (h *Hub) PresenceStats(ctx context.Context, p *Project, ch Channel) (PresenceStats, error) {
	var stats PresenceStats
	users := make(map[string]bool)
	counted := make(map[int]int) // by shard, also those that are not admitted
	err := h.presencePages(ctx, p, ch, func(shard, read int, page []Client) (more bool, _ error) {
		if left := MaxCounted - counted[shard]; read > left {
			page, read, stats.Partial = page[:min(len(page), left)], left, true
		}
		counted[shard] += read
		stats.Clients += len(page)
		for _, c := range page {
			users[c.User] = true
		}
		return !stats.Partial || counted[shard] < MaxCounted, nil
	})
	stats.Users = len(users)
	return stats, err
}

func (c Category) noPresence() *Error {
	return ErrNotAvailable.With(c.Title() + " has no presence").WithHelp("turn on its option presence")
}

// presencePages calls page with all clients in a channel whose category has presence, one page of
// a shard at a time. read is how many there are with those that are not admitted. The shard is
// read on while page returns more. An error of page ends the reading.
func (h *Hub) presencePages(ctx context.Context, p *Project, ch Channel, page func(shard, read int, clients []Client) (more bool, err error)) error {
	if err := ch.Validate(); err != nil {
		return err
	}
	category, err := p.CategoryOf(ch)
	switch {
	case err != nil:
		return err
	case !category.Presence:
		return category.noPresence()
	}
	audience := p.audience(p.Locate(ch))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxConcurrentShards)
	// p may be some seconds old: a change since may admit the client.
	present := sync.OnceValues(func() (Audience, error) { return h.presentAudience(ctx, audience) })
	var mu sync.Mutex // one call of page at a time
	for shard := range audience.Shards {
		g.Go(func() error {
			for found, err := range h.store.Presence(ctx, audience.Channel, shard) {
				if err != nil {
					return err
				}
				clients, err := admitted(found, audience, present)
				if err != nil {
					return err
				}
				mu.Lock()
				more, err := page(shard, len(found), clients)
				mu.Unlock()
				if err != nil || !more {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// admitted are the clients whose right counts by the rule of an audience, or by that of the
// present one.
func admitted(found []Present, to Audience, present func() (Audience, error)) (clients []Client, _ error) {
	for _, c := range found {
		if !to.Rule.Admits(c.Basis) {
			now, err := present()
			if err != nil {
				return nil, err
			}
			if !now.Rule.Admits(c.Basis) {
				continue
			}
		}
		clients = append(clients, c.Client)
	}
	return clients, nil
}

// presentAudience is an audience with the rule that the last write of its project left. Where
// the channel is in the project no more, the rule stays.
func (h *Hub) presentAudience(ctx context.Context, to Audience) (Audience, error) {
	p, err := h.store.ReadProject(ctx, to.Channel.Project)
	if err != nil || !p.has(to.Channel) {
		return to, err
	}
	to.Rule = p.audience(to.Channel).Rule
	return to, nil
}
