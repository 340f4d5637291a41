package serverapi

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
	"centrifuge/pkg/sanitizer"
)

// reachable is a store as broken, and a dispatcher that records what it sends.
type reachable struct {
	broken
	// sent has the data of messages. Each takes a while.
	sent chan string
}

// dispatchTime is how long a dispatch takes.
const dispatchTime = time.Second

func (r reachable) Dispatch(ctx context.Context, _ hub.Audience, messages []hub.Message) (hub.Result, error) {
	<-time.After(dispatchTime)
	for _, m := range messages {
		r.sent <- string(m.Data)
	}
	return hub.Result{Delivered: 1}, ctx.Err()
}

// newHandler is the server API on a store that is a dispatcher and a callback, too.
func newHandler(t *testing.T, store interface {
	hub.Store
	hub.Dispatcher
	hub.Callback
	auth.APIKeys
}) http.Handler {
	t.Helper()
	publisher, err := hub.NewPublisher(hub.PublisherOptions{
		Options: hub.Options{Store: store, Dispatcher: store, Callback: store, VerifyToken: auth.VerifyToken}, Clean: sanitizer.Clean,
		Streams: noStreams{},
	})
	if err != nil {
		t.Fatal(err)
	}
	return New(Options{Hub: publisher, Projects: store, APIKeys: store, Log: slog.New(slog.DiscardHandler)})
}

// post sends a request with the API key to an API over a reachable store, in a bubble of
// synctest. It returns the answer, what was sent, in its order, and how long that took.
func post(ctx context.Context, t *testing.T, path, body string) (w *httptest.ResponseRecorder, sent string, took time.Duration) {
	t.Helper()
	store := reachable{sent: make(chan string, 100)}
	h := newHandler(t, store)
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Authorization", "apikey key")
	w = httptest.NewRecorder()
	began := time.Now()
	h.ServeHTTP(w, r)
	took = time.Since(began)
	close(store.sent)
	for data := range store.sent {
		sent += data
	}
	return w, sent, took
}

func publishes(data string) string {
	return `{"method":"publish","params":{"channel":"news:x","data":` + data + `}}`
}

// TestStream sends several commands. They run in their order, or not at all.
func TestStream(t *testing.T) {
	const delivered = `{"result":{"delivered":1}}` + "\n"
	for _, tt := range []struct {
		name, body string
		status     int
		want, sent string
	}{
		{"commands on lines", publishes("1") + "\n" + publishes("2") + "\r\n" + publishes("3") + "\n", 200, delivered + delivered + delivered, "123"},
		{"commands without space between them", publishes("1") + publishes("2"), 200, delivered + delivered, "12"},
		{"a command on several lines", strings.ReplaceAll(publishes("1"), ",", ",\n\t"), 200, delivered, "1"},
		{"a command that fails between others", publishes("1") + `{"id":5,"method":"sing"}` + publishes("2"), 200,
			delivered + `{"id":5,"error":{"code":104,"message":"method not found: there are batch, broadcast, channels, disconnect, history, history_remove, info, presence, presence_stats, publish, refresh, rpc, subscribe, unsubscribe"}}` + "\n" + delivered, "12"},
		{"a command that is not read between others", publishes("1") + `[]` + publishes("2"), 200,
			delivered + `{"error":{"code":107,"message":"bad request: the body is not a JSON object"}}` + "\n" + delivered, "12"},
		{"what is not JSON after a command", publishes("1") + "\n  }", 400,
			`{"error":{"code":107,"message":"bad request: command 2 is not JSON: line 1, column 1: invalid character '}' looking for beginning of value"}}` + "\n", ""},
		{"a command that ends too early", publishes("1") + publishes("2")[:10], 400,
			`{"error":{"code":107,"message":"bad request: command 2 is not JSON: line 1, column 11: it ends too early"}}` + "\n", ""},
		{"a comma between commands", publishes("1") + "," + publishes("2"), 400,
			`{"error":{"code":107,"message":"bad request: command 2 is not JSON: line 1, column 1: invalid character ',' looking for beginning of value"}}` + "\n", ""},
		{"a byte that is not UTF-8", publishes("1") + publishes("\"\xff\""), 400,
			`{"error":{"code":107,"message":"bad request: command 2 is not JSON: line 1, column 58: this byte is not UTF-8"}}` + "\n", ""},
		{"a byte order mark", "\ufeff" + publishes("1"), 400,
			`{"error":{"code":107,"message":"bad request: command 1 is not JSON: line 1, column 1: this is a byte order mark: send the text without it"}}` + "\n", ""},
		{"data with half of a surrogate pair, which is passed on", publishes(`"\ud800"`), 200, delivered, `"\ud800"`},
		{"a channel with half of a surrogate pair", strings.Replace(publishes("1"), "news:x", `news:\udfff`, 1), 400,
			`{"error":{"code":107,"message":"bad request: command 1 is not JSON: line 1, column 47: \\udfff is half of a surrogate pair and no character"}}` + "\n", ""},
		{"white space", " \n ", 400, `{"error":{"code":107,"message":"bad request: command 1 is not JSON: it is empty"}}` + "\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, sent, _ := post(t.Context(), t, "/api", tt.body)
				if w.Code != tt.status || w.Body.String() != tt.want || sent != tt.sent {
					t.Errorf("status %d, body %s, sent %s, expected %d %s %s", w.Code, w.Body, sent, tt.status, tt.want, tt.sent)
				}
				if got := w.Header().Get("Content-Type"); got != "application/json" {
					t.Errorf("the content type is %q", got)
				}
			})
		})
	}
}

