package centrifugo

import (
	"errors"

	"centrifuge/pkg/hub"
)

// Error is the error of a reply.
type Error struct {
	Code    uint32 `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	// Temporary means that the same command may succeed later.
	Temporary bool `json:"temporary,omitempty"`
}

// The errors of the protocol. A client whose connect is answered with a temporary one, or with
// ErrorTokenExpired, tries again, with others it gives up; likewise for a subscribe.
var (
	ErrorInternal              = Error{Code: 100, Message: "internal server error", Temporary: true}
	ErrorUnauthorized          = Error{Code: 101, Message: "unauthorized"}
	ErrorUnknownChannel        = Error{Code: 102, Message: "unknown channel"}
	ErrorPermissionDenied      = Error{Code: 103, Message: "permission denied"}
	ErrorMethodNotFound        = Error{Code: 104, Message: "method not found"}
	ErrorAlreadySubscribed     = Error{Code: 105, Message: "already subscribed"}
	ErrorLimitExceeded         = Error{Code: 106, Message: "limit exceeded"}
	ErrorBadRequest            = Error{Code: 107, Message: "bad request"}
	ErrorNotAvailable          = Error{Code: 108, Message: "not available"}
	ErrorTokenExpired          = Error{Code: 109, Message: "token expired"}
	ErrorExpired               = Error{Code: 110, Message: "expired"}
	ErrorTooManyRequests       = Error{Code: 111, Message: "too many requests", Temporary: true}
	ErrorUnrecoverablePosition = Error{Code: 112, Message: "unrecoverable position"}
	ErrorConflict              = Error{Code: 113, Message: "conflict", Temporary: true}
)

// translations are the errors of the hub that have another code or message in the protocol.
var translations = []struct {
	from *hub.Error
	to   Error
}{
	{hub.ErrCategoryNotFound, ErrorUnknownChannel},
	{hub.ErrProjectNotFound, ErrorBadRequest},
	{hub.ErrInvalidToken, ErrorPermissionDenied},
	{hub.ErrValidation, ErrorInternal},
	{hub.ErrCategoryDenied, ErrorPermissionDenied},
	{hub.ErrOneWay, ErrorPermissionDenied},
	{hub.ErrChannelDenied, ErrorPermissionDenied},
	{hub.ErrIdentity, ErrorBadRequest},
	{hub.ErrConnectionNotFound, ErrorUnauthorized},
	{hub.ErrTooLarge, ErrorLimitExceeded},
}

// isOf reports whether e is base, with any detail. The codes of applications overlap with those
// of the hub from 400 on, so that the code alone does not tell.
func isOf(e, base *hub.Error) bool { return e.Code == base.Code && e.Message == base.Message }

// ErrorOf is what a client gets to know of err, which is not nil. A *hub.ApplicationError is as it
// is; another error that is no *hub.Error is ErrorInternal. Errors with a detail have it in the
// message, after that of the table, and those that are not in the table have their own message
// there.
func ErrorOf(err error) Error {
	if a := (*hub.ApplicationError)(nil); errors.As(err, &a) {
		return Error{Code: uint32(a.Code), Message: a.Message, Temporary: a.Temporary} //nolint:gosec // from 100 to 1999
	}
	e := hub.Public(err)
	for _, t := range translations {
		if !isOf(e, t.from) {
			continue
		}
		if t.from.Code == int(t.to.Code) {
			return t.to.with(e.Detail)
		}
		return t.to.with(e.Error())
	}
	return Error{Code: uint32(e.Code), Message: e.Message, Temporary: e.Temporary}.with(e.Detail) //nolint:gosec // codes are small and positive
}

func (e Error) with(detail string) Error {
	if detail != "" {
		e.Message += ": " + detail
	}
	return e
}

// refusals are the errors of the hub that end an attempt to connect, and the code with which
// Centrifugo would close the connection.
var refusals = []struct {
	from *hub.Error
	to   *hub.Disconnection
}{
	{hub.ErrUnauthorized, hub.DisconnectBadRequest},
	{hub.ErrPermissionDenied, hub.DisconnectPermissionDenied},
	{hub.ErrBadRequest, hub.DisconnectBadRequest},
	{hub.ErrProjectNotFound, hub.DisconnectBadRequest},
	{hub.ErrInvalidToken, hub.DisconnectInvalidToken},
	{hub.ErrIdentity, hub.DisconnectInvalidToken},
}

// RefusalOf is the error of the reply to a connect that is refused because of err, which is not
// nil. Where Centrifugo would close the connection, and a *FrameError is such a case, its code is
// that of the close, temporary where clients connect again after it: API Gateway closes without a
// code, and clients take it from the reply.
// Otherwise it is ErrorOf. The connection is deleted after the reply.
func RefusalOf(err error) Error {
	var frame *FrameError
	if errors.As(err, &frame) {
		return refusal(hub.DisconnectBadRequest).with(frame.Detail)
	}
	if d := (*hub.Disconnection)(nil); errors.As(err, &d) {
		return refusal(d)
	}
	e := hub.Public(err)
	for _, r := range refusals {
		if isOf(e, r.from) {
			return refusal(r.to).with(e.Detail)
		}
	}
	return ErrorOf(err)
}

// refusal is the error of the reply to a connect that is refused for this reason. A client treats
// it as a close with the same code.
func refusal(d *hub.Disconnection) Error {
	return Error{Code: uint32(d.Code), Message: d.Reason, Temporary: d.Reconnects()} //nolint:gosec // from 3000 to 4999
}
