package stack_test

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"centrifuge/localstack/e2e"
	"centrifuge/localstack/stack"
	"centrifuge/localstack/stack/stacktest"
	"centrifuge/pkg/auth"
)

// TestTextAtEveryDoor sends what is not text to every door of the service.
func TestTextAtEveryDoor(t *testing.T) {
	s := stacktest.Start(t, stack.Options{Seed: stacktest.Seed(t)})
	admin := session(t, s)
	for _, text := range []struct{ name, text, reason string }{
		{"Latin-1", "caf\xe9", "this byte is not UTF-8"},
		{"a character that is cut", "\xf0\x9f\x98", "this byte is not UTF-8"},
		{"an encoded surrogate", "\xed\xa0\x80", "this byte is not UTF-8"},
		{"half of a surrogate pair", `\ud83d`, "is half of a surrogate pair and no character"},
	} {
		command := []byte(base64.StdEncoding.EncodeToString([]byte(`{"method":"broadcast","params":{"category":"news","channel":"` + text.text + `","data":{}}}`)))
		for _, door := range []struct {
			name, method, path, kind string
			body                     []byte
			header                   [2]string
			status                   int
		}{
			{"the server API", "POST", "/api/publish", "application/json", []byte(`{"channel":"news:` + text.text + `","data":1}`), [2]string{"X-API-Key", "demo-key"}, 400},
			{"a key for the server API", "POST", "/api/publish", "application/json", []byte(`{"channel":"news:x","data":1,"` + text.text + `":1}`), [2]string{"X-API-Key", "demo-key"}, 400},
			{"the API of 2013", "POST", "/rpc/demo", "text/plain", command, [2]string{"X-Centrifuge-Auth", auth.SignRequest("demo-secret", "demo", command)}, 400},
			{"the admin API", "PUT", "/admin/api/projects/demo", "application/json", []byte(`{"name":"` + text.text + `"}`), [2]string{"Cookie", admin}, 400},
		} {
			t.Run(door.name+"/"+text.name, func(t *testing.T) {
				status, reply := knock(t, door.method, s.HTTPURL+door.path, door.kind, door.body, door.header)
				if status != door.status || !strings.Contains(reply, `"code":107`) || !strings.Contains(reply, "line 1, column ") || !strings.Contains(reply, text.reason) {
					t.Errorf("status %d: %s", status, reply)
				}
			})
		}
	}
	escaped := url.PathEscape("caf\xe9")
	for _, door := range []struct {
		name, method, path, kind, body string
		header                         [2]string
		want                           string
	}{
		{"data of a message", "POST", "/api/publish", "application/json", `{"channel":"news:x","data":"` + "caf\xe9" + `"}`, [2]string{"X-API-Key", "demo-key"}, `"code":107`},
		{"a byte order mark", "POST", "/api/publish", "application/json", "\ufeff" + `{"channel":"news:x","data":1}`, [2]string{"X-API-Key", "demo-key"}, "byte order mark"},
		{"a path of the server API", "POST", "/rpc/" + escaped, "text/plain", "e30=", [2]string{}, `"code":107`},
		{"a query of the server API", "POST", "/api/publish?x=" + escaped, "application/json", "{}", [2]string{}, `"code":107`},
		{"a path of the admin API", "PUT", "/admin/api/projects/" + escaped, "application/json", `{"name":"x"}`, [2]string{"Cookie", admin}, `"code":107`},
		{"a path of the admin pages", "GET", "/admin/projects/" + escaped, "", "", [2]string{"Cookie", admin}, "is not text in UTF-8"},
		{"a query of the admin pages", "GET", "/admin/?q=" + escaped, "", "", [2]string{"Cookie", admin}, "is not text in UTF-8"},
		{"a form", "POST", "/admin/new", "application/x-www-form-urlencoded", "name=" + escaped, [2]string{"Cookie", admin}, "is not text in UTF-8"},
	} {
		t.Run(door.name, func(t *testing.T) {
			status, reply := knock(t, door.method, s.HTTPURL+door.path, door.kind, []byte(door.body), door.header)
			if status != http.StatusBadRequest || !strings.Contains(reply, door.want) {
				t.Errorf("status %d: %.2000s", status, reply)
			}
		})
	}
	t.Run("half of a surrogate pair in data is passed on", func(t *testing.T) {
		conn := joinWith(t, s, demoTenant.member("news", "ann"), "x")
		status, reply := knock(t, "POST", s.HTTPURL+"/api/publish", "application/json", []byte(`{"channel":"news:x","data":{"\ud800":"\udc00"}}`), [2]string{"X-API-Key", "demo-key"})
		if status != http.StatusOK || !strings.Contains(reply, `"delivered":1`) {
			t.Fatalf("status %d: %s", status, reply)
		}
		if got := receive(t, conn); !strings.Contains(got, `"data":{"\ud800":"\udc00"}`) {
			t.Errorf("received %s", got)
		}
	})
}

