package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/localstack/stack"
	"centrifuge/localstack/stack/stacktest"
	"centrifuge/pkg/hub"
	"centrifuge/pkg/serverapi"
)

var update = flag.Bool("update", false, "write the golden files")

// start starts a stack with the demo project and presence in its category chat.
func start(t *testing.T) *stack.Stack {
	t.Helper()
	return stacktest.Start(t, stack.Options{Seed: stacktest.Seed(t, `"name": "chat",`, `"name": "chat", "presence": true,`)})
}

// environment returns the variables for the demo project of a stack.
func environment(s *stack.Stack) map[string]string {
	return map[string]string{
		"CENT_ADDRESS": s.HTTPURL, "CENT_WEBSOCKET": s.WebSocketURL,
		"CENT_API_KEY": "demo-key", "CENT_PROJECT": "demo", "CENT_SECRET": "demo-secret", "CENT_ADMIN_PASSWORD": s.AdminPassword,
	}
}

// result is the result of a run of the program.
type result struct {
	code           int
	stdout, stderr string
}

// invoke runs the program. An empty stdin is a terminal.
func invoke(t *testing.T, env map[string]string, stdin string, args ...string) result {
	t.Helper()
	now := func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }
	return invokeAt(t, now, env, stdin, args...)
}

// invokeAt runs the program with a clock.
func invokeAt(t *testing.T, now func() time.Time, env map[string]string, stdin string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), world{
		args: args, stdin: strings.NewReader(stdin), terminal: stdin == "", stdout: &stdout, stderr: &stderr,
		getenv: func(name string) string { return env[name] }, home: env["HOME"],
		now: now, backOff: time.Millisecond,
	})
	return result{code, stdout.String(), stderr.String()}
}

// golden compares text with testdata/name, or writes the file with -update.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Errorf("%s (-update writes it):\n%s", path, diff)
	}
}

// commands are the commands with a help text.
var commands = []string{
	"", "publish", "broadcast", "unsubscribe", "disconnect", "channels", "info", "presence", "presence-stats", "history", "history-remove", "send", "token", "sub", "bench",
	"projects", "projects list", "projects get", "projects apply", "projects delete",
	"categories", "categories list", "categories get", "categories apply", "categories delete", "doctor", "completion",
}

func TestHelp(t *testing.T) {
	t.Setenv("COLUMNS", "100")
	for _, command := range commands {
		name := "cent"
		if command != "" {
			name = strings.ReplaceAll(command, " ", "-")
		}
		t.Run(name, func(t *testing.T) {
			r := invoke(t, nil, "", append(strings.Fields(command), "--help")...)
			if r.code != 0 || r.stderr != "" {
				t.Errorf("exit code %d, stderr %q", r.code, r.stderr)
			}
			golden(t, "help/"+name+".txt", r.stdout)
		})
	}
}

func TestHelpWithoutCommand(t *testing.T) {
	t.Setenv("COLUMNS", "100")
	r := invoke(t, nil, "")
	if r.code != 0 || r.stderr != "" {
		t.Errorf("exit code %d, stderr %q", r.code, r.stderr)
	}
	golden(t, "help/cent.txt", r.stdout)
}

func TestVersion(t *testing.T) {
	if r := invoke(t, nil, "", "--version"); r.code != 0 || r.stderr != "" || !strings.HasPrefix(r.stdout, "cent "+serverapi.Version) {
		t.Errorf("%+v", r)
	}
	for _, tt := range []struct {
		name  string
		info  debug.BuildInfo
		known bool
		want  string
	}{
		{"no build info", debug.BuildInfo{}, false, "cent 0.1.0"},
		{"a build in the repository", debug.BuildInfo{GoVersion: "go1.26.8", Main: debug.Module{Version: "v0.0.0-20260102030405-abcdef123456"}}, true,
			"cent 0.1.0 (v0.0.0-20260102030405-abcdef123456, go1.26.8)"},
		{"a build without version control", debug.BuildInfo{GoVersion: "go1.26.8", Main: debug.Module{Version: "(devel)"}}, true, "cent 0.1.0 (go1.26.8)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := strings.Replace(version(&tt.info, tt.known), hub.Version, "0.1.0", 1); got != tt.want {
				t.Errorf("%q, expected %q", got, tt.want)
			}
		})
	}
}

