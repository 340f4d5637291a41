package hub

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Handshake is how a connection begins.
type Handshake struct {
	Connection string
	// Origin is the header of that name, "" where there is none.
	Origin string
	// Project is the id that the URL named, "" for none: then the Origin is checked
	// at auth.
	Project string
}

// Connect opens a connection. It fails with ErrProjectNotFound or with
// ErrPermissionDenied when the URL names a project that does not exist or does
// not allow the Origin.
func (h *Hub) Connect(ctx context.Context, hs Handshake) error {
	if hs.Project != "" {
		p, err := h.Projects.Project(ctx, hs.Project)
		if err != nil {
			return err
		}
		if !p.AllowsOrigin(hs.Origin) {
			return ErrPermissionDenied.With("this origin may not connect")
		}
	}
	if len(hs.Origin) > MaxNameBytes {
		return ErrLimitExceeded.With("the Origin header is longer than 255 bytes")
	}
	return h.Connections.OpenConnection(ctx, Connection{
		ID: hs.Connection, Origin: hs.Origin, Expires: h.Now().Add(MaxConnectionAge),
	})
}

// Credentials are what a client presents at auth.
type Credentials struct {
	Connection string
	Protocol   Protocol
	Project    string
	User       string
	Token      string
	// Permissions is what the client wishes for. A token's own permissions bind
	// instead; otherwise the project's validate_url confirms or narrows the wish;
	// with neither it is granted, unconfirmed.
	Permissions Permissions
}

// Authenticate records who a connection belongs to. For a connection that has
// done so before, and whose token is still good, it changes nothing and succeeds.
func (h *Hub) Authenticate(ctx context.Context, cr Credentials) error {
	err := h.authenticate(ctx, cr)
	if errors.Is(err, ErrInvalidToken) || errors.Is(err, ErrTokenExpired) {
		// A client that is in stays in, whatever it presents later. Looking that up
		// here keeps the way of a good token at one write.
		if c, lookup := h.Connections.Connection(ctx, cr.Connection); lookup == nil && h.in(c) == nil {
			return nil
		}
	}
	return err
}

func (h *Hub) authenticate(ctx context.Context, cr Credentials) error {
	if len(cr.User) > MaxNameBytes {
		return ErrLimitExceeded.With("the user is longer than 255 bytes")
	}
	if err := cr.Permissions.Validate(); err != nil {
		return err
	}
	p, err := h.Projects.Project(ctx, cr.Project)
	if err != nil {
		return err
	}
	identity, err := h.VerifyToken(p, cr.User, cr.Token, h.Now())
	if err != nil {
		return err
	}
	if len(p.Options.Origins) > 0 {
		c, err := h.Connections.Connection(ctx, cr.Connection)
		if err != nil {
			return err
		}
		// The pages of administrators lie elsewhere.
		if !p.AllowsOrigin(c.Origin) && !identity.Permissions.feedOnly() {
			return ErrPermissionDenied.With("this origin may not connect")
		}
	}
	grant, err := h.grant(ctx, p, identity, cr.Permissions)
	if err != nil {
		return err
	}
	before, err := h.Connections.Authenticate(ctx, Connection{
		ID: cr.Connection, Project: p.ID, User: identity.User, Info: grant.Info, Permissions: grant.Permissions,
		Protocol: cr.Protocol, TokenExpires: identity.Expires,
	}, h.Now())
	h.tell(ctx, left(before))
	return err
}

// grant decides what a proven client may use, and what is known of it.
func (h *Hub) grant(ctx context.Context, p *Project, who Identity, wish Permissions) (Answer, error) {
	if who.Permissions != nil {
		return Answer{Permissions: *who.Permissions, Info: who.Info}, nil
	}
	if p.Options.ValidateURL == "" || who.User == "" {
		wish.Confirmed = false
		return Answer{Permissions: wish, Info: who.Info}, nil
	}
	answer, err := h.Callback.Validate(ctx, p, who.User, wish)
	if answer.Info == nil {
		answer.Info = who.Info
	}
	return answer, err
}

// in tells whether a connection has authenticated and its token is still good.
func (h *Hub) in(c Connection) error {
	switch {
	case c.Project == "":
		return ErrUnauthorized
	case !c.Until().After(h.Now()):
		return ErrTokenExpired
	}
	return nil
}

// client returns a connection that may give commands, with its project. It is
// one read: what a client may do is decided before anything is written.
func (h *Hub) client(ctx context.Context, id string) (Connection, *Project, error) {
	c, err := h.Connections.Connection(ctx, id)
	if err != nil {
		return Connection{}, nil, err
	}
	if err := h.in(c); err != nil {
		return Connection{}, nil, err
	}
	p, err := h.Projects.Project(ctx, c.Project)
	if err != nil {
		return Connection{}, nil, err
	}
	return c, p, nil
}

