package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
)

// maxPublishers is how many publishes run at a time: enough for 500 a second that take 30 ms.
const maxPublishers = 16

// messageBytes is the length of the data of a message.
const messageBytes = 200

// publish calls the server API without an idempotency key, which would add a transaction.
func (b *bench) publish(ctx context.Context, channel string) error {
	body := fmt.Sprintf(`{"channel":%q,"data":%q}`, channel, strings.Repeat("x", messageBytes-len(`""`)))
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, b.HTTPURL+"/api/publish", strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("X-Api-Key", apiKey)
	r.Header.Set("Content-Type", "application/json")
	response, err := b.http.Do(r)
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	var a struct{ Error json.RawMessage }
	if err := json.Unmarshal(answer, &a); err != nil || response.StatusCode != http.StatusOK || a.Error != nil {
		return fmt.Errorf("publish: %s: %s", response.Status, answer)
	}
	return nil
}

// audience is the clients of a channel. Each takes several pushes in a frame.
type audience struct {
	clients []*client
	// arrived gets the time of each frame with pushes. What does not fit is left out.
	arrived chan time.Time
}

type client struct {
	conn    *websocket.Conn
	arrived chan<- time.Time
	// checks means that the client compares offsets.
	checks bool

	mu               sync.Mutex
	frames, messages int
	offset           uint64 // the last one
	err              error
}

// subscribe connects n clients to a channel.
func (b *bench) subscribe(ctx context.Context, channel string, n int) (_ *audience, err error) {
	a := &audience{arrived: make(chan time.Time, n)}
	defer func() {
		if err != nil {
			a.close()
		}
	}()
	ch, err := hub.ParseChannel(project, channel)
	if err != nil {
		return nil, err
	}
	for i := range n {
		conn, _, err := websocket.Dial(ctx, b.WebSocketURL, nil)
		if err != nil {
			return nil, fmt.Errorf("connect a client: %w", err)
		}
		conn.SetReadLimit(1 << 20)
		c := &client{conn: conn, arrived: a.arrived, checks: i == 0}
		a.clients = append(a.clients, c)
		for _, frame := range []string{
			fmt.Sprintf(`{"id":"auth","method":"auth","params":{"project_id":"`+project+`","user":"u","token":"%s","permissions":{},"batch":true}}`, auth.SignToken(secret, "u", project)),
			fmt.Sprintf(`{"id":"subscribe","method":"subscribe","params":{"to":{"%s":["%s"]}}}`, ch.Category, ch.Name),
		} {
			if err := conn.Write(ctx, websocket.MessageText, []byte(frame)); err != nil {
				return nil, fmt.Errorf("send a command: %w", err)
			}
			_, reply, err := conn.Read(ctx)
			if err != nil {
				return nil, fmt.Errorf("read a reply: %w", err)
			}
			var r struct{ Error *string }
			if err := json.Unmarshal(reply, &r); err != nil || r.Error != nil {
				return nil, fmt.Errorf("a command failed: %s", reply)
			}
		}
		go c.read(ctx)
	}
	return a, nil
}

// read counts frames and messages until the connection ends.
func (c *client) read(ctx context.Context) {
	for {
		_, frame, err := c.conn.Read(ctx)
		at := time.Now()
		c.mu.Lock()
		if err == nil {
			c.frames++
			c.messages += bytes.Count(frame, []byte(`"event_id":`))
			if c.checks {
				err = c.check(frame)
			}
		}
		if err != nil {
			c.err = err
		}
		c.mu.Unlock()
		if err != nil {
			return
		}
		select {
		case c.arrived <- at:
		default:
		}
	}
}

// check fails where the messages of a stream do not follow each other.
func (c *client) check(frame []byte) error {
	type push struct{ Offset uint64 }
	pushes := make([]push, 1)
	var err error
	if frame[0] == '[' {
		err = json.Unmarshal(frame, &pushes)
	} else {
		err = json.Unmarshal(frame, &pushes[0])
	}
	if err != nil {
		return fmt.Errorf("decode a frame: %w", err)
	}
	for _, p := range pushes {
		if p.Offset != 0 && c.offset != 0 && p.Offset != c.offset+1 {
			return fmt.Errorf("message %d follows %d", p.Offset, c.offset)
		}
		c.offset = p.Offset
	}
	return nil
}

// count returns what all clients have received, and fails if one cannot receive more.
func (a *audience) count() (frames, messages int, err error) {
	for _, c := range a.clients {
		c.mu.Lock()
		frames, messages, err = frames+c.frames, messages+c.messages, errors.Join(err, c.err)
		c.mu.Unlock()
	}
	return frames, messages, err
}

// pollEvery is how often wait looks.
const pollEvery = 5 * time.Millisecond

// wait returns when every client has received so many messages in all.
func (a *audience) wait(ctx context.Context, messages int) error {
	for {
		_, got, err := a.count()
		switch {
		case err != nil:
			return err
		case got > messages*len(a.clients):
			return fmt.Errorf("%d messages arrived, more than the %d that were sent to %d clients", got, messages, len(a.clients))
		case got == messages*len(a.clients):
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d messages arrived: %w", got, messages*len(a.clients), ctx.Err())
		case <-time.After(pollEvery):
		}
	}
}

func (a *audience) close() {
	for _, c := range a.clients {
		_ = c.conn.CloseNow()
	}
}
