package hub

import (
	"fmt"
	"slices"
	"strings"
)

// Permissions are the channels that a connection may use. The zero value grants
// nothing. (On the wire an empty object grants everything; DecodePermissions translates, so
// that an empty map here never widens a grant.)
type Permissions struct {
	// Everything grants all categories and channels of the project.
	Everything bool `json:"e,omitempty"`
	// Categories grants by category name; ignored with Everything.
	Categories map[string]Grant `json:"c,omitempty"`
	// Confirmed means that the application itself stated these permissions, in a token or
	// in the answer of its validate_url. A client requested them otherwise, which an answer
	// without permissions grants as they are. Private categories require it.
	Confirmed bool `json:"k,omitempty"`
}

// Grant is what is granted in one category. The zero value grants nothing.
type Grant struct {
	// Whole grants all channels of the category.
	Whole bool `json:"w,omitempty"`
	// Channels grants these; ignored with Whole.
	Channels []string `json:"n,omitempty"`
}

// Allows reports whether the channel name is granted.
func (g Grant) Allows(name string) bool {
	return g.Whole || slices.Contains(g.Channels, name)
}

// category returns the grant in a category, and whether there is one.
func (p Permissions) category(name string) (Grant, bool) {
	if p.Everything {
		return Grant{Whole: true}, true
	}
	g, ok := p.Categories[name]
	return g, ok
}

// Action is what a client does in a channel.
type Action int

// The actions.
const (
	Subscribe Action = iota
	Publish
	ReadPresence
)

// The reasons for ErrCategoryDenied.
var (
	errUnknownCategory    = ErrCategoryDenied.WithHelp("the project has no category of this name: create it, or correct the name")
	errPrivateCategory    = ErrCategoryDenied.WithHelp("the category is private: it requires a JWT that grants it in its permissions, or a validate_url that does")
	errPrivateChannel     = ErrChannelDenied.WithHelp("a channel that begins with \"$\" requires a JWT that grants it in its permissions, or a validate_url that does")
	errOthersChannel      = ErrChannelDenied.WithHelp("the channel is for the users after its \"#\": others require a JWT that grants it in its permissions, or a validate_url that does")
	errChannelName        = ErrChannelDenied.WithHelp("the name does not match channel_regex, an option of the category")
	errCategoryNotGranted = ErrCategoryDenied.WithHelp("the category is not granted: request it in the permissions of auth, and grant it in the JWT or in validate_url where the project has one")
)

// authorize decides whether a connection of the classic protocol may perform an action in a
// channel of p, its project. It fails, in this order, with ErrCategoryDenied where the
// category does not exist or is not granted, ErrOneWay for Publish in a category that is not
// bidirectional, and ErrChannelDenied where the channel is not granted, needs a grant that is
// confirmed, or has a name that the category does not allow. The help of the error
// distinguishes all reasons. No other function decides this; Access decides for clients of
// Centrifugo's protocol.
func authorize(p *Project, c Connection, a Action, ch Channel) error {
	category, exists := p.Categories[ch.Category]
	grant, granted := c.Permissions.category(ch.Category)
	requires := p.confirms(ch)
	confirmed := requires.admits(c.Permissions.Confirmed, p.lists(ch, c.User))
	switch {
	case !exists:
		return errUnknownCategory
	case category.Private && (!granted || !confirmed):
		return errPrivateCategory
	case !granted:
		return errCategoryNotGranted
	case a == Publish && !category.Bidirectional:
		return ErrOneWay
	case !grant.Allows(ch.Name):
		return ErrChannelDenied
	case !confirmed && ch.private():
		return errPrivateChannel
	case !confirmed:
		return errOthersChannel
	case !category.names(ch):
		return errChannelName
	}
	return nil
}

// confirmation is what a channel requires of a client beyond a grant that it requested itself.
type confirmation struct {
	// required means that the application granted the channel, listed that instead the channel
	// may list the user.
	required, listed bool
}

// confirms returns what a channel of the project requires.
func (p *Project) confirms(ch Channel) confirmation {
	limited := p.limits(ch)
	return confirmation{
		required: p.Categories[ch.Category].Private || ch.private() || limited,
		listed:   limited && !ch.private(),
	}
}

// limits reports whether a channel is only for the users that its name lists: where its category
// says so, and personal channels.
func (p *Project) limits(ch Channel) bool {
	return p.isPersonal(ch) || p.Categories[ch.Category].AllowUserLimitedChannels && ch.limited()
}

// isPersonal reports whether a channel is that of the user whose name follows the mark, whatever
// characters that has.
func (p *Project) isPersonal(ch Channel) bool {
	c := p.Categories[ch.Category]
	return p.Options.SubscribeToUserPersonalChannel && ch.Category == "" && !c.AllowUserLimitedChannels && strings.HasPrefix(ch.Name, userMark)
}

// lists reports whether the name of a channel lists a user.
func (p *Project) lists(ch Channel, user string) bool {
	if p.isPersonal(ch) {
		return user != "" && ch.Name == personal(user).Name
	}
	return ch.lists(user)
}

// admits decides for a client whose grant is confirmed, and which the channel lists, or not.
func (c confirmation) admits(confirmed, listed bool) bool {
	return !c.required || confirmed || c.listed && listed
}

// Narrow returns what both p and q grant. It is confirmed when q is: p is what the
// client requested, q what the application confirmed.
func (p Permissions) Narrow(q Permissions) Permissions {
	n := Permissions{Confirmed: q.Confirmed}
	switch {
	case p.Everything:
		n.Everything, n.Categories = q.Everything, q.Categories
	case q.Everything:
		n.Categories = p.Categories
	default:
		n.Categories = make(map[string]Grant)
		for name, g := range p.Categories {
			if h, ok := q.Categories[name]; ok {
				n.Categories[name] = g.narrow(h)
			}
		}
	}
	return n
}

func (g Grant) narrow(h Grant) Grant {
	switch {
	case g.Whole:
		return h
	case h.Whole:
		return g
	}
	return Grant{Channels: slices.DeleteFunc(slices.Clone(g.Channels), func(name string) bool {
		return !h.Allows(name)
	})}
}

// Validate refuses permissions that name more than MaxPermissions, names that are too long,
// or more than MaxPermissionBytes of names.
func (p Permissions) Validate() error {
	names, bytes := 0, 0
	for category, g := range p.Categories {
		for _, name := range append([]string{category}, g.Channels...) {
			if len(name) > MaxNameBytes {
				return ErrLimitExceeded.With("a name in permissions is longer than 255 bytes")
			}
			names, bytes = names+1, bytes+len(name)
		}
	}
	switch {
	case names > MaxPermissions:
		return ErrLimitExceeded.With(fmt.Sprintf("permissions name %d categories and channels, at most %d are allowed", names, MaxPermissions))
	case bytes > MaxPermissionBytes:
		return ErrLimitExceeded.With(fmt.Sprintf("the names in permissions have %d bytes, at most %d are allowed", bytes, MaxPermissionBytes))
	}
	return nil
}
