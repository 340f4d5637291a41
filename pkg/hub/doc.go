// Package hub is the domain: projects, categories, channels, connections,
// subscriptions, messages and permissions, and the rules between them.
//
// It knows no AWS, no HTTP and no frame of a protocol. It declares the interfaces that
// it needs next to the noun they are about. A Hub accepts commands and messages: it
// decides who may do what, and within which limits. A Dispatcher takes accepted
// messages to their subscribers, and returns as data what happened; the Hub then
// cleans up, announces leaves, emits event hooks and counts.
//
// An *Error is the only failure that a client may see. Callers log any other error and
// answer ErrInternal.
//
// A Hub is safe for concurrent use and holds no state of its own: any number of
// Lambdas may run one concurrently over the same table.
package hub
