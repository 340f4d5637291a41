package hub

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Tokens verifies the JWTs of Centrifugo's protocol. It is safe for concurrent use. Channels in
// a token have the form of a client's command: without project and incarnation.
type Tokens interface {
	// Connection returns what a connection token of p proves at now. It fails with
	// ErrTokenExpired after its exp or expire_at, which do not count where p is Insecure, and with ErrInvalidToken for any other token
	// that is not valid, also for a subscription token. Any other error means that the keys of
	// p could not be read: the token may be valid, and the client may repeat.
	Connection(ctx context.Context, p *Project, token string, now time.Time) (ConnectionToken, error)
	// Subscription returns what a subscription token of p proves at now, and fails as
	// Connection does. The caller compares the user, the channel and the client.
	Subscription(ctx context.Context, p *Project, token string, now time.Time) (SubscriptionToken, error)
}

// ConnectionToken is what a connection token proves about a client.
type ConnectionToken struct {
	// User is the id that the application gave the user, "" for an anonymous client.
	User string
	// Expires is when the token cannot be used any more, the zero time for never.
	Expires time.Time
	// ConnectionExpires is when a connection with this token ends: the claim expire_at, or
	// Expires where the token has none. It is the zero time for a connection without an end.
	ConnectionExpires time.Time
	// Info is a JSON value of at most MaxInfoBytes that other clients see, or nil.
	Info json.RawMessage
	// Meta is a JSON value of at most MaxMetaBytes that no client sees, or nil.
	Meta json.RawMessage
	// Subscriptions are those that the server makes for the client, at most MaxChannels.
	Subscriptions map[Channel]SubscribeOptions
	// Permissions are those that the token grants, nil where the token states none.
	Permissions *Permissions
	// Secret is the SecretID of what made the token.
	Secret string
	// AnyOrigin exempts the connection from the project's list of origins.
	AnyOrigin bool
}

// channels identifies the channels of the Subscriptions, "" for none.
func (t ConnectionToken) channels() string {
	if len(t.Subscriptions) == 0 {
		return ""
	}
	var names []string
	for ch := range t.Subscriptions {
		names = append(names, ch.String())
	}
	slices.Sort(names)
	sum := sha256.Sum256([]byte(strings.Join(names, "\n"))) // names have no line feeds
	return hex.EncodeToString(sum[:8])
}

// SubscriptionToken is what a subscription token proves about a client.
type SubscriptionToken struct {
	// User is the user that may subscribe, "" for an anonymous client.
	User string
	// Channel is the only channel that the token is for.
	Channel Channel
	// Client is the id of the only client that may use the token, "" for any.
	Client string
	// Expires is when the token cannot be used any more, the zero time for never.
	Expires time.Time
	// SubscriptionExpires is when a subscription with this token ends: the claim expire_at,
	// or Expires where the token has none. It is the zero time for a subscription without an end.
	SubscriptionExpires time.Time
	// Secret is the SecretID of what made the token.
	Secret string
	SubscribeOptions
}

// SubscribeOptions are what a token, the server API or a proxy attaches to one subscription.
type SubscribeOptions struct {
	// Info is a JSON value of at most MaxInfoBytes that other clients see with this channel, or nil.
	Info json.RawMessage
	// Data is a JSON value that the subscriber gets with the subscription, or nil.
	Data json.RawMessage
	// Override replaces options of the channel for this subscription.
	Override Override
}

// Override replaces options of a channel for one subscription; nil keeps an option.
type Override struct {
	Presence           *bool
	JoinLeave          *bool
	ForceRecovery      *bool
	ForcePositioning   *bool
	ForcePushJoinLeave *bool
}

// of returns the category with the overrides.
func (o Override) of(c Category) Category {
	for option, with := range map[*bool]*bool{
		&c.Presence: o.Presence, &c.JoinLeave: o.JoinLeave, &c.ForceRecovery: o.ForceRecovery,
		&c.ForcePositioning: o.ForcePositioning, &c.ForcePushJoinLeave: o.ForcePushJoinLeave,
	} {
		if with != nil {
			*option = *with
		}
	}
	return c
}

// UnmarshalJSON reads Centrifugo's form, such as {"presence": {"value": true}}. A null keeps an
// option. Keys are case-sensitive; unknown ones are ignored.
func (o *Override) UnmarshalJSON(b []byte) error {
	var options map[string]*struct {
		Value bool `json:"value"`
	}
	if err := json.Unmarshal(b, &options); err != nil {
		return err
	}
	*o = Override{}
	for name, to := range map[string]**bool{
		"presence": &o.Presence, "join_leave": &o.JoinLeave, "force_recovery": &o.ForceRecovery,
		"force_positioning": &o.ForcePositioning, "force_push_join_leave": &o.ForcePushJoinLeave,
	} {
		if option := options[name]; option != nil {
			*to = &option.Value
		}
	}
	return nil
}
