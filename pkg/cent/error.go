package cent

import (
	"fmt"
	"net/http"
)

// Error is an answer that is no result. Failures to get any answer are other
// errors; all of those are worth a retry later.
type Error struct {
	// Code is that of the server API, or 0 where something answered that does not
	// speak it: API Gateway itself, a proxy, another server.
	Code int
	// Message is for people.
	Message string
	// Temporary tells that the same call may succeed later.
	Temporary bool
}

// The codes of the server API that programs ask for most.
const (
	CodeInternal         = 100
	CodeUnauthorized     = 101
	CodeCategoryNotFound = 102
	CodeLimitExceeded    = 106
	CodeBadRequest       = 107
	CodeNotAvailable     = 108
	CodeConflict         = 113
	CodeProjectNotFound  = 400
	CodeTooLarge         = 413
)

// Error is the message with the code, if there is one.
func (e *Error) Error() string {
	if e.Code == 0 {
		return e.Message
	}
	return fmt.Sprintf("%s (code %d)", e.Message, e.Code)
}

// Is makes errors.Is(err, &Error{Code: CodeConflict}) compare codes.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// failure is an error in an answer.
type failure struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// known returns the failure as an Error, nil for none.
func (f *failure) known() *Error {
	if f == nil {
		return nil
	}
	return &Error{Code: f.Code, Message: f.Message, Temporary: f.Code == CodeInternal || f.Code == CodeConflict}
}

// with is known for an answer with this status.
func (f *failure) with(status int) *Error {
	e := f.known()
	e.Temporary = e.Temporary || status >= http.StatusInternalServerError
	return e
}
