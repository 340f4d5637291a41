package hub

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"time"
)

// Message is what is broadcast. It holds all that any protocol needs to encode
// it, so that a fan-out reads nothing but subscribers.
type Message struct {
	// ID is the event id: 24 hexadecimal digits, unique.
	ID      string
	Channel Channel
	// ProjectName and CategoryID are what the classic push carries beside the
	// channel.
	ProjectName string
	CategoryID  string
	// Data is the JSON value that the sender gave, compacted.
	Data json.RawMessage
}

// NewID makes the id of a message or a category: four bytes of time, so that ids
// sort roughly by age, and eight random ones, in hexadecimal.
func NewID(now time.Time) string {
	var b [12]byte
	binary.BigEndian.PutUint32(b[:], uint32(now.Unix())) //nolint:gosec // it starts again in 2106, and only sorts
	rand.Read(b[4:])
	return hex.EncodeToString(b[:])
}

// Delivery sends messages to their subscribers.
type Delivery interface {
	// Deliver sends m to every subscriber of its channel, which has this many
	// shards, and returns when all posts have ended. A subscriber that cannot be
	// reached is counted, never an error. It fails with ErrTooLarge, before any
	// post, when the encoded push is over MaxMessageBytes, and with any other error
	// when the subscribers could not all be read.
	Deliver(ctx context.Context, m Message, shards int) (Report, error)
	// Disconnect closes connections. One that is gone already is no error.
	Disconnect(ctx context.Context, connections []string) error
}

// Report counts what became of one message.
type Report struct {
	// Delivered posts were accepted by API Gateway.
	Delivered int
	// Gone connections were over; they and their subscriptions are removed.
	Gone int
	// Slow connections, or an account at its quota, refused every attempt.
	Slow int
	// Failed posts met another error in every attempt.
	Failed int
}
