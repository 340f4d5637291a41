package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"

	"centrifuge/pkg/hub"
)

const (
	// keepAlive is the interval of pings. API Gateway closes a connection after ten idle
	// minutes.
	keepAlive = 8 * time.Minute
	// replyTimeout is the time limit of a reply. API Gateway waits 29 s for a function.
	replyTimeout = 30 * time.Second
	// maxFrameBytes is twice the size limit of a message.
	maxFrameBytes = 2 * hub.MaxMessageBytes
)

// ping keeps a connection open. API Gateway itself accepts it: it costs one message,
// starts no function and has no reply.
var ping = []byte(`{"method":"ping"}`)

type command struct {
	ID     string         `json:"id"`
	Method string         `json:"method"`
	Params map[string]any `json:"params"`
}

// settleCommand is a command without an effect. Pushes before its reply were sent
// earlier.
var settleCommand = []byte(`{"id":"settle","method":"subscribe","params":{"to":{}}}`)

// classic is a listener that speaks the classic protocol.
type classic struct {
	dialer
	keepAlive       time.Duration // the interval of pings
	auth, subscribe []byte
	receiver        receiver
}

// frame is a reply, which has an ack; a push; or an error of API Gateway, which has only a
// message.
type frame struct {
	Ack      bool                         `json:"ack"`
	ID       *string                      `json:"id"`
	Error    *string                      `json:"error"`
	Code     int                          `json:"code"`
	Detail   string                       `json:"detail"`
	Refused  map[string][]string          `json:"refused"`
	Reasons  map[string]map[string]reason `json:"reasons"`
	Category string                       `json:"category"`
	Channel  string                       `json:"channel"`
	EventID  string                       `json:"event_id"`
	Event    string                       `json:"event"`
	Data     json.RawMessage              `json:"data"`
	Offset   uint64                       `json:"offset"`
	Epoch    string                       `json:"epoch"`
	Message  string                       `json:"message"`
}

// reason is why a channel was refused.
type reason struct {
	Code   int    `json:"code"`
	Error  string `json:"error"`
	Detail string `json:"detail"`
}

// published reports whether the frame is a message, not a reply or the announcement of
// a join or a leave.
func (f *frame) published() bool { return f.EventID != "" && f.Event == "" }

// delivery returns the message of a push.
func (f *frame) delivery() delivery {
	return delivery{Channel: hub.Channel{Category: f.Category, Name: f.Channel}.String(), EventID: f.EventID, Data: f.Data, Offset: f.Offset, Epoch: f.Epoch}
}

// replies reports whether the frame is the reply to the command with this id.
func (f *frame) replies(id string) bool { return f.Ack && f.ID != nil && *f.ID == id }

// classic returns a listener, without a receiver, for a user and channels.
func (s *session) classic(user, token string, to hub.Selection) (*classic, error) {
	authenticate, err := json.Marshal(command{"auth", "auth", map[string]any{
		"token": token, "user": user, "project_id": s.Project, "permissions": struct{}{}, "batch": true}})
	if err != nil {
		return nil, usageError{err}
	}
	subscribe, err := json.Marshal(command{"subscribe", "subscribe", map[string]any{"to": to}})
	if err != nil {
		return nil, usageError{err}
	}
	return &classic{dialer: dialer{s.WebSocket, s.Timeout}, keepAlive: keepAlive, auth: authenticate, subscribe: subscribe}, nil
}

// listen implements listener: it ends with the connection. A reply to auth or to subscribe has
// a time limit. After them a channel may be silent for any time: a lost network is found by the
// keep-alive of TCP.
func (l *classic) listen(ctx context.Context) (subscribed bool, err error) {
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
	for {
		frames, err := l.read(ctx, conn, subscribed)
		if err != nil {
			return subscribed, err
		}
		for _, f := range frames {
			done, err := l.handle(ctx, conn, f)
			if err != nil {
				return subscribed, err
			}
			if done {
				_ = conn.Close(websocket.StatusNormalClosure, "")
				return true, nil
			}
			subscribed = subscribed || f.replies("subscribe")
		}
	}
}

// handle calls the receiver for a frame. It reports whether the receiver is done.
func (l *classic) handle(ctx context.Context, conn *websocket.Conn, f frame) (done bool, err error) {
	switch {
	case f.Error != nil:
		return false, refusal(*f.Error, f.Code, f.Detail)
	case len(f.Refused) > 0:
		return false, refusedChannels(f)
	case f.replies("auth"):
		return false, l.send(ctx, conn, l.subscribe)
	case f.replies("subscribe"):
		return l.receiver.subscribed(func(ctx context.Context) error { return l.send(ctx, conn, settleCommand) })
	case f.replies("settle"):
		return true, nil
	case f.published():
		return l.receiver.message(f.delivery())
	case !f.Ack && f.Message != "":
		return false, errors.New("API Gateway: " + f.Message)
	}
	return false, nil
}

func (l *classic) send(ctx context.Context, conn *websocket.Conn, b []byte) error {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	if err := conn.Write(ctx, websocket.MessageText, b); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}

// keepOpen sends pings until stop is called.
func (l *classic) keepOpen(ctx context.Context, conn *websocket.Conn) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(l.keepAlive)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				if l.send(ctx, conn, ping) != nil {
					return
				}
			}
		}
	}()
	return func() { cancel(); <-done }
}

// read returns what the next WebSocket message holds: one frame, or several pushes.
func (l *classic) read(ctx context.Context, conn *websocket.Conn, subscribed bool) ([]frame, error) {
	if !subscribed {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, replyTimeout)
		defer cancel()
	}
	_, b, err := conn.Read(ctx)
	if err != nil {
		return nil, fmt.Errorf("connection lost: %w", err)
	}
	return decodeFrames(b)
}

// decodeFrames decodes an object, or an array of at least one.
func decodeFrames(b []byte) (frames []frame, err error) {
	if bytes.HasPrefix(bytes.TrimLeft(b, " \t\r\n"), []byte("[")) {
		err = json.Unmarshal(b, &frames)
	} else {
		frames = make([]frame, 1)
		err = json.Unmarshal(b, &frames[0])
	}
	if err == nil && len(frames) == 0 {
		err = errors.New("it is an empty array")
	}
	if err != nil {
		return nil, fmt.Errorf("decode a frame: %w", err)
	}
	return frames, nil
}

// refusal is the error for the error of a reply: refused, unless the command may succeed
// on another connection.
func refusal(text string, code int, detail string) error {
	if code != 0 {
		text = fmt.Sprintf("%s (code %d)", explain(text, detail), code)
	}
	for _, e := range []*hub.Error{hub.ErrInternal, hub.ErrValidation, hub.ErrConnectionNotFound} {
		if code == e.Code {
			return errors.New(text)
		}
	}
	return refused{text}
}

// explain adds the detail to an error text, which may end with a part of it.
func explain(text, detail string) string {
	if message, known, ok := strings.Cut(text, ": "); ok && strings.HasPrefix(detail, known) {
		text = message
	}
	return text + ": " + detail
}

// refusedChannels is the error for the channels that a subscribe was refused.
func refusedChannels(f frame) error {
	var r refused
	for _, category := range slices.Sorted(maps.Keys(f.Refused)) {
		for _, name := range f.Refused[category] {
			text := hub.Channel{Category: category, Name: name}.String()
			if why, known := f.Reasons[category][name]; known {
				text += fmt.Sprintf(": %s (code %d)", explain(why.Error, why.Detail), why.Code)
			}
			r = append(r, text)
		}
	}
	return r
}