// listening is a running sub.
type listening struct {
	messages *bufferedLines
	notes    *bufferedLines
	code     chan int
	stop     context.CancelFunc
}

// bufferedLines splits written text into lines.
type bufferedLines struct {
	t     *testing.T
	lines chan string
	rest  []byte
}

func (l *bufferedLines) Write(b []byte) (int, error) {
	l.rest = append(l.rest, b...)
	for {
		line, rest, ended := bytes.Cut(l.rest, []byte("\n"))
		if !ended {
			return len(b), nil
		}
		l.lines <- string(line)
		l.rest = rest
	}
}

func (l *bufferedLines) next() string {
	l.t.Helper()
	select {
	case line := <-l.lines:
		return line
	case <-time.After(20 * time.Second):
		l.t.Fatal("no line within 20 s")
		return ""
	}
}

// listen starts sub and waits until it has subscribed.
func listen(t *testing.T, env map[string]string, args ...string) *listening {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &listening{
		messages: &bufferedLines{t: t, lines: make(chan string, 100)},
		notes:    &bufferedLines{t: t, lines: make(chan string, 100)},
		code:     make(chan int, 1), stop: cancel,
	}
	go func() {
		l.code <- run(ctx, world{
			args: append([]string{"sub"}, args...), stdin: strings.NewReader(""), terminal: true, stdout: l.messages, stderr: l.notes,
			getenv: func(name string) string { return env[name] }, now: time.Now, backOff: time.Millisecond,
		})
	}()
	t.Cleanup(cancel)
	if note := l.notes.next(); !strings.HasPrefix(note, "cent: subscribed to ") {
		t.Fatalf("%q, expected subscribed", note)
	}
	return l
}

func (l *listening) exit(t *testing.T) int {
	t.Helper()
	select {
	case code := <-l.code:
		return code
	case <-time.After(20 * time.Second):
		t.Fatal("sub did not exit within 20 s")
		return 0
	}
}

// The parts of an output that differ between runs. Connection ids of API Gateway are
// base64.
var (
	eventID    = regexp.MustCompile(`"event_id":"[^"]+"`)
	connection = regexp.MustCompile(`[A-Za-z0-9_+/-]{11,}=+`)
)

func stableText(text string) string {
	text = strings.ReplaceAll(text, serverapi.Version, "0.1.0")
	text = eventID.ReplaceAllString(text, `"event_id":"EVENT"`)
	return connection.ReplaceAllString(text, "CONNECTION")
}

