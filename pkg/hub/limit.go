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
	// DefaultMessageBytes is the limit on a message's data where its category sets
	// none: what API Gateway bills as one message.
	DefaultMessageBytes = 32 << 10
	// MaxMessageBytes is the largest push that API Gateway's management API takes.
	MaxMessageBytes = 128 << 10
	// MaxListed is how many values an option that is a list may have.
	MaxListed = 100
	// MaxShards is the most shards a channel may have.
	MaxShards = 64
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
