package gateway

import (
	"errors"
	"sync"
)

// The reasons why a sendQueue refuses a message.
var (
	errGone      = errors.New("connection is gone")
	errQueueFull = errors.New("client side buffer is full")
)

// messageOverhead is what a queued message counts in addition to its bytes, so that
// empty messages are limited as well.
const messageOverhead = 64

// sendQueue holds the messages that are to be written to one client, in the order
// of acceptance. Its size is limited. add never waits for the client.
type sendQueue struct {
	limit  int
	notify chan struct{} // holds a value after a change

	mu     sync.Mutex
	queued [][]byte
	size   int // of the queued messages and of those that are being written
	closed bool
	cause  closeCause
}

func newSendQueue(limit int) *sendQueue {
	return &sendQueue{limit: limit, notify: make(chan struct{}, 1)}
}

// add appends a message, or fails with errGone or errQueueFull. The caller must not
// change the message afterwards. An empty queue accepts a message of any size.
func (q *sendQueue) add(message []byte) error {
	cost := len(message) + messageOverhead
	q.mu.Lock()
	switch {
	case q.closed:
		q.mu.Unlock()
		return errGone
	case q.size > 0 && q.size+cost > q.limit:
		q.mu.Unlock()
		return errQueueFull
	}
	q.queued = append(q.queued, message)
	q.size += cost
	q.mu.Unlock()
	q.signal()
	return nil
}

// close makes every later add fail, and reports whether this was the first call.
// The cause of the first call is kept. Queued messages can still be taken.
func (q *sendQueue) close(cause closeCause) bool {
	q.mu.Lock()
	first := !q.closed
	if first {
		q.closed, q.cause = true, cause
	}
	q.mu.Unlock()
	q.signal()
	return first
}

// take waits for messages and returns all that are queued, in order. It returns
// nil when the queue is closed and empty. The caller passes the previous batch after
// it was written; take reuses its memory. Only one goroutine may call it.
func (q *sendQueue) take(previous [][]byte) [][]byte {
	clear(previous)
	for {
		q.mu.Lock()
		if len(q.queued) > 0 {
			batch := q.queued
			q.queued = previous[:0]
			q.mu.Unlock()
			return batch
		}
		closed := q.closed
		q.mu.Unlock()
		if closed {
			return nil
		}
		<-q.notify
	}
}

// release frees the room of a message that was taken and written.
func (q *sendQueue) release(message []byte) {
	q.mu.Lock()
	q.size -= len(message) + messageOverhead
	q.mu.Unlock()
}

// closeCause returns the cause of the first close.
func (q *sendQueue) closeCause() closeCause {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.cause
}

func (q *sendQueue) signal() {
	select {
	case q.notify <- struct{}{}:
	default:
	}
}
