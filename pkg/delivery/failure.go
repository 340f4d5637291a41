package delivery

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// The answers of the management API about one connection, in addition to
// hub.ErrTooLarge.
var (
	// ErrGone: the connection is over (410). The hub removes it: see cleanup.go of package
	// hub.
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

// transient wraps a failure after which another attempt may succeed.
type transient struct{ error }

func (t transient) Unwrap() error { return t.error }

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