// Subscribe puts a connection into channels and returns those it was refused:
// categories that do not exist, channels it was not granted. It fails with
// ErrUnauthorized, ErrTokenExpired, ErrBadRequest or ErrLimitExceeded, and has
// then subscribed to nothing.
func (h *Hub) Subscribe(ctx context.Context, connection string, to Selection) (refused Selection, err error) {
	c, p, err := h.client(ctx, connection)
	if err != nil {
		return nil, err
	}
	if n := to.size(); n > MaxChannels {
		return nil, ErrLimitExceeded.With(fmt.Sprintf("%d channels at once, at most %d a connection are allowed", n, MaxChannels))
	}
	granted := make(map[Channel]int)
	refused = make(Selection)
	for _, category := range slices.Sorted(maps.Keys(to)) {
		options, exists := p.category(category)
		grant, listed := c.Permissions.Category(options)
		for _, name := range to[category] {
			ch := Channel{Project: p.ID, Category: category, Name: name}
			if err := ch.Validate(); err != nil {
				return nil, err
			}
			if exists && listed && grant.Allows(name) {
				granted[ch] = options.ShardCount()
			} else if !slices.Contains(refused[category], name) {
				refused[category] = append(refused[category], name)
			}
		}
	}
	if len(granted) == 0 {
		return refused, nil
	}
	if err := h.Subscriptions.Subscribe(ctx, c, granted); err != nil {
		return refused, err
	}
	var joined []news
	for ch := range granted {
		if _, in := c.Channels[ch]; !in {
			joined = append(joined, news{Join, c, ch})
		}
	}
	h.tell(ctx, joined)
	return refused, nil
}

// Unsubscribe takes a connection out of channels; those it is not in are passed
// over. It fails with ErrUnauthorized or ErrTokenExpired.
func (h *Hub) Unsubscribe(ctx context.Context, connection string, from Selection) error {
	c, _, err := h.client(ctx, connection)
	if err != nil {
		return err
	}
	var channels []Channel
	for category, names := range from {
		for _, name := range names {
			channels = append(channels, Channel{Project: c.Project, Category: category, Name: name})
		}
	}
	return h.leave(ctx, c, channels)
}

// leave takes a connection out of those of the channels that it is in.
func (h *Hub) leave(ctx context.Context, c Connection, channels []Channel) error {
	channels = slices.DeleteFunc(channels, func(ch Channel) bool {
		_, in := c.Channels[ch]
		return !in
	})
	if len(channels) == 0 {
		return nil
	}
	if err := h.Subscriptions.Unsubscribe(ctx, c, channels); err != nil {
		return err
	}
	var gone []news
	for _, ch := range channels {
		gone = append(gone, news{Leave, c, ch})
	}
	h.tell(ctx, gone)
	return nil
}

// Broadcast sends a client's message to a channel, which it need not be
// subscribed to. It fails, in this order, with ErrUnauthorized, ErrTokenExpired,
// ErrCategoryDenied, ErrOneWay, ErrChannelDenied, and as Publish does.
func (h *Hub) Broadcast(ctx context.Context, connection string, pub Publication) error {
	c, p, err := h.client(ctx, connection)
	if err != nil {
		return err
	}
	options, exists := p.Categories[pub.Category]
	grant, listed := c.Permissions.Category(options)
	switch {
	case !exists || !listed:
		return ErrCategoryDenied
	case !options.Bidirectional:
		return ErrOneWay
	case !grant.Allows(pub.Channel):
		return ErrChannelDenied
	}
	_, dead, err := h.send(ctx, p, options, pub)
	h.tell(ctx, left(dead...))
	return err
}

// ClientPresence returns to a client who is in a channel, which it need not be
// subscribed to. It fails, in this order, with ErrUnauthorized, ErrTokenExpired,
// ErrCategoryDenied, ErrChannelDenied, and as Presence does, but with
// ErrLimitExceeded from MaxMessageBytes on.
func (h *Hub) ClientPresence(ctx context.Context, connection, category, channel string) ([]Client, error) {
	c, p, err := h.client(ctx, connection)
	if err != nil {
		return nil, err
	}
	options, exists := p.Categories[category]
	grant, listed := c.Permissions.Category(options)
	switch {
	case !exists || !listed:
		return nil, ErrCategoryDenied
	case !grant.Allows(channel):
		return nil, ErrChannelDenied
	}
	return h.presence(ctx, p, Channel{Project: p.ID, Category: category, Name: channel}, MaxMessageBytes)
}

// Disconnect removes a connection that is over, with its subscriptions.
func (h *Hub) Disconnect(ctx context.Context, connection string) error {
	c, err := h.Connections.CloseConnection(ctx, connection)
	h.tell(ctx, left(c))
	return err
}
