package hub

import "errors"

// Error is the only kind of error that a client or an application may see. errors.Is
// compares codes and ignores details.
type Error struct {
	// Code is for programs. Codes up to 113 are those of
	// Centrifugo's protocol; from 400 on they are our own.
	Code int
	// Message is for people. The classic protocol has no codes: its clients compare
	// messages, so they do not change.
	Message string
	// Temporary means that the same request may succeed later.
	Temporary bool
	// Detail says what exactly is wrong, and what to do; "" for none. Clients see it.
	Detail string
}

// The errors of Centrifuge and their causes. Every protocol renders them in its own way.
var (
	// ErrInternal: a failure of the service; its cause is in the log.
	ErrInternal = &Error{Code: 100, Message: "internal server error", Temporary: true}
	// ErrUnauthorized: a command came before a successful auth, or the signature or
	// API key of a request is wrong.
	ErrUnauthorized = &Error{Code: 101, Message: "unauthorized"}
	// ErrCategoryNotFound: an application named a category that its project does not have.
	ErrCategoryNotFound = &Error{Code: 102, Message: "category not found"}
	// ErrPermissionDenied: validate_url refused the user, or the project does not list
	// the Origin.
	ErrPermissionDenied = &Error{Code: 103, Message: "permission denied"}
	// ErrMethodNotFound: the method does not exist.
	ErrMethodNotFound = &Error{Code: 104, Message: "method not found"}
	// ErrLimitExceeded: a value exceeds a limit; the detail names it.
	ErrLimitExceeded = &Error{Code: 106, Message: "limit exceeded"}
	// ErrBadRequest: the request cannot be understood; the detail says why.
	ErrBadRequest = &Error{Code: 107, Message: "bad request"}
	// ErrNotAvailable: the category does not have the requested feature.
	ErrNotAvailable = &Error{Code: 108, Message: "not available"}
	// ErrTokenExpired: the exp of the token has passed, that of the connection or that
	// of an auth.
	ErrTokenExpired = &Error{Code: 109, Message: "token expired"}
	// ErrConflict: the same request is in progress, or another one has changed the object
	// since it was read.
	ErrConflict = &Error{Code: 113, Message: "conflict", Temporary: true}

	// ErrProjectNotFound: no project has that id.
	ErrProjectNotFound = &Error{Code: 400, Message: "project not found"}
	// ErrInvalidToken: the token was not made with the project's secret for this
	// user, or the project does not allow its kind.
	ErrInvalidToken = &Error{Code: 401, Message: "invalid token"}
	// ErrValidation: validate_url gave no valid answer in any attempt.
	ErrValidation = &Error{Code: 402, Message: "permission validation error", Temporary: true}
	// ErrCategoryDenied: a client named a category that does not exist or is not
	// granted. The client must not learn which.
	ErrCategoryDenied = &Error{Code: 403, Message: "category does not exist or permission denied"}
	// ErrOneWay: a client broadcast into a category that is not bidirectional.
	ErrOneWay = &Error{Code: 404, Message: "one-way category"}
	// ErrChannelDenied: a client used a channel that is not granted.
	ErrChannelDenied = &Error{Code: 405, Message: "channel permission denied"}
	// ErrTooLarge: the message exceeds the limit of its category or of API Gateway.
	ErrTooLarge = &Error{Code: 413, Message: "message too large"}
	// ErrConnectionNotFound: the connection is over, or was never opened.
	ErrConnectionNotFound = &Error{Code: 410, Message: "connection not found"}
)

// errOrigin refuses a connection whose Origin is not in the project's list.
var errOrigin = ErrPermissionDenied.With("the project does not list this origin")

// With returns a copy of e with a detail. Clients see it: it must hold nothing internal
// and nothing secret.
func (e *Error) With(detail string) *Error {
	c := *e
	c.Detail = detail
	return &c
}

// Error is the message, followed by the detail if there is one.
func (e *Error) Error() string {
	if e.Detail == "" {
		return e.Message
	}
	return e.Message + ": " + e.Detail
}

// Is makes errors.Is compare codes.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Public returns what a client may see of err: the *Error in it, or ErrInternal.
func Public(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return ErrInternal
}
