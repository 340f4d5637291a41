package e2e

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/coder/websocket"

	"centrifuge/pkg/hub"
)

// socket is a client connection. A goroutine reads its frames, so that the server
// never waits for the script.
type socket struct {
	conn   *websocket.Conn
	frames chan string
	// onlyChannel makes the socket ignore pushes of other channels; "" ignores none.
	onlyChannel string
	// early are the frames that came before their turn, where the order is reported.
	early []string
	// readErr is the error that ended reading. It is set before frames is closed.
	readErr error
}

func newSocket(conn *websocket.Conn) *socket {
	conn.SetReadLimit(1 << 20)
	s := &socket{conn: conn, frames: make(chan string, 4096)}
	go func() {
		defer close(s.frames)
		for {
			kind, b, err := conn.Read(context.Background())
			if err == nil && kind != websocket.MessageText {
				err = fmt.Errorf("received a binary frame: %q", truncate(string(b)))
			}
			if err != nil {
				s.readErr = err
				return
			}
			s.frames <- string(b)
		}
	}()
	return s
}

// fragments sends "SIZE FRAME" as one message in frames of at most SIZE bytes.
func (s *socket) fragments(ctx context.Context, args string) error {
	number, frame, _ := strings.Cut(args, " ")
	size, err := strconv.Atoi(number)
	if err != nil || size < 1 {
		return fmt.Errorf("fragments: %q is not a frame size: write fragments NAME SIZE FRAME", number)
	}
	w, err := s.conn.Writer(ctx, websocket.MessageText)
	if err != nil {
		return err
	}
	for part := range slices.Chunk([]byte(strings.TrimSpace(frame)), size) {
		if _, err := w.Write(part); err != nil {
			return nil //nolint:nilerr // as below
		}
	}
	// API Gateway may close the connection before it has the whole message. The next step
	// of the script sees that.
	_ = w.Close()
	return nil
}

// next returns the next frame that is not ignored.
func (s *socket) next(ctx context.Context) (string, error) {
	for {
		select {
		case frame, ok := <-s.frames:
			if !ok {
				return "", fmt.Errorf("socket closed: %w", s.readErr)
			}
			if s.matches(frame) {
				return frame, nil
			}
		case <-ctx.Done():
			return "", fmt.Errorf("no frame received: %w", ctx.Err())
		}
	}
}

// matches reports whether a frame is not a push of a channel that is ignored.
func (s *socket) matches(frame string) bool {
	var push struct {
		Channel string `json:"channel"`
		Push    struct {
			Pub struct {
				Data hub.FeedEntry `json:"data"`
			} `json:"pub"`
		} `json:"push"`
	}
	if s.onlyChannel == "" || json.Unmarshal([]byte(frame), &push) != nil {
		return true
	}
	channel := cmp.Or(push.Channel, push.Push.Pub.Data.Channel)
	return channel == "" || channel == s.onlyChannel
}

// expectClose waits until the server closes the socket, and compares the code unless it
// is "*". Frames come before their turn if keepEarly is set, else they are an error.
func (s *socket) expectClose(ctx context.Context, code string, keepEarly bool) error {
	for {
		select {
		case frame, ok := <-s.frames:
			if ok && keepEarly {
				s.early = append(s.early, frame)
				continue
			}
			if ok {
				return fmt.Errorf("received %s, expected a close", truncate(frame))
			}
			if got := websocket.CloseStatus(s.readErr); code != "*" && strconv.Itoa(int(got)) != code {
				return fmt.Errorf("closed with %d (%w), expected %s", got, s.readErr, code)
			}
			return nil
		case <-ctx.Done():
			return fmt.Errorf("socket still open: %w", ctx.Err())
		}
	}
}

func (s *socket) close() {
	_ = s.conn.CloseNow()
	for range s.frames {
	}
}
