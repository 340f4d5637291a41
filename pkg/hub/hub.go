package hub

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// Store keeps the state of all projects.
type Store interface {
	Projects
	ProjectReader
	Connections
	Subscriptions
	Memberships
	Presences
	Claims
	Counters
	Usages
	Streams
	Leases
	Pings
	Occupancies
}

// Options are the parts of a Hub. All except Log, Now and Wait are required.
type Options struct {
	Store       Store
	Dispatcher  Dispatcher
	Callback    Callback
	VerifyToken VerifyToken
	// Tokens verifies the tokens of Centrifugo's protocol. Only a Hub whose clients speak it
	// needs it.
	Tokens Tokens
	// Hooks gets what happens, where options say so; nil where there is no event bus.
	Hooks Hooks
	// Proxies asks applications about the clients of Centrifugo's protocol; nil asks none.
	Proxies Proxies
	// DefaultProject is the id of the project of clients whose URL names none; "" for none.
	DefaultProject string
	// Pings means that the deployment sends pings: it calls SendDuePings every minute.
	Pings bool
	// Log gets failures that do not fail a call; nil discards them.
	Log *slog.Logger
	// Now is the clock, and Wait waits by it, or until ctx ends, and then fails; nil means
	// time.Now and a timer.
	Now  func() time.Time
	Wait func(ctx context.Context, d time.Duration) error
}

// Hub executes the commands of clients and the requests of applications.
type Hub struct {
	store      Store
	dispatcher Dispatcher
	callback   Callback
	verify     VerifyToken
	tokens     Tokens
	proxies    Proxies
	hooks      Hooks
	// defaultProject is the id of the project of clients whose URL names none.
	defaultProject string
	pings          bool
	log            *slog.Logger
	now            func() time.Time
	wait           func(context.Context, time.Duration) error
}

// New returns a Hub. It fails, naming the part, when a required part is missing.
func New(o Options) (*Hub, error) {
	switch {
	case o.Store == nil:
		return nil, errors.New("hub: Store is missing")
	case o.Dispatcher == nil:
		return nil, errors.New("hub: Dispatcher is missing")
	case o.Callback == nil:
		return nil, errors.New("hub: Callback is missing")
	case o.VerifyToken == nil:
		return nil, errors.New("hub: VerifyToken is missing")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Wait == nil {
		o.Wait = wait
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Hub{
		store: o.Store, dispatcher: o.Dispatcher, callback: o.Callback, verify: o.VerifyToken, tokens: o.Tokens, proxies: o.Proxies, hooks: o.Hooks,
		defaultProject: o.DefaultProject, pings: o.Pings, log: o.Log, now: o.Now, wait: o.Wait,
	}, nil
}

// wait waits, or fails when ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
