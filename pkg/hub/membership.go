package hub

import (
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
	// Expires is when it ends, zero for no earlier than its connection. Whole seconds.
	Expires time.Time
}

// Admission is a subscription to a stream whose client has the reply: what follows its Position is
// to be sent to it by the holder of the lease, and then all that others get.
type Admission struct {
	Place
	Connection string
	// ID and Recoverable are those of its Membership.
	ID          string
	Recoverable bool
	Protocol    Protocol
	// Position is the one up to which the client has everything.
	Position Position
}
