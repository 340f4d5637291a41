package main

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"time"
)

// settling is a command to which only the reply matters.
var settling = []byte(`{"id":"settle","method":"subscribe","params":{"to":{}}}`)

// subscriber is a client of a measurement.
type subscriber struct {
	m        *measurement
	listener *listener
	seen     bitmap
	// ready is closed when it has subscribed, and send is set before; ended when its
	// connection is over, and err before.
	ready, ended chan struct{}
	send         func(ctx context.Context, command []byte) error
	err          error
}

// run connects, trying a few times, and listens until ctx ends. A connection that
// is lost later is not made again: what it missed is lost.
func (c *subscriber) run(ctx context.Context) {
	defer close(c.ended)
	for n := 1; ; n++ {
		subscribed, err := c.listener.listen(ctx)
		c.err = err
		if subscribed || n == firstTries || errors.As(err, new(refused)) {
			return
		}
		if !sleep(ctx, rand.N(c.m.backOff<<n+1)) {
			return
		}
	}
}

// alive tells whether it has subscribed and is still connected.
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

// lost tells whether its connection ended before it was meant to.
func (c *subscriber) lost() bool {
	select {
	case <-c.ended:
		return c.err != nil
	default:
		return false
	}
}

func (c *subscriber) subscribed(send func(context.Context, []byte) error) {
	c.send = send
	close(c.ready)
}

func (c *subscriber) message(f frame) (enough bool, err error) {
	now := time.Since(c.m.began)
	var data struct {
		Bench string `json:"bench"`
		N     *int   `json:"n"`
	}
	understood := json.Unmarshal(f.Data, &data) == nil
	if !understood || data.Bench != c.m.id || data.N == nil || *data.N < 0 || *data.N >= c.m.Messages {
		return false, nil // somebody else's
	}
	if c.seen.set(*data.N) {
		c.m.twice.Add(1)
		return false, nil
	}
	c.m.receipts.add(now - time.Duration(c.m.sent[*data.N].Load()))
	c.m.received.Add(1)
	c.m.happened(now)
	return false, nil
}

func (c *subscriber) replied(id string) bool { return id == "settle" }
