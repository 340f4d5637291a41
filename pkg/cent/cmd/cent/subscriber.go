package main

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"time"
)

// subscriber is a client of a measurement.
type subscriber struct {
	m        *measurement
	listener listener
	seen     bitmap
	// ready is closed after the client has subscribed and settle is set. ended is closed
	// after its connection has ended and err is set.
	ready, ended chan struct{}
	settle       func(ctx context.Context) error
	err          error
}

// run connects, with some attempts, and listens until ctx ends. It does not connect
// again after it has subscribed: messages after a lost connection are lost.
func (c *subscriber) run(ctx context.Context) {
	defer close(c.ended)
	for n := 1; ; n++ {
		subscribed, err := c.listener.listen(ctx)
		c.err = err
		if subscribed || n == firstAttempts || errors.As(err, new(refused)) {
			return
		}
		if !sleep(ctx, rand.N(c.m.backOff<<n+1)) {
			return
		}
	}
}

// alive reports whether the client has subscribed and is connected.
func (c *subscriber) alive() bool {
	select {
	case <-c.ended:
		return false
	default:
	}
	select {
	case <-c.ready:
		return true
	default:
		return false
	}
}

// disconnected reports whether the connection has ended with an error.
func (c *subscriber) disconnected() bool {
	select {
	case <-c.ended:
		return c.err != nil
	default:
		return false
	}
}

func (c *subscriber) subscribed(settle func(context.Context) error) (done bool, err error) {
	c.settle = settle
	close(c.ready)
	return false, nil
}

func (c *subscriber) message(d delivery) (done bool, err error) {
	now := time.Since(c.m.began)
	var data struct {
		Bench string `json:"bench"`
		N     *int   `json:"n"`
	}
	decoded := json.Unmarshal(d.Data, &data) == nil
	if !decoded || data.Bench != c.m.id || data.N == nil || *data.N < 0 || *data.N >= c.m.Messages {
		return false, nil // a message of another publisher
	}
	if c.seen.set(*data.N) {
		c.m.duplicates.Add(1)
		return false, nil
	}
	c.m.receipts.add(now - time.Duration(c.m.sent[*data.N].Load()))
	c.m.received.Add(1)
	c.m.happened(now)
	return false, nil
}
