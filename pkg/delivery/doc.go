// Package delivery dispatches messages to the subscribers of their channel through
// the management API of API Gateway, and closes connections through it.
//
// Direct is a dispatcher that does not order concurrent dispatches: it reads the subscribers of all
// shards concurrently, posts while their pages still arrive, and returns the outcomes of
// the posts. Poster makes one call of the management API: signed, bounded in time, and
// repeated if a repetition may succeed.
//
// It does not know how subscribers are stored, what a protocol's push looks like, who
// may publish, or how a connection that is gone is cleaned up: it is given an
// iterator, encoders and messages, and returns data.
package delivery
