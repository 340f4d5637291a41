// Package delivery sends a message to every subscriber of its channel through
// the management API of API Gateway, and closes connections through it.
//
// Delivery is the fan-out: it reads the subscribers of all shards at once, posts
// while their pages still arrive, counts what became of every post and has the
// connections removed that turn out to be over. Poster is one call of the
// management API: signed, bounded in time, repeated where that helps.
//
// It refuses to know how subscribers are stored, what a protocol's push looks
// like and who may publish: it is given an iterator, encoders and a message.
// Order is not kept: posts to one connection may overtake each other.
package delivery
