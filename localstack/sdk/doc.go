// Package sdk holds the local stack against Centrifugo's own SDKs, for JavaScript, in Node and in a
// browser, and for Go: they connect unmodified, and converse with each other and with classic
// clients, also while frames overtake each other, connections are cut, and functions run as
// processes. localstack/clients has the conversations of the one for Python.
//
// Where the environment describes a target, as e2e.FromEnvironment reads it, the conversations run
// there instead. Its table has seed.json.
//
// It holds tests only. They run without the race detector: centrifuge-go v0.10.12 has a data race
// where a connection is lost while a subscribe is on its way.
package sdk
