package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/coder/websocket"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
)

// client is a connected client. It reads all the time.
type client struct {
	conn    *websocket.Conn
	timeout time.Duration
	frames  chan string
	// ended is closed when the connection has ended, for the reason cause.
	ended chan struct{}
	cause error
}

// maxFrames bounds the frames that a client holds. More are dropped.
const maxFrames = 1 << 14

func (s *session) dial(ctx context.Context) (*client, error) { return s.dialTo(ctx, s.WebSocketURL) }

func (s *session) dialTo(ctx context.Context, url string) (*client, error) {
	ctx, cancel := context.WithTimeout(ctx, s.ReplyTimeout)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		return nil, fmt.Errorf("connect a client: %w", err)
	}
	conn.SetReadLimit(1 << 20)
	c := &client{conn: conn, timeout: s.ReplyTimeout, frames: make(chan string, maxFrames), ended: make(chan struct{})}
	go func() {
		defer close(c.ended)
		for {
			_, b, err := conn.Read(context.Background())
			if err != nil {
				c.cause = err
				return
			}
			select {
			case c.frames <- string(b):
			default:
			}
		}
	}()
	return c, nil
}

// enter connects a client, authenticates it, and finds out the id of its connection: a
// client receives its own join.
func (s *session) enter(ctx context.Context) (*client, string, error) {
	c, err := s.dial(ctx)
	if err != nil {
		return nil, "", err
	}
	id, err := c.join(ctx, s)
	if err != nil {
		c.close()
		return nil, "", err
	}
	return c, id, nil
}

func (c *client) join(ctx context.Context, s *session) (id string, err error) {
	if err := c.ask(ctx, s.authFrame()); err != nil {
		return "", err
	}
	if err := c.send(ctx, `{"id":"join","method":"subscribe","params":{"to":{"room":["`+hub.NewID(time.Now())+`"]}}}`); err != nil {
		return "", err
	}
	for replied := false; id == "" || !replied; {
		text, err := c.next(ctx)
		if err != nil {
			return "", err
		}
		var frame struct {
			Ack    bool
			Error  *string
			Client struct{ Client string }
		}
		if err := json.Unmarshal([]byte(text), &frame); err != nil {
			return "", err
		}
		if frame.Error != nil {
			return "", fmt.Errorf("subscribe: %s", *frame.Error)
		}
		replied = replied || frame.Ack
		if frame.Client.Client != "" {
			id = frame.Client.Client
		}
	}
	return id, nil
}

// authFrame is an auth that grants the categories of the probes, without a validate_url.
func (s *session) authFrame() string {
	token, err := auth.SignJWT(s.Secret, map[string]any{
		"sub": "probe", "exp": time.Now().Add(2 * time.Hour).Unix(),
		"permissions": map[string][]string{"room": {}, "chat": {}},
	})
	if err != nil {
		panic(err) // these claims can be encoded, and Run requires a secret
	}
	frame, err := json.Marshal(map[string]any{"id": "auth", "method": "auth", "params": map[string]any{
		"token": token, "user": "probe", "project_id": s.Project, "permissions": struct{}{},
	}})
	if err != nil {
		panic(err) // all members are strings
	}
	return string(frame)
}

func (c *client) send(ctx context.Context, text string) error {
	return c.conn.Write(ctx, websocket.MessageText, []byte(text))
}

// sendInFrames sends a message in frames of at most size bytes.
func (c *client) sendInFrames(ctx context.Context, text string, size int) error {
	w, err := c.conn.Writer(ctx, websocket.MessageText)
	if err != nil {
		return err
	}
	for len(text) > 0 {
		n := min(len(text), size)
		if _, err := w.Write([]byte(text[:n])); err != nil {
			return err
		}
		text = text[n:]
	}
	return w.Close()
}

// errNoFrame is returned when no frame arrives in time.
var errNoFrame = errors.New("no frame arrived in time")

// next returns the next frame. It fails with errNoFrame, or when the connection ends.
func (c *client) next(ctx context.Context) (string, error) {
	return c.nextWithin(ctx, c.timeout)
}

func (c *client) nextWithin(ctx context.Context, d time.Duration) (string, error) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case frame := <-c.frames:
		return frame, nil
	default:
	}
	select {
	case frame := <-c.frames:
		return frame, nil
	case <-c.ended:
		return "", fmt.Errorf("closed: %w", c.cause)
	case <-timer.C:
		return "", errNoFrame
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// ask sends a command and waits for its reply. It fails when the next frame is an error
// of the service or of API Gateway.
func (c *client) ask(ctx context.Context, command string) error {
	if err := c.send(ctx, command); err != nil {
		return err
	}
	text, err := c.next(ctx)
	if err != nil {
		return err
	}
	var reply struct{ Error, Message *string }
	if err := json.Unmarshal([]byte(text), &reply); err != nil {
		return err
	}
	for _, failure := range []*string{reply.Error, reply.Message} {
		if failure != nil {
			return errors.New(*failure)
		}
	}
	return nil
}

// outcome describes what followed a frame: the reply, an error, nothing or a close.
func (c *client) outcome(ctx context.Context) string {
	text, err := c.next(ctx)
	switch code := websocket.CloseStatus(err); {
	case err == nil && strings.Contains(text, `"ack":true`):
		return "replied"
	case err == nil:
		return shorten(text)
	case code >= 0:
		return fmt.Sprintf("closed with %d", code)
	case errors.Is(err, errNoFrame):
		return "nothing"
	default:
		return err.Error()
	}
}

func (c *client) close() { _ = c.conn.CloseNow() }

// shorten shortens a text for a transcript.
func shorten(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}
