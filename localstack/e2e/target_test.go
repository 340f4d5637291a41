package e2e_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"centrifuge/localstack/e2e"
	"centrifuge/pkg/auth"
)

func TestFromEnvironment(t *testing.T) {
	least := e2e.Target{
		WebSocketURL: "wss://a.example/dev", HTTPURL: "https://b.example",
		Project: "demo", Secret: "demo-secret", APIKey: "demo-key", StepTimeout: 20 * time.Second,
	}
	for _, tt := range []struct {
		name        string
		environment map[string]string
		want        e2e.Target
		found       bool
		fails       string
	}{
		{name: "an empty environment"},
		{name: "a project without URLs", environment: map[string]string{"E2E_PROJECT": "shop", "E2E_SECRET": "s"}},
		{
			name:        "URLs without a project",
			environment: map[string]string{"E2E_WS_URL": "wss://a.example/dev", "E2E_HTTP_URL": "https://b.example"},
			want:        least, found: true,
		},
		{
			name:        "URLs with a slash at the end",
			environment: map[string]string{"E2E_WS_URL": "wss://a.example/dev/", "E2E_HTTP_URL": "https://b.example/"},
			want:        least, found: true,
		},
		{
			name: "all variables",
			environment: map[string]string{
				"E2E_WS_URL": "ws://127.0.0.1:1/a/b", "E2E_HTTP_URL": "http://127.0.0.1:1/c", "E2E_MANAGEMENT_URL": "http://127.0.0.1:1/d", "E2E_PROJECT": "shop",
				"E2E_SECRET": "s", "E2E_API_KEY": "k", "E2E_PATIENCE": "1m", "E2E_LACKS": `{"size-limits":"because"}`,
				"E2E_GUESSES": "report",
			},
			want: e2e.Target{
				WebSocketURL: "ws://127.0.0.1:1/a/b", HTTPURL: "http://127.0.0.1:1/c", ManagementURL: "http://127.0.0.1:1/d", Project: "shop",
				Secret: "s", APIKey: "k", StepTimeout: time.Minute, Lacks: map[string]string{"size-limits": "because"},
				ReportGuesses: true,
			},
			found: true,
		},
		{name: "no HTTP URL", environment: map[string]string{"E2E_WS_URL": "wss://a.example/dev"}, fails: "E2E_HTTP_URL"},
		{name: "no WebSocket URL", environment: map[string]string{"E2E_HTTP_URL": "https://b.example"}, fails: "E2E_WS_URL"},
		{name: "an HTTP URL for the WebSocket URL", environment: map[string]string{"E2E_WS_URL": "https://b.example", "E2E_HTTP_URL": "https://b.example"}, fails: "E2E_WS_URL"},
		{name: "a URL without a host", environment: map[string]string{"E2E_WS_URL": "wss:///dev", "E2E_HTTP_URL": "https://b.example"}, fails: "E2E_WS_URL"},
		{name: "a step timeout without a unit", environment: with("E2E_PATIENCE", "20"), fails: "E2E_PATIENCE"},
		{name: "a step timeout of zero", environment: with("E2E_PATIENCE", "0s"), fails: "E2E_PATIENCE"},
		{name: "guesses that are neither strict nor reported", environment: with("E2E_GUESSES", "skip"), fails: "E2E_GUESSES"},
		{name: "lacks without reasons", environment: with("E2E_LACKS", `["size-limits"]`), fails: "E2E_LACKS"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, found, err := e2e.FromEnvironment(func(name string) string { return tt.environment[name] })
			if tt.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fails) {
					t.Fatalf("error %v, expected one that names %s", err, tt.fails)
				}
				return
			}
			if err != nil || found != tt.found {
				t.Fatalf("found %t, error %v", found, err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-expected +read:\n%s", diff)
			}
		})
	}
}

// with returns an environment with both URLs and one more variable.
func with(name, value string) map[string]string {
	return map[string]string{"E2E_WS_URL": "wss://a.example/dev", "E2E_HTTP_URL": "https://b.example", name: value}
}

