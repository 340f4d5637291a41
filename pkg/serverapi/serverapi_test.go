package serverapi

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
)

// The answers of a whole service are the conversations of localstack/e2e. Here
// everything below the API fails.

var errBroken = errors.New("the table is gone")

// broken is a store that knows one project and fails in everything else.
type broken struct {
	hub.Connections
	hub.Claims
	hub.Counters
}

var project = &hub.Project{ID: "p", Name: "P", Secret: "the-secret", Categories: map[string]hub.Category{"news": {Name: "news"}}}

func (broken) Project(_ context.Context, id string) (*hub.Project, error) {
	if id == project.ID {
		return project, nil
	}
	return nil, errBroken
}

func (broken) Deliver(context.Context, hub.Message, []hub.Audience, func(context.Context, hub.Place) error) (hub.Report, error) {
	return hub.Report{}, errBroken
}
func (broken) Count(context.Context, string, time.Time, int, int) error { return nil }
func (broken) Disconnect(context.Context, []string) error               { return errBroken }
func (broken) UserConnections(context.Context, string, string) ([]hub.Connection, error) {
	return nil, errBroken
}
func (broken) Usage(context.Context, string) (hub.Usage, error) { return hub.Usage{}, errBroken }

func TestWhatGoesWrongInsideStaysInside(t *testing.T) {
	const internal = `{"error":{"code":100,"message":"internal server error"}}`
	const rpcInternal = `{"id":null,"error":"internal server error","result":null}`
	rpc := base64.StdEncoding.EncodeToString([]byte(`{"method":"broadcast","params":{"category":"news","channel":"x","data":{}}}`))
	for _, tt := range []struct {
		name   string
		path   string
		key    string
		sign   string
		body   string
		status int
		want   string
	}{
		{name: "publish", path: "/api/publish", key: "key", body: `{"channel":"news:x","data":1}`, status: 200, want: internal},
		{name: "broadcast answers channel by channel", path: "/api/broadcast", key: "key", body: `{"channels":["news:x"],"data":1}`, status: 200, want: `{"result":{"responses":[` + internal + `]}}`},
		{name: "unsubscribe", path: "/api/unsubscribe", key: "key", body: `{"user":"u","channel":"news:x"}`, status: 200, want: internal},
		{name: "disconnect", path: "/api/disconnect", key: "key", body: `{"user":"u"}`, status: 200, want: internal},
		{name: "channels", path: "/api/channels", key: "key", body: `{}`, status: 200, want: internal},
		{name: "info", path: "/api/info", key: "key", body: `{}`, status: 200, want: internal},
		{name: "a key that cannot be looked up", path: "/api/info", key: "the-key", body: `{}`, status: 500, want: internal},
		{name: "rpc", path: "/rpc/p", sign: auth.SignRequest("the-secret", "p", []byte(rpc)), body: rpc, status: 200, want: rpcInternal},
		{name: "a project that cannot be looked up", path: "/rpc/q", sign: auth.SignRequest("the-secret", "q", []byte(rpc)), body: rpc, status: 500, want: rpcInternal},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log strings.Builder
			h := New(Options{
				Hub:      hub.New(hub.Options{Projects: broken{}, Connections: broken{}, Usages: broken{}, Counters: broken{}, Delivery: broken{}}),
				Projects: broken{}, Log: slog.New(slog.NewJSONHandler(&log, nil)),
				ProjectByAPIKey: func(_ context.Context, key string) (*hub.Project, error) {
					if key == "key" {
						return project, nil
					}
					return nil, errBroken
				},
			})
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, tt.path, strings.NewReader(tt.body))
			r.Header.Set("X-API-Key", tt.key)
			r.Header.Set("X-Centrifuge-Auth", tt.sign)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if got := strings.TrimSpace(w.Body.String()); w.Code != tt.status || got != tt.want {
				t.Errorf("status %d, body %s, expected %d %s", w.Code, got, tt.status, tt.want)
			}
			if lines := strings.Count(log.String(), "\n"); lines != 1 || !strings.Contains(log.String(), errBroken.Error()) {
				t.Errorf("the log holds %d lines: %s", lines, log.String())
			}
			if strings.Contains(log.String(), "the-key") || strings.Contains(log.String(), "the-secret") {
				t.Error("the log holds a secret")
			}
		})
	}
}

func TestWhatTheAPIDoesNotHave(t *testing.T) {
	h := New(Options{})
	for _, tt := range []struct {
		method, path string
		status       int
	}{
		{http.MethodGet, "/api/publish", http.StatusMethodNotAllowed},
		{http.MethodGet, "/rpc/p", http.StatusMethodNotAllowed},
		{http.MethodPost, "/healthz", http.StatusMethodNotAllowed},
		{http.MethodPost, "/api/a/b", http.StatusNotFound},
		{http.MethodGet, "/", http.StatusNotFound},
	} {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), tt.method, tt.path, nil))
			if w.Code != tt.status {
				t.Errorf("status %d, expected %d", w.Code, tt.status)
			}
		})
	}
}
