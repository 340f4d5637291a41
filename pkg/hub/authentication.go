package hub

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Identity is what a token proves about a client.
type Identity struct {
	// User is the id that the application gave the user, "" for an anonymous client.
	User string
	// Info is a JSON value that describes the user, or nil.
	Info json.RawMessage
	// Permissions are those that the token grants, nil where the token states none.
	Permissions *Permissions
	// Expires is when the token ends, zero for a token without an end.
	Expires time.Time
	// Channels are those that the token subscribes the connection to, whatever its
	// permissions are.
	Channels []Channel
	// AnyOrigin exempts the connection from the project's list of origins.
	AnyOrigin bool
}

// VerifyToken checks that token was made with the project's secret for user, and
// is valid at now. It fails with ErrInvalidToken, ErrTokenExpired or
// ErrLimitExceeded.
type VerifyToken func(p *Project, user, token string, now time.Time) (Identity, error)

// Confirmation is the answer of an application that lets a user connect.
type Confirmation struct {
	Permissions Permissions
	// Info is a JSON value that describes the user, nil where the application gave none.
	Info json.RawMessage
}

// Callback asks the application.
type Callback interface {
	// Validate asks the project's validate_url whether user may connect with the
	// requested permissions. It fails with ErrPermissionDenied when the application
	// refuses and with ErrValidation when it gave no valid answer.
	Validate(ctx context.Context, p *Project, user string, requested Permissions) (Confirmation, error)
}

// Credentials are the parameters of a client's auth.
type Credentials struct {
	Connection string
	Protocol   Protocol
	Project    string
	User       string
	Token      string
	// Permissions are requested. The permissions of a token replace them. Otherwise
	// the project's validate_url confirms or narrows them. Where the project has no
	// validate_url they are granted, unconfirmed.
	Permissions Permissions
}

// Authenticate records the identity of a connection. For a connection that is
// authenticated already, with a token that is still valid, it changes nothing and
// succeeds: a later bad token does not end an authenticated connection.
func (h *Hub) Authenticate(ctx context.Context, cr Credentials) error {
	err := h.authenticate(ctx, cr)
	if errors.Is(err, ErrInvalidToken) || errors.Is(err, ErrTokenExpired) {
		// The connection is read only here, so that a good token costs one write.
		if c, lookup := h.store.Connection(ctx, cr.Connection); lookup == nil && h.checkAuthenticated(c) == nil {
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
	p, err := h.store.Project(ctx, cr.Project)
	if err != nil {
		return err
	}
	identity, err := h.verify(p, cr.User, cr.Token, h.now())
	if err != nil {
		return err
	}
	if len(p.Options.Origins) > 0 && !identity.AnyOrigin {
		c, err := h.store.Connection(ctx, cr.Connection)
		if err != nil {
			return err
		}
		if !p.Options.AllowsOrigin(c.Origin) {
			return errOrigin(c.Origin)
		}
	}
	confirmed, err := h.grant(ctx, p, identity, cr.Permissions)
	if err != nil {
		return err
	}
	c := Connection{
		ID: cr.Connection, Project: p.ID, User: identity.User, Info: confirmed.Info, Permissions: confirmed.Permissions,
		Protocol: cr.Protocol, TokenExpires: identity.Expires,
	}
	before, after, err := h.store.Authenticate(ctx, c, h.now())
	if err != nil {
		return err
	}
	h.announce(ctx, leaves(before))
	if after.ID == "" || len(identity.Channels) == 0 {
		return nil
	}
	channels := make(map[Channel]int, len(identity.Channels))
	for _, ch := range identity.Channels {
		channels[ch] = p.Categories[ch.Category].ShardCount()
	}
	return h.join(ctx, after, channels)
}

// grant decides what an identified client may use, and the info of its user.
func (h *Hub) grant(ctx context.Context, p *Project, id Identity, requested Permissions) (Confirmation, error) {
	if id.Permissions != nil {
		return Confirmation{Permissions: *id.Permissions, Info: id.Info}, nil
	}
	if p.Options.ValidateURL == "" || id.User == "" {
		requested.Confirmed = false
		return Confirmation{Permissions: requested, Info: id.Info}, nil
	}
	confirmed, err := h.callback.Validate(ctx, p, id.User, requested)
	if confirmed.Info == nil {
		confirmed.Info = id.Info
	}
	return confirmed, err
}

// checkAuthenticated fails with ErrUnauthorized where the connection has not
// authenticated, and with ErrTokenExpired where its token has ended.
func (h *Hub) checkAuthenticated(c Connection) error {
	switch {
	case c.Project == "":
		return ErrUnauthorized
	case !c.Until().After(h.now()):
		return ErrTokenExpired
	}
	return nil
}

// authenticated returns a connection that may give commands, and its project. The
// connection is read once: every permission is checked before anything is written.
func (h *Hub) authenticated(ctx context.Context, id string) (Connection, *Project, error) {
	c, err := h.store.Connection(ctx, id)
	if err != nil {
		return Connection{}, nil, err
	}
	if err := h.checkAuthenticated(c); err != nil {
		return Connection{}, nil, err
	}
	p, err := h.store.Project(ctx, c.Project)
	if err != nil {
		return Connection{}, nil, err
	}
	return c, p, nil
}
