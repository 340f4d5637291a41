package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/coder/websocket"

	"centrifuge/pkg/auth"
)

// client is a subscriber that notes what it received.
type client struct {
	conn  *websocket.Conn
	at    []time.Time // by message, when it came first
	twice int
}

// open connects a client, has it authenticate and subscribe.
func (r *run) open(ctx context.Context, user string) (*client, error) {
	conn, _, err := websocket.Dial(ctx, r.websocketURL, nil)
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(1 << 20)
	c := &client{conn: conn, at: make([]time.Time, r.messages)}
	if err := c.command(ctx, "auth", map[string]any{
		"token": auth.SignToken(r.secret, user, r.project), "user": user, "project_id": r.project, "permissions": struct{}{},
	}); err != nil {
		return nil, err
	}
	return c, c.command(ctx, "subscribe", map[string]any{"to": map[string][]string{r.category: {r.channel}}})
}

// command sends a command and reads its reply.
func (c *client) command(ctx context.Context, method string, params any) error {
	frame, err := json.Marshal(map[string]any{"id": method, "method": method, "params": params})
	if err != nil {
		return err
	}
	if err := c.conn.Write(ctx, websocket.MessageText, frame); err != nil {
		return err
	}
	_, frame, err = c.conn.Read(ctx)
	if err != nil {
		return err
	}
	var reply struct {
		Result  bool
		Refused json.RawMessage
	}
	if err := json.Unmarshal(frame, &reply); err != nil || !reply.Result || reply.Refused != nil {
		return fmt.Errorf("%s was answered %s", method, frame)
	}
	return nil
}

// receive reads until every message has come, or ctx ends.
func (c *client) receive(ctx context.Context, r *run) error {
	for left := r.messages; left > 0; {
		_, frame, err := c.conn.Read(ctx)
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		first, err := c.note(frame, time.Now())
		if err != nil {
			return err
		}
		if first {
			left--
			r.received.Add(1)
		}
	}
	return nil
}

// note records a push and tells whether it is the first of its message.
func (c *client) note(frame []byte, now time.Time) (first bool, err error) {
	var push struct {
		Data struct{ N *int }
	}
	if err := json.Unmarshal(frame, &push); err != nil || push.Data.N == nil || *push.Data.N < 0 || *push.Data.N >= len(c.at) {
		return false, fmt.Errorf("received %s", frame)
	}
	at := &c.at[*push.Data.N]
	if !at.IsZero() {
		c.twice++
		return false, nil
	}
	*at = now
	return true, nil
}

// settle finds what comes after everything has come: it sends a command when all
// posts have ended, and whatever precedes the reply came twice.
func (c *client) settle(ctx context.Context) error {
	if err := c.conn.Write(ctx, websocket.MessageText, []byte(`{"method":"settle","params":{}}`)); err != nil {
		return err
	}
	for {
		_, frame, err := c.conn.Read(ctx)
		if err != nil {
			return fmt.Errorf("settle: %w", err)
		}
		var reply struct{ Ack bool }
		if err := json.Unmarshal(frame, &reply); err == nil && reply.Ack {
			return nil
		}
		if _, err := c.note(frame, time.Now()); err != nil {
			return err
		}
	}
}
