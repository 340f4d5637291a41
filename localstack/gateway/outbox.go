package gateway

import (
	"errors"
	"sync"
)

// The reasons why an outbox does not take a message.
var (
	errGone = errors.New("connection is gone")
	errFull = errors.New("client side buffer is full")
)

// messageCost is what a waiting message counts beside its bytes, so that tiny ones
// have a limit, too.
const messageCost = 64

// outbox is what waits to be written to one client: bounded, in the order of
// acceptance, closed once. Nobody who puts ever waits for the client.
type outbox struct {
	limit int
	wake  chan struct{}

	mu      sync.Mutex
	waiting [][]byte
	size    int // of the waiting messages and of those being written
	closed  bool
	cause   closure
}

func newOutbox(limit int) *outbox {
	return &outbox{limit: limit, wake: make(chan struct{}, 1)}
}

// put accepts a message, which must not be changed any more, or fails with errGone
// or errFull. An empty outbox takes a message of any size.
func (o *outbox) put(message []byte) error {
	cost := len(message) + messageCost
	o.mu.Lock()
	switch {
	case o.closed:
		o.mu.Unlock()
		return errGone
	case o.size > 0 && o.size+cost > o.limit:
		o.mu.Unlock()
		return errFull
	}
	o.waiting = append(o.waiting, message)
	o.size += cost
	o.mu.Unlock()
	o.signal()
	return nil
}

// close lets nothing more in, for this cause, and reports whether it was the first
// to do so. What waits may still be taken.
func (o *outbox) close(cause closure) bool {
	o.mu.Lock()
	first := !o.closed
	if first {
		o.closed, o.cause = true, cause
	}
	o.mu.Unlock()
	o.signal()
	return first
}

// take waits for messages and returns all there are, in order. It returns nothing
// once the outbox is closed and empty. The previous batch must have been written;
// its memory is used again. Only one goroutine may call it.
func (o *outbox) take(previous [][]byte) [][]byte {
	clear(previous)
	for {
		o.mu.Lock()
		if len(o.waiting) > 0 {
			batch := o.waiting
			o.waiting = previous[:0]
			o.mu.Unlock()
			return batch
		}
		closed := o.closed
		o.mu.Unlock()
		if closed {
			return nil
		}
		<-o.wake
	}
}

// written gives the room of a taken message back.
func (o *outbox) written(message []byte) {
	o.mu.Lock()
	o.size -= len(message) + messageCost
	o.mu.Unlock()
}

// why returns the cause of the first close.
func (o *outbox) why() closure {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.cause
}

func (o *outbox) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}
