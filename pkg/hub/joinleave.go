package hub

import (
	"context"
	"errors"
	"sync"
)

// deliver sends a message, and removes the connections that turn out to be over.
// Their leaving is told once the message has been posted: whoever is left hears of
// it, and the dead are not posted to again.
func (h *Hub) deliver(ctx context.Context, m Message, to []Audience) (Report, error) {
	report, dead, err := h.post(ctx, m, to)
	h.tellLeft(ctx, dead)
	return report, err
}

// post delivers a message and returns the connections that it removed, as they
// were.
func (h *Hub) post(ctx context.Context, m Message, to []Audience) (Report, []Connection, error) {
	var (
		mu   sync.Mutex
		dead []Connection
	)
	report, err := h.Delivery.Deliver(ctx, m, to, func(ctx context.Context, at Place) error {
		c, err := h.Connections.CloseConnection(ctx, at.Connection)
		if c.Project != "" {
			mu.Lock()
			dead = append(dead, c)
			mu.Unlock()
		}
		// Its connection may not have named this subscription.
		return errors.Join(err, h.Subscriptions.DropSubscriber(ctx, at))
	})
	return report, dead, err
}

// tellLeft tells those in the channels of connections that are over. Whoever turns
// out to be over meanwhile is told of in turn: each is removed, and so told of,
// once.
func (h *Hub) tellLeft(ctx context.Context, left []Connection) {
	// The caller may have gone by now; what it started is finished.
	ctx = context.WithoutCancel(ctx)
	for len(left) > 0 {
		c := left[0]
		left = append(left[1:], h.tell(ctx, Leave, c, channelsOf(c))...)
	}
}

// tell sends an event of a connection to those channels whose category has
// JoinLeave, and returns the connections that turned out to be over. It concerns
// nobody who could be told of a failure, which is logged.
func (h *Hub) tell(ctx context.Context, event Event, c Connection, channels []Channel) (dead []Connection) {
	if len(channels) == 0 {
		return nil
	}
	p, err := h.Projects.Project(ctx, c.Project)
	if err != nil {
		if !errors.Is(err, ErrProjectNotFound) {
			h.Log.ErrorContext(ctx, "nobody is told", "event", event, "connection", c.ID, "error", err)
		}
		return nil
	}
	for _, ch := range channels {
		category, ok := p.Categories[ch.Category]
		if !ok || !category.JoinLeave {
			continue
		}
		m := Message{
			ID: NewID(h.Now()), Channel: ch, ProjectName: p.Name, CategoryID: category.ID,
			Event: event, Client: Client{Connection: c.ID, User: c.User, Info: c.Info},
		}
		_, gone, err := h.post(ctx, m, []Audience{{ch, category.ShardCount()}})
		if err != nil {
			h.Log.ErrorContext(ctx, "not everybody is told", "event", event, "connection", c.ID, "channel", ch.String(), "error", err)
		}
		dead = append(dead, gone...)
	}
	return dead
}

// channelsOf lists the channels that a connection is in.
func channelsOf(c Connection) []Channel {
	channels := make([]Channel, 0, len(c.Channels))
	for ch := range c.Channels {
		channels = append(channels, ch)
	}
	return channels
}
