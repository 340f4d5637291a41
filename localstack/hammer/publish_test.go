package hammer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"centrifuge/pkg/hub"
)

// maxPadding is the largest text in a message.
const maxPadding = 200

// message is a message that a publisher has begun to publish.
type message struct {
	channel string
	key     string // its idempotency key, "" for none
	padding string
	began   time.Time
	// at is the position that the answer had, the zero Position for an unacknowledged message.
	at hub.Position
}

// ledger is the messages by their numbers, from 1. It is safe for concurrent use.
type ledger struct {
	mu       sync.Mutex
	messages []message
	// repeats are the calls under a key after the first one. failures are the texts of calls
	// without a result.
	repeats  int
	failures []string
}

func (l *ledger) begin(m message) (number int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m.began = time.Now()
	l.messages = append(l.messages, m)
	return len(l.messages)
}

// began is when the publish of a message began, the present for an unknown number.
func (l *ledger) began(number int) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if number < 1 || number > len(l.messages) {
		return time.Now()
	}
	return l.messages[number-1].began
}

func (l *ledger) acknowledge(number int, at hub.Position) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.messages[number-1].at = at
}

// all are the messages so far.
func (l *ledger) all() []message {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.messages)
}

// failed notes a call without a result, and whether it is repeated.
func (l *ledger) failed(err error, repeated bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures = append(l.failures, err.Error())
	if repeated {
		l.repeats++
	}
}

// publish publishes a message. One with a key is repeated until it is acknowledged.
func (h *hammer) publish(ctx context.Context, m message) error {
	number := h.ledger.begin(m)
	for {
		at, err := h.call(ctx, m, number)
		if ctx.Err() != nil {
			return fmt.Errorf("message %d in %s is not answered: %w", number, m.channel, context.Cause(ctx))
		}
		if err == nil {
			h.ledger.acknowledge(number, at)
			return nil
		}
		h.ledger.failed(err, m.key != "")
		if m.key == "" {
			return nil
		}
	}
}

// call calls publish once.
func (h *hammer) call(ctx context.Context, m message, number int) (at hub.Position, err error) {
	body := map[string]any{"channel": hub.Channel{Category: category, Name: m.channel}.String(), "data": map[string]any{"n": number, "text": m.padding}}
	if m.key != "" {
		body["idempotency_key"] = m.key
	}
	payload, err := json.Marshal(body)
	if err != nil {
		return at, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, h.stack.HTTPURL+"/api/publish", bytes.NewReader(payload))
	if err != nil {
		return at, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-API-Key", apiKey)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return at, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return at, err
	}
	var answer struct{ Result hub.Position }
	if err := json.Unmarshal(text, &answer); err != nil || response.StatusCode != http.StatusOK || answer.Result.Offset == 0 {
		return at, fmt.Errorf("status %d: %s", response.StatusCode, text)
	}
	return answer.Result, nil
}

// load publishes as one of several publishers until the time is over.
func (h *hammer) load(ctx context.Context, publisher int, random *rand.Rand) error {
	interval := time.Second * publishers / time.Duration(*rate)
	begin := time.Now().Add(interval * time.Duration(publisher) / publishers)
	for n := 0; ; n++ {
		at := begin.Add(time.Duration(n) * interval)
		if at.After(h.end) {
			return nil
		}
		if err := pace(ctx, time.Until(at)); err != nil {
			return err
		}
		m := message{channel: h.channels[random.IntN(len(h.channels))], padding: strings.Repeat("x", random.IntN(maxPadding))}
		if random.IntN(2) == 0 {
			m.key = fmt.Sprintf("%d-%d", publisher, n)
		}
		if err := h.publish(ctx, m); err != nil {
			return err
		}
	}
}

// pace waits: it spreads the load, and nothing relies on it.
func pace(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
