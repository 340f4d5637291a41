package eventbridge

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"centrifuge/localstack/gateway"
)

// event is what a function gets. Its JSON is AWS's, key by key.
type event struct {
	Version    string          `json:"version"`
	ID         string          `json:"id"`
	DetailType string          `json:"detail-type"`
	Source     string          `json:"source"`
	Account    string          `json:"account"`
	Time       string          `json:"time"`
	Region     string          `json:"region"`
	Resources  []string        `json:"resources"`
	Detail     json.RawMessage `json:"detail"`
}

// event makes the event of an entry that came at now.
func (b *Bus) event(e entry, now time.Time) event {
	if e.Time != nil {
		now = time.Unix(int64(math.Floor(*e.Time)), 0)
	}
	resources := e.Resources
	if resources == nil {
		resources = []string{}
	}
	return event{
		Version: "0", ID: newUUID(), DetailType: e.DetailType, Source: e.Source,
		Account: b.options.AccountID, Time: now.UTC().Format(time.RFC3339), Region: b.options.Region,
		Resources: resources, Detail: json.RawMessage(e.Detail),
	}
}

// deliver invokes a function with an event until it succeeds or is a dead letter.
func (b *Bus) deliver(function gateway.Function, e event) {
	id := newUUID()
	err := b.attempt(function, e, id)
	for _, delay := range b.options.Delays {
		if err == nil {
			return
		}
		b.wait(delay)
		err = b.attempt(function, e, id)
	}
	if err != nil {
		b.dead.Add(1)
		b.options.Log.Error("event is a dead letter", "event", e.ID, "source", e.Source, "type", e.DetailType,
			"attempts", len(b.options.Delays)+1, "error", err)
	}
}

// wait waits for d, or until the bus is closed.
func (b *Bus) wait(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-b.closing:
	}
}

var errTimeout = errors.New("function timed out")

// attempt invokes a function once. Each attempt has a payload of its own, since a
// function may do with it what it likes.
func (b *Bus) attempt(function gateway.Function, e event, requestID string) (err error) {
	var payload bytes.Buffer
	encoder := json.NewEncoder(&payload)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(e); err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	ctx := lambdacontext.NewContext(context.Background(), &lambdacontext.LambdaContext{AwsRequestID: requestID})
	ctx, cancel := context.WithTimeout(ctx, b.options.Timeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("function panicked: %v\n%s", p, debug.Stack())
		}
		if ctx.Err() != nil {
			err = errTimeout // on AWS it would have been ended then
		}
	}()
	_, err = function.Invoke(ctx, bytes.TrimSuffix(payload.Bytes(), []byte("\n")))
	return err
}

// newUUID returns a random UUID, the form of the ids of events and requests.
func newUUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
