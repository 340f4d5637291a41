// Package eventbridge is the event bus in process: an http.Handler that takes
// PutEvents from the unmodified SDK. An event that matches a rule invokes the
// function of the rule asynchronously. Any other event is accepted and dropped.
//
// It is one bus, whatever the name in a request, and matches rules by source and
// detail type only. It checks neither signatures nor the limits of AWS: tests of
// package eventbus do.
package eventbridge

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"centrifuge/localstack/lambda"
)

// Rule invokes Function for events of one source and detail type.
type Rule struct {
	Source, DetailType string
	Function           lambda.Asynchronous
}

// Bus is an event bus. It is safe for concurrent use.
type Bus struct{ rules []Rule }

// New returns a bus.
func New(rules []Rule) *Bus { return &Bus{rules} }

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
		if err := b.invoke(event, payload); err != nil {
			fail(w, http.StatusServiceUnavailable, "ServiceUnavailableException", err.Error())
			return
		}
		result.Entries = append(result.Entries, entryResult{EventID: event.ID})
	}
	reply(w, http.StatusOK, result)
}

// invoke invokes the functions of the rules that match an event.
func (b *Bus) invoke(event events.EventBridgeEvent, payload []byte) error {
	for _, rule := range b.rules {
		if rule.Source == event.Source && rule.DetailType == event.DetailType {
			if err := rule.Function.InvokeAsync(payload); err != nil {
				return err
			}
		}
	}
	return nil
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
