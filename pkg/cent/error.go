package cent

import (
	"fmt"
	"net/http"
)

// Error is a response without a result. A failure to get a response is another
// error, and the call may be repeated later.
type Error struct {
	// Code is an error code of the server API. It is 0 for a response of API Gateway
	// itself, a proxy or another server.
	Code int
	// Message is for people.
	Message string
	// Temporary reports whether the same call may succeed later.
	Temporary bool
}

// The error codes that programs compare with.
const (
	CodeInternal              = 100
	CodeUnauthorized          = 101
	CodeCategoryNotFound      = 102
	CodeLimitExceeded         = 106
	CodeBadRequest            = 107
	CodeNotAvailable          = 108
	CodeTooManyRequests       = 111
	CodeUnrecoverablePosition = 112
	CodeConflict              = 113
	CodeProjectNotFound       = 400
	CodeTooLarge              = 413
)

// Error implements error: the message and, if there is one, the code.
func (e *Error) Error() string {
	if e.Code == 0 {
		return e.Message
	}
	return fmt.Sprintf("%s (code %d)", e.Message, e.Code)
}

// Is compares codes: errors.Is(err, &Error{Code: CodeConflict}).
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// failure is the error in a response.
type failure struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// toError converts the failure; it returns nil for nil.
func (f *failure) toError() *Error {
	if f == nil {
		return nil
	}
	return &Error{Code: f.Code, Message: f.Message, Temporary: f.Code == CodeInternal || f.Code == CodeConflict || f.Code == CodeTooManyRequests}
}

// with converts the failure of a response with a status.
func (f *failure) with(status int) *Error {
	e := f.toError()
	e.Temporary = e.Temporary || status >= http.StatusInternalServerError
	return e
}
