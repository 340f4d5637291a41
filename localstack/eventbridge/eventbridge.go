// Package eventbridge is the event bus in process: an http.Handler that takes
// PutEvents from the unmodified SDK. An event that matches a rule invokes the
// function of the rule asynchronously, with Lambda's two retries. Any other event is
// accepted and dropped.
//
// It is one bus, whatever the name in a request, and matches rules by source and
// detail type only. It checks neither signatures nor the limits of AWS: package
// eventbus puts one message at a time, and a message is smaller than they are.
package eventbridge

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"centrifuge/localstack/gateway"
)

const (
	// timeout is how long a function may take.
	timeout = gateway.DefaultIntegrationTimeout
	// firstDelay is the wait before the first retry. It doubles for the second. AWS
	// waits one minute and two.
	firstDelay = time.Second
	attempts   = 3
)

// Rule invokes Function for events of one source and detail type.
type Rule struct {
	Source, DetailType string
	Function           gateway.Function
}

// Bus is an event bus. It is safe for concurrent use.
type Bus struct {
	rules []Rule
	log   *slog.Logger

	mu      sync.Mutex // guards closed and additions to running
	closed  bool
	closing chan struct{} // closed by Close
	running sync.WaitGroup
}

// New returns a bus. It logs events whose invocation failed in every attempt, without
// their detail.
func New(rules []Rule, log *slog.Logger) *Bus {
	return &Bus{rules: rules, log: log, closing: make(chan struct{})}
}

// Close refuses further requests with 503 and waits for invocations. Pending retries
// start immediately. It may be called more than once.
func (b *Bus) Close() {
	b.mu.Lock()
	if !b.closed {
		b.closed = true
		close(b.closing)
	}
	b.mu.Unlock()
	b.running.Wait()
}

type putEvents struct {
	Entries []struct {
		Source, DetailType, Detail string
		Time                       float64 // seconds since 1970
	}
}

type putEventsResult struct {
	FailedEntryCount int
	Entries          []entryResult
}

type entryResult struct {
	EventID      string `json:"EventId,omitempty"`
	ErrorCode    string `json:",omitempty"`
	ErrorMessage string `json:",omitempty"`
}

// ServeHTTP serves PutEvents at any path.
func (b *Bus) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Amz-Target") != "AWSEvents.PutEvents" {
		fail(w, http.StatusBadRequest, "UnknownOperationException", "only PutEvents is supported")
		return
	}
	var request putEvents
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		fail(w, http.StatusBadRequest, "SerializationException", err.Error())
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		fail(w, http.StatusServiceUnavailable, "ServiceUnavailableException", "the bus is closed")
		return
	}
	var result putEventsResult
	for _, entry := range request.Entries {
		event := events.EventBridgeEvent{
			Version: "0", ID: rand.Text(), DetailType: entry.DetailType, Source: entry.Source,
			AccountID: "000000000000", Time: time.Unix(int64(entry.Time), 0).UTC(), Region: "us-east-1",
			Resources: []string{}, Detail: json.RawMessage(entry.Detail),
		}
		payload, err := encode(event)
		if err != nil {
			result.FailedEntryCount++
			result.Entries = append(result.Entries, entryResult{ErrorCode: "MalformedDetail", ErrorMessage: "Detail is malformed."})
			continue
		}
		result.Entries = append(result.Entries, entryResult{EventID: event.ID})
		for _, rule := range b.rules {
			if rule.Source == event.Source && rule.DetailType == event.DetailType {
				b.running.Go(func() { b.deliver(rule.Function, event.ID, payload) })
			}
		}
	}
	reply(w, http.StatusOK, result)
}

// encode keeps <, > and & of the detail as they are, as AWS does.
func encode(event events.EventBridgeEvent) ([]byte, error) {
	var payload bytes.Buffer
	encoder := json.NewEncoder(&payload)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(event)
	return bytes.TrimSpace(payload.Bytes()), err
}

func fail(w http.ResponseWriter, status int, kind, message string) {
	reply(w, status, map[string]string{"__type": kind, "message": message})
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// deliver invokes a function until it succeeds or no attempt is left.
func (b *Bus) deliver(function gateway.Function, eventID string, payload []byte) {
	ctx := lambdacontext.NewContext(context.Background(), &lambdacontext.LambdaContext{AwsRequestID: rand.Text()})
	for n := range attempts {
		err := invoke(ctx, function, bytes.Clone(payload))
		if err == nil {
			return
		}
		if n == attempts-1 {
			b.log.Error("event failed in every attempt", "event", eventID, "error", err)
			return
		}
		select {
		case <-time.After(firstDelay << n):
		case <-b.closing:
		}
	}
}

var errTimeout = errors.New("function timed out")

// invoke invokes a function once. A panic and a timeout are errors.
func invoke(ctx context.Context, function gateway.Function, payload []byte) (err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("function panicked: %v\n%s", p, debug.Stack())
		}
		if ctx.Err() != nil {
			err = errTimeout // AWS would have stopped it
		}
	}()
	_, err = function.Invoke(ctx, payload)
	return err
}
