package eventbridge

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	target      = "AWSEvents.PutEvents"
	contentType = "application/x-amz-json-1.1"
	// maxBody leaves room for entries of MaxBytes in which every byte is escaped.
	maxBody = 6*MaxBytes + 64<<10
	// timeBytes is what the time of an entry counts.
	timeBytes = 14
)

// entry is what is put on the bus.
type entry struct {
	Source     string
	DetailType string
	Detail     string
	Resources  []string
	// Time is in seconds since 1970.
	Time *float64
}

// result is the answer to PutEvents, in the order of the entries.
type result struct {
	FailedEntryCount int
	Entries          []resultEntry
}

type resultEntry struct {
	EventID      string `json:"EventId,omitempty"`
	ErrorCode    string `json:",omitempty"`
	ErrorMessage string `json:",omitempty"`
}

// failure is the answer to a request that failed as a whole.
type failure struct {
	status        int
	kind, message string
}

func (f failure) write(w http.ResponseWriter) {
	write(w, f.status, map[string]string{"__type": f.kind, "message": f.message})
}

func write(w http.ResponseWriter, status int, answer any) {
	body, _ := json.Marshal(answer) // strings and numbers cannot fail
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Amzn-Requestid", newUUID())
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// read returns the entries of a request, or the answer that it gets.
func read(w http.ResponseWriter, r *http.Request) ([]entry, *failure) {
	switch {
	case r.Method != http.MethodPost || r.Header.Get("X-Amz-Target") != target:
		return nil, &failure{http.StatusBadRequest, "UnknownOperationException", "Only PutEvents is known here."}
	case !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 "):
		return nil, &failure{http.StatusBadRequest, "MissingAuthenticationTokenException", "Missing Authentication Token"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, &failure{http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException", "Request size exceeds the limit."}
	}
	if err != nil {
		return nil, &failure{http.StatusBadRequest, "SerializationException", "The body could not be read."}
	}
	var input struct{ Entries []entry }
	if err := json.Unmarshal(body, &input); err != nil {
		return nil, &failure{http.StatusBadRequest, "SerializationException", "The body is not a request."}
	}
	return input.Entries, validate(input.Entries)
}

// validate looks at the entries as a whole.
func validate(entries []entry) *failure {
	invalid := func(message string) *failure {
		return &failure{http.StatusBadRequest, "ValidationException", message}
	}
	size := 0
	for _, e := range entries {
		size += e.size()
		if e.Time != nil && (*e.Time < minTime || *e.Time >= maxTime) {
			return invalid("Time is not in the years 0 to 9999.")
		}
	}
	const constraint = "1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length "
	switch {
	case len(entries) == 0:
		return invalid(constraint + "greater than or equal to 1")
	case len(entries) > MaxEntries:
		return invalid(constraint + "less than or equal to 10")
	case size > MaxBytes:
		return invalid("Total size of the entries in the request is over the limit.")
	}
	return nil
}

// The times from minTime to before maxTime have a year of four digits.
var (
	minTime = float64(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC).Unix())
	maxTime = float64(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC).Unix())
)

// size is what an entry counts towards MaxBytes.
func (e entry) size() int {
	n := len(e.Source) + len(e.DetailType) + len(e.Detail)
	for _, resource := range e.Resources {
		n += len(resource)
	}
	if e.Time != nil {
		n += timeBytes
	}
	return n
}

// validate returns why an entry by itself is refused, or nil.
func (e entry) validate() *resultEntry {
	for _, required := range []struct{ name, value string }{{"Source", e.Source}, {"DetailType", e.DetailType}, {"Detail", e.Detail}} {
		if required.value == "" {
			return &resultEntry{
				ErrorCode:    "InvalidArgument",
				ErrorMessage: "Parameter " + required.name + " is not valid. Reason: " + required.name + " is a required argument.",
			}
		}
	}
	if strings.HasPrefix(e.Source, "aws.") {
		return &resultEntry{ErrorCode: "NotAuthorizedForSourceException", ErrorMessage: "Not authorized for the source."}
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal([]byte(e.Detail), &object); err != nil || object == nil {
		return &resultEntry{ErrorCode: "MalformedDetail", ErrorMessage: "Detail is malformed."}
	}
	return nil
}