func TestEnvironmentRoundTrip(t *testing.T) {
	for name, want := range map[string]e2e.Target{
		"with defaults": {WebSocketURL: "wss://a.example/dev", HTTPURL: "https://b.example"},
		"with all fields": {
			WebSocketURL: "wss://a.example/dev", HTTPURL: "https://b.example", ManagementURL: "https://c.example", Project: "p=1", Secret: "s\"\n", APIKey: "k",
			StepTimeout: time.Hour, Lacks: map[string]string{"one": "a \"reason\"", "two": "…"}, ReportGuesses: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			environment, err := want.Environment()
			if err != nil {
				t.Fatal(err)
			}
			values := make(map[string]string)
			for _, variable := range environment {
				name, value, _ := strings.Cut(variable, "=")
				values[name] = value
			}
			got, found, err := e2e.FromEnvironment(func(name string) string { return values[name] })
			if err != nil || !found {
				t.Fatalf("found %t, error %v", found, err)
			}
			again, err := got.Environment()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(environment, again); diff != "" {
				t.Errorf("-written +read and written again:\n%s", diff)
			}
			if diff := cmp.Diff(want.Lacks, got.Lacks); diff != "" {
				t.Errorf("-expected +read:\n%s", diff)
			}
		})
	}
}

func TestSkipped(t *testing.T) {
	const script = `
needs one
open a
close a
end
open b
needs two
open c
end
`
	lacksOne := e2e.Target{Lacks: map[string]string{"one": "because"}}
	for _, tt := range []struct {
		name   string
		target e2e.Target
		script string
		want   []e2e.SkippedPart
		fails  string
	}{
		{name: "a target that lacks nothing skips nothing", script: script},
		{
			name: "a part that needs a missing feature", target: lacksOne, script: script,
			want: []e2e.SkippedPart{{Script: "s", Line: 2, Steps: 2, Feature: "one", Reason: "because"}},
		},
		{name: "needs without end", script: "needs one\nopen a\n", fails: "no end"},
		{name: "end without needs", script: "open a\nend\n", fails: "s:2"},
		{name: "needs within needs", script: "needs one\nneeds two\nend\n", fails: "s:2"},
		{name: "needs without a name", script: "needs\nend\n", fails: "s:1"},
		{name: "needs with a text", script: "needs one because\nend\n", fails: "s:1"},
		{
			name: "a guess about a missing feature", target: lacksOne, script: "guess one a text\nopen a\nend\n",
			want: []e2e.SkippedPart{{Script: "s", Line: 1, Steps: 1, Feature: "one", Reason: "because"}},
		},
		{name: "guess without a text", script: "guess one\nend\n", fails: "s:1"},
		{name: "guess with a socket from outside", script: "open a\nguess one a text\nsend a {}\nend\n", fails: "s:3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := e2e.Skipped(tt.target, "s", tt.script)
			if tt.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fails) {
					t.Fatalf("error %v, expected one with %q", err, tt.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-expected +skipped:\n%s", diff)
			}
		})
	}
	t.Run("Run skips them", func(t *testing.T) {
		// The target has no server: every step would fail.
		if _, err := e2e.Run(t.Context(), lacksOne, "s", "needs one\nopen a\nend\n"); err != nil {
			t.Error(err)
		}
		if _, err := e2e.Run(t.Context(), e2e.Target{}, "s", "needs one\nopen a\nend\n"); err == nil {
			t.Error("Run skipped the part for a target that lacks nothing")
		}
	})
}

func TestGuesses(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	const (
		wrong = "\nguess one the answer is 200\nhttp GET /\nstatus 200\nopen a\nend\n"
		right = "guess two the answer is 404\nhttp GET /\nstatus 404\nend\n"
		after = "http GET /\nstatus 405\n"
	)
	seen := e2e.WrongGuess{
		Script: "s", Line: 2, Assumed: "the answer is 200",
		Seen: "line 4, status 200: the answer has status 404, expected 200: 404 page not found",
	}
	for _, tt := range []struct {
		name, script string
		report       bool
		steps        int // those that pass
		want         []e2e.WrongGuess
		fails        string
	}{
		{name: "a right guess", script: right, steps: 2},
		{name: "a wrong guess fails", script: wrong, steps: 1, fails: "s:4"},
		{name: "a wrong guess is reported and its other steps are left out", script: wrong + right, report: true, steps: 3, want: []e2e.WrongGuess{seen}},
		{name: "what is no guess fails in any case", script: wrong + after, report: true, steps: 2, want: []e2e.WrongGuess{seen}, fails: "s:8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := e2e.Run(t.Context(), e2e.Target{HTTPURL: server.URL, ReportGuesses: tt.report}, "s", tt.script)
			if (err != nil) != (tt.fails != "") || err != nil && !strings.Contains(err.Error(), tt.fails) {
				t.Errorf("error %v, expected %q", err, tt.fails)
			}
			if got.Steps != tt.steps {
				t.Errorf("%d steps passed, expected %d", got.Steps, tt.steps)
			}
			if diff := cmp.Diff(tt.want, got.Wrong); diff != "" {
				t.Errorf("-expected +wrong:\n%s", diff)
			}
		})
	}
}

