package auth

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"centrifuge/pkg/hub"
)

// maxDate limits dates to the year 9999. It is its last second.
const maxDate = 253402300799

// claims holds undecoded claims, by their case-sensitive names: those of a JWT, or what its
// claim subs has for a channel. Where a claim may be null, null means that it is missing.
type claims struct {
	// payload is the claims of a JWT as they are written.
	payload []byte
	values  map[string]json.RawMessage
	// RegisteredClaims stays empty. Its methods implement jwt.Claims.
	jwt.RegisteredClaims
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *claims) UnmarshalJSON(b []byte) error {
	c.payload = bytes.Clone(b)
	return json.Unmarshal(b, &c.values)
}

// identity verifies the claims for user of p at now, under the contract of VerifyToken.
func (c *claims) identity(p *hub.Project, user string, now time.Time) (hub.Identity, error) {
	var sub *string
	if raw, ok := c.values["sub"]; !ok || json.Unmarshal(raw, &sub) != nil || sub == nil {
		return hub.Identity{}, hub.ErrInvalidToken.With("sub is missing or not a string")
	}
	if *sub != user {
		return hub.Identity{}, hub.ErrInvalidToken
	}
	expires, err := c.valid(p, now)
	if err == nil {
		err = c.forConnection()
	}
	switch {
	case err != nil:
		return hub.Identity{}, err
	case expires.IsZero():
		return hub.Identity{}, hub.ErrInvalidToken.With("exp is missing")
	}
	if feed, err := c.feed(user); err != nil {
		return hub.Identity{}, err
	} else if feed {
		return hub.Identity{}, hub.ErrInvalidToken.With("feed is a claim of the admin pages, which speak another protocol")
	}
	permissions, err := c.permissions()
	if err != nil {
		return hub.Identity{}, err
	}
	info, err := c.json("info", "", hub.MaxInfoBytes)
	if err != nil {
		return hub.Identity{}, err
	}
	return hub.Identity{User: user, Info: info, Permissions: permissions, Expires: expires}, nil
}

// connection verifies the claims of a connection token of p at now, under the contract of
// hub.Tokens, except that the error may be any of hub's table.
func (c *claims) connection(p *hub.Project, now time.Time) (t hub.ConnectionToken, err error) {
	if t.Expires, err = c.valid(p, now); err != nil {
		return t, err
	}
	if err := c.forConnection(); err != nil {
		return t, err
	}
	if t.ConnectionExpires, err = c.end(t.Expires, now); err != nil {
		return t, err
	}
	if t.User, err = c.name("sub"); err != nil {
		return t, err
	}
	if feed, err := c.feed(t.User); err != nil {
		return t, err
	} else if feed {
		// It grants nothing else. The pages are on an origin that the project need not list.
		t.Permissions, t.AnyOrigin = &hub.Permissions{Confirmed: true}, true
		t.Subscriptions = map[hub.Channel]hub.SubscribeOptions{hub.Feed(""): {}}
		return t, nil
	}
	if t.Permissions, err = c.permissions(); err != nil {
		return t, err
	}
	if t.Info, err = c.json("info", "b64info", hub.MaxInfoBytes); err != nil {
		return t, err
	}
	if t.Meta, err = c.json("meta", "", hub.MaxMetaBytes); err != nil {
		return t, err
	}
	t.Subscriptions, err = c.subscriptions()
	return t, err
}

// subscription verifies the claims of a subscription token of p at now, under the contract of
// hub.Tokens, except that the error may be any of hub's table.
func (c *claims) subscription(p *hub.Project, now time.Time) (t hub.SubscriptionToken, err error) {
	if t.Expires, err = c.valid(p, now); err != nil {
		return t, err
	}
	if t.SubscriptionExpires, err = c.end(t.Expires, now); err != nil {
		return t, err
	}
	if t.User, err = c.name("sub"); err != nil {
		return t, err
	}
	if t.Client, err = c.name("client"); err != nil {
		return t, err
	}
	channel, err := c.text("channel")
	switch {
	case err != nil:
		return t, err
	case channel == "":
		return t, hub.ErrInvalidToken.With("channel is missing: this is no subscription token")
	}
	if t.Channel, err = channelOf("channel", channel); err != nil {
		return t, err
	}
	t.SubscribeOptions, err = c.options()
	return t, err
}

