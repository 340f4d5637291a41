package probe

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"centrifuge/pkg/hub"
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

// findReplySize makes replies of several sizes up to the limit, beyond which the functions
// answer with an error of their own.
func findReplySize(ctx context.Context, s *session) (finding, error) {
	var one, two string
	for n, text := range map[int]*string{1: &one, 2: &two} {
		var err error
		if *text, err = s.refusals(ctx, strings.Repeat("i", maxPadding), make([]int, n)); err != nil {
			return finding{}, err
		}
	}
	each := len(two) - len(one)
	rest := len(one) - each - maxPadding
	var seen []string
	all := true
	for _, size := range []int{33 << 10, 64 << 10, 100 << 10, maxMessage} {
		quotes := make([]int, min((size-rest)/each, hub.MaxChannels))
		missing := size - rest - len(quotes)*each
		for i := range quotes {
			quotes[i] = min(missing/quoteBytes, maxQuotes)
			missing -= quotes[i] * quoteBytes
		}
		text, err := s.refusals(ctx, strings.Repeat("i", missing), quotes)
		outcome := "arrived"
		switch {
		case err != nil:
			outcome = err.Error()
		case len(text) != size:
			outcome = fmt.Sprintf("%d bytes arrived: %s", len(text), shorten(text))
		}
		all = all && outcome == "arrived"
		seen = append(seen, strconv.Itoa(size)+" bytes: "+outcome)
	}
	return agree(all, "%s", strings.Join(seen, "; ")), nil
}

const (
	// maxPadding is more than the bytes that quotes cannot make up.
	maxPadding = 8
	// quoteBytes is how much longer a quote in a channel makes the reply: it is escaped,
	// and the name is in refused and in reasons.
	quoteBytes = 4
	// maxQuotes keeps the names within the limit.
	maxQuotes = 240
)

// refusals subscribes a client of its own to channels of a category that does not exist, and
// returns the reply. It names each channel twice, with the reason. quotes are the numbers of
// quotes in the names, which have three bytes besides.
func (s *session) refusals(ctx context.Context, id string, quotes []int) (string, error) {
	c, err := s.dial(ctx)
	if err != nil {
		return "", err
	}
	defer c.close()
	if err := c.ask(ctx, s.authFrame()); err != nil {
		return "", err
	}
	names := make([]string, len(quotes))
	for i, n := range quotes {
		names[i] = fmt.Sprintf(`"%03d%s"`, i, strings.Repeat(`\"`, n))
	}
	command := `{"id":"` + id + `","method":"subscribe","params":{"to":{"absent":[` + strings.Join(names, ",") + `]}}}`
	if err := c.sendInFrames(ctx, command, maxFrame-1); err != nil {
		return "", err
	}
	return c.next(ctx)
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