// TestTimeOfManyCommands sends 33 messages, each of which takes a second.
func TestTimeOfManyCommands(t *testing.T) {
	const n = 33
	var commands []string
	for range n {
		commands = append(commands, `{"publish":{"channel":"news:x","data":1}}`)
	}
	batch := `{"commands":[` + strings.Join(commands, ",") + `]`
	for _, tt := range []struct {
		name, path, body string
		limit, took      time.Duration
		sent             int
	}{
		{"a stream", "/api", strings.Repeat(publishes("1"), n), time.Hour, n * dispatchTime, n},
		{"a stream whose time ends", "/api", strings.Repeat(publishes("1"), n), 5*dispatchTime - 1, 5 * dispatchTime, 5},
		{"a batch", "/api/batch", batch + `}`, time.Hour, n * dispatchTime, n},
		{"a batch whose time ends", "/api/batch", batch + `}`, 5*dispatchTime - 1, 5 * dispatchTime, 5},
		{"a parallel batch", "/api/batch", batch + `,"parallel":true}`, time.Hour, 3 * dispatchTime, n},
		{"a parallel batch whose time ends", "/api/batch", batch + `,"parallel":true}`, 2*dispatchTime - 1, 2 * dispatchTime, 32},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), tt.limit)
				defer cancel()
				w, sent, took := post(ctx, t, tt.path, tt.body)
				if w.Code != http.StatusOK || len(sent) != tt.sent || took != tt.took {
					t.Errorf("status %d, %d messages in %v, expected %d in %v", w.Code, len(sent), took, tt.sent, tt.took)
				}
				const over = `{"code":106,"message":"limit exceeded: the time of the request is over: send fewer commands in one request"}`
				if got := strings.Count(w.Body.String(), over); got != n-tt.sent {
					t.Errorf("%d commands did not begin, expected %d: %s", got, n-tt.sent, w.Body)
				}
			})
		})
	}
}

// FuzzStream holds the division of a body into commands to that of encoding/json.
func FuzzStream(f *testing.F) {
	for _, seed := range []string{publishes("1") + publishes("2"), " [] \n 1 ", "", "{", "nul", "1 2", "\ufeff1", `"\ud800"`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		values, err := split(text)
		if err != nil {
			return
		}
		d := json.NewDecoder(strings.NewReader(string(text)))
		for _, value := range values {
			var want json.RawMessage
			if err := d.Decode(&want); err != nil || string(want) != string(value) {
				t.Fatalf("%s, expected %s, error %v", value, want, err)
			}
		}
		if d.More() || len(values) == 0 {
			t.Errorf("%d values were found in %q", len(values), text)
		}
	})
}
