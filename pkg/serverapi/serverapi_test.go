package serverapi

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
	"centrifuge/pkg/sanitizer"
)

// The conversations of localstack/e2e test the API of a whole service. These tests are for
// failures of the store and the dispatcher.

var errBroken = errors.New("the table is missing")

// broken is a store with one project and one API key, and a dispatcher; everything else
// fails.
type broken struct {
	hub.Store
	hub.Callback
}

// noStreams is for tests that publish to no stream.
type noStreams struct{ hub.StreamDispatcher }

var project = &hub.Project{ID: "p", Name: "P", Secret: "the-secret", APIKeyHashes: []string{auth.HashAPIKey("key")}, Categories: map[string]hub.Category{"news": {Name: "news"}}}

func (broken) Project(_ context.Context, id string) (*hub.Project, error) {
	if id == project.ID {
		return project, nil
	}
	return nil, errBroken
}

func (broken) ProjectByAPIKeyHash(_ context.Context, hash string) (*hub.Project, error) {
	if hash == project.APIKeyHashes[0] {
		return project, nil
	}
	return nil, errBroken
}

func (broken) Dispatch(context.Context, hub.Audience, []hub.Message) (hub.Result, error) {
	return hub.Result{}, errBroken
}
func (broken) Count(context.Context, string, time.Time, int, int) error { return nil }
func (broken) Check(hub.Message) error                                  { return nil }
func (broken) Disconnect(_ context.Context, connections []string) ([]string, error) {
	return connections, errBroken
}
func (broken) Notify(context.Context, []hub.Notice) ([]string, error) { return nil, errBroken }
func (broken) Ping(context.Context, hub.Protocol, []string) (hub.Result, error) {
	return hub.Result{}, errBroken
}
func (broken) Reply(context.Context, string, [][]byte) error { return errBroken }
func (broken) UserConnections(context.Context, string, string) ([]hub.Connection, error) {
	return nil, errBroken
}
func (broken) Usage(context.Context, string, hub.Bound, hub.Counted) (hub.Usage, error) {
	return hub.Usage{}, errBroken
}
func (broken) Channels(context.Context, string, string, int, hub.Counted) (hub.ChannelPage, error) {
	return hub.ChannelPage{}, errBroken
}

func TestInternalErrors(t *testing.T) {
	const internal = `{"error":{"code":100,"message":"internal server error: repeat later; the log of the service has the cause"}}`
	const rpcInternal = `{"id":null,"error":"internal server error","result":null,"code":100,"detail":"repeat later; the log of the service has the cause"}`
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
		{name: "broadcast", path: "/api/broadcast", key: "key", body: `{"channels":["news:x"],"data":1}`, status: 200, want: `{"result":{"responses":[` + internal + `]}}`},
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
			publisher, err := hub.NewPublisher(hub.PublisherOptions{
				Options: hub.Options{Store: broken{}, Dispatcher: broken{}, Callback: broken{}, VerifyToken: auth.VerifyToken}, Clean: sanitizer.Clean,
				Streams: noStreams{},
			})
			if err != nil {
				t.Fatal(err)
			}
			h := New(Options{Hub: publisher, Projects: broken{}, APIKeys: broken{}, Log: slog.New(slog.NewJSONHandler(&log, nil))})
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

// TestUnknownPaths calls paths below /api that have no method. The answer is JSON, and no
// redirect.
func TestUnknownPaths(t *testing.T) {
	h := New(Options{})
	for _, path := range []string{"/api/", "/api/a/b", "/api/publish/", "/api//publish", "//api/publish", "/api/./publish", "/api/a/../publish"} {
		t.Run(path, func(t *testing.T) {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost"+path, nil))
			var got struct{ Error struct{ Code int } }
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusNotFound || got.Error.Code != hub.ErrMethodNotFound.Code {
				t.Errorf("status %d, body %s", w.Code, w.Body)
			}
		})
	}
}

func TestUnknownRoutes(t *testing.T) {
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

// TestSuggestion checks what an unknown name is answered with.
func TestSuggestion(t *testing.T) {
	for _, tt := range []struct{ name, want string }{
		{"chanel", "did you mean channel?"},
		{"channles", "did you mean channel?"},
		{"CHANNEL", "did you mean channel?"},
		{"cahnnel", "did you mean channel?"},
		{"chan", "did you mean channel?"},
		{"dta", "did you mean data?"},
		{"idempotencyKey", "did you mean idempotency_key?"},
		{"topic", "there are channel, data, idempotency_key"},
		{"", "there are channel, data, idempotency_key"},
		{"x", "there are channel, data, idempotency_key"},
		{strings.Repeat("channel", 1000), "there are channel, data, idempotency_key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := suggest(tt.name, []string{"channel", "data", "idempotency_key"}); got != tt.want {
				t.Errorf("%q, expected %q", got, tt.want)
			}
		})
	}
}

// TestUnknownFieldsOfRequests checks the messages about fields.
func TestUnknownFieldsOfRequests(t *testing.T) {
	for _, tt := range []struct{ body, want string }{
		{`{"user":1}`, "bad request: user is not a string"},
		{`{"users":"ann"}`, `bad request: users is not an array of strings`},
		{`{"users":[1]}`, `bad request: users is not an array of strings`},
		{`{"usr":1}`, `bad request: unknown field "usr": did you mean user?`},
		{`{"` + strings.Repeat("é", 100) + `":1}`, `bad request: unknown field "` + strings.Repeat("é", 32) + `…": there are user, users`},
		{`{"old":{"x":1}}`, ""},
		{`{"Odd":"x"}`, ""},
		{`{"Odd":1}`, "bad request: Odd is not a string"},
		{`[]`, "bad request: the body is not a JSON object"},
		{`null`, "bad request: the body is not a JSON object"},
	} {
		t.Run(tt.body, func(t *testing.T) {
			var q struct {
				User  string   `json:"user"`
				Users []string `json:"users"`
				Old   ignored  `json:"old"`
				Odd   string   `json:"Odd"`
			}
			got := ""
			if err := decode([]byte(tt.body), &q); err != nil {
				got = hub.Public(err).Text()
			}
			if got != tt.want {
				t.Errorf("%q, expected %q", got, tt.want)
			}
		})
	}
}