// session signs in to the admin pages and returns the cookie.
func session(t *testing.T, s *stack.Stack) string {
	t.Helper()
	response, err := http.Post(s.AdminURL+"api/sign-in", "application/json", strings.NewReader(`{"password":"`+s.AdminPassword+`"}`)) //nolint:noctx // a test's own server
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if len(response.Cookies()) != 1 {
		t.Fatalf("status %d", response.StatusCode)
	}
	return response.Cookies()[0].String()
}

// knock makes a request and returns its answer.
func knock(t *testing.T, method, address, kind string, body []byte, header [2]string) (status int, reply string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	if header[0] != "" {
		r.Header.Set(header[0], header[1])
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(b)
}

// TestSubprotocol connects as browsers do, which close a connection without one of the
// subprotocols that they offer.
func TestSubprotocol(t *testing.T) {
	s := stacktest.Start(t, stack.Options{Seed: stacktest.Seed(t)})
	for _, tt := range []struct {
		name    string
		offered []string
		want    string
	}{
		{"none", nil, ""},
		{"one", []string{"chat"}, "chat"},
		{"the first of several", []string{"centrifuge.v1+json", "chat"}, "centrifuge.v1+json"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn, _, err := websocket.Dial(t.Context(), s.WebSocketURL, &websocket.DialOptions{Subprotocols: tt.offered})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.CloseNow()
			if got := conn.Subprotocol(); got != tt.want {
				t.Errorf("got %q, expected %q", got, tt.want)
			}
		})
	}
}

// TestOrigins connects pages of several origins to a project that lists others.
func TestOrigins(t *testing.T) {
	s := stacktest.Start(t, stack.Options{Seed: []byte(`{"projects":[{"id":"strict","secret":"s","api_keys":["k"],
		"options":{"origins":["https://Example.com:443/","https://*.bücher.example","capacitor://localhost","file:///"]}}]}`)})
	target := e2e.Target{WebSocketURL: s.WebSocketURL, HTTPURL: s.HTTPURL, Project: "strict", Secret: "s", APIKey: "k"}
	for origin, allowed := range map[string]bool{
		"https://example.com":                    true,
		"https://app.xn--bcher-kva.example":      true,
		"https://a.app.xn--bcher-kva.example":    true,
		"capacitor://localhost":                  true,
		"file://":                                true,
		"https://xn--bcher-kva.example":          false,
		"http://example.com":                     false,
		"https://app.xn--bcher-kva.example:8443": false,
		"null":                                   false,
	} {
		t.Run(origin, func(t *testing.T) {
			script := "refused 403 ?project=strict " + origin
			if allowed {
				script = "open a ?project=strict " + origin + "\nclose a"
			}
			if _, err := e2e.Run(t.Context(), target, origin, script); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestProjectWithAnyID signs requests and JWTs for projects whose ids are short. None that is
// right is refused.
func TestProjectWithAnyID(t *testing.T) {
	for _, id := range []string{"1", "x", "8", "42", "1019", "project-9", "shop", "café · 例え", "a+b@c=d&e#f;g"} {
		t.Run(id, func(t *testing.T) {
			s := stacktest.Start(t, stack.Options{Seed: []byte(`{"projects":[{"id":"` + id + `","secret":"s","api_keys":["k"],"categories":[{"name":"chat"}]}]}`)})
			for n := range 60 {
				body := []byte(base64.StdEncoding.EncodeToString([]byte(`{"method":"broadcast","params":{"category":"chat","channel":"c","data":{"n":"` + strings.Repeat("x", n) + `"}}}`)))
				status, reply := knock(t, "POST", s.HTTPURL+"/rpc/"+url.PathEscape(id), "text/plain", body, [2]string{"X-Centrifuge-Auth", auth.SignRequest("s", id, body)})
				if status != http.StatusOK || !strings.Contains(reply, `"error":null`) {
					t.Fatalf("data of %d bytes: status %d: %s", n, status, reply)
				}
			}
			p, err := s.App.Store.Project(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			for n := range 60 {
				token, err := auth.SignJWT("s", map[string]any{"sub": "u", "exp": 4_000_000_000 + n, "info": strings.Repeat("x", n)})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := auth.VerifyToken(p, "u", token, time.Now()); err != nil {
					t.Fatalf("info of %d bytes: %v", n, err)
				}
			}
		})
	}
}