// valid verifies nbf, iat, exp, aud and iss. It returns exp, the zero time for none. The tokens
// of the feed have neither aud nor iss.
func (c *claims) valid(p *hub.Project, now time.Time) (expires time.Time, err error) {
	for _, name := range []string{"nbf", "iat"} {
		from, err := c.date(name)
		if err != nil {
			return time.Time{}, err
		}
		if now.Add(Leeway).Before(from) {
			return time.Time{}, hub.ErrInvalidToken.With(name + " is in the future: check the clock of the application")
		}
	}
	expires, err = c.date("exp")
	if err != nil {
		return time.Time{}, err
	}
	if c.has("exp") && !now.Before(expires) {
		return time.Time{}, hub.ErrTokenExpired
	}
	if feed, err := c.feed(""); err == nil && feed {
		return expires, nil
	}
	if want := p.Options.TokenAudience; want != "" {
		audience, err := c.audience()
		if err != nil {
			return time.Time{}, err
		}
		if !slices.Contains(audience, want) {
			return time.Time{}, hub.ErrInvalidToken.With("aud is not the token_audience of the project")
		}
	}
	if want := p.Options.TokenIssuer; want != "" {
		issuer, err := c.text("iss")
		if err != nil {
			return time.Time{}, err
		}
		if issuer != want {
			return time.Time{}, hub.ErrInvalidToken.With("iss is not the token_issuer of the project")
		}
	}
	return expires, nil
}

// forConnection refuses a subscription token: it lets its holder into one channel only.
func (c *claims) forConnection() error {
	channel, err := c.text("channel")
	if err == nil && channel != "" {
		err = hub.ErrInvalidToken.With("channel is the claim of a subscription token, which does not connect")
	}
	return err
}

// end decodes expire_at: when what the token opens ends. Without the claim that is when the
// token expires; 0 means never. It fails with hub.ErrTokenExpired for a time that has passed.
func (c *claims) end(expires, now time.Time) (time.Time, error) {
	if !c.has("expire_at") {
		return expires, nil
	}
	at, err := c.date("expire_at")
	switch {
	case err != nil:
		return time.Time{}, err
	case at.Unix() == 0:
		return time.Time{}, nil
	case !now.Before(at):
		return time.Time{}, hub.ErrTokenExpired
	}
	return at, nil
}

// has reports whether a claim is there and not null.
func (c *claims) has(name string) bool {
	raw, ok := c.values[name]
	return ok && string(raw) != "null"
}

// date decodes a claim in seconds since 1970, rounded down. It returns the zero time
// for a missing claim. Null is an error.
func (c *claims) date(name string) (time.Time, error) {
	raw, ok := c.values[name]
	if !ok {
		return time.Time{}, nil
	}
	var seconds *float64
	if json.Unmarshal(raw, &seconds) != nil || seconds == nil || *seconds < 0 || *seconds > maxDate {
		return time.Time{}, hub.ErrInvalidToken.With(name + " is not a date in seconds since 1970")
	}
	return time.Unix(int64(math.Floor(*seconds)), 0), nil
}

// text decodes a string. It returns "" for a missing claim.
func (c *claims) text(name string) (s string, err error) {
	if c.has(name) && json.Unmarshal(c.values[name], &s) != nil {
		return "", hub.ErrInvalidToken.With(name + " is not a string")
	}
	return s, nil
}

// name decodes a string of at most hub.MaxNameBytes. It returns "" for a missing claim.
func (c *claims) name(name string) (string, error) {
	s, err := c.text(name)
	if err == nil && len(s) > hub.MaxNameBytes {
		return "", hub.ErrInvalidToken.With(fmt.Sprintf("%s is longer than %d bytes", name, hub.MaxNameBytes))
	}
	return s, err
}

// audience decodes aud, a string or a list of strings.
func (c *claims) audience() ([]string, error) {
	if s, err := c.text("aud"); err == nil {
		return []string{s}, nil
	}
	var list []string
	if json.Unmarshal(c.values["aud"], &list) != nil {
		return nil, hub.ErrInvalidToken.With("aud is neither a string nor a list of strings")
	}
	return list, nil
}

// json decodes a value of at most limit bytes when compacted; 0 is no limit of its own. Where a
// second name is given, a claim of this name that is not "" has the value in base64, and goes
// before the first. It returns nil for a missing claim.
func (c *claims) json(name, encodedName string, limit int) (json.RawMessage, error) {
	raw := c.values[name]
	if encodedName != "" {
		encoded, err := c.text(encodedName)
		if err != nil {
			return nil, err
		}
		if encoded != "" {
			if raw, err = base64.StdEncoding.DecodeString(encoded); err != nil {
				return nil, hub.ErrInvalidToken.With(encodedName + " is not base64")
			}
			name = encodedName
			if wrong := hub.SyntaxError(raw); wrong != "" {
				return nil, hub.ErrInvalidToken.With(encodedName + " is not JSON in base64: " + wrong)
			}
		}
	}
	if len(raw) == 0 {
		return nil, nil
	}
	var b bytes.Buffer
	switch err := json.Compact(&b, raw); {
	case err != nil:
		return nil, hub.ErrInvalidToken.With(name + " is not valid JSON")
	case b.String() == "null":
		return nil, nil
	case limit > 0 && b.Len() > limit:
		return nil, hub.ErrLimitExceeded.With(fmt.Sprintf("%s is longer than %d bytes", name, limit))
	}
	return b.Bytes(), nil
}