func TestCommands(t *testing.T) {
	s := start(t)
	env := environment(s)
	alice := listen(t, env, "--user", "alice", "chat:lobby", "chat:den", "news:all")
	for _, step := range []struct {
		name  string
		stdin string
		args  []string
		code  int
	}{
		{"publish", "", []string{"publish", "chat:lobby", `{"text":"<hi>"}`}, 0},
		{"publish-stdin", "{\"text\":\n \"piped\"}\n", []string{"publish", "chat:lobby"}, 0},
		{"publish-json", "", []string{"publish", "--json", "--idempotency-key", "k", "chat:lobby", `3`}, 0},
		{"publish-again", "", []string{"publish", "--json", "--idempotency-key", "k", "chat:lobby", `4`}, 0},
		{"publish-refused", "", []string{"publish", "nowhere:x", `1`}, 1},
		{"broadcast", "", []string{"broadcast", "-d", `5`, "chat:den"}, 0},
		{"broadcast-refused", "6", []string{"broadcast", "news:all", "nowhere:x"}, 1},
		{"broadcast-json", "7", []string{"broadcast", "--json", "news:all", "nowhere:x"}, 1},
		{"channels", "", []string{"channels"}, 0},
		{"channels-pattern", "", []string{"channels", "chat:*"}, 0},
		{"channels-json", "", []string{"channels", "--json"}, 0},
		{"channels-refused", "", []string{"channels", "["}, 1},
		{"info", "", []string{"info"}, 0},
		{"info-json", "", []string{"info", "--json"}, 0},
		{"presence", "", []string{"presence", "chat:lobby"}, 0},
		{"presence-json", "", []string{"presence", "chat:lobby", "--json"}, 0},
		{"presence-stats", "", []string{"presence", "chat:lobby", "--stats"}, 0},
		{"presence-stats-json", "", []string{"presence", "chat:lobby", "--stats", "--json"}, 0},
		{"presence-refused", "", []string{"presence", "news:all"}, 1},
		{"presence-stats-command", "", []string{"presence-stats", "chat:lobby"}, 0},
		{"presence-stats-command-json", "", []string{"presence-stats", "--json", "chat:lobby"}, 0},
		{"presence-stats-refused", "", []string{"presence-stats", "news:all"}, 1},
		{"send", "", []string{"send", "presence_stats", "--params", `{"channel":"chat:lobby"}`}, 0},
		{"send-stdin", "{\"channel\":\n\"chat:lobby\"}\n", []string{"send", "presence_stats"}, 0},
		{"send-batch", `{"commands":[{"presence_stats":{"channel":"chat:lobby"}},{"rpc":{"method":"sing"}}]}`, []string{"send", "batch"}, 0},
		{"send-refused", `{"channel":"nowhere:x","data":1}`, []string{"send", "publish"}, 1},
		{"send-unknown", "{}", []string{"send", "shout"}, 1},
		{"send-empty", " \n", []string{"send", "info"}, 1},
		{"send-list", "[]", []string{"send", "info"}, 1},
		{"send-null", "null", []string{"send", "info"}, 1},
		{"unsubscribe", "", []string{"unsubscribe", "alice", "chat:den"}, 0},
		{"unsubscribe-refused", "", []string{"unsubscribe", "alice", "no-channel"}, 1},
		{"channels-after", "", []string{"channels", "chat:*"}, 0},
		{"wrong-key", "", []string{"info", "--api-key", "another-key"}, 1},
		{"token", "", []string{"token", "alice"}, 0},
		{"token-json", "", []string{"token", "alice", "--json"}, 0},
		{"token-subscription", "", []string{"token", "alice", "--channel", "$chat:lobby", "--exp", "10m", "--info", `{"seat":1}`, "--json"}, 0},
		{"token-audience", "", []string{"token", "alice", "--jwt", "--token-audience", "shop", "--token-issuer", "shop.example.com"}, 0},
		{"token-jwt", "", []string{"token", "--jwt", "--ttl", "2h", "--permissions", `{"chat":["lobby"],"secret":[]}`, "--info", `"A"`, "alice"}, 0},
	} {
		t.Run(step.name, func(t *testing.T) {
			r := invoke(t, env, step.stdin, step.args...)
			if r.code != step.code {
				t.Errorf("exit code %d, expected %d", r.code, step.code)
			}
			golden(t, "output/"+step.name+".txt", stableText("$ cent "+strings.Join(step.args, " ")+"\n"+r.stdout+r.stderr))
		})
	}
	var received []string
	for range 6 {
		received = append(received, stableText(alice.messages.next()))
	}
	golden(t, "output/sub.txt", strings.Join(received, "\n")+"\n")

	if r := invoke(t, env, "", "disconnect", "alice"); r != (result{}) {
		t.Errorf("disconnect: %+v", r)
	}
	var notes []string
	for range 3 {
		notes = append(notes, alice.notes.next())
	}
	if diff := cmp.Diff([]string{
		"cent: chat:den: server unsubscribe: the application removed the user from the channel (code 2000)",
		"cent: subscribe: refused: force disconnect: the application disconnected the user (code 3503)",
		errorReference,
	}, notes); diff != "" {
		t.Error(diff)
	}
	if code := alice.exit(t); code != 1 {
		t.Errorf("a disconnected sub has exit code %d", code)
	}
}

