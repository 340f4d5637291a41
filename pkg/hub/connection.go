package hub

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"
)

// Protocol names the wire format of a connection. A dispatcher has an encoder for
// each.
type Protocol string

// The protocols that connections speak.
const (
	// Classic is the format of 2013.
	Classic Protocol = "classic"
	// Centrifugo is the JSON form of version 2 of the protocol of Centrifugo.
	Centrifugo Protocol = "centrifugo"
)

// Connection is one client's WebSocket. It names its subscriptions: what a fan-out reads is
// written together with it.
type Connection struct {
	// ID is API Gateway's connection id.
	ID string
	// Origin is the Origin header of the handshake, "" where there was none.
	Origin string
	// Scope is the id of the project in the URL of the handshake, "" for none.
	Scope string
	// Expires is when the connection ends at the latest.
	Expires time.Time

	// Project is "" until the client has authenticated, like all that follows.
	Project string
	// User is "" for an anonymous client.
	User string
	// LoggingIn means that the client may not have the reply to its login yet: nothing may be sent
	// to it. A request of the application that requires a notice closes the connection.
	LoggingIn bool
	// Info is a JSON value that the application attached to the user, or nil.
	Info json.RawMessage
	// Meta is a JSON value of the application that no client sees, or nil.
	Meta json.RawMessage
	// Permissions are the channels that the connection may use.
	Permissions Permissions
	// Protocol is the wire format of its pushes.
	Protocol Protocol
	// Batch means that a frame to the client may hold several pushes.
	Batch bool
	// TokenExpires is when the token ends, zero for one that does not.
	TokenExpires time.Time
	// Secret is what Basis.Secret says, "" for a connection of an earlier version.
	Secret string
	// MD5 means that the token is one that only the option allow_md5 admits.
	MD5 bool
	// AnyOrigin means that the project's list of origins does not matter.
	AnyOrigin bool
	// PingMinutes is the time between two pings, 0 for none.
	PingMinutes int
	// TokenChannels identifies the channels to which the token of a client that numbers its commands
	// subscribes it, "" for none.
	TokenChannels string
	// Proof identifies the token and the requested permissions of the last auth: a repeat
	// asks validate_url nothing.
	Proof string

	// Watched means that its project had DisconnectEvents when it got its identity.
	Watched bool

	// Channels are the channels subscribed to, each with the shard that holds the
	// subscription.
	Channels map[Channel]int
	// Order has the latest commands on channels.
	Order Order
	// ChannelInfo means that a subscription has an Info of its own, or had one. Where it is false
	// nobody reads a subscription for that.
	ChannelInfo bool
	// Announced means likewise that a subscription has an Announced of its own.
	Announced bool
	// Revision counts the changes of the connection.
	Revision int
	// Closing means that the connection is being closed. Only UserConnections returns one.
	Closing bool
}

// Until is when the connection stops receiving: at the end of the connection or
// of its token, whichever is first.
func (c Connection) Until() time.Time {
	if !c.TokenExpires.IsZero() && c.TokenExpires.Before(c.Expires) {
		return c.TokenExpires
	}
	return c.Expires
}

// Change is a new state of a connection.
type Change struct {
	// Connection is the new state. Of its fields ID, Origin, Scope, Expires and Revision do not
	// matter.
	Connection
	// Memberships are those of subscriptions that are written whole: the new ones, and those
	// that a later subscribe replaces. A new one that is not named has the zero Membership. What
	// other subscriptions have of their own stays.
	Memberships map[Channel]Membership
	// Renew are channels of the new state whose subscriptions are written although they
	// have not changed.
	Renew []Channel
	// Remove are subscriptions that are removed although the connection does not name them.
	Remove []Place
	// Paid means that the connection owes nothing for its commands so far.
	Paid bool
}

// Writes reports whether the change of a connection whose state is before writes its subscription
// to a channel: where that is new, or is written anew.
func (c Change) Writes(before Connection, ch Channel) bool {
	shard, names := c.Channels[ch]
	was, named := before.Channels[ch]
	_, whole := c.Memberships[ch]
	return names && (!named || was != shard || whole || c.carried() != before.carried() || slices.Contains(c.Renew, ch))
}

// carried is what subscriptions carry of their connection.
type carried struct {
	protocol   Protocol
	batch      bool
	until      int64 // in seconds since 1970
	user, info string
	basis      Basis
}

func (c Connection) carried() carried {
	return carried{c.Protocol, c.Batch, c.Until().Unix(), c.User, string(c.Info), c.Basis()}
}

// Place is where the subscription of a connection in a channel is kept.
type Place struct {
	Channel Channel
	Shard   int
}

