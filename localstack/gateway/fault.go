package gateway

import "time"

// Post is a message on its way to a connection through the management API.
type Post struct {
	ConnectionID string
	// Data is the message. It must not be changed.
	Data []byte
}

// Fault is what goes wrong with a post. The zero value is nothing.
type Fault struct {
	// Delay is how long the post waits before anything else happens to it.
	Delay time.Duration
	// Status is answered instead of what would have been: 410, 429, 413, 403, or any
	// 5xx. Zero answers the truth.
	Status int
	// Abort cuts the HTTP connection without an answer.
	Abort bool
	// Deliver sends the message to the client although the post fails: the case in
	// which a poster that retries sends it twice.
	Deliver bool
}
