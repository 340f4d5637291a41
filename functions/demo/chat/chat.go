// Package chat is the example application: the page of a launch party and its
// backend. Visitors chat, see who is present, applaud, vote and wave at each other.
// The backend issues tokens, answers validate_url, counts, and publishes the results.
//
// It uses Centrifuge through its public APIs only, like an application in any
// language, and is made to be copied. The backend uses the standard library, and the page
// npm centrifuge.
//
// It does not authenticate its visitors: anyone gets a token for any name. Your
// application takes the user from its own login. It does not know where its counters
// are stored either: Options.Count is a function.
package chat

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"
)

// Options configure the application. Project, Secret, WebSocketURL and HTTPURL are
// required: when one is missing, the application serves the page but answers the
// requests of the page with status 503.
type Options struct {
	// Project is the id of the project.
	Project string
	// Secret returns the secret key of the project. Your application has it in its
	// configuration.
	Secret func(context.Context) (string, error)
	// Count adds delta, 0 or 1, to the counter with this name and returns its value.
	// Counters start at 0. It is called concurrently, with a fixed set of names. Your
	// application has a database. If nil, /demo/live, /demo/applaud and /demo/vote
	// answer with status 503.
	Count func(ctx context.Context, name string, delta int) (int, error)
	// WebSocketURL is the URL that the page connects to, such as "wss://host/stage".
	WebSocketURL string
	// HTTPURL is the base URL of the server API, without a slash at the end.
	HTTPURL string
	// SDK is the browser build of npm centrifuge, with its licences. Your application bundles
	// it, or has a copy.
	SDK []byte
	// Client calls the server API; nil means a client with a timeout of 5 s.
	Client *http.Client
	// Log gets failures of the backend and of Centrifuge; nil means slog.Default().
	Log *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

type application struct{ Options }

// New returns the application. Mount it at /demo/ without stripping the prefix. It is
// safe for concurrent use. Except for the files of the page, every response is JSON;
// an error is {"error": "reason"}. Request bodies over 4 KB, or 256 KB for
// validate_url, are refused with status 413.
func New(o Options) http.Handler {
	if o.Client == nil {
		o.Client = &http.Client{Timeout: 5 * time.Second}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Count == nil {
		o.Count = func(context.Context, string, int) (int, error) { return 0, errors.New("no database configured") }
	}
	a := application{o}
	mux := http.NewServeMux()
	mux.Handle("/demo", allow(http.MethodGet, http.RedirectHandler("/demo/", http.StatusMovedPermanently).ServeHTTP))
	mux.Handle("/demo/", allow(http.MethodGet, page().ServeHTTP))
	mux.Handle("/demo/centrifuge.js", allow(http.MethodGet, sdk(o.SDK)))
	mux.Handle("/demo/token", allow(http.MethodPost, a.token))
	mux.Handle("/demo/validate", allow(http.MethodPost, a.validate))
	mux.Handle("/demo/announce", allow(http.MethodPost, a.announce))
	mux.Handle("/demo/live", allow(http.MethodGet, a.live))
	mux.Handle("/demo/applaud", allow(http.MethodPost, a.applaud))
	mux.Handle("/demo/vote", allow(http.MethodPost, a.vote))
	mux.Handle("/demo/wave", allow(http.MethodPost, a.wave))
	return secure(mux)
}
