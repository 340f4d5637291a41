package hub

import "slices"

// Permissions are the channels that a connection may use. The zero value grants
// nothing. (On the wire an empty object grants everything; codecs translate, so
// that no empty map here can ever widen a grant.)
type Permissions struct {
	// Everything grants all categories and channels of the project.
	Everything bool `json:"e,omitempty"`
	// Categories grants by category name; ignored with Everything.
	Categories map[string]Grant `json:"c,omitempty"`
	// Confirmed tells that the application granted this, rather than the client
	// having asked for it. Private categories need it.
	Confirmed bool `json:"k,omitempty"`
	// Feed grants the Feed, which nothing else does. Only a token made for it can; a
	// wish, or the answer to one, never.
	Feed bool `json:"f,omitempty"`
}

// Grant is what is granted in one category. The zero value grants nothing.
type Grant struct {
	// Whole grants all channels of the category.
	Whole bool `json:"w,omitempty"`
	// Channels grants these; ignored with Whole.
	Channels []string `json:"n,omitempty"`
}

// Allows tells whether the channel name is granted.
func (g Grant) Allows(name string) bool {
	return g.Whole || slices.Contains(g.Channels, name)
}

// Category returns the grant in a category, and whether there is one. The one without
// a name is that of the Feed.
func (p Permissions) Category(c Category) (Grant, bool) {
	if c.Name == "" {
		return Grant{Whole: true}, p.Feed
	}
	if c.Private && !p.Confirmed {
		return Grant{}, false
	}
	if p.Everything {
		return Grant{Whole: true}, true
	}
	g, ok := p.Categories[c.Name]
	return g, ok
}

// Narrow returns what both p and q grant. It is confirmed when q is: q is the
// application's answer, p the client's wish.
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

// feedOnly tells whether the Feed is granted and nothing else.
func (p *Permissions) feedOnly() bool {
	return p != nil && p.Feed && !p.Everything && len(p.Categories) == 0
}

// size counts the names that the permissions hold.
func (p Permissions) size() int {
	n := len(p.Categories)
	for _, g := range p.Categories {
		n += len(g.Channels)
	}
	return n
}

// Validate refuses permissions that name more than MaxPermissions, or names that
// are too long.
func (p Permissions) Validate() error {
	if p.size() > MaxPermissions {
		return ErrLimitExceeded.With("permissions name more than 1024 categories and channels")
	}
	for category, g := range p.Categories {
		for _, name := range append([]string{category}, g.Channels...) {
			if len(name) > MaxNameBytes {
				return ErrLimitExceeded.With("a name in permissions is longer than 255 bytes")
			}
		}
	}
	return nil
}
