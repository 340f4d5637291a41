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
	// Event is "" for what somebody broadcast.
	Event Event
	// Data is the JSON value that the sender gave, compacted; nil with another Event.
	Data json.RawMessage
	// Client is who joined or left, with such an Event.
	Client Client
}

// Event is what a message tells of: "" that somebody broadcast data, or one of
// those below, whose names are those of the wire.
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
	binary.BigEndian.PutUint32(b[:], uint32(now.Unix())) //nolint:gosec // it starts again in 2106, and only sorts
	rand.Read(b[4:])
	return hex.EncodeToString(b[:])
}

// Audience is who a message is sent to: the subscribers of a channel, which has
// this many shards.
type Audience struct {
	Channel Channel
	Shards  int
	// BestEffort audiences fail nothing when they cannot be read.
	BestEffort bool
}

// Place is where a subscription is kept.
type Place struct {
	Channel    Channel
	Shard      int
	Connection string
}

// Delivery sends messages to their subscribers.
type Delivery interface {
	// Deliver sends m to every subscriber of the audiences and returns when all posts
	// have ended. A subscriber that cannot be reached is counted, never an error. Of
	// each whose connection turned out to be over, gone is called once, beside the
	// posts and from several goroutines at once; what it returns is logged. Deliver
	// fails with ErrTooLarge, before any post, when the encoded push is over
	// MaxMessageBytes, and with any other error when the subscribers of an audience
	// could not all be read, unless that is BestEffort.
	Deliver(ctx context.Context, m Message, to []Audience, gone func(context.Context, Place) error) (Report, error)
	// Disconnect closes connections. One that is gone already is no error.
	Disconnect(ctx context.Context, connections []string) error
}

// Hooks tells others of what was broadcast.
type Hooks interface {
	// Emit hands on a message that has been delivered. It does its best, within
	// seconds, and logs itself what it could not do.
	Emit(ctx context.Context, m Message)
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
