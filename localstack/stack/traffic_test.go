package stack_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"centrifuge/localstack/console"
	"centrifuge/localstack/stack"
	"centrifuge/localstack/stack/stacktest"
)

// varying are the attributes whose values differ from run to run.
var varying = []string{"time", "connection", "message", "request", "event_request", "duration", "bytes"}

// events returns the lines of a log without the varying attributes.
func (l *lines) events(t *testing.T) []string {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	for line := range strings.Lines(l.b.String()) {
		var attributes map[string]any
		if err := json.Unmarshal([]byte(line), &attributes); err != nil {
			t.Fatalf("log line %q: %v", line, err)
		}
		maps.DeleteFunc(attributes, func(key string, _ any) bool { return slices.Contains(varying, key) })
		b, err := json.Marshal(attributes)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(b))
	}
	return all
}

func TestTrafficLog(t *testing.T) {
	webhook := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(webhook.Close)
	var log lines
	s := stacktest.Start(t, stack.Options{Log: &log, Traffic: true, LogLevel: "debug", Seed: stacktest.Seed(t,
		`{"name": "news", "publish_to_admins": true}`, `{"name": "news", "publish_to_admins": true, "hooks": true}`,
		`"validate_url": "${HTTP_URL}/demo/validate"`, `"webhook_url": "`+webhook.URL+`"`)})

	conn := join(t, s, "ada", "a")
	for _, frame := range []string{
		`{"id":"9","method":"auth","params":{"project_id":"demo","user":"eve","token":"private"}}`,
		`{"id":"9","method":"subscribe","params":{"to":{"none":["b"]}}}`,
		`{"id":"9","method":"sing"}`,
		`private`,
	} {
		if err := conn.Write(t.Context(), websocket.MessageText, []byte(frame)); err != nil {
			t.Fatal(err)
		}
		receive(t, conn)
	}
	if err := conn.Close(websocket.StatusNormalClosure, "done"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := websocket.Dial(t.Context(), s.WebSocketURL+"?project=none", nil); err == nil { //nolint:bodyclose // there is none
		t.Error("a handshake with an unknown project was accepted")
	}
	// The header and the path are longer than a value of a line.
	long := http.Header{"Origin": {"https://" + strings.Repeat("x", 5000)}}
	if _, _, err := websocket.Dial(t.Context(), s.WebSocketURL+"?project=none", &websocket.DialOptions{HTTPHeader: long}); err == nil { //nolint:bodyclose // there is none
		t.Error("a handshake with an unknown project was accepted")
	}
	publishOne(t, s, "news:a")
	for _, request := range []struct{ path, key, body string }{
		{"/api/publish?query=private", "", `{"channel":"private"}`},
		{"/api/publish?api_key=private", "", `{"channel":"private"}`},
		{"/api?api_key=private", "", `{"method":"publish","params":{"channel":"private"}}`},
		{"/none?query=private", "", `{"channel":"private"}`},
		{"/rpc/demo", "", "e30="},
		{"/" + strings.Repeat("y", 5000), "", `{"channel":"private"}`},
		{"/api/publish", "demo-key", `{"channel":"nowhere:a","data":"private"}`},
		{"/api/publish", "demo-key", `{"chanel":"news:a"}`},
		{"/api/broadcast", "demo-key", `{"channels":["nowhere:a","news:a","nowhere:b"],"data":"private"}`},
		{"/api/batch", "demo-key", `{"commands":[{"info":{}},{"publish":{"channel":"nowhere:a","data":"private"}}]}`},
		{"/api", "demo-key", `{"method":"sing"}{"method":"info"}{"method":"publish","params":{"channel":"nowhere:a","data":"private"}}`},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.HTTPURL+request.path, strings.NewReader(request.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-API-Key", request.key)
		w, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		w.Body.Close()
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	want := []string{
		`{"level":"INFO","msg":"connection opened","origin":""}`,
		`{"level":"INFO","method":"auth","msg":"frame"}`,
		`{"level":"INFO","method":"subscribe","msg":"frame"}`,
		`{"level":"INFO","method":"subscribe","msg":"frame","reasons":{"none":{"b":"category does not exist or permission denied"}},"refused":{"none":["b"]}}`,
		`{"code":1000,"level":"INFO","msg":"connection closed","reason":"done"}`,
		`{"level":"INFO","msg":"connection refused","origin":"","reason":"the project in the URL does not exist","status":404}`,
		`{"level":"INFO","msg":"connection refused","origin":"https://` + strings.Repeat("x", 504) + `…","reason":"the project in the URL does not exist","status":404}`,
		`{"level":"INFO","msg":"request","method":"POST","path":"/none","status":404}`,
		`{"level":"INFO","msg":"request","method":"POST","path":"/` + strings.Repeat("y", 511) + `…","status":404}`,
		`{"error":"unauthorized: no API key: send the header X-API-Key: KEY, or Authorization: apikey KEY","level":"INFO","msg":"request","method":"POST","path":"/api/publish","status":401}`,
		`{"error":"no auth header found","detail":"send the header X-Centrifuge-Auth: sign=SIGNATURE; an API key is for /api","level":"INFO","msg":"request","method":"POST","path":"/rpc/demo","status":401}`,
		`{"error":"category not found: create the category, or correct its name","level":"INFO","msg":"request","method":"POST","path":"/api/publish","status":200}`,
		`{"error":"bad request: unknown field \"chanel\": did you mean channel?","level":"INFO","msg":"request","method":"POST","path":"/api/publish","status":200}`,
		`{"error":"category not found: create the category, or correct its name","failed":2,"level":"INFO","msg":"request","method":"POST","path":"/api/broadcast","status":200}`,
		`{"error":"category not found: create the category, or correct its name","failed":1,"level":"INFO","msg":"request","method":"POST","path":"/api/batch","status":200}`,
		`{"error":"method not found: there are batch, broadcast, channels, disconnect, history, history_remove, info, presence, presence_stats, publish, refresh, rpc, subscribe, unsubscribe","failed":2,"level":"INFO","msg":"request","method":"POST","path":"/api","status":200}`,
		`{"error":"unauthorized: no project has this API key: check it, or create a new one on the admin pages","level":"INFO","msg":"request","method":"POST","path":"/api/publish","status":401}`,
		`{"error":"unauthorized: no project has this API key: check it, or create a new one on the admin pages","level":"INFO","msg":"request","method":"POST","path":"/api","status":401}`,
		`{"channel":"news:a","level":"INFO","msg":"webhook","project":"demo"}`,
		`{"channel":"news:a","delivered":0,"ended":0,"failed":0,"gone":0,"level":"DEBUG","messages":1,"msg":"message dispatched","project":"demo","slow":0}`,
		`{"delivered":0,"ended":0,"failed":0,"gone":0,"level":"DEBUG","messages":1,"msg":"feed dispatched","project":"demo","slow":0}`,
	}
	got := log.events(t)
	for _, line := range want {
		if !slices.ContainsFunc(got, func(l string) bool { return cmp.Equal(parse(t, l), parse(t, line)) }) {
			t.Errorf("no line %s", line)
		}
	}
	// People see each refusal once.
	var shown strings.Builder
	if _, err := io.WriteString(console.NewWriter(&shown, false), log.b.String()); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]int{
		"category does not exist": 1, "permissions is required": 1, "malformed JSON data": 1, "the project in the URL": 2,
		"command refused": 0, "subscribe refused": 0,
	} {
		if n := strings.Count(shown.String(), text); n != want {
			t.Errorf("%d lines with %q, want %d:\n%s", n, text, want, shown.String())
		}
	}
	if t.Failed() {
		t.Log(strings.Join(got, "\n"))
	}
	if strings.Contains(log.b.String(), "private") {
		t.Errorf("the log has a token, a query or the data of a frame:\n%s", log.b.String())
	}
}

func parse(t *testing.T, line string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(line), &v); err != nil {
		t.Fatal(err)
	}
	return v
}
