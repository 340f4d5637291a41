package hub

import "errors"

// Error is the only kind of error that a client or an application may see. Two
// errors are the same to errors.Is when their table entry is, whatever their
// detail.
type Error struct {
	// Code identifies the failure to programs. Codes up to 113 are those of
	// Centrifugo's protocol; from 400 on they are our own.
	Code int
	// Message is for people, and part of the classic protocol where it comes from
	// there. It carries nothing internal.
	Message string
	// Temporary tells that the same request may succeed later.
	Temporary bool
	// Detail says what exactly was wrong, where the table's message cannot.
	Detail string
}

// The errors of Centrifuge, each with when it is given. Every protocol renders
// them in its own way.
var (
	// ErrInternal stands for any failure that is ours; its cause is in the log.
	ErrInternal = &Error{Code: 100, Message: "internal server error", Temporary: true}
	// ErrUnauthorized: a command came before a successful auth, or the signature or
	// API key of a request is not right.
	ErrUnauthorized = &Error{Code: 101, Message: "unauthorized"}
	// ErrCategoryNotFound: an application named a category its project lacks.
	ErrCategoryNotFound = &Error{Code: 102, Message: "category not found"}
	// ErrPermissionDenied: validate_url refused the user, or the Origin is not one
	// of the project's.
	ErrPermissionDenied = &Error{Code: 103, Message: "permission denied"}
	// ErrMethodNotFound: no such method.
	ErrMethodNotFound = &Error{Code: 104, Message: "method not found"}
	// ErrLimitExceeded: a limit of limit.go; the detail names it.
	ErrLimitExceeded = &Error{Code: 106, Message: "limit exceeded"}
	// ErrBadRequest: the request cannot be understood; the detail says why.
	ErrBadRequest = &Error{Code: 107, Message: "bad request"}
	// ErrNotAvailable: the category does not have what was asked for.
	ErrNotAvailable = &Error{Code: 108, Message: "not available"}
	// ErrTokenExpired: the token of the connection, or the one just presented, was
	// good until its exp.
	ErrTokenExpired = &Error{Code: 109, Message: "token expired"}
	// ErrConflict: the same request is being carried out at this moment, or somebody
	// else has changed what it is about.
	ErrConflict = &Error{Code: 113, Message: "conflict", Temporary: true}

	// ErrProjectNotFound: no project has that id.
	ErrProjectNotFound = &Error{Code: 400, Message: "project not found"}
	// ErrInvalidToken: the token was not made with the project's secret for this
	// user, or is of a kind the project does not allow.
	ErrInvalidToken = &Error{Code: 401, Message: "invalid token"}
	// ErrValidation: validate_url gave no answer that counts, in any attempt.
	ErrValidation = &Error{Code: 402, Message: "permission validation error", Temporary: true}
	// ErrCategoryDenied: a client named a category that does not exist or that it
	// was not granted; the two look alike on purpose.
	ErrCategoryDenied = &Error{Code: 403, Message: "category does not exist or permission denied"}
	// ErrOneWay: a client broadcast into a category that is not bidirectional.
	ErrOneWay = &Error{Code: 404, Message: "one-way category"}
	// ErrChannelDenied: a client broadcast into a channel that it was not granted.
	ErrChannelDenied = &Error{Code: 405, Message: "channel permission denied"}
	// ErrTooLarge: the message is larger than its category, or API Gateway, allows.
	ErrTooLarge = &Error{Code: 413, Message: "message too large"}
	// ErrConnectionNotFound: the connection is over, or was never opened.
	ErrConnectionNotFound = &Error{Code: 410, Message: "connection not found"}
)

// With returns a copy of e that says more: detail must hold nothing internal and
// nothing secret, since clients see it.
func (e *Error) With(detail string) *Error {
	c := *e
	c.Detail = detail
	return &c
}

// Error is the message and, where there is one, the detail.
func (e *Error) Error() string {
	if e.Detail == "" {
		return e.Message
	}
	return e.Message + ": " + e.Detail
}

// Is makes errors.Is compare entries of the table.
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
