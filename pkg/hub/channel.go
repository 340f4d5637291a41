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

// The characters of a channel's string, as in Centrifugo.
const (
	categoryMark = ":"
	privateMark  = "$"
	userMark     = "#"
	userSplit    = ","
)

// ParseChannel reads what String writes, which is how the server API and Centrifugo's protocol
// name channels. "news:all" is the channel "all" of the category "news". A string without ":"
// is a channel of the category without a name. A "$" at the beginning belongs to the name:
// "$news:all" is the channel "$all" of "news", which may also be written "news:$all". It fails
// as Validate does.
func ParseChannel(project, s string) (Channel, error) {
	rest, private := strings.CutPrefix(s, privateMark)
	category, name, named := strings.Cut(rest, categoryMark)
	if !named {
		category, name = "", rest
	}
	if private {
		name = privateMark + name
	}
	ch := Channel{Project: project, Category: category, Name: name}
	return ch, ch.Validate()
}

// String is "category:name", the name alone in the category without a name. The "$" of a name
// comes first: "$category:name". No two channels of a project that are valid have one string.
func (c Channel) String() string {
	if c.Category == "" {
		return c.Name
	}
	if rest, private := strings.CutPrefix(c.Name, privateMark); private {
		return privateMark + c.Category + categoryMark + rest
	}
	return c.Category + categoryMark + c.Name
}

// Validate refuses a channel whose names break the limits, with ErrBadRequest or
// ErrLimitExceeded.
func (c Channel) Validate() error {
	switch {
	case c.Category == "" && strings.Contains(c.Name, categoryMark):
		return ErrBadRequest.With(`the name of a channel without a category must not contain ":"`)
	case strings.HasPrefix(c.Category, privateMark):
		return ErrBadRequest.With(`category name must not begin with "$"`)
	case c.Category != "":
		if err := checkName("category name", c.Category); err != nil {
			return err
		}
	}
	if err := checkName("channel name", c.Name); err != nil {
		return err
	}
	return checkName("channel", c.String())
}

// private reports whether the channel requires that the application grants it: its name
// begins with "$".
func (c Channel) private() bool { return strings.HasPrefix(c.Name, privateMark) }

// limited reports whether the name lists users, after the last "#".
func (c Channel) limited() bool { return strings.Contains(c.Name, userMark) }

// lists reports whether the name lists a user, alone or with others. It never lists the anonymous
// user.
func (c Channel) lists(user string) bool {
	at := strings.LastIndex(c.Name, userMark)
	return at >= 0 && user != "" && (c.Name == userMark+user || slices.Contains(strings.Split(c.Name[at+1:], userSplit), user))
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
