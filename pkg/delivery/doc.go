// Package delivery dispatches messages to the subscribers of their channel through
// the management API of API Gateway, and closes connections through it.
//
// Direct is a dispatcher that does not order concurrent dispatches: it reads the subscribers of all
// shards concurrently, posts while their pages still arrive, and returns the outcomes of
// the posts. Poster makes one call of the management API: signed, bounded in time, and
// repeated if a repetition may succeed.
//
// Leased dispatches streams: by a lease, in order, and again where an invocation dies.
// model_test.go has a model of its protocol, whose states TestModel explores, all of them;
// go test ./pkg/delivery -run TestModel -large explores 792,155 states of three publishers,
// two deaths and one event that is delivered twice, and larger ones with other faults. A
// change of the protocol is made in the model first.
//
// It does not know how subscribers are stored, what a protocol's push looks like, who
// may publish, or how a connection that is gone is cleaned up: it is given an
// iterator, encoders and messages, and returns data.
package delivery