// Connections keeps connections. Every method is one request to the store, unless
// its comment says otherwise. A connection that is being closed does not exist for any
// method except BeginClose and FinishClose.
type Connections interface {
	// OpenConnection records a connection that has not authenticated: its ID,
	// Origin, Scope and Expires.
	OpenConnection(ctx context.Context, c Connection) error
	// Connection returns a connection as the last write left it. It fails with
	// ErrConnectionNotFound.
	Connection(ctx context.Context, id string) (Connection, error)
	// Spend adds cost to the debt of a connection, which shrinks as time passes, unless it
	// would exceed limit then. It returns the connection as the last write left it, and the
	// debt, which is over limit where nothing was added. It fails with
	// ErrConnectionNotFound. One request; two where there is a debt already.
	Spend(ctx context.Context, id string, cost, limit time.Duration, now time.Time) (c Connection, debt time.Duration, err error)
	// ChangeConnection changes a connection, and its subscriptions with it, in one
	// transaction for every 99 subscriptions. plan, a pure function, gets the state of the
	// connection and returns the new one, or an error, which is returned. When another
	// change comes between, plan is called again: c is the first state that it gets. before
	// is the state that after replaces. It fails with ErrConnectionNotFound when the
	// connection is over. A call that was interrupted between two transactions leaves a
	// state in which connection and subscriptions agree.
	ChangeConnection(ctx context.Context, c Connection, plan func(Connection) (Change, error)) (before, after Connection, err error)
	// BeginClose marks a connection as being closed by the caller, for CloseLease, and
	// returns it as it was. A connection that does not exist, or that another caller is
	// closing, is no error, and the zero Connection; exists tells the two apart. A
	// connection whose closing was not finished within CloseLease is returned again.
	BeginClose(ctx context.Context, id string, now time.Time) (c Connection, exists bool, err error)
	// HideSubscriptions marks subscriptions of connections that are closed: they are not
	// present any more, and a fan-out finds them gone. One request for every 25.
	HideSubscriptions(ctx context.Context, hidden map[string][]Place) error
	// FinishClose removes connections that are being closed, and their subscriptions, in any
	// order: one request for every 25 of both.
	FinishClose(ctx context.Context, connections []Connection) error
	// UserConnections returns the connections of a named user, as they were a moment ago,
	// also those that are being closed: one request, and one more for every 100 connections.
	UserConnections(ctx context.Context, project, user string) ([]Connection, error)
}

// CloseLease is how long the caller of BeginClose may take. It is longer than an invocation
// lives: after that the caller is dead, and another finishes what it began.
const CloseLease = 40 * time.Second

// Handshake is the request that opens a connection.
type Handshake struct {
	Connection string
	// Origin is the header of that name, "" where there is none.
	Origin string
	// Project is the id in the URL, "" for none: then the Origin is checked at auth.
	Project string
	// OriginLater means that the Origin is checked when the client logs in, and not in the
	// handshake: its token may exempt it.
	OriginLater bool
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
		if !hs.OriginLater && !p.Options.AllowsOrigin(hs.Origin) {
			return errOrigin(hs.Origin)
		}
	}
	if len(hs.Origin) > MaxNameBytes {
		return ErrLimitExceeded.With("the Origin header is longer than 255 bytes")
	}
	return h.store.OpenConnection(ctx, Connection{
		ID: hs.Connection, Origin: hs.Origin, Scope: hs.Project, Expires: h.now().Add(MaxConnectionAge),
	})
}

// Disconnect removes a connection that is over, with its subscriptions, and
// announces its leaves. why is what API Gateway says.
func (h *Hub) Disconnect(ctx context.Context, connection string, why Ending) error {
	why.Reason = printable(why.Reason)
	return h.closeConnections(ctx, why, []string{connection})
}

// DisconnectUser closes connections of a user and announces their leaves. A repeated call
// finishes what an interrupted one left. It fails with ErrBadRequest for the anonymous user
// without a client, and with ErrLimitExceeded for a name that is too long.
func (h *Hub) DisconnectUser(ctx context.Context, p *Project, user string, r DisconnectRequest) error {
	connections, err := h.clients(ctx, p, user, r.Client)
	if err != nil {
		return err
	}
	connections = slices.DeleteFunc(connections, func(c Connection) bool { return slices.Contains(r.Keep, c.ID) })
	d := DisconnectForced
	if r.Code != 0 {
		d = &Disconnection{r.Code, r.Reason}
	}
	return h.terminate(ctx, connections, d)
}