// TestOrder runs scripts against a server that sends the frames of one command in
// another order than the scripts expect.
func TestOrder(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer conn.CloseNow()
		for {
			_, frame, err := conn.Read(r.Context())
			if err != nil {
				return
			}
			frames := []string{`{"n":2}`, `{"n":1}`}
			if strings.Contains(string(frame), "quiet") {
				frames = []string{`{"ack":true,"id":"quiet","method":"no-such-method","result":null,"error":"unknown method no-such-method","code":104,"detail":""}`}
			}
			for _, f := range frames {
				if conn.Write(r.Context(), websocket.MessageText, []byte(f)) != nil {
					return
				}
			}
		}
	}))
	defer server.Close()
	const (
		first    = "open a\nsend a go\nexpect a {\"n\":1}\n"
		reversed = first + "expect a {\"n\":2}\n"
	)
	wrong := []e2e.WrongGuess{{
		Script: "s", Line: 4, Assumed: "the frames of a client arrive in the order in which they were sent",
		Seen: `line 4, expect a {"n":2}: before the frames of earlier steps came {"n":2}`,
	}}
	for _, tt := range []struct {
		name, script string
		report       bool
		want         []e2e.WrongGuess
		fails        string
	}{
		{name: "another order fails", script: reversed, fails: "s:3"},
		{name: "another order is reported once", script: reversed + "quiet a\nsend a go\nexpect a {\"n\":1}\nexpect a {\"n\":2}\n", report: true, want: wrong},
		{name: "quiet fails with a frame that no step before it expects", script: first + "quiet a\n", report: true, fails: `s:4: received {"n":2}`},
		{name: "a frame that no step expects fails in the end", script: first, report: true, fails: `socket a received a frame that no step expects: {"n":2}`},
		{name: "a wrong guess leaves its frames", script: "guess one a text\n" + first + "status 200\nend\n", report: true, want: []e2e.WrongGuess{{
			Script: "s", Line: 1, Assumed: "a text", Seen: "line 5, status 200: the answer has status 0, expected 200: ",
		}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			target := e2e.Target{WebSocketURL: "ws" + strings.TrimPrefix(server.URL, "http"), ReportGuesses: tt.report}
			got, err := e2e.Run(t.Context(), target, "s", tt.script)
			if (err != nil) != (tt.fails != "") || err != nil && !strings.Contains(err.Error(), tt.fails) {
				t.Errorf("error %v, expected %q", err, tt.fails)
			}
			if diff := cmp.Diff(tt.want, got.Wrong); tt.fails == "" && diff != "" {
				t.Errorf("-expected +wrong:\n%s", diff)
			}
		})
	}
}

// undocumentedCodes are the close codes that AWS does not document.
var undocumentedCodes = regexp.MustCompile(`^closed \S+ 100[01]$`)

// TestClosedOutsideGuesses checks that no script expects a close code that AWS does not
// document, except in a guess.
func TestClosedOutsideGuesses(t *testing.T) {
	scripts, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, path := range scripts {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		guess := false
		for i, line := range strings.Split(string(content), "\n") {
			switch {
			case strings.HasPrefix(line, "guess "):
				guess = true
			case line == "end":
				guess = false
			case !guess && undocumentedCodes.MatchString(line):
				t.Errorf("%s:%d: %s: write * for the code, or a guess", path, i+1, line)
			}
		}
	}
}

func TestErrorsContainNoSecrets(t *testing.T) {
	target := e2e.Target{HTTPURL: "http://127.0.0.1:1", Project: "shop", Secret: "the-secret", APIKey: "the-key"}
	for name, call := range map[string]string{
		"api": "api {{key}} publish {}", "rpc": "rpc {{secret}} {{project}} {}", "token": `send a {"params":{"token":"{{token "alice"}}"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := e2e.Run(t.Context(), target, "s", call)
			if err == nil {
				t.Fatal("no error without a server")
			}
			for _, secret := range []string{target.Secret, target.APIKey, auth.SignToken(target.Secret, "alice", target.Project)} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error contains %s:\n%v", secret, err)
				}
			}
		})
	}
}
