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

	"github.com/google/go-cmp/cmp"

	"centrifuge/functions/demo/chat"
)

// options are those of a project whose signatures were computed with openssl.
var options = chat.Options{
	Project:      "51b229f778b83c2eced3a76b",
	Secret:       secret("994021f2dc354d7893d88b90d430498e"),
	WebSocketURL: "wss://ws.example.com/dev",
	HTTPURL:      "https://http.example.com",
	Log:          slog.New(slog.DiscardHandler),
}

const (
	badRequest  = `{"error":"the request is not the JSON object that is expected here"}`
	badName     = `{"error":"a name is 1 to 32 printable characters"}`
	uncounted   = `{"error":"nothing can be counted at the moment"}`
	unreachable = `{"error":"Centrifuge could not be reached"}`
	accepted    = `{"id":null,"error":null,"result":true}`
)

// secret is a project's secret that is known from the start.
func secret(s string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return s, nil }
}

// numbers is a database, of one table.
type numbers struct {
	sync.Mutex
	of map[string]int
}

func (n *numbers) Count(_ context.Context, name string, by int) (int, error) {
	n.Lock()
	defer n.Unlock()
	if n.of == nil {
		n.of = make(map[string]int)
	}
	n.of[name] += by
	return n.of[name], nil
}

// ask sends one request, with the headers given in pairs, and returns the answer.
func ask(t testing.TB, h http.Handler, method, path, body string, headers ...string) *http.Response {
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

// answers asks h and compares all that it says.
func answers(t testing.TB, h http.Handler, method, path, body string, status int, want string) {
	t.Helper()
	res := ask(t, h, method, path, body)
	if got := text(t, res); res.StatusCode != status || got != want {
		t.Errorf("%s %s: status %d, want %d; body:\n%s", method, path, res.StatusCode, status, cmp.Diff(want, got))
	}
}

// centrifuge takes the commands of an application as Centrifuge does, and gives
// one reply to all of them.
type centrifuge struct {
	status   int
	reply    string
	commands []string // in the order in which they came
}

// start serves c until the test ends and returns the options of an application
// of it, which can count.
func (c *centrifuge) start(t *testing.T) chat.Options {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("body: %v", err)
		}
		if r.Method != "POST" || r.URL.Path != "/rpc/demo" {
			t.Errorf("asked for %s %s", r.Method, r.URL.Path)
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
		Log: slog.New(slog.DiscardHandler), Count: new(numbers).Count}
}

func TestUnconfigured(t *testing.T) {
	const untold = `{"error":"the application was not told where Centrifuge is"}`
	for _, test := range []struct {
		name   string
		change func(*chat.Options)
		want   string
	}{
		{"without a secret", func(o *chat.Options) { o.Secret = secret("") }, `{"error":"create the project first"}`},
		{"without a project", func(o *chat.Options) { o.Project = "" }, untold},
		{"without the WebSocket address", func(o *chat.Options) { o.WebSocketURL = "" }, untold},
		{"without the HTTP address", func(o *chat.Options) { o.HTTPURL = "" }, untold},
	} {
		t.Run(test.name+" there is a page, but nothing that it could ask for, and nothing counts", func(t *testing.T) {
			o, n := options, new(numbers)
			o.Count = n.Count
			test.change(&o)
			h := chat.New(o)
			for path, body := range map[string]string{
				"/demo/token": `{"name":"a"}`, "/demo/announce": `{"text":"a"}`, "/demo/applaud": `{}`,
				"/demo/vote": `{"option":"Assam"}`, "/demo/wave": `{"from":"a","token":"a","to":"b"}`,
			} {
				answers(t, h, "POST", path, body, 503, test.want)
			}
			if len(n.of) > 0 {
				t.Errorf("counted %v", n.of)
			}
			if res := ask(t, h, "GET", "/demo/", ""); res.StatusCode != 200 {
				t.Errorf("page: status %d", res.StatusCode)
			}
		})
	}
}
