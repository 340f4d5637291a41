package hub

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"
)

// Identity is what a token proves about a client.
type Identity struct {
	// User is who the application says it is, "" for an anonymous client.
	User string
	// Info is a JSON value for the user, or nil.
	Info json.RawMessage
	// Permissions is what the token grants, nil where it says nothing of them.
	Permissions *Permissions
	// Expires is when the token ends, zero for one that does not.
	Expires time.Time
}

// VerifyToken checks that token was made with the project's secret for user, and
// is good at now. It fails with ErrInvalidToken, ErrTokenExpired or
// ErrLimitExceeded.
type VerifyToken func(p *Project, user, token string, now time.Time) (Identity, error)

// Answer is what an application grants to a user that asked to connect.
type Answer struct {
	Permissions Permissions
	// Info is a JSON value for the user, nil where the application gave none.
	Info json.RawMessage
}

// Callback asks the application.
type Callback interface {
	// Validate asks the project's validate_url whether user may connect with the
	// wished permissions. It fails with ErrPermissionDenied when the application
	// refuses and with ErrValidation when it could not be asked.
	Validate(ctx context.Context, p *Project, user string, wish Permissions) (Answer, error)
}

// Options are what a Hub is made of. All are required, but a hub whose caller
// never uses an operation does without what only that operation needs.
type Options struct {
	Projects      Projects
	Connections   Connections
	Subscriptions Subscriptions
	Claims        Claims
	Usages        Usages
	Presences     Presences
	Counters      Counters
	Delivery      Delivery
	Callback      Callback
	VerifyToken   VerifyToken
	// Hooks gets the messages of categories with Hooks; nil where there is no bus.
	Hooks Hooks
	// Clean takes out of the strings in a JSON value what HTML could do harm with;
	// links and images may lead to these domains.
	Clean func(data json.RawMessage, domains []string) (json.RawMessage, error)
	// Log gets what fails and concerns no caller; nil means nowhere.
	Log *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Hub carries out what clients and applications ask for.
type Hub struct {
	Options
}

// New returns a Hub over the given parts.
func New(o Options) *Hub {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Hub{o}
}
