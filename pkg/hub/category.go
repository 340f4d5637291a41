package hub

import (
	"regexp"
	"strings"
	"sync"
)

// Category is a named set of channels with the options of those channels. (The
// later word of the field is namespace.)
type Category struct {
	// ID is 24 hexadecimal digits, made when the category was.
	ID   string
	Name string
	// Revision counts how often the category has been written, 0 for a new one.
	Revision int
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
	// Presence lets the application, and clients that may use a channel, ask who is
	// in it.
	Presence bool
	// JoinLeave tells everybody in a channel who comes and who goes. Each costs a push
	// to every subscriber.
	JoinLeave bool
	// CleanHTML takes out of the strings in a message's data whatever HTML could do
	// harm with.
	CleanHTML bool
	// AllowedDomains are the hosts that links and images may then lead to, such as
	// "example.com", which includes those below it; empty means none.
	AllowedDomains []string
	// Hooks has every message sent to the event bus, and so to the project's
	// WebhookURL.
	Hooks bool
	// Shards is over how many partitions the subscribers of a channel are spread,
	// from 1 to MaxShards; 0 means 1. It may be raised at any time, and lowered only
	// when nobody is connected.
	Shards int
	// MaxMessageBytes limits the data of a message, from 1 to MaxMessageBytes; 0
	// means DefaultMessageBytes.
	MaxMessageBytes int
}

// domains are host names, of one label too. It takes a while to compile, which no
// function should wait for that does not write structure.
var domains = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$`)
})

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
	for _, domain := range c.AllowedDomains {
		if !domains().MatchString(domain) || len(domain) > MaxNameBytes {
			return ErrBadRequest.With("an allowed domain is a host name in lower case, such as example.com")
		}
	}
	switch {
	case len(c.AllowedDomains) > MaxListed:
		return ErrLimitExceeded.With("allowed_domains are more than 100")
	case strings.Contains(c.Name, ":"):
		return ErrBadRequest.With(`a category name has no ":", which ends it in "category:channel"`)
	case c.Shards < 0 || c.Shards > MaxShards:
		return ErrBadRequest.With("shards is not from 1 to 64")
	case c.MaxMessageBytes < 0 || c.MaxMessageBytes > MaxMessageBytes:
		return ErrBadRequest.With("max_message_bytes is not from 1 to 131072")
	}
	return nil
}
