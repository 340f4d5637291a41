package hub

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"
)

// Protocol names the wire format of a connection. A dispatcher has an encoder for
// each.
type Protocol string

// The protocols that connections speak.
const (
	// Classic is the format of 2013.
	Classic Protocol = "classic"
)

// Connection is one client's WebSocket.
type Connection struct {
	// ID is API Gateway's connection id.
	ID string
	// Origin is the Origin header of the handshake, "" where there was none.
	Origin string
	// Expires is when the connection ends at the latest.
	Expires time.Time

	// Project is "" until the client has authenticated, like all that follows.
	Project string
	// User is "" for an anonymous client.
	User string
	// Info is a JSON value that the application attached to the user, or nil.
	Info json.RawMessage
	// Permissions are the channels that the connection may use.
	Permissions Permissions
	// Protocol is the wire format of its pushes.
	Protocol Protocol
	// TokenExpires is when the token ends, zero for one that does not.
	TokenExpires time.Time

	// Channels are the channels subscribed to, each with the shard that holds the
	// subscription.
	Channels map[Channel]int
}

// Until is when the connection stops receiving: at the end of the connection or
// of its token, whichever is first.
func (c Connection) Until() time.Time {
	if !c.TokenExpires.IsZero() && c.TokenExpires.Before(c.Expires) {
		return c.TokenExpires
	}
	return c.Expires
}

// Connections keeps connections. Every method is one request to the store, unless
// its comment says otherwise.
type Connections interface {
	// OpenConnection records a connection that has not authenticated: its ID,
	// Origin and Expires.
	OpenConnection(ctx context.Context, c Connection) error
	// Authenticate records the identity of c. It fails with ErrConnectionNotFound when
	// the connection is over. It changes nothing when the connection is authenticated and
	// its token is valid at now. after is the connection where it has the identity of c
	// now, also by an earlier call; otherwise zero. Where the new identity replaces one
	// whose token has expired, before is the connection as it was; it is in no channel
	// any more.
	Authenticate(ctx context.Context, c Connection, now time.Time) (before, after Connection, err error)
	// Connection returns a connection as the last write left it. It fails with
	// ErrConnectionNotFound.
	Connection(ctx context.Context, id string) (Connection, error)
	// CloseConnection removes a connection and the subscriptions that it names, and
	// returns it as it was: one request, and one more for every 25 subscriptions. A
	// connection that does not exist is no error, and the zero Connection: so only one
	// of several calls returns it. It may fail after the connection was removed, and
	// returns the connection then too.
	CloseConnection(ctx context.Context, id string) (Connection, error)
	// UserConnections returns the connections of a named user, as they were a
	// moment ago: one request, and one more for every 100 connections.
	UserConnections(ctx context.Context, project, user string) ([]Connection, error)
}

// Handshake is the request that opens a connection.
type Handshake struct {
	Connection string
	// Origin is the header of that name, "" where there is none.
	Origin string
	// Project is the id in the URL, "" for none: then the Origin is checked at auth.
	Project string
}

// Connect opens a connection. It fails with ErrProjectNotFound or with
// ErrPermissionDenied when the URL names a project that does not exist or does
// not allow the Origin.
func (h *Hub) Connect(ctx context.Context, hs Handshake) error {
	if hs.Project != "" {
		p, err := h.store.Project(ctx, hs.Project)
		if err != nil {
			return err
		}
		if !p.Options.AllowsOrigin(hs.Origin) {
			return errOrigin(hs.Origin)
		}
	}
	if len(hs.Origin) > MaxNameBytes {
		return ErrLimitExceeded.With("the Origin header is longer than 255 bytes")
	}
	return h.store.OpenConnection(ctx, Connection{
		ID: hs.Connection, Origin: hs.Origin, Expires: h.now().Add(MaxConnectionAge),
	})
}

// Disconnect removes a connection that is over, with its subscriptions, and
// announces its leaves.
func (h *Hub) Disconnect(ctx context.Context, connection string) error {
	c, err := h.store.CloseConnection(ctx, connection)
	h.announce(ctx, leaves(c))
	return err
}

// DisconnectUser closes all connections of a user and announces their leaves. It
// fails with ErrBadRequest for the anonymous user and with ErrLimitExceeded for a
// name that is too long.
func (h *Hub) DisconnectUser(ctx context.Context, p *Project, user string) error {
	connections, err := h.UserConnections(ctx, p, user)
	if err != nil {
		return err
	}
	// The state is removed first: no connection of the user remains when this returns. API
	// Gateway invokes $disconnect some time later.
	ids := make([]string, len(connections))
	closed := make([]Connection, len(connections))
	errs := make([]error, len(connections))
	var g errgroup.Group
	g.SetLimit(maxConcurrentCloses)
	for i, c := range connections {
		ids[i] = c.ID
		g.Go(func() error {
			closed[i], errs[i] = h.store.CloseConnection(ctx, c.ID)
			return nil
		})
	}
	_ = g.Wait() // errs has the failures
	errs = append(errs, h.dispatcher.Disconnect(ctx, ids))
	h.announce(ctx, leaves(closed...))
	return errors.Join(errs...)
}

// UserConnections returns the connections of a named user, as they were a moment
// ago. It fails with ErrBadRequest for the anonymous user and with ErrLimitExceeded
// for a name that is too long.
func (h *Hub) UserConnections(ctx context.Context, p *Project, user string) ([]Connection, error) {
	if err := checkName("user", user); err != nil {
		return nil, err
	}
	return h.store.UserConnections(ctx, p.ID, user)
}