// TestSubSince prints what a channel has kept after a position, and then what arrives.
func TestSubSince(t *testing.T) {
	s := start(t)
	env := environment(s)
	var epoch string
	for _, data := range []string{"1", "2", "3"} {
		r := invoke(t, env, "", "publish", "log:orders", data, "--json")
		var m struct{ Epoch string }
		if err := json.Unmarshal([]byte(r.stdout), &m); err != nil || r.code != 0 {
			t.Fatalf("%+v, error %v", r, err)
		}
		epoch = m.Epoch
	}
	for _, protocol := range [][]string{nil, {"--classic"}} {
		for since, want := range map[string]string{
			"1":          `{"channel":"log:orders","event_id":"EVENT","data":2,"offset":2,"epoch":"EPOCH"}`,
			"2@" + epoch: `{"channel":"log:orders","event_id":"EVENT","data":3,"offset":3,"epoch":"EPOCH"}`,
		} {
			t.Run(strings.Join(append(protocol, strings.Split(since, "@")[0]), " "), func(t *testing.T) {
				r := invoke(t, env, "", append(append([]string{"sub", "log:orders", "-n", "1"}, protocol...), "--since", since)...)
				if got := strings.ReplaceAll(stableText(r.stdout), epoch, "EPOCH"); r.code != 0 || got != want+"\n" {
					t.Errorf("printed %s, expected %s; %+v", got, want, r)
				}
			})
		}
		t.Run(strings.Join(append(protocol, "another epoch"), " "), func(t *testing.T) {
			r := invoke(t, env, "", append(append([]string{"sub", "log:orders"}, protocol...), "--since", "1@other")...)
			if r.code != 1 || !strings.Contains(r.stderr, "unrecoverable position") || r.stdout != "" {
				t.Errorf("%+v", r)
			}
		})
	}
	for i, protocol := range [][]string{nil, {"--classic"}} {
		t.Run(strings.Join(append(protocol, "what arrives follows, and nothing twice"), " "), func(t *testing.T) {
			l := listen(t, env, append(protocol, "log:orders", "--since", strconv.Itoa(2+i), "-n", "2")...)
			for offset := 3 + i; offset < 5+i; offset++ {
				if m, want := l.messages.next(), fmt.Sprintf(`"data":%d,"offset":%d`, offset, offset); !strings.Contains(m, want) {
					t.Errorf("received %s, expected %s", m, want)
				}
				if offset == 3+i {
					if r := invoke(t, env, "", "publish", "log:orders", strconv.Itoa(4+i)); r.code != 0 {
						t.Errorf("%+v", r)
					}
				}
			}
			if code := l.exit(t); code != 0 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

// TestSubSinceAhead has a position that the stream has not reached: what arrives is printed.
func TestSubSinceAhead(t *testing.T) {
	s := start(t)
	env := environment(s)
	l := listen(t, env, "log:orders", "--since", "41", "-n", "1")
	if r := invoke(t, env, "", "publish", "log:orders", "1"); r.code != 0 {
		t.Errorf("%+v", r)
	}
	if m := l.messages.next(); !strings.Contains(m, `"data":1,"offset":1`) {
		t.Errorf("received %s", m)
	}
	if code := l.exit(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestSubReconnect cuts the connection of each protocol, in a way after which clients come back.
func TestSubReconnect(t *testing.T) {
	s := start(t)
	env := environment(s)
	for _, tt := range []struct {
		name    string
		args    []string
		channel string
		cut     string
		want    string
		notes   []string
	}{
		{"Centrifugo's protocol, a stream", nil, "log:lobby", `{"user":"alice","disconnect":{"code":4000,"reason":"again"}}`, `{"channel":"log:lobby","data":"after","offset":1,"epoch":"EPOCH"}`, []string{
			"cent: connection lost; connecting again",
			"cent: subscribed to log:lobby again; no message is lost",
		}},
		{"Centrifugo's protocol", nil, "chat:lobby", `{"user":"alice","disconnect":{"code":4000,"reason":"again"}}`, `{"channel":"chat:lobby","data":"after"}`, []string{
			"cent: connection lost; connecting again",
			"cent: subscribed to chat:lobby again; messages that were sent meanwhile are lost",
		}},
		{"the classic protocol", []string{"--classic"}, "chat:lobby", `{"user":"alice"}`, `{"channel":"chat:lobby","event_id":"EVENT","data":"after"}`, []string{
			`cent: connection lost: failed to get reader: received close frame: status = StatusNormalClosure and reason = ""; connecting again`,
			"cent: subscribed to chat:lobby",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			alice := listen(t, env, append(tt.args, "--user", "alice", tt.channel)...)
			if r := invoke(t, env, tt.cut, "send", "disconnect"); r.code != 0 {
				t.Errorf("disconnect: %+v", r)
			}
			for _, want := range tt.notes {
				if note := alice.notes.next(); note != want {
					t.Errorf("note %q, expected %q", note, want)
				}
			}
			if r := invoke(t, env, "", "publish", tt.channel, `"after"`); r.code != 0 {
				t.Errorf("publish: %+v", r)
			}
			m := regexp.MustCompile(`"epoch":"[^"]+"`).ReplaceAllString(stableText(alice.messages.next()), `"epoch":"EPOCH"`)
			if m != tt.want {
				t.Errorf("received %s, expected %s", m, tt.want)
			}
			alice.stop()
			if code := alice.exit(t); code != 0 {
				t.Errorf("an interrupted sub has exit code %d", code)
			}
		})
	}
}

func TestSub(t *testing.T) {
	s := start(t)
	env := environment(s)
	t.Run("exit after --count messages", func(t *testing.T) {
		l := listen(t, env, "--user", "bob", "-n", "2", "news:all")
		for _, data := range []string{"1", "2"} {
			if r := invoke(t, env, "", "publish", "news:all", data); r.code != 0 {
				t.Fatalf("%+v", r)
			}
			var m struct {
				Channel string
				Data    json.RawMessage
			}
			if err := json.Unmarshal([]byte(l.messages.next()), &m); err != nil || m.Channel != "news:all" || string(m.Data) != data {
				t.Errorf("%+v, error %v", m, err)
			}
		}
		if code := l.exit(t); code != 0 {
			t.Errorf("exit code %d", code)
		}
	})
	t.Run("a private category with a JWT", func(t *testing.T) {
		made := make(chan string, 1)
		out := &bufferedLines{t: t, lines: made}
		code := run(t.Context(), world{args: []string{"token", "--jwt", "--permissions", `{"secret":["x"]}`, "carol"},
			stdout: out, stderr: io.Discard, getenv: func(name string) string { return env[name] }, now: time.Now})
		if code != 0 {
			t.Fatalf("exit code %d", code)
		}
		with := map[string]string{"CENT_WEBSOCKET": s.WebSocketURL, "CENT_PROJECT": "demo", "CENT_TOKEN": <-made}
		for _, protocol := range [][]string{nil, {"--classic"}} {
			l := listen(t, with, append(protocol, "--user", "carol", "secret:x")...)
			l.stop()
			l.exit(t)
		}
	})
	t.Run("a private category with the secret", func(t *testing.T) {
		l := listen(t, env, "secret:x")
		l.stop()
		l.exit(t)
	})
	for _, tt := range []struct {
		name    string
		env     map[string]string
		args    []string
		code    int
		message string
	}{
		{"a wrong secret", map[string]string{"CENT_SECRET": "other"}, []string{"chat:x"}, 1, "refused: invalid token: the project has another secret, or token_audience or token_issuer that the settings do not name: ask cent doctor (code 3500)\n" + errorReference},
		{"a wrong secret, classic", map[string]string{"CENT_SECRET": "other"}, []string{"--classic", "chat:x"}, 1, "refused: invalid token: a classic token is hex(HMAC-SHA256(secret, user + project_id)); a JWT is signed with HS256 and the same secret, and has sub, the user, and exp (code 401)\n" + errorReference},
		{"an absent project", map[string]string{"CENT_PROJECT": "other"}, []string{"chat:x"}, 3, "there is no project other, or the path of the WebSocket is wrong"},
		{"an absent project, classic", map[string]string{"CENT_PROJECT": "other"}, []string{"--classic", "chat:x"}, 1, "refused: "},
		{"absent categories", nil, []string{"chat:x", "nowhere:y", "nowhere:x"}, 1,
			"refused: nowhere:x: unknown channel: the project has no category of this name: create it, or correct the name (code 102); " +
				"nowhere:y: unknown channel: the project has no category of this name: create it, or correct the name (code 102)"},
		{"a private category with a token of another one", map[string]string{"CENT_TOKEN": jwtOf(t, env, "--permissions", `{"chat":[]}`)}, []string{"chat:x", "secret:x"}, 1,
			"refused: secret:x: permission denied: the token does not grant the channel, and the options of its category do not let this user subscribe (code 103)"},
		{"an expired token", map[string]string{"CENT_TOKEN": jwtOf(t, env, "--ttl", "1s")}, []string{"chat:x"}, 1,
			"refused: the token has expired: make another one, such as with cent token USER --jwt --ttl 8h"},
		{"a classic token without --classic", map[string]string{"CENT_TOKEN": "a365844d"}, []string{"chat:x"}, 2,
			"the token is a classic one: add --classic, or make a JWT with cent token USER --jwt"},
		{"private and absent categories, classic", nil, []string{"--classic", "chat:x", "secret:x", "nowhere:y"}, 1,
			"refused: nowhere:y: category does not exist or permission denied: the project has no category of this name: create it, or correct the name (code 403); " +
				"secret:x: category does not exist or permission denied: the category is private: it requires a JWT that grants it in its permissions, or a validate_url that does (code 403)"},
		{"an unreachable address", map[string]string{"CENT_WEBSOCKET": "ws://127.0.0.1:1/dev"}, []string{"chat:x"}, 3, "connect: "},
		{"an unreachable address, classic", map[string]string{"CENT_WEBSOCKET": "ws://127.0.0.1:1/dev"}, []string{"--classic", "chat:x"}, 3, "connect: "},
		{"an address without a WebSocket", map[string]string{"CENT_WEBSOCKET": strings.Replace(s.HTTPURL, "http", "ws", 1)}, []string{"chat:x"}, 3, "connect: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			changed := environment(s)
			for name, value := range tt.env {
				changed[name] = value
			}
			r := invoke(t, changed, "", append([]string{"sub", "--user", "u"}, tt.args...)...)
			if r.code != tt.code || !strings.Contains(r.stderr, tt.message) || r.stdout != "" {
				t.Errorf("%+v, expected exit code %d and %q", r, tt.code, tt.message)
			}
		})
	}
}

// jwtOf returns a JWT of the user u that cent token makes, of the year of invoke.
func jwtOf(t *testing.T, env map[string]string, args ...string) string {
	t.Helper()
	now := time.Now
	if slices.Contains(args, "1s") {
		now = func() time.Time { return time.Now().Add(-time.Minute) }
	}
	r := invokeAt(t, now, env, "", append([]string{"token", "u", "--jwt"}, args...)...)
	if r.code != 0 {
		t.Fatalf("%+v", r)
	}
	return strings.TrimSpace(r.stdout)
}

func TestUsage(t *testing.T) {
	full := map[string]string{"CENT_API_KEY": "hidden-key", "CENT_PROJECT": "demo", "CENT_SECRET": "hidden-secret", "CENT_ADDRESS": "http://127.0.0.1:1"}
	for _, tt := range []struct {
		name    string
		env     map[string]string
		stdin   string
		args    []string
		code    int
		message string
	}{
		{"no command of projects", full, "", []string{"projects"}, 2, "expected one of"},
		{"an unknown command", full, "", []string{"shout"}, 2, "unexpected argument shout"},
		{"an unknown flag", full, "", []string{"info", "--loud"}, 2, "unknown flag --loud"},
		{"no key", nil, "", []string{"info"}, 2, "no API key"},
		{"no secret", map[string]string{"CENT_PROJECT": "demo"}, "", []string{"token", "u"}, 2, "no secret"},
		{"no project", nil, "", []string{"token", "u"}, 2, "no project"},
		{"data that is not JSON", full, "", []string{"publish", "a:b", "hello"}, 2, "data is not JSON"},
		{"an argument that is not UTF-8", full, "", []string{"publish", "a:\xff", "1"}, 2, "argument 2 is not text in UTF-8: line 1, column 3: this byte is not UTF-8"},
		{"data that is not UTF-8", full, "\"caf\xe9\"", []string{"publish", "a:b"}, 2, "data is not text in UTF-8: line 1, column 5: this byte is not UTF-8"},
		{"data with a byte order mark", full, "\ufeff1", []string{"publish", "a:b"}, 2, "data is not text in UTF-8: line 1, column 1: this is a byte order mark"},
		{"a manifest that is not UTF-8", full, "id: a\nname: caf\xe9\n", []string{"projects", "apply", "-"}, 2, "data is not text in UTF-8: line 2, column 10: this byte is not UTF-8"},
		{"an invalid method", full, "{}", []string{"send", "../rpc"}, 2, "invalid method"},
		{"no params on a terminal", full, "", []string{"send", "info"}, 2, "no params"},
		{"no admin password", full, "", []string{"projects", "list"}, 2, "no admin password"},
		{"an unknown shell", full, "", []string{"completion", "tcsh"}, 2, "must be one of"},
		{"no data on a terminal", full, "", []string{"publish", "a:b"}, 2, "no data"},
		{"too much data", full, strings.Repeat(" ", maxDataBytes+1), []string{"broadcast", "a:b"}, 2, "data is longer"},
		{"an invalid address", full, "", []string{"info", "--address", "ftp://host"}, 2, "not an http or https address"},
		{"a timeout above the limit", full, "", []string{"info", "--timeout", "1h"}, 2, "invalid timeout: set it between"},
		{"an invalid timeout", map[string]string{"CENT_TIMEOUT": "soon"}, "", []string{"info"}, 2, "invalid timeout: give seconds"},
		{"claims in a classic token", full, "", []string{"token", "u", "--info", "1"}, 2, "add --jwt"},
		{"permissions that are not JSON", full, "", []string{"token", "u", "--jwt", "--permissions", "{"}, 2, "--permissions is not JSON"},
		{"invalid permissions", full, "", []string{"token", "u", "--jwt", "--permissions", "[]"}, 2, "would refuse this token"},
		{"info above the limit", full, "", []string{"token", "u", "--jwt", "--info", `"` + strings.Repeat("x", 5000) + `"`}, 2, "would refuse this token"},
		{"permissions in a subscription token", full, "", []string{"token", "u", "--channel", "a:b", "--permissions", "{}"}, 2, "a subscription token has no --permissions: it grants its --channel"},
		{"a subscription token of an invalid channel", full, "", []string{"token", "u", "--channel", "b:"}, 2, "would refuse this token"},
		{"a position and two channels", full, "", []string{"sub", "a:b", "a:c", "--since", "1", "--websocket", "ws://host"}, 2, "--since is for one channel"},
		{"a lifetime below 1 s", full, "", []string{"token", "u", "--jwt", "--ttl", "1ms"}, 2, "--ttl"},
		{"no WebSocket for the address", full, "", []string{"sub", "a:b"}, 2, "no WebSocket"},
		{"an invalid WebSocket address", full, "", []string{"sub", "a:b", "--websocket", "http://host"}, 2, "not a ws or wss"},
		{"a channel without a name", full, "", []string{"sub", "b:", "--websocket", "ws://host"}, 2, "b:: "},
		{"an absent settings file", full, "", []string{"info", "--config", "testdata/absent"}, 2, "testdata/absent"},
		{"a port without a server", full, "", []string{"info"}, 3, "connection refused: is make run running on this port?"},
		{"a port without a server, for sub", full, "", []string{"sub", "a:b", "--websocket", "ws://localhost:1/dev"}, 3, "is make run running on this port?"},
		{"a port without a server, for projects", full, "", []string{"projects", "list", "--admin-password", "hidden"}, 3, "is make run running on this port?"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := invoke(t, tt.env, tt.stdin, tt.args...)
			if r.code != tt.code || !strings.Contains(r.stderr, tt.message) || r.stdout != "" {
				t.Errorf("%+v, expected exit code %d and %q", r, tt.code, tt.message)
			}
			if strings.Contains(r.stderr, "hidden") {
				t.Errorf("printed a secret: %s", r.stderr)
			}
		})
	}
}

func TestPublishInterrupt(t *testing.T) {
	stdin, never := io.Pipe()
	defer never.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	code := run(ctx, world{args: []string{"publish", "a:b"}, stdin: stdin, stdout: io.Discard, stderr: io.Discard,
		getenv: func(string) string { return "" }})
	if code != exitUnreachable {
		t.Errorf("exit code %d", code)
	}
}
