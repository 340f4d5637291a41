package hammer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/coder/websocket"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
)

// client is in one channel, from before the first message to the end.
type client struct {
	h          *hammer
	name       string // of the user
	channel    string
	batch      bool
	conn       *websocket.Conn
	connection string // the id
	replies    chan push

	mu       sync.Mutex
	received []push // publications, in the order of their receipt
	top      uint64 // the greatest offset
	frames   int
	late     []time.Duration // of first receipts, since the publish began
	ended    error           // why nothing more is received
	changed  chan struct{}   // closed and replaced at every change
}

// connect opens a connection, and returns when it is in its channel.
func (h *hammer) connect(ctx context.Context, name, channel string, batch bool) (*client, error) {
	conn, response, err := websocket.Dial(ctx, h.stack.WebSocketURL, nil)
	if err != nil {
		return nil, fmt.Errorf("%s connects: %w", name, err)
	}
	if response.Body != nil {
		_ = response.Body.Close()
	}
	conn.SetReadLimit(hub.MaxMessageBytes)
	c := &client{
		h: h, name: name, channel: channel, batch: batch, conn: conn, replies: make(chan push, 1), changed: make(chan struct{}),
	}
	go c.read()
	token := auth.SignToken(secret, name, project)
	params := map[string]any{"token": token, "user": name, "project_id": project, "permissions": map[string]any{}, "batch": batch}
	if err := c.send(ctx, "auth", params); err != nil {
		return nil, err
	}
	if err := c.send(ctx, "subscribe", map[string]any{"to": map[string][]string{category: {channel}}}); err != nil {
		return nil, err
	}
	connections, err := h.stack.App.Store.UserConnections(ctx, project, name)
	if err != nil || len(connections) != 1 {
		return nil, fmt.Errorf("%s has %d connections: %w", name, len(connections), err)
	}
	c.connection = connections[0].ID
	return c, nil
}

// send sends a command, and returns when it has succeeded.
func (c *client) send(ctx context.Context, method string, params map[string]any) error {
	frame, err := json.Marshal(map[string]any{"id": method, "method": method, "params": params})
	if err != nil {
		return err
	}
	if err := c.conn.Write(ctx, websocket.MessageText, frame); err != nil {
		return fmt.Errorf("%s: %s: %w", c.name, method, err)
	}
	select {
	case reply := <-c.replies:
		if !reply.Ack || reply.Error != "" {
			return fmt.Errorf("%s: %s was answered %+v", c.name, method, reply)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s: %s was not answered: %w", c.name, method, context.Cause(ctx))
	}
}

func (c *client) read() {
	for {
		_, frame, err := c.conn.Read(context.Background())
		now := time.Now()
		var all []push
		if err == nil {
			all, err = pushes(frame)
		}
		if err == nil && (all[0].Ack || all[0].Message != "") {
			c.replies <- all[0]
			continue
		}
		if err == nil && len(all) > 1 && !c.batch {
			err = errors.New("it did not ask for a batch")
		}
		c.record(all, err, now)
		if err != nil {
			return
		}
	}
}

func (c *client) record(all []push, err error, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.ended = err
	} else {
		c.frames++
	}
	for _, p := range all {
		c.received = append(c.received, p)
		if p.Offset > c.top {
			c.top = p.Offset
			c.late = append(c.late, now.Sub(c.h.ledger.began(p.Data.N)))
		}
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

// wait returns when the client has received an offset, or will not receive it: check finds what
// is missing.
func (c *client) wait(ctx context.Context, top uint64) {
	for {
		c.mu.Lock()
		over, changed := c.top >= top || c.ended != nil, c.changed
		c.mu.Unlock()
		if over || c.h.faults.isGone(c.connection) {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// check compares what the client has received with the stream, also where it did not stay:
// then that is its beginning. It returns how many publications it received again.
func (c *client) check(stream []publication, epoch string) (twice int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var top uint64
	for _, p := range c.received {
		switch {
		case p.Channel != c.channel || p.Epoch != epoch:
			c.h.fail("%s in %s, epoch %s, received a push of %s, epoch %s", c.name, c.channel, epoch, p.Channel, p.Epoch)
			continue
		case p.Offset == 0 || p.Offset > uint64(len(stream)):
			c.h.fail("%s in %s received offset %d of %d", c.name, c.channel, p.Offset, len(stream))
			continue
		case stream[p.Offset-1].number != p.Data.N:
			c.h.fail("%s in %s received message %d at offset %d, which is that of message %d", c.name, c.channel, p.Data.N, p.Offset, stream[p.Offset-1].number)
		case p.Offset > top+1:
			c.h.fail("%s in %s received offset %d after %d; the next one was posted by %q", c.name, c.channel, p.Offset, top, c.h.watch.poster(c.channel, top+1))
		case p.Offset <= top:
			twice++
			if !c.h.watch.isRepeated(c.channel, p.Offset) {
				c.h.fail("%s in %s received offset %d again, which no second process has posted", c.name, c.channel, p.Offset)
			}
		}
		top = max(top, p.Offset)
	}
	if gone := c.h.faults.isGone(c.connection); !gone && top != uint64(len(stream)) {
		c.h.fail("%s in %s stayed, and received everything up to offset %d of %d; its connection ended: %v", c.name, c.channel, top, len(stream), c.ended)
	}
	return twice
}

func (c *client) in() string { return c.channel }

// disturb does nothing: the client stays.
func (c *client) disturb(context.Context, *rand.Rand) {}

func (c *client) receipts() receipts {
	c.mu.Lock()
	defer c.mu.Unlock()
	return receipts{!c.h.faults.isGone(c.connection), c.batch, c.frames, len(c.received), 0, c.late}
}
