package probe

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	maxFrame   = 32 << 10
	maxMessage = 128 << 10
)

// findPing sends pings and looks for frames.
func findPing(ctx context.Context, s *session) (finding, error) {
	c, err := s.dial(ctx)
	if err != nil {
		return finding{}, err
	}
	defer c.close()
	if err := c.send(ctx, `{"method":"ping"}`); err != nil {
		return finding{}, err
	}
	text, err := c.nextWithin(ctx, time.Second)
	if errors.Is(err, errNoFrame) {
		return agree(true, "no reply"), nil
	}
	if err != nil {
		return finding{}, err
	}
	return agree(false, "the reply %s", shorten(text)), nil
}

// findLifecycleRoute sends a frame that names $connect.
func findLifecycleRoute(ctx context.Context, s *session) (finding, error) {
	c, err := s.dial(ctx)
	if err != nil {
		return finding{}, err
	}
	defer c.close()
	if err := c.send(ctx, `{"id":"1","method":"$connect","params":{}}`); err != nil {
		return finding{}, err
	}
	seen := c.outcome(ctx)
	return agree(seen == "replied", "%s", seen), nil
}

// findDepth sends JSON of several depths.
func findDepth(ctx context.Context, s *session) (finding, error) {
	var seen []string
	all := true
	for _, depth := range []int{10, 100, 500, 1000, 5000, 15000} {
		c, err := s.dial(ctx)
		if err != nil {
			return finding{}, err
		}
		err = c.send(ctx, strings.Repeat("[", depth)+strings.Repeat("]", depth))
		if err != nil {
			c.close()
			return finding{}, err
		}
		outcome := c.outcome(ctx)
		c.close()
		all = all && outcome == "replied"
		seen = append(seen, fmt.Sprintf("%d: %s", depth, outcome))
	}
	return agree(all, "%s", strings.Join(seen, "; ")), nil
}

// findFragments sends messages at the limits.
func findFragments(ctx context.Context, s *session) (finding, error) {
	var seen []string
	all := true
	for _, size := range []struct {
		name           string
		message, frame int
		want           string
	}{
		{"a frame of 32,768 bytes", maxFrame, maxFrame, "replied"},
		{"a frame of 32,769 bytes", maxFrame + 1, maxFrame + 1, "closed with 1009"},
		{"4 frames of 32,768 bytes", maxMessage, maxFrame, "replied"},
		{"a message of 131,073 bytes", maxMessage + 1, maxFrame, "closed with 1009"},
	} {
		c, err := s.dial(ctx)
		if err != nil {
			return finding{}, err
		}
		head, tail := `{"padding":"`, `","method":"auth","params":{}}`
		// The gateway may close before everything is sent.
		_ = c.sendInFrames(ctx, head+strings.Repeat("x", size.message-len(head)-len(tail))+tail, size.frame)
		outcome := c.outcome(ctx)
		c.close()
		all = all && outcome == size.want
		seen = append(seen, size.name+": "+outcome)
	}
	return agree(all, "%s", strings.Join(seen, "; ")), nil
}

// findReplySize makes replies of several sizes: the reply to an unknown method has its
// name twice.
func findReplySize(ctx context.Context, s *session) (finding, error) {
	rest, err := s.replyRest(ctx)
	if err != nil {
		return finding{}, err
	}
	var seen []string
	all := true
	for _, size := range []int{33 << 10, 64 << 10, 100 << 10, maxMessage, maxMessage + 1} {
		name := (size - rest - 1) / 2
		id := size - rest - 2*name
		c, err := s.dial(ctx)
		if err != nil {
			return finding{}, err
		}
		_ = c.sendInFrames(ctx, `{"id":"`+strings.Repeat("i", id)+`","method":"`+strings.Repeat("m", name)+`","params":{}}`, maxFrame-1)
		text, err := c.next(ctx)
		c.close()
		outcome := "arrived"
		switch {
		case err != nil:
			outcome = err.Error()
		case len(text) != size:
			outcome = shorten(text)
		}
		all = all && (outcome == "arrived") == (size <= maxMessage)
		seen = append(seen, strconv.Itoa(size)+" bytes: "+outcome)
	}
	return agree(all, "%s", strings.Join(seen, "; ")), nil
}

// replyRest is the size of the reply to an unknown method without its id, and without its
// method, which it has twice.
func (s *session) replyRest(ctx context.Context) (int, error) {
	c, err := s.dial(ctx)
	if err != nil {
		return 0, err
	}
	defer c.close()
	if err := c.send(ctx, `{"id":"","method":"m","params":{}}`); err != nil {
		return 0, err
	}
	text, err := c.next(ctx)
	return len(text) - 2*len("m"), err
}

// findFrameOrder sends pairs of frames and compares the order of their replies.
func findFrameOrder(ctx context.Context, s *session) (finding, error) {
	const pairs = 50
	c, err := s.dial(ctx)
	if err != nil {
		return finding{}, err
	}
	defer c.close()
	reversed := 0
	for range pairs {
		for _, id := range []string{"first", "second"} {
			if err := c.send(ctx, `{"id":"`+id+`","method":"no-such-method","params":{}}`); err != nil {
				return finding{}, err
			}
		}
		text, err := c.next(ctx)
		if err != nil {
			return finding{}, err
		}
		if strings.Contains(text, `"second"`) {
			reversed++
		}
		if _, err := c.next(ctx); err != nil {
			return finding{}, err
		}
	}
	f := agree(true, "%d of %d pairs were replied to in the other order", reversed, pairs)
	f.values = map[string]any{"pairs": pairs, "reversed": reversed}
	return f, nil
}

// failureBody is the body of the responses with status 500 in failure.json.
const failureBody = `{"failed":true}`

// findFailure sends a frame to the API whose function returns status 500.
func findFailure(ctx context.Context, s *session) (finding, error) {
	if s.FailureURL == "" {
		return finding{}, leftOutError{"no API whose function fails was given"}
	}
	c, err := s.dialTo(ctx, s.FailureURL)
	if err != nil {
		return finding{}, err
	}
	defer c.close()
	if err := c.send(ctx, `{"method":"fail"}`); err != nil {
		return finding{}, err
	}
	outcome := c.outcome(ctx)
	return agree(outcome == failureBody, "%s", outcome), nil
}
