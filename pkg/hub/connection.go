package hub

import (
	"context"
	"encoding/json"
	"time"
)

// Protocol is the wire format of a connection: the name under which delivery
// finds its encoder.
type Protocol string

// The protocols that connections speak.
const (
	// Classic is the format of 2013.
	Classic Protocol = "classic"
)

// MaxConnectionAge is after how long nothing of a connection counts any more:
// API Gateway ends it at two hours, and clocks differ.
const MaxConnectionAge = 2*time.Hour + 10*time.Minute

// Connection is one client's WebSocket.
type Connection struct {
	// ID is API Gateway's connection id.
	ID string
	// Origin is the Origin header of the handshake, "" where there was none.
	Origin string
	// Expires is when the connection ends for certain.
	Expires time.Time

	// Project is "" until the client has authenticated, like all that follows.
	Project string
	// User is "" for an anonymous client.
	User string
	// Info is a JSON value that the application attached to the user, or nil.
	Info json.RawMessage
	// Permissions is what the connection may use.
	Permissions Permissions
	// Protocol is how to talk to it.
	Protocol Protocol
	// TokenExpires is when the token ends, zero for one that does not.
	TokenExpires time.Time

	// Channels are the channels subscribed to, each with the shard its subscription
	// is in.
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

// Connections keeps connections. Every method is one request to the store unless
// it says otherwise.
type Connections interface {
	// OpenConnection records a connection that has not authenticated: its ID,
	// Origin and Expires.
	OpenConnection(ctx context.Context, c Connection) error
	// Authenticate records who c is. It fails with ErrConnectionNotFound when the
	// connection is over, and changes nothing when it had been authenticated and that is
	// still good at now. Where another identity is replaced, whose token has expired, it
	// returns the connection as it was; it is in no channel any more.
	Authenticate(ctx context.Context, c Connection, now time.Time) (before Connection, err error)
	// Connection returns a connection as the last write left it. It fails with
	// ErrConnectionNotFound.
	Connection(ctx context.Context, id string) (Connection, error)
	// CloseConnection removes a connection and all its subscriptions, and returns it
	// as it was: one request, and one more for every 25 subscriptions. One that is
	// gone already is no error, and the zero Connection; so only one of several calls
	// gets it.
	CloseConnection(ctx context.Context, id string) (Connection, error)
	// UserConnections returns the connections of a named user, as they were a
	// moment ago: one request, and one more for every 100 connections.
	UserConnections(ctx context.Context, project, user string) ([]Connection, error)
}
