package hub

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"
)

// UnsubscribeRequest is an application's unsubscribe of a user.
type UnsubscribeRequest struct {
	// From are the channels. The empty Selection is every channel.
	From Selection
	// Client is the id of the only connection that leaves them, "" for all of the user.
	Client string
}

// DisconnectRequest is an application's disconnect of a user.
type DisconnectRequest struct {
	// Client is the id of the only connection to close, "" for all of the user.
	Client string
	// Keep are ids of connections that stay open.
	Keep []string
	// Code and Reason are what clients of Centrifugo's protocol get. A Code of 0 is 3503,
	// "force disconnect". Classic clients get neither.
	Code   int
	Reason string
}

// SubscribeRequest is an application's subscribe of a user.
type SubscribeRequest struct {
	Channel Channel
	// Client is the id of the only connection to subscribe, "" for all of the user.
	Client string
	SubscribeOptions
	// Since is the position from which the subscriber recovers, nil for none.
	Since *Position
	// Expires is when the subscription ends, zero for no earlier than the connection.
	Expires time.Time
}

// RefreshRequest is an application's change of the end of connections of a user.
type RefreshRequest struct {
	// Client is the id of the only connection to change, "" for all of the user.
	Client string
	// Expired ends the connections now.
	Expired bool
	// Expires is when they end, zero for never.
	Expires time.Time
	// Info is a JSON value that replaces that of the connections, nil to keep it.
	Info json.RawMessage
}

// clients returns the connections of a user, as they were a moment ago, also those that are
// being closed; with a client only that one. The anonymous user has no connections without
// one. It fails with ErrBadRequest or ErrLimitExceeded for a name that is invalid.
func (h *Hub) clients(ctx context.Context, p *Project, user, client string) ([]Connection, error) {
	if client != "" {
		if err := checkName("client", client); err != nil {
			return nil, err
		}
	}
	if user != "" || client == "" {
		connections, err := h.userConnections(ctx, p, user)
		return slices.DeleteFunc(connections, func(c Connection) bool { return client != "" && c.ID != client }), err
	}
	// No index lists the connections of the anonymous user.
	c, err := h.store.Connection(ctx, client)
	switch {
	case errors.Is(err, ErrConnectionNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	case c.Project != p.ID || c.User != "":
		return nil, nil
	}
	return []Connection{c}, nil
}
