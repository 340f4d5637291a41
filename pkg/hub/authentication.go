package hub

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
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
	// MD5 means that the token is one that only the option allow_md5 admits.
	MD5 bool
	// Secret is the SecretID of the secret that made the token.
	Secret string
}

// VerifyToken checks that token was made with a secret of the project for user, and
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
	Command
	Protocol Protocol
	// Batch means that a frame to the client may hold several pushes.
	Batch   bool
	Project string
	User    string
	Token   string
	// Permissions are requested. The permissions of a token replace them. Otherwise
	// the project's validate_url confirms or narrows them. Where the project has no
	// validate_url they are granted, unconfirmed.
	Permissions Permissions
}

// Authenticate gives a connection an identity. On a connection that has one, it renews the
// token, the permissions, the info and the form of pushes of the same user, and keeps the subscriptions, except
// those that are not granted any more: it returns them. It fails with ErrIdentity for
// another user or project, or a token that ends earlier than the present one; with
// ErrInvalidToken, ErrTokenExpired, ErrProjectNotFound, ErrPermissionDenied, ErrValidation,
// ErrLimitExceeded or ErrTooManyRequests; with ErrConflict where another auth, which was
// received later, has been carried out. It has then changed nothing. An identity whose token
// has expired, or that the project does not admit any more, may be replaced by any.
func (h *Hub) Authenticate(ctx context.Context, cr Credentials) ([]Refusal, error) {
	if len(cr.User) > MaxNameBytes {
		return nil, ErrLimitExceeded.With("the user is longer than 255 bytes")
	}
	if err := cr.Permissions.Validate(); err != nil {
		return nil, err
	}
	c, err := h.spend(ctx, cr.Command)
	if err != nil {
		return nil, err
	}
	p, err := h.store.Project(ctx, cr.Project)
	if err != nil {
		return nil, err
	}
	identity, err := h.verify(p, cr.User, cr.Token, h.now())
	if err != nil {
		return nil, err
	}
	if !p.Options.AllowsOrigin(c.Origin) {
		return nil, errOrigin(c.Origin)
	}
	if err := h.renewable(p, c, identity); err != nil {
		return nil, err
	}
	proof := cr.proof(p)
	confirmed := Confirmation{Permissions: c.Permissions, Info: c.Info}
	if h.valid(p, c) != nil || c.Proof != proof {
		if confirmed, err = h.grant(ctx, p, identity, cr.Permissions); err != nil {
			return nil, err
		}
	}
	var refused []Refusal
	at := cr.received(h.now())
	err = h.change(ctx, c, UnsubscribedInsufficientState, func(c Connection) (Change, error) {
		refused = nil
		switch overtaken, err := c.Order.overtaken(auths, at); {
		case err != nil:
			return Change{}, err
		case overtaken && c.Proof == proof:
			return Change{Connection: c}, nil
		case overtaken:
			return Change{}, ErrConflict.With("a later auth of this connection was carried out before").
				WithHelp("that one is in force: do not repeat this one")
		}
		if err := h.renewable(p, c, identity); err != nil {
			return Change{}, err
		}
		c.Order = c.Order.with([]Channel{auths}, at, h.now())
		present := h.valid(p, c) == nil || c.Project == p.ID && c.User == identity.User
		channels := c.Channels
		c.Project, c.User, c.Info, c.Permissions = p.ID, identity.User, confirmed.Info, confirmed.Permissions
		c.Protocol, c.Batch, c.TokenExpires, c.Proof = cr.Protocol, cr.Batch, identity.Expires, proof
		c.Secret, c.MD5, c.AnyOrigin, c.Watched = identity.Secret, identity.MD5, false, p.Options.DisconnectEvents
		c.Channels, refused = nil, nil
		if present {
			c.Channels, refused = h.keep(p, c, channels)
		}
		return Change{Connection: c}, nil
	})
	return refused, err
}

// renewable fails with ErrIdentity where the connection has an identity that this one must
// not replace.
func (h *Hub) renewable(p *Project, c Connection, identity Identity) error {
	switch {
	case c.Project == "":
		return nil
	case c.Protocol != Classic:
		return ErrIdentity.With("it speaks another protocol")
	case !c.Until().After(h.now()):
		return nil
	}
	switch {
	case c.Project != p.ID:
		return ErrIdentity.With("it is authenticated to another project")
	case !p.admits(c):
		return nil
	case c.User != identity.User:
		return ErrIdentity.With("it is authenticated as another user")
	case !identity.Expires.IsZero() && (c.TokenExpires.IsZero() || identity.Expires.Unix() < c.TokenExpires.Unix()):
		return ErrIdentity.With("its present token ends later than this one")
	}
	return nil
}

// keep returns those of the channels that are granted to the connection, and the others. p
// may be some seconds old: of a channel in another incarnation than p has, only the grant is
// checked, and a fan-out checks the rest.
func (h *Hub) keep(p *Project, c Connection, channels map[Channel]int) (map[Channel]int, []Refusal) {
	kept := make(map[Channel]int, len(channels))
	var refused []Refusal
	for ch, shard := range channels {
		category := p.Categories[ch.Category]
		if ch.Incarnation != category.Incarnation {
			category = Category{Name: ch.Category}
		}
		known := &Project{ID: p.ID, Categories: map[string]Category{ch.Category: category}}
		if err := authorize(known, c, Subscribe, ch); err != nil {
			refused = append(refused, Refusal{ch, Public(err)})
			continue
		}
		kept[ch] = shard
	}
	return kept, refused
}

// proof identifies what validate_url was asked about, and that it was asked under the
// present secret.
func (cr Credentials) proof(p *Project) string {
	sum := sha256.New()
	for _, part := range []string{p.ID, p.Secret, cr.User, cr.Token} {
		fmt.Fprintf(sum, "%d:%s", len(part), part)
	}
	// Maps are encoded in the order of their keys. Permissions have no value that JSON
	// cannot encode.
	_ = json.NewEncoder(sum).Encode(cr.Permissions)
	return hex.EncodeToString(sum.Sum(nil)[:proofBytes])
}

// proofBytes is the length of a proof before encoding.
const proofBytes = 16

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
