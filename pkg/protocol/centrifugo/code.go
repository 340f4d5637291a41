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
	to   Disconnect
}{
	{hub.ErrUnauthorized, DisconnectBadRequest},
	{hub.ErrPermissionDenied, DisconnectPermissionDenied},
	{hub.ErrBadRequest, DisconnectBadRequest},
	{hub.ErrProjectNotFound, DisconnectBadRequest},
	{hub.ErrInvalidToken, DisconnectInvalidToken},
	{hub.ErrIdentity, DisconnectInvalidToken},
}

// RefusalOf is the error of the reply to a connect that is refused because of err, which is not
// nil. Where Centrifugo would close the connection, and a *FrameError is such a case, its code is
// that of the close: API Gateway closes without a code, and clients take it from the reply.
// Otherwise it is ErrorOf. The connection is deleted after the reply.
func RefusalOf(err error) Error {
	var frame *FrameError
	if errors.As(err, &frame) {
		return DisconnectBadRequest.Refusal().with(frame.Detail)
	}
	if d := (*hub.Disconnection)(nil); errors.As(err, &d) {
		return Disconnect{uint32(d.Code), d.Reason}.Refusal() //nolint:gosec // from 3000 to 4999
	}
	e := hub.Public(err)
	for _, r := range refusals {
		if isOf(e, r.from) {
			return r.to.Refusal().with(e.Detail)
		}
	}
	return ErrorOf(err)
}

// Disconnect is why a connection is closed. Applications may use codes from 4000 to 4999, with a
// reason of at most 32 bytes of ASCII.
type Disconnect struct {
	Code   uint32 `json:"code"`
	Reason string `json:"reason"`
}

// The codes with which Centrifugo closes connections. Clients connect again after those below
// 3500.
var (
	DisconnectConnectionClosed      = Disconnect{3000, "connection closed"}
	DisconnectShutdown              = Disconnect{3001, "shutdown"}
	DisconnectServerError           = Disconnect{3004, "internal server error"}
	DisconnectExpired               = Disconnect{3005, "connection expired"}
	DisconnectSubExpired            = Disconnect{3006, "subscription expired"}
	DisconnectSlow                  = Disconnect{3008, "slow"}
	DisconnectWriteError            = Disconnect{3009, "write error"}
	DisconnectInsufficientState     = Disconnect{3010, "insufficient state"}
	DisconnectForceReconnect        = Disconnect{3011, "force reconnect"}
	DisconnectNoPong                = Disconnect{3012, "no pong"}
	DisconnectTooManyRequests       = Disconnect{3013, "too many requests"}
	DisconnectStateInvalidated      = Disconnect{3014, "state invalidated"}
	DisconnectInvalidToken          = Disconnect{3500, "invalid token"}
	DisconnectBadRequest            = Disconnect{3501, "bad request"}
	DisconnectStale                 = Disconnect{3502, "stale"}
	DisconnectForceNoReconnect      = Disconnect{3503, "force disconnect"}
	DisconnectConnectionLimit       = Disconnect{3504, "connection limit"}
	DisconnectChannelLimit          = Disconnect{3505, "channel limit"}
	DisconnectInappropriateProtocol = Disconnect{3506, "inappropriate protocol"}
	DisconnectPermissionDenied      = Disconnect{3507, "permission denied"}
	DisconnectNotAvailable          = Disconnect{3508, "not available"}
	DisconnectTooManyErrors         = Disconnect{3509, "too many errors"}
)

// Reconnects reports whether a client connects again after the connection was closed with this
// code. Such a connection is deleted without a push: the Python client hangs after one.
func (d Disconnect) Reconnects() bool {
	return d.Code < 3500 || d.Code >= 4000 && d.Code < 4500 || d.Code >= 5000
}

// Refusal is the error of the reply to a connect that is refused for this reason. A client
// treats it as a close with the same code.
func (d Disconnect) Refusal() Error { return Error{Code: d.Code, Message: d.Reason} }

// Unsubscribe is why a subscription ended.
type Unsubscribe struct {
	Code   uint32 `json:"code"`
	Reason string `json:"reason"`
}

// The codes of unsubscribes. Clients subscribe again after those from 2500 on, and drop their
// token and position before that after UnsubscribeStateInvalidated.
var (
	UnsubscribeClient           = Unsubscribe{0, "client unsubscribed"}
	UnsubscribeDisconnect       = Unsubscribe{1, "client disconnected"}
	UnsubscribeServer           = Unsubscribe{2000, "server unsubscribe"}
	UnsubscribeInsufficient     = Unsubscribe{2500, "insufficient state"}
	UnsubscribeExpired          = Unsubscribe{2501, "subscription expired"}
	UnsubscribeStateInvalidated = Unsubscribe{2502, "state invalidated"}
)

// Resubscribes reports whether a client subscribes again after a push with this code.
func (u Unsubscribe) Resubscribes() bool { return u.Code >= 2500 }
