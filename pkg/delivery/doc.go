// Package delivery dispatches messages to the subscribers of their channel through
// the management API of API Gateway, and closes connections through it.
//
// Direct is the dispatcher of channels without order: it reads the subscribers of all
// shards concurrently, posts while their pages still arrive, and returns what became
// of every post. Poster makes one call of the management API: signed, bounded in time,
// repeated where that helps.
//
// It does not know how subscribers are stored, what a protocol's push looks like, who
// may publish, or how a connection that is gone is cleaned up: it is given an
// iterator, encoders and messages, and returns data.
package delivery
