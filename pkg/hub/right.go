package hub

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
)

// Basis is what the right of a connection to be in a channel rests on. A subscription
// carries it, so that a fan-out can tell, without reading the connection, whether the right
// has ended: the project's secret was changed, a public key was removed, an origin was removed,
// MD5 is allowed no more, or the channel requires more, as when its category became private. The
// zero Basis is that of a subscription of an
// earlier version: it stays valid until it expires.
type Basis struct {
	// Secret is the SecretID of the secret or of the public keys that made the token. Without
	// a token it is WithoutToken, WithoutRules where every rule is off, or ByApplication.
	Secret string `json:",omitempty"`
	// Origin is the Origin header of the handshake, "" where the project's list of origins
	// does not matter.
	Origin string `json:",omitempty"`
	// MD5 means that the token is one that only the option allow_md5 admits.
	MD5 bool `json:",omitempty"`
	// Confirmed means that the application granted the category, and not only that the
	// client requested it. A private category needs it.
	Confirmed bool `json:",omitempty"`
	// Listed means that the name of the channel lists the user.
	Listed bool `json:",omitempty"`
}

// Rule decides which subscribers of a channel still have the right to be in it. It is data,
// so that it can go to another Lambda with the messages.
type Rule struct {
	// Secret is Project.SecretID, and Others are the other values that Basis.Secret may have.
	Secret string   `json:",omitempty"`
	Others []string `json:",omitempty"`
	// Origins and AllowMD5 are the options of the project.
	Origins  []string `json:",omitempty"`
	AllowMD5 bool     `json:",omitempty"`
	// Private means that the channel requires a Confirmed grant: its category is private, it
	// is user-limited, or its name begins with "$". Listed means that it may list the user
	// instead.
	Private bool `json:",omitempty"`
	Listed  bool `json:",omitempty"`
}

// Admits reports whether a right with this basis has not ended. It is a pure function.
func (r Rule) Admits(b Basis) bool {
	if b == (Basis{}) {
		return true
	}
	return (b.Secret == r.Secret || slices.Contains(r.Others, b.Secret)) && (r.AllowMD5 || !b.MD5) &&
		confirmation{r.Private, r.Listed}.admits(b.Confirmed, b.Listed) &&
		ProjectOptions{Origins: r.Origins}.AllowsOrigin(b.Origin)
}

// The values of Basis.Secret for connections without a token. No SecretID has their form.
const (
	// WithoutToken: the project has AllowAnonymousConnectWithoutToken.
	WithoutToken = "without-token"
	// WithoutRules: the project is Insecure.
	WithoutRules = "without-rules"
	// ByApplication: the application answered the project's ProxyConnectURL.
	ByApplication = "by-application"
)

// secretIDBytes is the length of a SecretID before encoding: two secrets of one project
// have the same with a chance of 2^-64.
const secretIDBytes = 8

// SecretID identifies what proves a token without telling it: a secret of the project, the text
// of its option for a public key, or its TokenJWKSURL.
func SecretID(secret string) string {
	sum := sha256.Sum256([]byte("centrifuge secret id\x00" + secret))
	return hex.EncodeToString(sum[:secretIDBytes])
}

// SecretID identifies the project's present secret. A project that is deleted and created again
// under its id has another one.
func (p *Project) SecretID() string { return SecretID(p.Secret) }

// otherIDs are the values that Basis.Secret may have, except that of the present secret.
func (p *Project) otherIDs() (others []string) {
	for _, text := range []string{p.PreviousSecret, p.Options.TokenRSAPublicKey, p.Options.TokenECDSAPublicKey, p.Options.TokenJWKSURL} {
		if text != "" {
			others = append(others, SecretID(text))
		}
	}
	if p.Options.AllowAnonymousConnectWithoutToken {
		others = append(others, WithoutToken)
	}
	if p.Options.Insecure {
		others = append(others, WithoutRules)
	}
	if p.Options.ProxyConnectURL != "" {
		others = append(others, ByApplication)
	}
	return others
}

// rule is the rule for connections of the project.
func (p *Project) rule() Rule {
	return Rule{Secret: p.SecretID(), Others: p.otherIDs(), Origins: p.Options.Origins, AllowMD5: p.Options.AllowMD5}
}

// requiring is the rule for the subscribers of a channel that requires this.
func (r Rule) requiring(c confirmation) Rule {
	r.Private, r.Listed = c.required, c.listed
	return r
}

// audience is the subscribers of a channel of the project.
func (p *Project) audience(ch Channel) Audience {
	return Audience{Channel: ch, Shards: p.Categories[ch.Category].ShardCount(), Rule: p.rule().requiring(p.confirms(ch))}
}

// Locate returns the channel of the project that a command or request names: in the
// present incarnation of its category.
func (p *Project) Locate(ch Channel) Channel {
	ch.Project, ch.Incarnation = p.ID, p.Categories[ch.Category].Incarnation
	return ch
}

// has reports whether a channel is in a category of the project, in its present incarnation,
// or is the feed.
func (p *Project) has(ch Channel) bool {
	c, exists := p.Categories[ch.Category]
	return ch.inFeed() || exists && c.Incarnation == ch.Incarnation
}

// admits reports whether the project still admits an authenticated connection.
func (p *Project) admits(c Connection) bool {
	return c.Secret == "" || p.rule().Admits(c.Basis())
}

// BasisIn is what the connection's right to be in a channel rests on.
func (c Connection) BasisIn(ch Channel) Basis {
	b := c.Basis()
	b.Listed = b != (Basis{}) && ch.lists(c.User)
	return b
}

// Basis is what the connection's rights rest on, whatever the channel.
func (c Connection) Basis() Basis {
	if c.Secret == "" {
		return Basis{}
	}
	b := Basis{Secret: c.Secret, MD5: c.MD5, Confirmed: c.Permissions.Confirmed}
	if !c.AnyOrigin {
		b.Origin = c.Origin
	}
	return b
}
