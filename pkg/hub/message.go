package hub

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"time"
)

// Message is a message to the subscribers of a channel, a join or a leave. It holds
// everything that a protocol needs to encode it: a fan-out reads only subscribers.
type Message struct {
	// ID is the event id: 24 hexadecimal digits, unique.
	ID      string
	Channel Channel
	// ProjectName and CategoryID are in the classic push.
	ProjectName string
	CategoryID  string
	// Event is "" for a published message.
	Event Event
	// Data is the JSON value that was published, compacted; nil with another Event.
	Data json.RawMessage `json:",omitempty"`
	// Client is the client that joined, left or published; the zero Client for a message of
	// an application.
	Client Client
	// Position is where the message is in the stream of its channel, the zero Position
	// without a stream.
	Position Position `json:",omitzero"`
	// Time is when the message was appended to the stream, in whole milliseconds and UTC;
	// zero without a stream.
	Time time.Time `json:",omitzero"`
	// Tags are what the application attached, at most MaxTags, nil for none.
	Tags map[string]string `json:",omitempty"`
}

// Event is the kind of a message: "" is a published one. The names are those on the
// wire.
type Event string

// The events of a channel whose category has JoinLeave.
const (
	Join  Event = "join"
	Leave Event = "leave"
)

// NewID makes the id of a message or a category: four bytes of time, so that ids
// sort roughly by age, and eight random ones, in hexadecimal.
func NewID(now time.Time) string {
	var b [12]byte
	binary.BigEndian.PutUint32(b[:], uint32(now.Unix())) //nolint:gosec // it wraps around in 2106, and only sorts
	rand.Read(b[4:])
	return hex.EncodeToString(b[:])
}