// closeSockets closes the sockets of connections and removes the connections. Their
// subscriptions are hidden first: from then on they receive nothing and are not present,
// and the next message finishes what an invocation that died has begun. The connections are
// marked before their sockets are closed: so their $disconnect, which follows, leaves them
// to this call, and when it returns they are removed. expired are those of their subscriptions that
// had expired before: their events say so.
func (h *Hub) closeSockets(ctx context.Context, connections []Connection, why *Disconnection, expired ...Gone) error {
	var failed failures
	for len(connections) > 0 {
		// A few at a time: what is hidden is also closed before the time is over.
		n, subscriptions := 0, 0
		for n < len(connections) && n < closeChunk && (n == 0 || subscriptions+len(connections[n].Channels) <= maxHidden) {
			subscriptions += len(connections[n].Channels)
			n++
		}
		failed.add(h.closeSocketsOf(ctx, connections[:n], why, expired...))
		connections = connections[n:]
	}
	return failed.err()
}

// closeSocketsOf is closeSockets for some connections. After an error it goes on: what is
// closed is right.
func (h *Hub) closeSocketsOf(ctx context.Context, connections []Connection, why *Disconnection, expired ...Gone) error {
	revisions := make(map[string]int, len(connections))
	ids := make([]string, len(connections))
	for i, c := range connections {
		revisions[c.ID], ids[i] = c.Revision, c.ID
	}
	read := h.leaving(ctx, leaves(connections...))
	hideErr := h.hide(ctx, connections)
	closing, absent, beginErr := h.beginClose(ctx, ids)
	changed := closing
	if hideErr == nil {
		// A change since the connections were read has written their subscriptions again.
		changed = slices.DeleteFunc(slices.Clone(closing), func(c Connection) bool { return c.Revision == revisions[c.ID] })
	}
	for where, i := range h.leaving(ctx, leaves(changed...)) {
		if _, known := read[where]; !known {
			read[where] = i
		}
	}
	hideErr = h.hide(ctx, changed)
	// A connection that has left a channel since it was read, or is removed already, is in no channel
	// again because its subscription was hidden.
	orphans := orphans(subscriptions(connections), closing, absent)
	if len(orphans) > 0 {
		hideErr = errors.Join(hideErr, h.store.RemoveSubscribers(ctx, orphans))
	}
	closed, socketErr := h.disconnect(ctx, closing, ids)
	gone, closeErr := h.close(ctx, closed, read, hideErr == nil, Ending(*why), expired...)
	gone = slices.DeleteFunc(gone, func(g Gone) bool { return slices.Contains(ids, g.Connection) })
	return errors.Join(beginErr, hideErr, socketErr, closeErr, h.closeConnections(ctx, connectionLost, connectionsOf(gone), gone...))
}

// disconnect closes sockets, and returns those of the connections that are marked whose socket
// is closed. The others stay marked, so that it is tried again.
func (h *Hub) disconnect(ctx context.Context, closing []Connection, sockets []string) ([]Connection, error) {
	open, err := h.dispatcher.Disconnect(ctx, sockets)
	return slices.DeleteFunc(slices.Clone(closing), func(c Connection) bool { return slices.Contains(open, c.ID) }), err
}

// subscriptions are those of connections.
func subscriptions(connections []Connection) (all []Gone) {
	for _, c := range connections {
		for ch, shard := range c.Channels {
			all = append(all, Gone{Connection: c.ID, Channel: ch, Shard: shard})
		}
	}
	return all
}

// hide hides the subscriptions of connections.
func (h *Hub) hide(ctx context.Context, connections []Connection) error {
	places := make(map[string][]Place)
	for _, c := range connections {
		for ch, shard := range c.Channels {
			places[c.ID] = append(places[c.ID], Place{ch, shard})
		}
	}
	if len(places) == 0 {
		return nil
	}
	return h.store.HideSubscriptions(ctx, places)
}

// UserConnections returns the connections of a named user whose token has not expired and
// that the project admits, as they were a moment ago. It fails with ErrBadRequest for the anonymous user and with
// ErrLimitExceeded for a name that is too long.
func (h *Hub) UserConnections(ctx context.Context, p *Project, user string) ([]Connection, error) {
	connections, err := h.userConnections(ctx, p, user)
	return slices.DeleteFunc(connections, func(c Connection) bool { return c.Closing || h.valid(p, c) != nil }), err
}

func (h *Hub) userConnections(ctx context.Context, p *Project, user string) ([]Connection, error) {
	if err := checkName("user", user); err != nil {
		return nil, err
	}
	return h.store.UserConnections(ctx, p.ID, user)
}
