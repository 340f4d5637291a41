package chat_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
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

const badRequest = `{"error":"the request is not the JSON object that is expected here"}`

func TestToken(t *testing.T) {
	const badName = `{"error":"a name is 1 to 32 printable characters"}`
	issued := func(user, token string) string {
		return `{"project":"51b229f778b83c2eced3a76b","token":"` + token + `","url":"wss://ws.example.com/dev","user":"` + user + `"}`
	}
	for _, test := range []struct {
		name, body string
		status     int
		want       string
	}{
		{"a name gets the HMAC-SHA256 of the name and the project", `{"name":"2694"}`, 200,
			issued("2694", "98916de95c84f217651cfdc0846051850fe551ee2312377d5c81114c20b8ea45")},
		{"spaces around a name are no part of it", `{"name":" 2694\t"}`, 200,
			issued("2694", "98916de95c84f217651cfdc0846051850fe551ee2312377d5c81114c20b8ea45")},
		{"a name outside ASCII is signed as UTF-8", `{"name":"Zoë 🌀"}`, 200,
			issued("Zoë 🌀", "06fd5db0d99c7d3e5eb9d776e64264de091cfa1cf75e7a2b6497858e6744debc")},
		{"a name of 33 characters is refused", `{"name":"` + strings.Repeat("é", 33) + `"}`, 400, badName},
		{"an empty name is refused", `{"name":""}`, 400, badName},
		{"a name of spaces is refused", `{"name":"  "}`, 400, badName},
		{"no name is refused", `{}`, 400, badName},
		{"a line feed within a name is refused", `{"name":"a\nb"}`, 400, badName},
		{"a name that turns the writing round is refused", `{"name":"a\u202eb"}`, 400, badName},
		{"a name that is not UTF-8 is refused", "{\"name\":\"a\xffb\"}", 400, badName},
		{"a name that is no string is refused", `{"name":7}`, 400, badRequest},
		{"null is refused", ` null `, 400, badRequest},
		{"an array is refused", `[]`, 400, badRequest},
		{"what is not JSON is refused", `name=2694`, 400, badRequest},
		{"an empty body is refused", ``, 400, badRequest},
		{"two objects are refused", `{"name":"a"}{"name":"b"}`, 400, badRequest},
		{"more than 4 KB are refused", `{"name":"` + strings.Repeat("a", 4<<10) + `"}`, 413, `{"error":"a request is at most 4 KB"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			res := ask(t, chat.New(options), "POST", "/demo/token", test.body)
			if got := text(t, res); res.StatusCode != test.status || got != test.want {
				t.Errorf("status %d, want %d; body:\n%s", res.StatusCode, test.status, cmp.Diff(test.want, got))
			}
			if got := res.Header.Get("Content-Type"); got != "application/json" {
				t.Errorf("Content-Type is %q", got)
			}
			if got := res.Header.Get("Cache-Control"); got != "no-store" {
				t.Errorf("Cache-Control is %q", got)
			}
		})
	}
	t.Run("a name of 32 characters is accepted", func(t *testing.T) {
		if res := ask(t, chat.New(options), "POST", "/demo/token", `{"name":"`+strings.Repeat("é", 32)+`"}`); res.StatusCode != 200 {
			t.Errorf("status %d: %s", res.StatusCode, text(t, res))
		}
	})
}

func TestValidate(t *testing.T) {
	const visitor = `{"info":{"name":"Ada"},"permissions":{"chat":[],"news":[],"python":[]}}`
	for _, test := range []struct {
		name, body string
		status     int
		want       string
	}{
		{"a wish for everything gets the three categories", `{"user":"Ada","permissions":{}}`, 200, visitor},
		{"so does any other wish, which Centrifuge narrows", `{"user":"Ada","permissions":{"chat":["lobby"],"secret":[]}}`, 200, visitor},
		{"a wish may be large", `{"user":"Ada","permissions":{"chat":["` + strings.Repeat("x", 120<<10) + `"]}}`, 200, visitor},
		{"an empty user is refused", `{"user":"","permissions":{}}`, 403, `{"error":"there are no anonymous visitors"}`},
		{"a user that is a number is a bad request", `{"user":1,"permissions":{}}`, 400, badRequest},
		{"null is a bad request", `null`, 400, badRequest},
		{"more than any frame holds is refused", `{"user":"` + strings.Repeat("x", 256<<10) + `"}`, 413, `{"error":"a request is at most 256 KB"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			res := ask(t, chat.New(options), "POST", "/demo/validate", test.body)
			if got := text(t, res); res.StatusCode != test.status || got != test.want {
				t.Errorf("status %d, want %d; body:\n%s", res.StatusCode, test.status, cmp.Diff(test.want, got))
			}
		})
	}
}

