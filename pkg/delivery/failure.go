package delivery

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// The answers of the management API about one connection, in addition to
// hub.ErrTooLarge.
var (
	// ErrGone: the connection is over (410), or its id is invalid (a 400 that says so). The
	// hub removes it: see cleanup.go of package hub.
	ErrGone = errors.New("connection is gone")
	// ErrSlow: every attempt was answered with 429, because the client does not read its
	// messages or the account is at its quota. API Gateway does not say which.
	ErrSlow = errors.New("connection is slow or the account throttled")
)

// statusError is any other answer.
type statusError struct {
	status int
	kind   string // of X-Amzn-Errortype, "" where there was none
}

// Error names the status and, for 403, the usual cause. It never holds the text of
// the answer, which is not trusted.
func (e statusError) Error() string {
	s := fmt.Sprintf("management API answered %d %s", e.status, http.StatusText(e.status))
	if e.kind != "" {
		s += " (" + e.kind + ")"
	}
	if e.status == http.StatusForbidden {
		s += ": the role needs execute-api:ManageConnections on this API," +
			" and the management URL must name its execute-api host and stage, in the region that signs"
	}
	return s
}

// answer is what is read of an answer of the management API.
type answer struct {
	status int
	kind   string // X-Amzn-Errortype, "" where there is none
	closes bool   // the connection
	// invalidID is set for a 400 that says that the connection id is invalid.
	invalidID bool
}

// maxMessageBytes is how much of the body of a 400 is read to find its message.
const maxMessageBytes = 1 << 10

// namesInvalidID reports whether the type or the message of a 400 says that the
// connection id is invalid, as in {"message":"Invalid connectionId: abc"}. AWS is
// reported to answer a malformed id so, as well as with 410. The text is compared and
// never kept.
func namesInvalidID(kind string, body io.Reader) bool {
	var refusal struct{ Message string }
	// A body that breaks off or is too long is no JSON: it names nothing.
	if text, err := io.ReadAll(io.LimitReader(body, maxMessageBytes)); err == nil {
		_ = json.Unmarshal(text, &refusal)
	}
	named := strings.ToLower(strings.ReplaceAll(kind+"\n"+refusal.Message, " ", ""))
	return strings.Contains(named, "invalidconnectionid")
}

// transient wraps a failure after which another attempt may succeed.
type transient struct{ error }

func (t transient) Unwrap() error { return t.error }

// unanswered wraps the failure of a request that got no answer within the time of an
// attempt, or whose connection broke off. Its repetition may succeed, but may take as long
// as well, and deliver a second time.
type unanswered struct {
	error
	sent     bool // so that it may have been carried out
	repeated bool // already, or must not be
}

func (u unanswered) Unwrap() error { return u.error }

// kindOf is the name before any colon in the X-Amzn-Errortype header, "" if that has no
// name or one that must not be logged.
func kindOf(h http.Header) string {
	name, _, _ := strings.Cut(h.Get("X-Amzn-Errortype"), ":")
	if len(name) > 64 || strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) {
		return ""
	}
	return name
}
