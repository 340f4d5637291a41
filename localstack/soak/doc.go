// Package soak acts on a whole stack at random and checks what must always be true.
//
// A round is two clients, an application and an administrator that act concurrently, over
// real sockets, on a slow database. Then all of them stop, and what the clients believe,
// what a message reaches, what presence lists and what the connections name must agree. At
// last the clients leave, and nothing may be left of them after one message in each
// channel. What the actors of a round do is drawn from the seed and the number of the
// round; how they overtake each other is not.
//
// It holds tests only.
package soak
