// Package gateway turns the events of API Gateway and EventBridge, and those of functions that
// invoke others, into calls, and their results into responses.
//
// It is the only package of pkg that knows the shape of a Lambda event. Each function here
// returns the handler of one Lambda: decode, one call, encode. It decides nothing: the
// hub decides what a command may do, the protocol the form of a frame.
//
// A reply is the route response, which API Gateway sends to the connection of the
// command; a handler posts no reply. A mistake of a client is a
// reply. An internal failure is logged here, once, with the request id, and the client
// gets "internal server error".
//
// The context of a handler ends 3 s before Lambda kills the process, so that a handler
// that is cut off can log, settle and reply.
package gateway
