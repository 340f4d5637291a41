package hub

import (
	"errors"
	"fmt"
)

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
	// Detail says what exactly is wrong; "" for none. It follows the message in the text.
	Detail string
	// Help says what to do. It is no part of the text: clients of 2013 compare the text.
	Help string
}

// The errors of Centrifuge and their causes. Every protocol renders them in its own way.
var (
	// ErrInternal: a failure of the service; its cause is in the log.
	ErrInternal = &Error{Code: 100, Message: "internal server error", Temporary: true, Help: "repeat later; the log of the service has the cause"}
	// ErrUnauthorized: a command came before a successful auth, or the signature or
	// API key of a request is wrong.
	ErrUnauthorized = &Error{Code: 101, Message: "unauthorized", Help: "send auth first, and wait for its reply"}
	// ErrCategoryNotFound: an application named a category that its project does not have.
	ErrCategoryNotFound = &Error{Code: 102, Message: "category not found", Help: "create the category, or correct its name"}
	// ErrPermissionDenied: validate_url refused the user, or the project does not list
	// the Origin.
	ErrPermissionDenied = &Error{Code: 103, Message: "permission denied", Help: "check what validate_url answers for this user"}
	// ErrMethodNotFound: the method does not exist.
	ErrMethodNotFound = &Error{Code: 104, Message: "method not found", Help: "correct the name of the method"}
	// ErrLimitExceeded: a value exceeds a limit; the detail names it.
	ErrLimitExceeded = &Error{Code: 106, Message: "limit exceeded", Help: "send less"}
	// ErrBadRequest: the request cannot be understood; the detail says why.
	ErrBadRequest = &Error{Code: 107, Message: "bad request", Help: "correct the request"}
	// ErrNotAvailable: the category does not have the requested feature.
	ErrNotAvailable = &Error{Code: 108, Message: "not available", Help: "turn on the option of the category"}
	// ErrTokenExpired: the exp of the token has passed, that of the connection or that
	// of an auth.
	ErrTokenExpired = &Error{Code: 109, Message: "token expired", Help: "get a new token from the application, and send auth again"}
	// ErrExpired: the application answered with an end that has passed.
	ErrExpired = &Error{Code: 110, Message: "expired", Help: "connect or subscribe again"}
	// ErrTooManyRequests: a connection sends commands faster than it may, or a channel gets
	// messages faster than they can be dispatched.
	ErrTooManyRequests = &Error{Code: 111, Message: "too many requests", Temporary: true, Help: "send fewer commands, and several channels in one"}
	// ErrUnrecoverablePosition: the epoch of a position is not that of the stream.
	ErrUnrecoverablePosition = &Error{Code: 112, Message: "unrecoverable position", Help: "read the present state, and go on from the present position"}
	// ErrConflict: the same request is in progress, or another one has changed the object
	// since it was read.
	ErrConflict = &Error{Code: 113, Message: "conflict", Temporary: true, Help: "repeat after a moment"}

	// ErrProjectNotFound: no project has that id.
	ErrProjectNotFound = &Error{Code: 400, Message: "project not found", Help: "correct the id of the project, or create the project"}
	// ErrInvalidToken: the token was not made with the project's secret for this
	// user, or the project does not allow its kind.
	ErrInvalidToken = &Error{Code: 401, Message: "invalid token", Help: "a classic token is hex(HMAC-SHA256(secret, user + project_id)); a JWT is signed with HS256 and the same secret, and has sub, the user, and exp"}
	// ErrValidation: validate_url gave no valid answer in any attempt.
	ErrValidation = &Error{Code: 402, Message: "permission validation error", Temporary: true, Help: "repeat later; the log of the function auth says what validate_url answered"}
	// ErrCategoryDenied: a client named a category that does not exist or is not
	// granted. Help says which.
	ErrCategoryDenied = &Error{Code: 403, Message: "category does not exist or permission denied", Help: "create the category, or request it in the permissions of auth"}
	// ErrOneWay: a client broadcast into a category that is not bidirectional.
	ErrOneWay = &Error{Code: 404, Message: "one-way category", Help: "publish through the application, or set its option bidirectional"}
	// ErrChannelDenied: a client used a channel that is not granted.
	ErrChannelDenied = &Error{Code: 405, Message: "channel permission denied", Help: "the channel is not granted: request it in the permissions of auth, and grant it in the JWT or in validate_url where the project has one"}
	// ErrIdentity: an auth on an authenticated connection has another user or project, or
	// its token ends before the present one.
	ErrIdentity = &Error{Code: 406, Message: "the connection has another identity", Help: "open another connection"}
	// ErrTooLarge: the message exceeds the limit of its category or of API Gateway.
	ErrTooLarge = &Error{Code: 413, Message: "message too large", Help: "send less, such as an id that clients load"}
	// ErrConnectionNotFound: the connection is over, or was never opened.
	ErrConnectionNotFound = &Error{Code: 410, Message: "connection not found", Help: "connect again"}
)

// errOrigin refuses a connection whose Origin is not in the project's list.
func errOrigin(origin string) *Error {
	return ErrPermissionDenied.With("the project does not list this origin").
		WithHelp(fmt.Sprintf("add %q to the origins of the project", origin))
}

// With returns a copy of e with a detail, and without the general help. Clients see the
// detail: it must hold nothing internal and nothing secret.
func (e *Error) With(detail string) *Error {
	c := *e
	c.Detail, c.Help = detail, ""
	return &c
}

// WithHelp returns a copy of e with another help, which clients see too.
func (e *Error) WithHelp(help string) *Error {
	c := *e
	c.Help = help
	return &c
}

// Explanation is the detail and the help: what exactly is wrong, and what to do.
func (e *Error) Explanation() string {
	if e.Detail == "" || e.Help == "" {
		return e.Detail + e.Help
	}
	return e.Detail + ": " + e.Help
}

// Error is the message, followed by the detail if there is one.
func (e *Error) Error() string {
	if e.Detail == "" {
		return e.Message
	}
	return e.Message + ": " + e.Detail
}

// Text is the message, the detail and the help.
func (e *Error) Text() string {
	if explanation := e.Explanation(); explanation != "" {
		return e.Message + ": " + explanation
	}
	return e.Message
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
