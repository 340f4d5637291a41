// Package gateway turns the events of API Gateway into calls of the hub and the
// hub's answers into responses.
//
// It is the only package that knows the shape of an event. Each function here
// returns the handler of one Lambda: decode, one call, encode. What a command may
// do is the hub's business, what it looks like the protocol's.
//
// Replies ride back as the route response, which API Gateway sends to the
// connection that asked; a handler posts nothing to its own connection. A client's
// mistake is therefore a reply, and a handler's error always ours: it is logged
// here, once, with the request id, and the client sees no more than "internal
// server error".
package gateway
