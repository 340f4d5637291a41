package hub

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"time"
)

// Order decides between subscribe and unsubscribe on one channel, and between two auths:
// frames of one connection reach different invocations, which may overtake each other, and
// the command that API Gateway received later wins, whenever it is carried out. An Order is
// a value: its methods change nothing.
type Order struct {
	// Latest has, for each channel, the time of the latest command on it that was carried
	// out, in milliseconds since 1970. The keys are tags of channels, and of auths, wholeCategory
	// and allChannels.
	Latest map[string]int64
	// Floor is the time of the latest command that was forgotten because there were more
	// than maxOrdered.
	Floor int64
}

const (
	// orderWindow is how long a command is remembered: longer than an invocation lives (29
	// seconds), so that no earlier command is still being carried out.
	orderWindow = 40 * time.Second
	// maxOrdered bounds the commands that are remembered, and with it the bytes that a
	// client can add to its connection: about 5 KB.
	maxOrdered = 2 * MaxChannels
	// tagBytes is the length of a tag before encoding. A collision, which takes 2^32
	// channels of one connection within orderWindow, orders two channels as one.
	tagBytes = 8
)

// These are no channels: the name of a channel without a category has no ":". Commands on them
// are ordered in the same way.
var (
	// auths are the commands auth.
	auths = Channel{Name: ":"}
	// allChannels are all channels, of which a connection is unsubscribed.
	allChannels = Channel{Name: ":*"}
)

// wholeCategory is all channels of a category, of which a connection is unsubscribed: a channel
// has a name.
func wholeCategory(name string) Channel { return Channel{Category: name} }

// tag is a short name of a channel, whatever its incarnation.
func tag(ch Channel) string {
	text := ch.Name
	if ch.Category != "" {
		text = ch.Category + ":" + ch.Name
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:tagBytes])
}

// overtaken reports whether a command on the channel, its category or all channels that was
// received after at has been carried out. It fails with ErrConflict where that has been
// forgotten.
func (o Order) overtaken(ch Channel, at time.Time) (bool, error) {
	latest, known := o.Latest[tag(ch)]
	if ch != auths {
		latest = max(latest, o.Latest[tag(wholeCategory(ch.Category))], o.Latest[tag(allChannels)])
	}
	if latest <= at.UnixMilli() && !known && at.UnixMilli() <= o.Floor {
		return false, ErrConflict.With("too many channels within some seconds")
	}
	return latest > at.UnixMilli(), nil
}

// forgetting returns an order that remembers no command received up to at, and knows that there
// were some.
func (o Order) forgetting(at time.Time) Order {
	n := Order{Latest: maps.Clone(o.Latest), Floor: max(o.Floor, at.UnixMilli())}
	maps.DeleteFunc(n.Latest, func(_ string, latest int64) bool { return latest <= n.Floor })
	return n
}

// with returns the order after a command on channels, received at, that is carried out at
// now.
func (o Order) with(channels []Channel, at, now time.Time) Order {
	n := Order{Latest: maps.Clone(o.Latest), Floor: o.Floor}
	if n.Latest == nil {
		n.Latest = make(map[string]int64, len(channels))
	}
	for _, ch := range channels {
		n.Latest[tag(ch)] = at.UnixMilli()
	}
	oldest := now.Add(-orderWindow).UnixMilli()
	maps.DeleteFunc(n.Latest, func(_ string, at int64) bool { return at < oldest })
	if n.Floor < oldest {
		n.Floor = 0
	}
	if extra := len(n.Latest) - maxOrdered; extra > 0 {
		n.Floor = slices.Sorted(maps.Values(n.Latest))[extra-1]
		maps.DeleteFunc(n.Latest, func(_ string, at int64) bool { return at <= n.Floor })
	}
	return n
}
