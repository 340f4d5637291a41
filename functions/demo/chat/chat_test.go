package chat_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/functions/demo/chat"
)

// options have every option but Count.
var options = chat.Options{
	Project:      "51b229f778b83c2eced3a76b",
	Secret:       secret("994021f2dc354d7893d88b90d430498e"),
	WebSocketURL: "wss://ws.example.com/dev",
	HTTPURL:      "https://http.example.com",
	SDK:          []byte("globalThis.Centrifuge = class {};"),
	Log:          slog.New(slog.DiscardHandler),
	Now:          func() time.Time { return now },
}

var now = time.Unix(1_800_000_000, 0)

const (
	invalidRequest = `{"error":"invalid request: send a JSON object with the fields of this endpoint"}`
	invalidName    = `{"error":"invalid name: write 1 to 32 printable characters"}`
	databaseError  = `{"error":"the database is not available: try again later"}`
	noAnswer       = `{"error":"Centrifuge does not answer: try again later"}`
	accepted       = `{"id":null,"error":null,"result":true}`
)

// secret returns a constant as Options.Secret.
func secret(s string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return s, nil }
}

// counters implement Options.Count in memory.
type counters struct {
	sync.Mutex
	values map[string]int
}

func (c *counters) Count(_ context.Context, name string, delta int) (int, error) {
	c.Lock()
	defer c.Unlock()
	if c.values == nil {
		c.values = make(map[string]int)
	}
	c.values[name] += delta
	return c.values[name], nil
}

// request sends a request with headers in pairs and returns the response.
func request(t testing.TB, h http.Handler, method, path, body string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func text(t testing.TB, res *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(body))
}

// expect sends a request and compares the status and the body of the response.
func expect(t testing.TB, h http.Handler, method, path, body string, status int, want string) {
	t.Helper()
	res := request(t, h, method, path, body)
	if got := text(t, res); res.StatusCode != status || got != want {
		t.Errorf("%s %s: status %d, want %d; body:\n%s", method, path, res.StatusCode, status, cmp.Diff(want, got))
	}
}

// centrifuge is a fake of the server API: it records the commands of an application
// and gives the same reply to each.
type centrifuge struct {
	status   int
	reply    string
	commands []string // in order of arrival
}

// start serves c until the test ends and returns the options of an application that
// uses it.
func (c *centrifuge) start(t *testing.T) chat.Options {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("body: %v", err)
		}
		if r.Method != "POST" || r.URL.Path != "/rpc/demo" {
			t.Errorf("got request %s %s", r.Method, r.URL.Path)
		}
		mac := hmac.New(sha256.New, []byte("secret"))
		mac.Write([]byte("demo" + string(body)))
		if got, want := r.Header.Get("X-Centrifuge-Auth"), "sign="+hex.EncodeToString(mac.Sum(nil)); got != want {
			t.Errorf("X-Centrifuge-Auth is %q, want %q", got, want)
		}
		command, err := base64.StdEncoding.DecodeString(string(body))
		if err != nil {
			t.Errorf("body: %v", err)
		}
		c.commands = append(c.commands, string(command))
		w.WriteHeader(c.status)
		_, _ = io.WriteString(w, c.reply)
	}))
	t.Cleanup(s.Close)
	return chat.Options{Project: "demo", Secret: secret("secret"), WebSocketURL: "ws://x", HTTPURL: s.URL,
		Log: slog.New(slog.DiscardHandler), Count: new(counters).Count, Now: options.Now}
}

func TestMissingOptions(t *testing.T) {
	const notConfigured = `{"error":"not configured: set Project, WebSocketURL and HTTPURL"}`
	for _, test := range []struct {
		name   string
		change func(*chat.Options)
		want   string
	}{
		{"no secret", func(o *chat.Options) { o.Secret = secret("") }, `{"error":"project not found: create the project 51b229f778b83c2eced3a76b"}`},
		{"no project", func(o *chat.Options) { o.Project = "" }, notConfigured},
		{"no WebSocketURL", func(o *chat.Options) { o.WebSocketURL = "" }, notConfigured},
		{"no HTTPURL", func(o *chat.Options) { o.HTTPURL = "" }, notConfigured},
	} {
		t.Run(test.name, func(t *testing.T) {
			o, c := options, new(counters)
			o.Count = c.Count
			test.change(&o)
			h := chat.New(o)
			for path, body := range map[string]string{
				"/demo/token": `{"name":"a"}`, "/demo/announce": `{"text":"a"}`, "/demo/applaud": `{}`,
				"/demo/vote": `{"option":"Assam"}`, "/demo/wave": `{"from":"a","token":"a","to":"b"}`,
			} {
				expect(t, h, "POST", path, body, 503, test.want)
			}
			if len(c.values) > 0 {
				t.Errorf("counted %v", c.values)
			}
			if res := request(t, h, "GET", "/demo/", ""); res.StatusCode != 200 {
				t.Errorf("page: status %d", res.StatusCode)
			}
		})
	}
}