// secret is a project's secret that is known from the start.
func secret(s string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return s, nil }
}

func TestAnnounce(t *testing.T) {
	const (
		accepted = `{"id":null,"error":null,"result":true}`
		badText  = `{"error":"an announcement is 1 to 280 printable characters"}`
		command  = `{"method":"broadcast","params":{"category":"news","channel":"announcements","data":{"text":"a"}}}`
	)
	for _, test := range []struct {
		name, body    string
		replyStatus   int
		reply         string
		status        int
		want, command string
	}{
		{"an announcement is broadcast through the server API", `{"text":" a "}`, 200, accepted, 200, `{"announced":true}`, command},
		{"an error in the reply is shown", `{"text":"a"}`, 200, `{"id":null,"error":"category not found","result":null}`, 502,
			`{"error":"Centrifuge refused the announcement: category not found"}`, command},
		{"another status is shown", `{"text":"a"}`, 401, `unauthorized`, 502,
			`{"error":"Centrifuge refused the announcement: status 401"}`, command},
		{"a reply that is not JSON is a failure", `{"text":"a"}`, 200, `<html>`, 502,
			`{"error":"Centrifuge could not be reached"}`, command},
		{"an empty announcement is refused before Centrifuge is asked", `{"text":" "}`, 200, accepted, 400, badText, ""},
		{"so is one of 281 characters", `{"text":"` + strings.Repeat("a", 281) + `"}`, 200, accepted, 400, badText, ""},
		{"so is what is not JSON", `text`, 200, accepted, 400, badRequest, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var command string
			centrifuge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				command = received(t, r)
				w.WriteHeader(test.replyStatus)
				_, _ = io.WriteString(w, test.reply)
			}))
			t.Cleanup(centrifuge.Close)
			h := chat.New(chat.Options{Project: "demo", Secret: secret("secret"), WebSocketURL: "ws://x", HTTPURL: centrifuge.URL,
				Log: slog.New(slog.DiscardHandler)})
			res := ask(t, h, "POST", "/demo/announce", test.body)
			if got := text(t, res); res.StatusCode != test.status || got != test.want {
				t.Errorf("status %d, want %d; body:\n%s", res.StatusCode, test.status, cmp.Diff(test.want, got))
			}
			if command != test.command {
				t.Errorf("command:\n%s", cmp.Diff(test.command, command))
			}
		})
	}
}

// received checks a request as Centrifuge does, and returns the command in it. The
// only body it knows is that of the announcement "a"; its signature, over
// "demo" and the body with the key "secret", was computed with openssl.
func received(t *testing.T, r *http.Request) string {
	const sign = "sign=90f6cdfb1f6d9133656562c948557ef6889b1b9739a3ac14d7e812fe589e855b"
	if r.Method != "POST" || r.URL.Path != "/rpc/demo" {
		t.Errorf("asked for %s %s", r.Method, r.URL.Path)
	}
	if got := r.Header.Get("X-Centrifuge-Auth"); got != sign {
		t.Errorf("X-Centrifuge-Auth is %q, want %q", got, sign)
	}
	body, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, r.Body))
	if err != nil {
		t.Errorf("body: %v", err)
	}
	return string(body)
}

func TestUnreachable(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	var log bytes.Buffer
	h := chat.New(chat.Options{Project: "demo", Secret: secret("the-secret"), WebSocketURL: "ws://x", HTTPURL: gone.URL,
		Log: slog.New(slog.NewTextHandler(&log, nil))})
	res := ask(t, h, "POST", "/demo/announce", `{"text":"a"}`)
	if got := text(t, res); res.StatusCode != 502 || got != `{"error":"Centrifuge could not be reached"}` {
		t.Errorf("status %d: %s", res.StatusCode, got)
	}
	if !strings.Contains(log.String(), "publish to news:announcements") || strings.Contains(log.String(), "the-secret") {
		t.Errorf("the log says %s", log.String())
	}
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
		t.Run(test.name+" there is a page, but no token and no announcement", func(t *testing.T) {
			o := options
			test.change(&o)
			h := chat.New(o)
			for path, body := range map[string]string{"/demo/token": `{"name":"a"}`, "/demo/announce": `{"text":"a"}`} {
				res := ask(t, h, "POST", path, body)
				if got := text(t, res); res.StatusCode != 503 || got != test.want {
					t.Errorf("%s: status %d: %s", path, res.StatusCode, got)
				}
			}
			if res := ask(t, h, "GET", "/demo/", ""); res.StatusCode != 200 {
				t.Errorf("page: status %d", res.StatusCode)
			}
		})
	}
}
