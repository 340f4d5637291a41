package delivery

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// What the management API may say of one connection, beside hub.ErrTooLarge.
var (
	// ErrGone: the connection is over (410). It never comes back.
	ErrGone = errors.New("connection is gone")
	// ErrSlow: every attempt was refused with 429, because the client does not take
	// what was sent to it already, or because the account is at its quota; API
	// Gateway does not tell which.
	ErrSlow = errors.New("connection is slow or the account throttled")
)

// statusError is an answer that is none of the above.
type statusError struct {
	status int
	kind   string // of X-Amzn-Errortype, "" where there was none
}

// Error names the status and, for a refusal, what usually causes it. It never
// holds the answer's text, which nobody has vouched for.
func (e statusError) Error() string {
	s := fmt.Sprintf("management API answered %d %s", e.status, http.StatusText(e.status))
	if e.kind != "" {
		s += " (" + e.kind + ")"
	}
	if e.status == http.StatusForbidden {
		s += ": the role needs execute-api:ManageConnections on this API," +
			" and the management URL its own execute-api host with the stage, in the region that signs"
	}
	return s
}

// transient wraps a failure that another attempt may not meet.
type transient struct{ error }

func (t transient) Unwrap() error { return t.error }

// kindOf makes the X-Amzn-Errortype header fit for a log: the name before any
// colon, if it is one.
func kindOf(h http.Header) string {
	name, _, _ := strings.Cut(h.Get("X-Amzn-Errortype"), ":")
	if len(name) > 64 || strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) {
		return ""
	}
	return name
}
