package centrifugo

import (
	"errors"
	"fmt"
	"testing"

	"centrifuge/pkg/hub"
)

func TestErrorOf(t *testing.T) {
	for _, tt := range []struct {
		name    string
		err     error
		want    Error
		refusal Error
	}{
		{"an error without a code", errors.New("table centrifuge-7 is missing"), Error{100, "internal server error", true}, Error{100, "internal server error", true}},
		{"an error of an application with a code of the hub", fmt.Errorf("rpc: %w", &hub.ApplicationError{Code: 410, Message: "connection not found"}),
			Error{410, "connection not found", false}, Error{410, "connection not found", false}},
		{"a temporary error of an application", &hub.ApplicationError{Code: 1000, Message: "later", Temporary: true}, Error{1000, "later", true}, Error{1000, "later", true}},
		{"unauthorized", hub.ErrUnauthorized, Error{101, "unauthorized", false}, Error{3501, "bad request", false}},
		{"an unknown category", hub.ErrCategoryNotFound, Error{102, "unknown channel", false}, Error{102, "unknown channel", false}},
		{"an unknown category, with a detail", hub.ErrCategoryNotFound.With("x"), Error{102, "unknown channel: x", false}, Error{102, "unknown channel: x", false}},
		{"permission denied, with a detail", hub.ErrPermissionDenied.With("the project does not list this origin").WithHelp("add it"),
			Error{103, "permission denied: the project does not list this origin", false}, Error{3507, "permission denied: the project does not list this origin", false}},
		{"a limit, wrapped", fmt.Errorf("publish: %w", hub.ErrLimitExceeded.With("too much")), Error{106, "limit exceeded: too much", false}, Error{106, "limit exceeded: too much", false}},
		{"a bad request", hub.ErrBadRequest.With("why"), Error{107, "bad request: why", false}, Error{3501, "bad request: why", false}},
		{"an expired token", hub.ErrTokenExpired, Error{109, "token expired", false}, Error{109, "token expired", false}},
		{"too many requests", hub.ErrTooManyRequests, Error{111, "too many requests", true}, Error{111, "too many requests", true}},
		{"an unrecoverable position", hub.ErrUnrecoverablePosition, Error{112, "unrecoverable position", false}, Error{112, "unrecoverable position", false}},
		{"an unknown project", hub.ErrProjectNotFound, Error{107, "bad request: project not found", false}, Error{3501, "bad request", false}},
		{"an invalid token", hub.ErrInvalidToken, Error{103, "permission denied: invalid token", false}, Error{3500, "invalid token", false}},
		{"an application that does not answer", hub.ErrValidation, Error{100, "internal server error: permission validation error", true}, Error{100, "internal server error: permission validation error", true}},
		{"a category that is not granted", hub.ErrCategoryDenied, Error{103, "permission denied: category does not exist or permission denied", false}, Error{103, "permission denied: category does not exist or permission denied", false}},
		{"a one-way category", hub.ErrOneWay, Error{103, "permission denied: one-way category", false}, Error{103, "permission denied: one-way category", false}},
		{"another identity", hub.ErrIdentity, Error{107, "bad request: the connection has another identity", false}, Error{3500, "invalid token", false}},
		{"a message that is too large", hub.ErrTooLarge.With("33 KB"), Error{106, "limit exceeded: message too large: 33 KB", false}, Error{106, "limit exceeded: message too large: 33 KB", false}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := ErrorOf(tt.err); got != tt.want {
				t.Errorf("error %+v, expected %+v", got, tt.want)
			}
			if got := RefusalOf(tt.err); got != tt.refusal {
				t.Errorf("refusal %+v, expected %+v", got, tt.refusal)
			}
		})
	}
	t.Run("a frame that is wrong", func(t *testing.T) {
		_, err := Decode([]byte(`{"id":1,"connect":1}`))
		if got, want := RefusalOf(err), (Error{3501, "bad request: connect is not an object", false}); got != want {
			t.Errorf("refusal %+v, expected %+v", got, want)
		}
	})
}

// TestErrorsOfHub checks that every error of the hub has a code and a message of the protocol.
func TestErrorsOfHub(t *testing.T) {
	known := map[Error]bool{}
	for _, e := range protocolErrors {
		known[e] = true
	}
	for _, entry := range hub.ErrorReference {
		e := ErrorOf(entry.Error)
		for base := range known {
			if base.Code == e.Code && base.Temporary == e.Temporary && (e == base || e == base.with(entry.Message)) {
				e = base
			}
		}
		if !known[e] {
			t.Errorf("%d %s is %+v, which the protocol does not have", entry.Code, entry.Message, e)
		}
	}
}

// The tables of README.md are checked against these.
var (
	protocolErrors = []Error{
		ErrorInternal, ErrorUnauthorized, ErrorUnknownChannel, ErrorPermissionDenied, ErrorMethodNotFound, ErrorAlreadySubscribed, ErrorLimitExceeded,
		ErrorBadRequest, ErrorNotAvailable, ErrorTokenExpired, ErrorExpired, ErrorTooManyRequests, ErrorUnrecoverablePosition, ErrorConflict,
	}
	disconnects = []*hub.Disconnection{
		hub.DisconnectServerError, hub.DisconnectExpired, hub.DisconnectSubscriptionExpired, hub.DisconnectInsufficientState, hub.DisconnectTooManyRequests,
		hub.DisconnectInvalidToken, hub.DisconnectBadRequest, hub.DisconnectForced, hub.DisconnectPermissionDenied, hub.DisconnectNotAvailable,
	}
	unsubscribes = []hub.Unsubscription{hub.UnsubscribedByServer, hub.UnsubscribedInsufficientState, hub.UnsubscribedExpired}
)