// permissions decodes the granted permissions. It returns nil for a missing claim. Null is an
// error.
func (c *claims) permissions() (*hub.Permissions, error) {
	raw, ok := c.values["permissions"]
	if !ok {
		return nil, nil
	}
	granted, err := hub.DecodePermissions(raw)
	var e *hub.Error
	switch {
	case errors.Is(err, hub.ErrLimitExceeded):
		return nil, err
	case errors.As(err, &e):
		return nil, hub.ErrInvalidToken.With(e.Detail)
	case err != nil:
		return nil, fmt.Errorf("decode permissions: %w", err)
	}
	granted.Confirmed = true
	return &granted, nil
}

// feed reports whether the token of user opens the admin feed of the project, and nothing else.
func (c *claims) feed(user string) (bool, error) {
	raw, ok := c.values["feed"]
	if !ok {
		return false, nil
	}
	var feed *bool
	if json.Unmarshal(raw, &feed) != nil || feed == nil {
		return false, hub.ErrInvalidToken.With("feed is not a boolean")
	}
	if _, stated := c.values["permissions"]; *feed && (stated || user != "") {
		return false, hub.ErrInvalidToken.With("feed goes with an empty sub and without permissions")
	}
	return *feed, nil
}

// subscriptions decodes subs, or channels where subs has none, as Centrifugo does.
func (c *claims) subscriptions() (map[hub.Channel]hub.SubscribeOptions, error) {
	var subs map[string]claims
	if c.has("subs") && json.Unmarshal(c.values["subs"], &subs) != nil {
		return nil, hub.ErrInvalidToken.With("subs is not an object of objects, one for each channel")
	}
	var channels []string
	if c.has("channels") && json.Unmarshal(c.values["channels"], &channels) != nil {
		return nil, hub.ErrInvalidToken.With("channels is not a list of strings")
	}
	if len(subs) == 0 {
		subs = make(map[string]claims, len(channels))
		for _, name := range channels {
			subs[name] = claims{}
		}
	}
	if len(subs) > hub.MaxChannels {
		return nil, hub.ErrInvalidToken.With(fmt.Sprintf("it has more than %d channels", hub.MaxChannels))
	}
	if len(subs) == 0 {
		return nil, nil
	}
	subscriptions := make(map[hub.Channel]hub.SubscribeOptions, len(subs))
	for name, of := range subs {
		channel, err := channelOf("channel of the subs or channels", name)
		if err != nil {
			return nil, err
		}
		if _, twice := subscriptions[channel]; twice {
			return nil, hub.ErrInvalidToken.With(fmt.Sprintf("the channel %.64q is there twice", name))
		}
		options, err := of.options()
		if err != nil {
			return nil, hub.ErrInvalidToken.With(fmt.Sprintf("the channel %.64q: %s", name, hub.Public(err).Detail))
		}
		subscriptions[channel] = options
	}
	return subscriptions, nil
}

// options decodes info, data and override of one subscription.
func (c *claims) options() (o hub.SubscribeOptions, err error) {
	if o.Info, err = c.json("info", "b64info", hub.MaxInfoBytes); err != nil {
		return o, err
	}
	if o.Data, err = c.json("data", "b64data", 0); err != nil {
		return o, err
	}
	if c.has("override") && json.Unmarshal(c.values["override"], &o.Override) != nil {
		return o, hub.ErrInvalidToken.With(`override is not an object such as {"presence": {"value": true}}`)
	}
	return o, nil
}

// channelOf decodes the name of a channel. what is the claim that has it.
func channelOf(what, name string) (hub.Channel, error) {
	channel, err := hub.ParseChannel("", name)
	if err == nil {
		err = channel.Validate()
	}
	if err != nil {
		return hub.Channel{}, hub.ErrInvalidToken.With(strings.TrimSuffix(fmt.Sprintf("%s %.64q: %s", what, name, hub.Public(err).Detail), ": "))
	}
	return channel, nil
}
