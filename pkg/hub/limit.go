package hub

import (
	"fmt"
	"time"
	"unicode/utf8"
)

// The limits on input. API Gateway's own (32 KB a frame, 128 KB a message, 10
// minutes idle, 2 hours a connection) come on top.
const (
	// MaxNameBytes is the longest name of a channel, a category or a user, and the
	// longest "category:name".
	MaxNameBytes = 255
	// MaxChannels is how many channels a connection may be subscribed to.
	MaxChannels = 128
	// MaxChannelBytes is how many bytes the names of the channels of a connection may have
	// in all: every change of the connection pays for them.
	MaxChannelBytes = 16 << 10
	// MaxPermissions is how many channels and categories permissions may name, and
	// MaxPermissionBytes how many bytes these names may have in all: every command pays for
	// them.
	MaxPermissions     = 256
	MaxPermissionBytes = 4 << 10
	// MaxInfoBytes is the largest info that a token or validate_url may attach to a
	// connection: every fan-out pays for it.
	MaxInfoBytes = 1 << 10
	// MaxMetaBytes is the largest meta that a token may attach to a connection: every
	// command pays for it.
	MaxMetaBytes = 1 << 10
	// DefaultMessageBytes is the limit on a message's data where its category sets
	// none: what API Gateway bills as one message.
	DefaultMessageBytes = 32 << 10
	// MaxMessageBytes is the largest push that API Gateway's management API takes.
	MaxMessageBytes = 128 << 10
	// MaxListed is how many values an option that is a list may have.
	MaxListed = 100
	// MaxShards is the most shards a channel may have.
	MaxShards = 64
	// MaxTags is how many tags a message may have, and MaxTagBytes how many bytes their names
	// and values may have in all: every post pays for them.
	MaxTags     = 32
	MaxTagBytes = 1 << 10
	// MaxHistorySize is the largest history_size.
	MaxHistorySize = 10_000
	// MaxHistory is how many messages one read of a history returns at most, as in Centrifugo.
	MaxHistory = 300
	// MaxHistoryBytes is the approximate limit on their data: less than the 6 MB that a
	// Lambda may return, with the envelopes.
	MaxHistoryBytes = 4 << 20
	// MaxAdmissions is how many subscriptions to one stream may wait to be admitted.
	MaxAdmissions = 200
	// MaxAhead is how many messages a stream may be ahead of what was dispatched. A publish
	// beyond it fails with ErrTooManyRequests.
	MaxAhead = 1000
)

// MaxConnectionAge is the lifetime of a connection and of its subscriptions: then they
// expire. API Gateway closes a connection after two hours; the rest allows for clocks.
const MaxConnectionAge = 2*time.Hour + 10*time.Minute

// checkName refuses a name that is empty, too long or not UTF-8. Any other
// character is allowed; the store escapes what it must.
func checkName(what, name string) error {
	switch {
	case name == "":
		return ErrBadRequest.With(what + " is empty")
	case len(name) > MaxNameBytes:
		return ErrLimitExceeded.With(fmt.Sprintf("%s is %d bytes, at most %d are allowed", what, len(name), MaxNameBytes))
	case !utf8.ValidString(name):
		return ErrBadRequest.With(what + " is not UTF-8")
	}
	return nil
}

// ValidateTags refuses the tags of a message that are too many or too long, with
// ErrLimitExceeded, and those that are not UTF-8 or have no name, with ErrBadRequest.
func ValidateTags(tags map[string]string) error {
	if len(tags) > MaxTags {
		return ErrLimitExceeded.With(fmt.Sprintf("%d tags, at most %d are allowed", len(tags), MaxTags))
	}
	size := 0
	for name, value := range tags {
		switch {
		case name == "":
			return ErrBadRequest.With("a tag has no name")
		case !utf8.ValidString(name) || !utf8.ValidString(value):
			return ErrBadRequest.With("a tag is not UTF-8")
		}
		size += len(name) + len(value)
	}
	if size > MaxTagBytes {
		return ErrLimitExceeded.With(fmt.Sprintf("tags are %d bytes, at most %d are allowed", size, MaxTagBytes))
	}
	return nil
}
