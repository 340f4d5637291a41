// Package serverapi is the HTTPS API for applications: the API of 2013 at /rpc/<project>,
// whose requests are signed with the project's secret, and an API with the shape of
// Centrifugo's at /api/<method> and /api, whose requests carry an API key.
//
// It is a plain http.Handler: it knows HTTP and JSON, and neither Lambda nor the
// store. The hub decides what a method may do.
package serverapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"path"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
)

// MaxBodyBytes limits the body of a request; a larger one gets status 413.
const MaxBodyBytes = 1 << 20

// Options are the parts of the API. All are required.
type Options struct {
	Hub      *hub.Publisher
	Projects hub.Projects
	APIKeys  auth.APIKeys
	Log      *slog.Logger
}

type api struct{ Options }

// Version is the version in the result of /api/info.
const Version = hub.Version

// New returns the handler of POST /rpc/{project}, POST /api/{method}, POST /api, GET
// /api/openapi.json and GET /healthz. It is safe for concurrent use.
func New(o Options) http.Handler {
	a := &api{o}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /rpc/{project}", a.rpc)
	mux.HandleFunc("POST /api/{method}", a.call)
	mux.HandleFunc("GET /api/openapi.json", document)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		write(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("POST /api", a.stream)
	mux.HandleFunc("POST /api/", unknown)
	return guard(mux)
}

func unknown(w http.ResponseWriter, _ *http.Request) {
	write(w, http.StatusNotFound, fail(hub.ErrMethodNotFound.WithHelp("the server API is POST /api/METHOD, POST /api with a stream of commands, and POST /rpc/PROJECT as in 2013")))
}

// guard refuses a URL that is not text, and a path that the multiplexer would redirect: no
// client of an API follows redirects of a POST.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := hub.CheckURL(r.URL); err != nil {
			write(w, http.StatusBadRequest, fail(hub.Public(err)))
			return
		}
		if clean := path.Clean(r.URL.Path); clean != r.URL.Path && clean+"/" != r.URL.Path {
			unknown(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// errTooLarge: the body is over MaxBodyBytes.
var errTooLarge = hub.ErrLimitExceeded.With("the body is larger than 1 MiB")

// body reads the whole body of a request.
func body(r *http.Request) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r.Body, MaxBodyBytes+1))
	if err != nil {
		return nil, hub.ErrBadRequest.With("the body could not be read")
	}
	if len(b) > MaxBodyBytes {
		return nil, errTooLarge
	}
	return b, nil
}

// public returns what the caller may see of err. It logs an internal error, which the
// caller may not see.
func (a *api) public(ctx context.Context, err error) *hub.Error {
	var known *hub.Error
	if !errors.As(err, &known) {
		a.Log.ErrorContext(ctx, "request failed", "error", err)
	}
	return hub.Public(err)
}

// write writes a response: values in JSON, each on a line.
func write(w http.ResponseWriter, status int, values ...any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	for _, v := range values {
		encode(w, v)
	}
}

// encode writes JSON without HTML's escapes.
func encode(w io.Writer, v any) {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	// It fails only if the connection of the caller has ended.
	_ = e.Encode(v)
}
