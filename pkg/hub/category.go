package hub

import "strings"

// Category is a named set of channels with the options of those channels. (The
// later word of the field is namespace.)
type Category struct {
	// ID is 24 hexadecimal digits, made when the category was.
	ID   string
	Name string
	CategoryOptions
}

// CategoryOptions are the options of a category. The zero value is the default.
type CategoryOptions struct {
	// Bidirectional lets clients broadcast; without it only the application does.
	Bidirectional bool
	// PublishToAdmins shows the category's messages in the admin feed.
	PublishToAdmins bool
	// Private needs a grant that the application confirmed, by a JWT or by
	// validate_url, before a client may use the category.
	Private bool
	// Presence lets the application ask who is in a channel.
	Presence bool
	// Shards is over how many partitions the subscribers of a channel are spread,
	// from 1 to MaxShards; 0 means 1. It may be raised at any time, and lowered only
	// when nobody is connected.
	Shards int
	// MaxMessageBytes limits the data of a message, from 1 to MaxMessageBytes; 0
	// means DefaultMessageBytes.
	MaxMessageBytes int
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

// Validate refuses a category whose name or options break their limits, with
// ErrBadRequest or ErrLimitExceeded.
func (c Category) Validate() error {
	if err := checkName("category name", c.Name); err != nil {
		return err
	}
	switch {
	case strings.Contains(c.Name, ":"):
		return ErrBadRequest.With(`a category name has no ":", which ends it in "category:channel"`)
	case c.Shards < 0 || c.Shards > MaxShards:
		return ErrBadRequest.With("shards is not from 1 to 64")
	case c.MaxMessageBytes < 0 || c.MaxMessageBytes > MaxMessageBytes:
		return ErrBadRequest.With("max_message_bytes is not from 1 to 131072")
	}
	return nil
}
