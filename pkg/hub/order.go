package hub

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
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
	// Numbered has, for each channel, the latest numbered command of the client on it that was
	// carried out: among these the greatest number wins, whenever it was received.
	Numbered map[string]Numbered
}

// Numbered is a command of a client that numbers its commands.
type Numbered struct {
	Number uint32
	// At is when it was received, in milliseconds since 1970.
	At int64
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

// These are no channels: no category has a colon in its name. Commands on them are ordered in
// the same way.
var (
	// auths are the commands auth, and the renewals of a token.
	auths = Channel{Category: ":auth"}
	// allChannels are all channels, of which a connection is unsubscribed.
	allChannels = Channel{Category: ":all"}
)

// wholeCategory is all channels of a category, of which a connection is unsubscribed: a channel
// has a name.
func wholeCategory(name string) Channel { return Channel{Category: name} }

// tag is a short name of a channel, whatever its incarnation.
func tag(ch Channel) string {
	if strings.HasPrefix(ch.Category, ":") {
		return ch.Category
	}
	sum := sha256.Sum256([]byte(ch.Category + ":" + ch.Name))
	return hex.EncodeToString(sum[:tagBytes])
}

// overtaken reports whether a command on the channel, its category or all channels that was
// received after at has been carried out. It fails with ErrConflict where that has been
// forgotten.
func (o Order) overtaken(ch Channel, at time.Time) (bool, error) {
	return o.overtakenBy(ch, 0, at)
}

// overtakenBy is overtaken for a command with this number, 0 for one without. The numbers
// decide between those that have one.
func (o Order) overtakenBy(ch Channel, number uint32, at time.Time) (bool, error) {
	latest, known := o.Latest[tag(ch)]
	if ch != auths {
		latest = max(latest, o.Latest[tag(wholeCategory(ch.Category))], o.Latest[tag(allChannels)])
	}
	numbered, given := o.Numbered[tag(ch)]
	switch {
	case given && numbered.Number > number && number > 0:
		return true, nil
	case given && number == 0:
		latest, known = max(latest, numbered.At), true
	}
	if latest <= at.UnixMilli() && !known && !given && at.UnixMilli() <= o.Floor {
		return false, ErrConflict.With("too many channels within some seconds")
	}
	return latest > at.UnixMilli(), nil
}

// has reports whether a command on the channel was carried out, which is not forgotten yet.
func (o Order) has(ch Channel) bool {
	_, numbered := o.Numbered[tag(ch)]
	_, timed := o.Latest[tag(ch)]
	return numbered || timed
}

// forgetting returns an order that remembers no command received up to at, and knows that there
// were some.
func (o Order) forgetting(at time.Time) Order {
	n := Order{Latest: maps.Clone(o.Latest), Floor: max(o.Floor, at.UnixMilli()), Numbered: maps.Clone(o.Numbered)}
	n.forget(n.Floor)
	return n
}

// with returns the order after a command on channels, received at, that is carried out at
// now.
func (o Order) with(channels []Channel, at, now time.Time) Order {
	return o.withNumber(channels, 0, at, now)
}

// withNumber is with for a command with this number, 0 for one without.
func (o Order) withNumber(channels []Channel, number uint32, at, now time.Time) Order {
	n := Order{Latest: maps.Clone(o.Latest), Floor: o.Floor, Numbered: maps.Clone(o.Numbered)}
	if n.Latest == nil && number == 0 {
		n.Latest = make(map[string]int64, len(channels))
	}
	if n.Numbered == nil && number > 0 {
		n.Numbered = make(map[string]Numbered, len(channels))
	}
	for _, ch := range channels {
		if number > 0 {
			n.Numbered[tag(ch)] = Numbered{number, at.UnixMilli()}
		} else {
			n.Latest[tag(ch)] = at.UnixMilli()
		}
	}
	oldest := now.Add(-orderWindow).UnixMilli()
	n.forget(oldest - 1)
	if n.Floor < oldest {
		n.Floor = 0
	}
	if extra := len(n.Latest) + len(n.Numbered) - maxOrdered; extra > 0 {
		times := slices.Collect(maps.Values(n.Latest))
		for _, c := range n.Numbered {
			times = append(times, c.At)
		}
		slices.Sort(times)
		n.Floor = times[extra-1]
		n.forget(n.Floor)
	}
	return n
}

// forget removes the commands that were received up to a time from an order that is not in use
// yet.
func (o Order) forget(until int64) {
	maps.DeleteFunc(o.Latest, func(_ string, at int64) bool { return at <= until })
	maps.DeleteFunc(o.Numbered, func(_ string, c Numbered) bool { return c.At <= until })
}
