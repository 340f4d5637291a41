// Package chat is the example application: the page of a launch party and the
// little backend that it needs. Visitors chat and see who is there, applaud, vote,
// and wave at one another; the backend makes their tokens, answers validate_url,
// counts, and publishes what it has counted.
//
// It uses Centrifuge from outside, as any application in any language would, and
// is meant to be copied: the backend has nothing but the standard library. The one
// package of this module that it imports is pkg/webclient, the file of JavaScript
// that a page of yours would have as a copy.
//
// It refuses to know who its visitors are: whoever types a name gets a token for
// it. A real application takes the user from its own login instead. Nor does it
// know where its numbers are kept: it is given a function that counts.
package chat

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"
)

// Options are what the application must be told. The three strings and Secret are
// required: without one of the strings, or while there is no secret, the page is
// served, and what it asks for is answered with status 503.
type Options struct {
	// Project is the project's id.
	Project string
	// Secret returns the project's secret key. An application of yours has it in its
	// configuration.
	Secret func(context.Context) (string, error)
	// Count adds by, 0 or 1, to the number of this name, which starts at 0, and
	// returns the sum. It is called concurrently, with a handful of names that no
	// visitor chooses. An application of yours has a database. Nil means that nothing
	// can be counted: /demo/live, /demo/applaud and /demo/vote answer with status 503.
	Count func(ctx context.Context, name string, by int) (int, error)
	// WebSocketURL is what the page connects to, such as "wss://host/stage".
	WebSocketURL string
	// HTTPURL is the base of the server API, without a slash at the end.
	HTTPURL string
	// Client calls the server API; nil means one with a time-out of 5 s.
	Client *http.Client
	// Log is told of what failed here or in Centrifuge; nil means slog.Default().
	Log *slog.Logger
}

type application struct{ Options }

// New returns the application, to be mounted at /demo/ without stripping the
// prefix. It is safe for concurrent use. Every answer but the page and its files
// is JSON; a failed one is {"error": "what went wrong"}. Request bodies over 4 KB,
// or 256 KB for validate_url, are refused with status 413.
func New(o Options) http.Handler {
	if o.Client == nil {
		o.Client = &http.Client{Timeout: 5 * time.Second}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Count == nil {
		o.Count = func(context.Context, string, int) (int, error) { return 0, errors.New("there is no database") }
	}
	a := application{o}
	mux := http.NewServeMux()
	mux.Handle("/demo", only(http.MethodGet, http.RedirectHandler("/demo/", http.StatusMovedPermanently).ServeHTTP))
	mux.Handle("/demo/", only(http.MethodGet, page().ServeHTTP))
	mux.Handle("/demo/centrifuge.js", only(http.MethodGet, client))
	mux.Handle("/demo/token", only(http.MethodPost, a.token))
	mux.Handle("/demo/validate", only(http.MethodPost, a.validate))
	mux.Handle("/demo/announce", only(http.MethodPost, a.announce))
	mux.Handle("/demo/live", only(http.MethodGet, a.live))
	mux.Handle("/demo/applaud", only(http.MethodPost, a.applaud))
	mux.Handle("/demo/vote", only(http.MethodPost, a.vote))
	mux.Handle("/demo/wave", only(http.MethodPost, a.wave))
	return secure(mux)
}
