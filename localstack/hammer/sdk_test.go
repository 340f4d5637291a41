//go:build !race

// The race detector finds one in centrifuge-go v0.10.12, where a connection is lost while a
// subscribe is on its way.

package hammer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/centrifugal/centrifuge-go"
	"github.com/golang-jwt/jwt/v5"
)

// cutEvery is the mean time between two cuts of the connection of one client of Centrifugo's SDK.
const cutEvery = 15 * time.Second

// TestHammerSDK hammers clients of Centrifugo's SDK for Go, whose connections are cut at random.
// Each ends with every message of its channel exactly once, and in order.
func TestHammerSDK(t *testing.T) {
	run(t, func(ctx context.Context, h *hammer, n int) (subscriber, error) {
		h.watch.joins()
		return h.connectSDK(ctx, fmt.Sprintf("u%04d", n), h.channels[n%channels])
	})
}

// sdkClient is a client of the SDK that is in one channel, whatever becomes of its connections.
type sdkClient struct {
	h       *hammer
	name    string
	channel string
	client  *centrifuge.Client
	sub     *centrifuge.Subscription

	mu         sync.Mutex
	conn       *recorded // the latest
	connection string    // its id
	received   []push    // publications, in the order of their receipt
	late       []time.Duration
	recoveries int
	failure    error // what must not be
	changed    chan struct{}
}

// connectSDK returns a client when it is in its channel.
func (h *hammer) connectSDK(ctx context.Context, name, channel string) (*sdkClient, error) {
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": name}).SignedString([]byte(secret))
	if err != nil {
		return nil, err
	}
	c := &sdkClient{h: h, name: name, channel: channel, changed: make(chan struct{})}
	// The defaults of the SDK, except that it is patient while 1,000 clients connect.
	c.client = centrifuge.NewJsonClient(h.stack.WebSocketURL+"?project="+project, centrifuge.Config{
		Token: token, NetDialContext: c.dial, HandshakeTimeout: 10 * time.Second, ReadTimeout: 10 * time.Second, MaxReconnectDelay: 2 * time.Second,
	})
	h.t.Cleanup(c.client.Close)
	c.client.OnConnected(func(e centrifuge.ConnectedEvent) { c.note(func() { c.connection = e.ClientID }) })
	c.client.OnDisconnected(func(e centrifuge.DisconnectedEvent) {
		c.note(func() { c.failure = fmt.Errorf("disconnected: %d %s, after %q", e.Code, e.Reason, c.conn.end()) })
	})
	sub, err := c.client.NewSubscription(category+":"+channel, centrifuge.SubscriptionConfig{Recoverable: true, MaxResubscribeDelay: 2 * time.Second})
	if err != nil {
		return nil, err
	}
	subscribed := make(chan struct{})
	first := sync.OnceFunc(func() { close(subscribed) })
	sub.OnSubscribed(func(e centrifuge.SubscribedEvent) {
		c.note(func() {
			switch {
			case !e.Recoverable:
				c.failure = errors.New("the subscription is not recoverable")
			case e.WasRecovering && !e.Recovered:
				c.failure = fmt.Errorf("not recovered at %+v", e.StreamPosition)
			case e.WasRecovering:
				c.recoveries++
			}
		})
		first()
	})
	sub.OnUnsubscribed(func(e centrifuge.UnsubscribedEvent) {
		c.note(func() { c.failure = fmt.Errorf("unsubscribed: %d %s", e.Code, e.Reason) })
	})
	sub.OnPublication(c.publication)
	c.sub = sub
	if err := errors.Join(sub.Subscribe(), c.client.Connect()); err != nil {
		return nil, err
	}
	select {
	case <-subscribed:
		return c, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%s is not subscribed: %w", name, context.Cause(ctx))
	}
}

// dial opens a connection that the test can cut.
func (c *sdkClient) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn = &recorded{Conn: conn}
	return c.conn, nil
}

