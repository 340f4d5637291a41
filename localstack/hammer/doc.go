// Package hammer publishes to streams while functions are killed, and checks what the streams
// promise.
//
// Functions are processes. Clients, half of which take several pushes in a frame, are each in
// one of some channels with a history. Publishers publish at a steady rate. Posts are late, and
// some are answered with 410, 429 and 5xx. Every second a process dies in the middle of a
// request. Then the streams and what each client has received must agree: no acknowledged
// message is missing, offsets have no gaps, and every client that stayed has everything in
// order, and twice only what was dispatched again after the death of the one who did. What
// fails, and when, is drawn from the seed; how all this overtakes each other is not.
//
// The clients of Centrifugo's SDK lose their connections at random, and end with every message
// exactly once and in order. They are hammered without the race detector.
//
// It holds tests only.
package hammer
