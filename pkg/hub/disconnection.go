package hub

import "fmt"

// Disconnection ends a connection. It is an error of the commands of a Session: the client
// gets the code and the reason, and the socket is closed. The codes are Centrifugo's.
//
//nolint:errname // it is what a client gets, and an error for the session alone
type Disconnection struct {
	// Code is from 3000 to 4999. Clients connect again after codes from 3000 to 3499 and from
	// 4000 to 4499.
	Code int
	// Reason is for people: at most 32 ASCII characters.
	Reason string
}

// The disconnections.
//
//nolint:errname // most of them end a connection as they should, and all have the names of their reasons
var (
	DisconnectServerError         = &Disconnection{3004, "internal server error"}
	DisconnectExpired             = &Disconnection{3005, "connection expired"}
	DisconnectSubscriptionExpired = &Disconnection{3006, "subscription expired"}
	DisconnectInsufficientState   = &Disconnection{3010, "insufficient state"}
	DisconnectTooManyRequests     = &Disconnection{3013, "too many requests"}
	DisconnectInvalidToken        = &Disconnection{3500, "invalid token"}
	DisconnectBadRequest          = &Disconnection{3501, "bad request"}
	DisconnectForced              = &Disconnection{3503, "force disconnect"}
	DisconnectPermissionDenied    = &Disconnection{3507, "permission denied"}
	DisconnectNotAvailable        = &Disconnection{3508, "not available"}
)

// Error is the reason and the code.
func (d *Disconnection) Error() string { return fmt.Sprintf("%s (%d)", d.Reason, d.Code) }

// Reconnects reports whether clients connect again.
func (d *Disconnection) Reconnects() bool {
	return d.Code >= 3000 && d.Code < 3500 || d.Code >= 4000 && d.Code < 4500
}

// Unsubscription is why the service ends a subscription. The codes are Centrifugo's. Clients
// subscribe again after those from 2500 on. No client gets those below 2000: they are for Hooks.
type Unsubscription struct {
	Code int
	// Reason is for people: at most 32 ASCII characters.
	Reason string
}

// The unsubscriptions.
var (
	UnsubscribedByClient          = Unsubscription{0, "client unsubscribe"}
	UnsubscribedByDisconnect      = Unsubscription{1, "disconnect"}
	UnsubscribedByServer          = Unsubscription{2000, "server unsubscribe"}
	UnsubscribedInsufficientState = Unsubscription{2500, "insufficient state"}
	UnsubscribedExpired           = Unsubscription{2501, "subscription expired"}
)
