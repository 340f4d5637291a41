package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"

	"centrifuge/pkg/hub"
)

const (
	// keepAlive is well below the ten idle minutes after which API Gateway closes.
	keepAlive = 8 * time.Minute
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

// audience is what a listener tells of what comes in, all on one goroutine.
type audience interface {
	// subscribed is told that the connection is in its channels, with a way to send
	// commands that is good, on any goroutine, until it fails.
	subscribed(send func(ctx context.Context, command []byte) error)
	// message is told what was published and says whether that is enough.
	message(f frame) (enough bool, err error)
	// replied is told the id of a reply to a command that the audience sent and says
	// whether that is enough.
	replied(id string) (enough bool)
}

// listener listens over one connection after another.
type listener struct {
	websocket       string
	timeout         time.Duration // of a handshake and of a frame that is sent
	auth, subscribe []byte
	audience        audience
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
	Event    string              `json:"event"`
	Data     json.RawMessage     `json:"data"`
	Message  string              `json:"message"`
}

// published tells a message from the news of who joined and left, and from replies.
func (f *frame) published() bool { return f.Category != "" && f.Event == "" }

// listener makes one for a user and channels, and checks what the settings and the
// command line say of them. It is without an audience.
func (s *session) listener(user, token string, channels []string) (*listener, error) {
	if s.WebSocket == "" {
		return nil, misuse("no WebSocket for that address: set --websocket, CENT_WEBSOCKET or websocket in the file")
	}
	if u, err := url.Parse(s.WebSocket); err != nil || u.Scheme != "ws" && u.Scheme != "wss" || u.Host == "" || u.User != nil {
		return nil, misuse("the WebSocket is not a ws or wss address")
	}
	to := make(hub.Selection)
	for _, name := range channels {
		ch, err := hub.ParseChannel(s.Project, name)
		if err != nil {
			return nil, misuse("%s: %w", name, err)
		}
		to[ch.Category] = append(to[ch.Category], ch.Name)
	}
	authenticate, err := json.Marshal(command{"auth", "auth", map[string]any{
		"token": token, "user": user, "project_id": s.Project, "permissions": struct{}{}}})
	if err != nil {
		return nil, usageError{err}
	}
	subscribe, err := json.Marshal(command{"subscribe", "subscribe", map[string]any{"to": to}})
	if err != nil {
		return nil, usageError{err}
	}
	return &listener{websocket: s.WebSocket, timeout: s.Timeout, auth: authenticate, subscribe: subscribe}, nil
}

// listen connects, and tells the audience until that is enough. It says whether it
// came as far as being subscribed, and fails with what ended the connection before:
// refused, or anything else, after which it is worth connecting again.
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
		enough := false
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
			l.audience.subscribed(func(ctx context.Context, command []byte) error { return l.send(ctx, conn, command) })
		case f.Ack && f.ID != nil:
			enough = l.audience.replied(*f.ID)
		case f.published():
			if enough, err = l.audience.message(f); err != nil {
				return subscribed, err
			}
		case !f.Ack && f.Message != "":
			return subscribed, errors.New("API Gateway: " + f.Message)
		}
		if enough {
			_ = conn.Close(websocket.StatusNormalClosure, "")
			return true, nil
		}
	}
}

// dial opens a connection. A handshake that is refused for good is refused.
func (l *listener) dial(ctx context.Context) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	conn, res, err := websocket.Dial(ctx, l.websocket, &websocket.DialOptions{HTTPClient: client})
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
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
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
