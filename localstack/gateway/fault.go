package gateway

import "time"

// Post is a message that is posted to a connection through the management API.
type Post struct {
	ConnectionID string
	// Data is the message. The receiver must not change it.
	Data []byte
}

// Fault is an injected failure of a post. The zero value injects nothing.
type Fault struct {
	// Delay is how long the post waits first.
	Delay time.Duration
	// Status replaces the status of the answer: 400 (the connection id is invalid),
	// 403, 410, 413, 429 or a 5xx. Zero keeps the real answer.
	Status int
	// Abort closes the HTTP connection without an answer.
	Abort bool
	// Hang never answers. The request ends when the poster closes its connection.
	Hang bool
	// Deliver sends the message to the client although the post fails. A poster that
	// retries then sends it twice.
	Deliver bool
}
