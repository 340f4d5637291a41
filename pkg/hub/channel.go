package hub

import (
	"slices"
	"strings"
)

// Channel is a name in a category of a project, to which messages are sent. It exists
// while it is used and needs no creation.
type Channel struct {
	// Project is the project's id. It is "" in a client's command, whose connection
	// has a project.
	Project  string
	Category string
	// Incarnation is that of the category: what is created again under an old name shares
	// no subscription with it. It is "" in a command of a client or an application, until
	// Project.Locate sets it, and for a category that was created before categories had one.
	Incarnation string `json:",omitempty"`
	Name        string
}

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

// Validate refuses a channel whose names break the limits, with ErrBadRequest or
// ErrLimitExceeded.
func (c Channel) Validate() error {
	if err := checkName("category name", c.Category); err != nil {
		return err
	}
	if err := checkName("channel name", c.Name); err != nil {
		return err
	}
	return checkName("channel", c.String())
}

// Selection selects channels of a project, by category: an empty Selection selects
// every channel, and a category with no names selects all its channels.
type Selection map[string][]string

func (s Selection) contains(ch Channel) bool {
	names, listed := s[ch.Category]
	return len(s) == 0 || listed && (len(names) == 0 || slices.Contains(names, ch.Name))
}

// wide are the categories that are selected whole, or all channels, as an Order knows them.
func (s Selection) wide() (wide []Channel) {
	if len(s) == 0 {
		return []Channel{allChannels}
	}
	for category, names := range s {
		if len(names) == 0 {
			wide = append(wide, wholeCategory(category))
		}
	}
	return wide
}

// channels are the channels of the project that the selection names.
func (s Selection) channels(p *Project) (named []Channel) {
	for category, names := range s {
		for _, name := range names {
			if ch := (Channel{Category: category, Name: name}); ch.Validate() == nil {
				named = append(named, p.Locate(ch))
			}
		}
	}
	return named
}
