package hub

import "strings"

// Channel is where messages go: a name in a category of a project. It exists
// while someone uses it and needs no creation.
type Channel struct {
	Project  string
	Category string
	Name     string
}

// Feed is the channel in which the administrators of a project get the messages of
// all its categories with PublishToAdmins. Its category has no name, which no other
// can have; nobody can send to it, and only Permissions with Feed open it.
func Feed(project string) Channel { return Channel{Project: project, Name: "feed"} }

// ParseChannel splits "category:name" at the first colon, as the server API
// writes channels. It fails with ErrBadRequest where there is no colon.
func ParseChannel(project, s string) (Channel, error) {
	category, name, ok := strings.Cut(s, ":")
	if !ok {
		return Channel{}, ErrBadRequest.With(`a channel is written "category:name"`)
	}
	return Channel{Project: project, Category: category, Name: name}, nil
}

// String is "category:name".
func (c Channel) String() string { return c.Category + ":" + c.Name }

// Selection names channels by category: what a client subscribes to or leaves.
type Selection map[string][]string

// size counts the names in a selection.
func (s Selection) size() int {
	n := 0
	for _, names := range s {
		n += len(names)
	}
	return n
}
