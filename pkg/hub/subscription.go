package hub

import (
	"context"
	"errors"
	"fmt"
	"iter"
)

// Subscriber is a subscription as a fan-out reads it.
type Subscriber struct {
	Connection string
	Protocol   Protocol
}

// Subscriptions keeps the subscribers of channels.
type Subscriptions interface {
	// Subscribe adds c to channels, a map to the number of shards of each: first on the
	// connection, then as subscriptions, so that an interruption leaks nothing. A channel
	// that c is in already is renewed in its shard. It fails with ErrConnectionNotFound when
	// the connection is over, and with ErrLimitExceeded when it would be in more than
	// MaxChannels. One request, and one more for every 25 channels.
	Subscribe(ctx context.Context, c Connection, channels map[Channel]int) error
	// Unsubscribe removes c from channels. It ignores channels that c is not in. One
	// request, and one more for every 25 channels; none where c is in none of them.
	Unsubscribe(ctx context.Context, c Connection, channels []Channel) error
	// RemoveSubscriber removes a subscription in a shard of a channel, whether or not
	// its connection names it. One that does not exist is no error. One request.
	RemoveSubscriber(ctx context.Context, ch Channel, shard int, connection string) error
	// Subscribers yields the subscribers of one shard of a channel, page by page as
	// they are read: all those whose subscription was acknowledged before the call,
	// and none that has expired. A page does not change once it is yielded. After an
	// error it yields nothing more. It ends soon after ctx does.
	Subscribers(ctx context.Context, ch Channel, shard int) iter.Seq2[[]Subscriber, error]
}

// Refusal is a channel that a subscribe was refused, and the reason.
type Refusal struct {
	Channel Channel
	Reason  *Error
}

// Subscribe subscribes a connection to channels of its project, and returns the channels
// that it was refused. It fails with ErrUnauthorized, ErrTokenExpired, ErrBadRequest or
// ErrLimitExceeded, and has then subscribed to nothing.
func (h *Hub) Subscribe(ctx context.Context, connection string, channels []Channel) ([]Refusal, error) {
	c, p, err := h.authenticated(ctx, connection)
	if err != nil {
		return nil, err
	}
	if n := len(channels); n > MaxChannels {
		return nil, ErrLimitExceeded.With(fmt.Sprintf("%d channels in one command, at most %d a connection are allowed", n, MaxChannels))
	}
	granted := make(map[Channel]int)
	var refused []Refusal
	for _, ch := range channels {
		ch.Project = p.ID
		if err := ch.Validate(); err != nil {
			return nil, err
		}
		if err := authorize(p, c, Subscribe, ch); err != nil {
			refused = append(refused, Refusal{ch, Public(err)})
			continue
		}
		granted[ch] = p.Categories[ch.Category].ShardCount()
	}
	if len(granted) == 0 {
		return refused, nil
	}
	return refused, h.join(ctx, c, granted)
}

// join subscribes a connection to channels, a map to the number of shards of each,
// and announces the joins.
func (h *Hub) join(ctx context.Context, c Connection, channels map[Channel]int) error {
	if err := h.store.Subscribe(ctx, c, channels); err != nil {
		return err
	}
	var joins []announcement
	for ch := range channels {
		if _, subscribed := c.Channels[ch]; !subscribed {
			joins = append(joins, announcement{Join, c, ch})
		}
	}
	h.announce(ctx, joins)
	return nil
}

// Unsubscribe removes a connection from channels of its project. It ignores channels that
// the connection is not in. It fails with ErrUnauthorized or ErrTokenExpired.
func (h *Hub) Unsubscribe(ctx context.Context, connection string, channels []Channel) error {
	c, _, err := h.authenticated(ctx, connection)
	if err != nil {
		return err
	}
	left := make(map[Channel]bool, len(channels))
	for _, ch := range channels {
		ch.Project = c.Project
		left[ch] = true
	}
	return h.leave(ctx, c, func(ch Channel) bool { return left[ch] })
}

// UnsubscribeUser removes all connections of a user from the selected channels. It does
// nothing for the anonymous user, which has no connections of its own. It fails with
// ErrLimitExceeded for a name that is too long.
func (h *Hub) UnsubscribeUser(ctx context.Context, p *Project, user string, from Selection) error {
	if user == "" {
		return nil
	}
	connections, err := h.UserConnections(ctx, p, user)
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range connections {
		if err := h.leave(ctx, c, from.contains); err != nil && !errors.Is(err, ErrConnectionNotFound) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// leave removes a connection from those of its channels that selected reports, and
// announces the leaves.
func (h *Hub) leave(ctx context.Context, c Connection, selected func(Channel) bool) error {
	var channels []Channel
	var left []announcement
	for ch := range c.Channels {
		if selected(ch) {
			channels = append(channels, ch)
			left = append(left, announcement{Leave, c, ch})
		}
	}
	if len(channels) == 0 {
		return nil
	}
	if err := h.store.Unsubscribe(ctx, c, channels); err != nil {
		return err
	}
	h.announce(ctx, left)
	return nil
}
