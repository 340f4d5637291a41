package hub

import "strings"

// Category is a named set of channels with the options of those channels. (Centrifugo
// calls it a namespace.)
type Category struct {
	// ID is 24 hexadecimal digits. A category that is deleted and created again has
	// another one.
	ID   string
	Name string
	// Revision counts the writes of the category. It is 0 for a new one.
	Revision int
	CategoryOptions
}

// CategoryOptions are the options of a category; CategoryReference describes them.
// The zero value is the default.
type CategoryOptions struct {
	Bidirectional   bool     `json:"bidirectional,omitempty"`
	PublishToAdmins bool     `json:"publish_to_admins,omitempty"`
	Private         bool     `json:"private,omitempty"`
	Presence        bool     `json:"presence,omitempty"`
	JoinLeave       bool     `json:"join_leave,omitempty"`
	CleanHTML       bool     `json:"clean_html,omitempty"`
	AllowedDomains  []string `json:"allowed_domains,omitempty"`
	Hooks           bool     `json:"hooks,omitempty"`
	Shards          int      `json:"shards,omitempty"`
	MaxMessageBytes int      `json:"max_message_bytes,omitempty"`
}

// ShardCount is the number of shards in force.
func (o CategoryOptions) ShardCount() int { return max(o.Shards, 1) }

// MessageBytes is the limit on a message's data in force.
func (o CategoryOptions) MessageBytes() int {
	if o.MaxMessageBytes == 0 {
		return DefaultMessageBytes
	}
	return o.MaxMessageBytes
}

// Validate refuses options that break their limits, with ErrBadRequest or
// ErrLimitExceeded.
func (o CategoryOptions) Validate() error { return checkOptions(o, CategoryReference) }

// Validate refuses a new category whose name or options break their limits, with
// ErrBadRequest or ErrLimitExceeded. Of one that exists only the options are validated.
func (c Category) Validate() error {
	if err := checkPathName("category name", c.Name); err != nil {
		return err
	}
	if strings.Contains(c.Name, ":") {
		return ErrBadRequest.With(`a category name must not contain ":"`)
	}
	return c.CategoryOptions.Validate()
}
