package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/coder/websocket"
)

// socket is a client whose frames are read as they come, so that the other side
// never waits for the script.
type socket struct {
	conn   *websocket.Conn
	frames chan string
	// only is the channel whose pushes count, "" where all do.
	only string
	// over holds the error that ended reading, once frames is closed.
	over error
}

func listen(conn *websocket.Conn) *socket {
	conn.SetReadLimit(1 << 20)
	s := &socket{conn: conn, frames: make(chan string, 4096)}
	go func() {
		defer close(s.frames)
		for {
			kind, b, err := conn.Read(context.Background())
			if err == nil && kind != websocket.MessageText {
				err = fmt.Errorf("received a binary frame: %q", clip(string(b)))
			}
			if err != nil {
				s.over = err
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
		return fmt.Errorf("a frame cannot have %q bytes", number)
	}
	w, err := s.conn.Writer(ctx, websocket.MessageText)
	if err != nil {
		return err
	}
	for part := range slices.Chunk([]byte(strings.TrimSpace(frame)), size) {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return w.Close()
}

// next returns the next frame that counts.
func (s *socket) next(ctx context.Context) (string, error) {
	for {
		select {
		case frame, ok := <-s.frames:
			if !ok {
				return "", fmt.Errorf("the socket is closed: %w", s.over)
			}
			if s.counts(frame) {
				return frame, nil
			}
		case <-ctx.Done():
			return "", fmt.Errorf("nothing came: %w", ctx.Err())
		}
	}
}

// counts is false of a push in another channel than the only one that counts.
func (s *socket) counts(frame string) bool {
	var push struct {
		Channel string `json:"channel"`
	}
	return s.only == "" || json.Unmarshal([]byte(frame), &push) != nil || push.Channel == "" || push.Channel == s.only
}

// closed waits for the close and compares its code.
func (s *socket) closed(ctx context.Context, code string) error {
	for {
		select {
		case frame, ok := <-s.frames:
			if ok {
				return fmt.Errorf("received %s, expected a close", clip(frame))
			}
			if got := websocket.CloseStatus(s.over); strconv.Itoa(int(got)) != code {
				return fmt.Errorf("closed with %d (%w), expected %s", got, s.over, code)
			}
			return nil
		case <-ctx.Done():
			return fmt.Errorf("the socket stays open: %w", ctx.Err())
		}
	}
}

func (s *socket) close() {
	_ = s.conn.CloseNow()
	for range s.frames {
	}
}
