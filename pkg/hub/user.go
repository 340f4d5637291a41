package hub

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
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

// SubscribeUser subscribes connections of a user to a channel, whatever their rights are. Clients
// of Centrifugo's protocol get a notice. A connection that is subscribed already is subscribed anew.
// SubscribeUser waits a moment for connections that are logging in.
// It fails with ErrCategoryNotFound, with ErrBadRequest or ErrLimitExceeded for a name that is
// invalid, and where a connection is in too many channels.
func (h *Publisher) SubscribeUser(ctx context.Context, p *Project, user string, r SubscribeRequest) error {
	if err := r.Channel.Validate(); err != nil {
		return err
	}
	if _, err := p.CategoryOf(r.Channel); err != nil {
		return err
	}
	connections, err := h.clients(ctx, p, user, r.Client)
	if err != nil {
		return err
	}
	if connections, err = h.awaitReplies(ctx, connections); err != nil {
		return err
	}
	var (
		mu   sync.Mutex
		errs []error
		g    errgroup.Group
	)
	g.SetLimit(maxConcurrentCloses)
	for _, c := range connections {
		if c.Closing || c.LoggingIn || h.valid(p, c) != nil {
			continue
		}
		g.Go(func() error {
			err := h.subscribeConnection(ctx, p, c, r)
			mu.Lock()
			defer mu.Unlock()
			if !errors.Is(err, ErrConnectionNotFound) {
				errs = append(errs, err)
			}
			return nil
		})
	}
	_ = g.Wait() // errs has the failures
	return errors.Join(errs...)
}

// replyWait is how long a request of the application waits for the writes that clients have the
// replies to their logins. A client may have its reply already, and the application may know that.
const replyWait = 500 * time.Millisecond

// awaitReplies reads connections whose clients are logging in again until they are not, or for
// replyWait.
func (h *Hub) awaitReplies(ctx context.Context, connections []Connection) ([]Connection, error) {
	connections = slices.Clone(connections)
	waiting := func(c Connection) bool { return c.LoggingIn && !c.Closing }
	for waited, poll := time.Duration(0), firstLoginPoll; waited < replyWait && slices.ContainsFunc(connections, waiting); waited, poll = waited+poll, min(2*poll, maxLoginPoll) {
		if err := h.wait(ctx, poll); err != nil {
			return nil, err
		}
		for i, c := range connections {
			if !waiting(c) {
				continue
			}
			switch read, err := h.store.Connection(ctx, c.ID); {
			case errors.Is(err, ErrConnectionNotFound):
				connections[i].Closing = true
			case err != nil:
				return nil, err
			default:
				connections[i] = read
			}
		}
	}
	return connections, nil
}

func (h *Publisher) subscribeConnection(ctx context.Context, p *Project, c Connection, r SubscribeRequest) error {
	if c.Protocol == Classic {
		return h.change(ctx, c, UnsubscribedInsufficientState, func(c Connection) (Change, error) {
			return h.join(p, c, without(c.Channels, nil), []Channel{p.Locate(r.Channel)}, Command{Connection: c.ID})
		})
	}
	s := &Session{Publisher: h, cmd: Command{Connection: c.ID}, c: c, project: p}
	cmd := SubscribeCommand{Channel: r.Channel, server: true, pushed: true, options: r.SubscribeOptions, expires: r.Expires}
	if r.Since != nil {
		cmd.Recover, cmd.Since = true, *r.Since
	}
	outcomes, err := s.subscribe(ctx, c, []SubscribeCommand{cmd}, func(c Connection) (Connection, error) { return c, h.valid(p, c) })
	if err != nil {
		return errors.Join(err, s.Proceed(ctx)) // what was written is announced
	}
	outcome := outcomes[0]
	if outcome.Err != nil {
		return outcome.Err
	}
	if _, err := h.inform(ctx, []Notice{{
		Connection: c.ID, Protocol: c.Protocol, Kind: SubscribedTo, Channel: p.Locate(r.Channel),
		Recoverable: outcome.Recoverable, Position: outcome.Position, Data: outcome.Data,
	}}, nil); err != nil {
		return err
	}
	return s.Proceed(ctx)
}

// RefreshUser changes the end of connections of a user, and their info. A client whose
// connection has expired connects again, with another token. It fails with ErrBadRequest or
// ErrLimitExceeded for a name that is invalid.
func (h *Hub) RefreshUser(ctx context.Context, p *Project, user string, r RefreshRequest) error {
	connections, err := h.clients(ctx, p, user, r.Client)
	if err != nil {
		return err
	}
	if r.Expired || !r.Expires.IsZero() && !r.Expires.After(h.now()) {
		return h.terminate(ctx, connections, DisconnectExpired)
	}
	// What an expired one has missed is recovered when it connects again.
	over := slices.Clone(connections)
	over = slices.DeleteFunc(over, func(c Connection) bool { return c.Closing || c.Until().After(h.now()) })
	if err := h.terminate(ctx, over, DisconnectExpired); err != nil {
		return err
	}
	connections = slices.DeleteFunc(connections, func(c Connection) bool { return c.Closing || !c.Until().After(h.now()) })
	return h.changeAll(ctx, connections, UnsubscribedByServer, func(c Connection) (Change, error) {
		c.TokenExpires = r.Expires
		if r.Info != nil {
			c.Info = r.Info
		}
		return Change{Connection: c}, nil
	})
}