// recorded is a connection that remembers the end of what it received.
type recorded struct {
	net.Conn
	mu   sync.Mutex
	last []byte
}

// maxRecorded is how many bytes are remembered.
const maxRecorded = 512

func (r *recorded) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = append(r.last, b[:n]...)
	r.last = slices.Clone(r.last[max(0, len(r.last)-maxRecorded):])
	return n, err
}

func (r *recorded) end() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// note changes the state and tells who waits.
func (c *sdkClient) note(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *sdkClient) publication(e centrifuge.PublicationEvent) {
	now := time.Now()
	p := push{Channel: c.channel, Offset: e.Offset}
	err := json.Unmarshal(e.Data, &p.Data)
	c.note(func() {
		if err != nil {
			c.failure = err
		}
		c.received = append(c.received, p)
		c.late = append(c.late, now.Sub(c.h.ledger.began(p.Data.N)))
	})
}

func (c *sdkClient) in() string { return c.channel }

// disturb cuts the connection at random. One that the service was told is gone is cut too: the
// answer 410 means that.
func (c *sdkClient) disturb(ctx context.Context, random *rand.Rand) {
	for {
		next := time.Duration(random.ExpFloat64() * float64(cutEvery))
		for next > 0 {
			step := min(next, poll)
			if pace(ctx, step) != nil {
				c.cutGone()
				return
			}
			next -= step
			c.cutGone()
		}
		c.cut()
	}
}

func (c *sdkClient) cutGone() {
	c.mu.Lock()
	gone := c.h.faults.isGone(c.connection)
	if gone {
		c.connection = "" // the next one is not known until it is open
	}
	c.mu.Unlock()
	if gone {
		c.cut()
	}
}

func (c *sdkClient) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		_ = c.conn.Close()
	}
}

func (c *sdkClient) wait(ctx context.Context, top uint64) {
	for {
		c.mu.Lock()
		over := c.failure != nil || len(c.received) > 0 && c.received[len(c.received)-1].Offset >= top
		changed := c.changed
		c.mu.Unlock()
		c.cutGone()
		if over {
			return
		}
		timer := time.NewTimer(poll)
		select {
		case <-changed:
		case <-timer.C: // its connection may have been answered with 410 since
		case <-ctx.Done():
			timer.Stop()
			return
		}
		timer.Stop()
	}
}

// check finds losses, doubles and publications out of order.
func (c *sdkClient) check(stream []publication, _ string) (twice int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failure != nil {
		c.h.fail("%s in %s: %v", c.name, c.channel, c.failure)
	}
	var top uint64
	for _, p := range c.received {
		switch {
		case p.Offset == 0 || p.Offset > uint64(len(stream)):
			c.h.fail("%s in %s received offset %d of %d", c.name, c.channel, p.Offset, len(stream))
			continue
		case stream[p.Offset-1].number != p.Data.N:
			c.h.fail("%s in %s received message %d at offset %d, which is that of message %d", c.name, c.channel, p.Data.N, p.Offset, stream[p.Offset-1].number)
		case p.Offset > top+1:
			c.h.watch.suspect(c.channel)
			c.h.fail("%s in %s lost offsets: %d after %d", c.name, c.channel, p.Offset, top)
		case p.Offset <= top:
			twice++
			c.h.watch.suspect(c.channel)
			c.h.fail("%s in %s received offset %d again, after %d", c.name, c.channel, p.Offset, top)
		}
		top = max(top, p.Offset)
	}
	if top != uint64(len(stream)) {
		c.h.watch.suspect(c.channel)
		c.h.fail("%s in %s received everything up to offset %d of %d; connection %s is %s, the subscription %s", c.name, c.channel, top, len(stream), c.connection, c.client.State(), c.sub.State())
	}
	return twice
}

func (c *sdkClient) receipts() receipts {
	c.mu.Lock()
	defer c.mu.Unlock()
	return receipts{stayed: true, publications: len(c.received), recoveries: c.recoveries, late: c.late}
}
