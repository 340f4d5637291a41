package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"

	"centrifuge/pkg/hub"
)

const (
	// keepAlive is well below the ten idle minutes after which API Gateway closes.
	keepAlive = 5 * time.Minute
	// answerPatience is how long a reply may take: API Gateway waits 29 s for one.
	answerPatience = 30 * time.Second
	// maxFrameBytes is twice the largest push.
	maxFrameBytes = 2 * hub.MaxMessageBytes
)

// nothing is a command that keeps a connection open and is answered.
var nothing = []byte(`{"id":"alive","method":"subscribe","params":{"to":{}}}`)

type command struct {
	ID     string         `json:"id"`
	Method string         `json:"method"`
	Params map[string]any `json:"params"`
}

// listener prints what comes in over one connection after another.
type listener struct {
	s               *session
	auth, subscribe []byte
	// left is how many messages are still to be printed, unless endless.
	left    int
	endless bool
	names   string
}

// frame is what comes in: a reply, which has an ack; a push; or, with a message
// alone, what API Gateway says when a function failed.
type frame struct {
	Ack      bool                `json:"ack"`
	ID       *string             `json:"id"`
	Error    *string             `json:"error"`
	Refused  map[string][]string `json:"refused"`
	Category string              `json:"category"`
	Channel  string              `json:"channel"`
	EventID  string              `json:"event_id"`
	Data     json.RawMessage     `json:"data"`
	Message  string              `json:"message"`
}

// listen connects, and prints until there is nothing left to print. It tells
// whether it came as far as being subscribed, and fails with what ended the
// connection before: refused, or anything else, after which it is worth connecting
// again.
func (l *listener) listen(ctx context.Context) (subscribed bool, err error) {
	conn, err := l.dial(ctx)
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(maxFrameBytes)
	if err := l.send(ctx, conn, l.auth); err != nil {
		return false, err
	}
	stop := l.keepOpen(ctx, conn)
	defer stop()
	patience := answerPatience
	for {
		f, err := l.read(ctx, conn, patience)
		switch {
		case err != nil:
			return subscribed, err
		case f.Error != nil:
			return subscribed, refusal(*f.Error)
		case len(f.Refused) > 0:
			return subscribed, refusedChannels(f.Refused)
		case f.Ack && f.ID != nil && *f.ID == "auth":
			if err := l.send(ctx, conn, l.subscribe); err != nil {
				return false, err
			}
		case f.Ack && f.ID != nil && *f.ID == "subscribe":
			subscribed, patience = true, keepAlive+answerPatience
			fmt.Fprintln(l.s.stderr, "cent: subscribed to "+printable(l.names))
		case f.Category != "":
			if err := l.print(f); err != nil {
				return subscribed, err
			}
			if l.left--; l.left == 0 && !l.endless {
				_ = conn.Close(websocket.StatusNormalClosure, "")
				return true, nil
			}
		case !f.Ack && f.Message != "":
			return subscribed, errors.New("API Gateway: " + f.Message)
		}
	}
}

// dial opens a connection. A handshake that is refused for good is refused.
func (l *listener) dial(ctx context.Context) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, l.s.Timeout)
	defer cancel()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	conn, res, err := websocket.Dial(ctx, l.s.WebSocket, &websocket.DialOptions{HTTPClient: client})
	if err == nil {
		return conn, nil
	}
	if res != nil {
		if res.Body != nil {
			res.Body.Close()
		}
		if res.StatusCode == http.StatusForbidden || res.StatusCode == http.StatusUnauthorized {
			return nil, refused{fmt.Sprintf("the handshake, with status %d", res.StatusCode)}
		}
	}
	return nil, fmt.Errorf("connect: %w", err)
}

func (l *listener) send(ctx context.Context, conn *websocket.Conn, b []byte) error {
	ctx, cancel := context.WithTimeout(ctx, l.s.Timeout)
	defer cancel()
	if err := conn.Write(ctx, websocket.MessageText, b); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}

// keepOpen sends something now and then until stop is called. That no answer
// comes is noticed by whoever reads.
func (l *listener) keepOpen(ctx context.Context, conn *websocket.Conn) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(keepAlive)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				if l.send(ctx, conn, nothing) != nil {
					return
				}
			}
		}
	}()
	return func() { cancel(); <-done }
}

func (l *listener) read(ctx context.Context, conn *websocket.Conn, patience time.Duration) (frame, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, b, err := conn.Read(ctx)
	if err != nil {
		return frame{}, fmt.Errorf("connection lost: %w", err)
	}
	return decodeFrame(b)
}

func decodeFrame(b []byte) (frame, error) {
	var f frame
	if err := json.Unmarshal(b, &f); err != nil {
		return frame{}, fmt.Errorf("decode a frame: %w", err)
	}
	return f, nil
}

func (l *listener) print(f frame) error {
	return l.s.printJSON(struct {
		Channel string          `json:"channel"`
		EventID string          `json:"event_id"`
		Data    json.RawMessage `json:"data"`
	}{f.Category + ":" + f.Channel, f.EventID, f.Data})
}

// refusal is the error for what a reply says: refused, unless the same may
// succeed on another connection.
func refusal(message string) error {
	for _, e := range []*hub.Error{hub.ErrInternal, hub.ErrValidation, hub.ErrConnectionNotFound} {
		if strings.HasPrefix(message, e.Message) {
			return errors.New(message)
		}
	}
	return refused{message}
}

func refusedChannels(by map[string][]string) error {
	var r refused
	for _, category := range slices.Sorted(maps.Keys(by)) {
		for _, name := range by[category] {
			r = append(r, category+":"+name)
		}
	}
	return r
}
