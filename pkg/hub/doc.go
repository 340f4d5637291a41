// Package hub is the domain: projects, categories, channels, connections,
// subscriptions, messages and permissions, and the rules between them.
//
// It knows no AWS, no wire format and no HTTP. What it needs from the outside it
// asks for through the small interfaces declared beside the Hub; what it tells
// the outside of a failure is an *Error, and everything else that goes wrong
// stays between the Hub's caller and its log.
//
// A Hub is safe for concurrent use and holds no state of its own: any number of
// Lambdas may run one at the same time over the same store.
package hub
