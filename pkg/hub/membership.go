package hub

import (
	"context"
	"encoding/json"
	"time"
)

// Membership is what one subscription of a connection has of its own, in addition to what
// it has from the connection. The zero Membership is that of a classic client.
type Membership struct {
	// ID identifies the subscription among all that the connection ever had in the channel.
	ID string
	// Joining means that its client does not have the reply yet: nothing is sent to it. Since
	// is when it was written, in whole milliseconds.
	Joining bool
	Since   time.Time
	// Recoverable means that the client knows its position, and gets what it has missed when
	// it subscribes again: nothing is sent to it twice.
	Recoverable bool
	// JoinLeave means that the client gets joins and leaves. A classic client always does.
	JoinLeave bool
	// Granted means that a token or the application grants it, and not only the options of the
	// category.
	Granted bool
	// Server means that the client did not ask for it: a token or the application did.
	Server bool
	// Info is a JSON value that the application attached to it, or nil.
	Info json.RawMessage
	// Unlisted means that presence does not list it. Announced is whether its join and leave are
	// announced, nil where the category decides.
	Unlisted  bool
	Announced *bool
	// Expires is when it ends, zero for no earlier than its connection. Whole seconds.
	Expires time.Time
}

// Admission is a subscription to a stream whose client has the reply: what follows its Position is
// to be sent to it by the holder of the lease, and then all that others get.
type Admission struct {
	Place
	Connection string
	// ID is that of its Membership.
	ID string
	// Position is the one up to which the client has everything. In a Head it has no Epoch,
	// which is that of the stream.
	Position Position
}

// AbandonTime is how long a membership is Joining at most. After that the invocation that made it
// has died, before its reply or after; or it is so slow that its client has given up, and may as
// well be told to subscribe again.
const AbandonTime = 10 * time.Second

// Standing is where a subscription stands, as a fan-out reads it. The zero Standing is that of a
// classic client.
type Standing struct {
	// ID, Recoverable, JoinLeave and, where it is Joining, Since are those of its Membership.
	ID          string    `json:",omitempty"`
	Recoverable bool      `json:",omitempty"`
	JoinLeave   bool      `json:",omitempty"`
	Joining     bool      `json:",omitempty"`
	Since       time.Time `json:",omitzero"`
	// Server means that the client did not ask for it.
	Server bool `json:",omitempty"`
	// From is the offset up to which its client has got everything in another way than by a
	// fan-out.
	From uint64 `json:",omitempty"`
	// Lost means that its client is told to subscribe again, because it may have missed a
	// message. Nothing is sent to it.
	Lost bool `json:",omitempty"`
	// Expired means that the end of its Membership has passed. Nothing is sent to it.
	Expired bool `json:",omitempty"`
	// Mark is the one under which it was admitted or lost.
	Mark Mark `json:",omitzero"`
}

// Mark is what the holder of a lease writes into a subscription that it admits or loses.
type Mark struct {
	// Lease is the end of the ID of the lease, which is enough: a fan-out pays for all of it.
	Lease string
	// Era is that of the Head. What was sent to a recoverable subscriber of another era is not
	// known.
	Era uint64
}

// Lost is a subscription whose client may have missed a message, and does not get one twice.
type Lost struct {
	Gone
	// ID is that of its Membership.
	ID string
}

// Memberships changes what single subscriptions have of their own. Each method is one
// conditional write. What was read of a subscription before may be sent to it until the write.
type Memberships interface {
	// AdmitSubscriber makes a subscription active that is Joining under the ID of an admission: its client
	// has everything up to the offset from. It returns the subscription and true or, where it is
	// not Joining or has another ID, the subscription as it is and false: the zero Subscriber
	// where there is none.
	AdmitSubscriber(ctx context.Context, a Admission, from uint64, m Mark) (Subscriber, bool, error)
	// LoseSubscriber makes a subscription Lost that has this ID, and returns it. It returns false where
	// there is none.
	LoseSubscriber(ctx context.Context, l Lost, m Mark) (Subscriber, bool, error)
	// ReadSubscriber returns a subscription as the last write left it, and false where it has
	// expired, or its connection has. Where there is none it returns the zero Subscriber and false.
	// It is one read.
	ReadSubscriber(ctx context.Context, where Gone) (Subscriber, bool, error)
	// RenewSubscriber gives a subscription another end and info. It returns false where there is
	// none, or it has expired.
	RenewSubscriber(ctx context.Context, where Gone, expires time.Time, info json.RawMessage) (bool, error)
}
