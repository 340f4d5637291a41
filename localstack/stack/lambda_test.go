package stack_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"centrifuge/functions"
	"centrifuge/localstack/gateway"
	"centrifuge/localstack/iam"
	"centrifuge/localstack/lambda"
	"centrifuge/localstack/stack"
	"centrifuge/localstack/stack/stacktest"
	"centrifuge/pkg/auth"
	"centrifuge/pkg/config"
	"centrifuge/pkg/hub"
)

// processes is a stack whose functions are processes, which the test can kill.
type processes struct {
	*stack.Stack
	log *processLog

	mu sync.Mutex
	// function is the function that meets fault, at the first request that match returns
	// true for. injected is set then.
	function string
	match    func(iam.Request) bool
	fault    iam.Fault
	injected bool
	// latest is the process of each function that made the last request.
	latest map[string]string
}

func startProcesses(t *testing.T, l stack.Lambda, o stack.Options) *processes {
	t.Helper()
	p := &processes{log: newProcessLog(), latest: make(map[string]string)}
	l.Bootstraps, l.Faults = stacktest.Bootstraps(t), p.inject
	o.Lambda, o.Log = &l, p.log
	p.Stack = start(t, o)
	return p
}

// arm injects a fault into the first request of a function that match returns true for. The
// next invocation starts a new process, whose caches are empty.
func (p *processes) arm(function string, fault iam.Fault, match func(iam.Request) bool) {
	p.kill(function)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.function, p.fault, p.match, p.injected = function, fault, match, false
}

func (p *processes) inject(q iam.Request) iam.Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latest[q.Function] = q.AccessKeyID
	if q.Function != p.function || p.injected || !p.match(q) {
		return iam.None
	}
	p.injected = true
	return p.fault
}

// kill kills the process of a function that made the last request.
func (p *processes) kill(function string) {
	p.mu.Lock()
	latest := p.latest[function]
	p.mu.Unlock()
	p.Lambda.Kill(latest)
}

// forget kills the processes of all functions, whose next invocation starts others: these
// have nothing cached.
func (p *processes) forget() {
	for _, f := range functions.All {
		p.kill(f.Name)
	}
}

// disarm reports whether the fault was injected.
func (p *processes) disarm() (injected bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.function = ""
	return p.injected
}

// processLog is the log of the functions. Tests wait for lines of it.
type processLog struct {
	mu      sync.Mutex
	written sync.Cond
	lines   []string
}

func newProcessLog() *processLog {
	l := &processLog{}
	l.written.L = &l.mu
	return l
}

func (l *processLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")...)
	l.written.Broadcast()
	return len(b), nil
}

// wait waits until n lines contain all parts, and returns the last of them.
func (l *processLog) wait(t *testing.T, n int, parts ...string) string {
	t.Helper()
	return l.until(t, fmt.Sprintf("%q", parts), n, func(line string) bool {
		return !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) })
	})
}

// until waits until n lines match, and returns the last of them. The test fails when it
// waits for half a minute.
func (l *processLog) until(t *testing.T, what string, n int, match func(line string) bool) string {
	t.Helper()
	tooLong := false
	timer := time.AfterFunc(30*time.Second, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		tooLong = true
		l.written.Broadcast()
	})
	defer timer.Stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if tooLong {
			t.Fatalf("no line with %s in the log:\n%s", what, strings.Join(l.lines, "\n"))
		}
		found := 0
		for _, line := range l.lines {
			if match(line) {
				if found++; found == n {
					return line
				}
			}
		}
		l.written.Wait()
	}
}

// matching returns the number of lines that match.
func (l *processLog) matching(match func(line string) bool) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if match(line) {
			n++
		}
	}
	return n
}

// count returns the number of lines that start with a text.
func (l *processLog) count(prefix string) int {
	return l.matching(func(line string) bool { return strings.HasPrefix(line, prefix) })
}

// dial opens a socket that ends with the test.
func dial(t *testing.T, s *stack.Stack) *websocket.Conn {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), s.WebSocketURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

// command sends a frame and returns the next frame.
func command(t *testing.T, conn *websocket.Conn, frame string) string {
	t.Helper()
	if err := conn.Write(t.Context(), websocket.MessageText, []byte(frame)); err != nil {
		t.Fatal(err)
	}
	return receive(t, conn)
}

const (
	succeeded = `"result":true`
	// killed is the frame that a client gets whose command killed the function.
	killed = `{"message":"Internal server error"`
)

func authFrame(user string) string {
	return fmt.Sprintf(`{"method":"auth","params":{"token":%q,"user":%q,"project_id":"demo","permissions":{}}}`, auth.SignToken("demo-secret", user, "demo"), user)
}

// request makes an HTTP request, with pairs of names and values as headers, and returns
// status and body. A body that is not JSON is a form.
func request(t *testing.T, client *http.Client, method, address, body string, headers ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-API-Key", "demo-key")
	r.Header.Set("Content-Type", "application/json")
	if !strings.HasPrefix(body, "{") {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for pair := range slices.Chunk(headers, 2) {
		r.Header.Set(pair[0], pair[1])
	}
	w, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	b, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.StatusCode, strings.TrimSpace(string(b))
}

// hello is the data of the messages that operations send.
const hello = `{"text":"hello"}`

// copies reads frames until the one with the data "end", and counts those with hello.
func copies(t *testing.T, conn *websocket.Conn) int {
	t.Helper()
	for n := 0; ; {
		switch frame := receive(t, conn); {
		case strings.Contains(frame, `"data":"end"`):
			return n
		case strings.Contains(frame, `"data":`+hello):
			n++
		default:
			t.Fatalf("received %s", frame)
		}
	}
}

// end publishes the last message of a test, in a channel "category:name" of a project.
func end(t *testing.T, s *stack.Stack, project, channel string) {
	t.Helper()
	p, err := s.App.Store.Project(t.Context(), project)
	if err != nil {
		t.Fatal(err)
	}
	ch, err := hub.ParseChannel(project, channel)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.App.Hub.Publish(t.Context(), p, ch, json.RawMessage(`"end"`), hub.PublishOptions{}); err != nil {
		t.Fatal(err)
	}
}

// hangUp closes a socket and waits until the function disconnect has ended. No other
// socket may close at the same time.
func (p *processes) hangUp(t *testing.T, conn *websocket.Conn) {
	t.Helper()
	before := p.log.count("[disconnect] REPORT")
	_ = conn.CloseNow()
	p.log.wait(t, before+1, "[disconnect] REPORT")
}

// signIn returns a client with a session of the admin pages.
func signIn(t *testing.T, s *processes) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar}
	if status, body := request(t, client, http.MethodPost, s.AdminURL+"api/sign-in", `{"password":"`+s.AdminPassword+`"}`); status != http.StatusOK {
		t.Fatalf("sign in: status %d, body %s", status, body)
	}
	return client
}

// TestCutOff delays the posts of a fan-out until the time of its function is over. Before
// Lambda kills the process it logs what is missing, settles or releases the claim, and
// replies.
func TestCutOff(t *testing.T) {
	const failed, frameFailed = `{"error":{"code":100,"message":"internal server error: repeat later; the log of the service has the cause"}}`, `"result":null,"error":"internal server error"`
	for _, tt := range []struct {
		name        string
		concurrency string
		subscribers int
		answer      string
		reply       string // to a broadcast
		log         string
		copies      int // of a message that is repeated with the same key
		repetition  string
	}{
		{
			// So many slots leave no room for posts that are overdue without one.
			name: "posts that were not begun", concurrency: "320", subscribers: 323, answer: failed, reply: frameFailed, log: `"failed":323`,
			copies: 1, repetition: `{"result":{"delivered":323}}`,
		},
		{
			// Every post was begun. The publish counts as done.
			name: "posts without an answer", concurrency: "2", subscribers: 4, answer: `{"result":{"delivered":0}}`, reply: succeeded, log: `"failed":4`,
			copies: 0, repetition: `{"result":{"delivered":0}}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var stuck atomic.Bool
			s := startProcesses(t, stack.Lambda{
				Options:     lambda.Options{Timeout: 4 * time.Second},
				Environment: map[string]string{config.Concurrency: tt.concurrency},
			}, stack.Options{Gateway: gateway.Options{Faults: func(gateway.Post) gateway.Fault {
				if stuck.Load() {
					return gateway.Fault{Hang: true}
				}
				return gateway.Fault{}
			}}})
			var receivers []*websocket.Conn
			for range tt.subscribers {
				receivers = append(receivers, join(t, s.Stack, "", "x"))
			}
			sender := join(t, s.Stack, "", "y")
			call := func() string {
				status, body := request(t, http.DefaultClient, http.MethodPost, s.HTTPURL+"/api/publish",
					`{"channel":"chat:x","data":`+hello+`,"idempotency_key":"k"}`)
				if status != http.StatusOK {
					t.Errorf("status %d", status)
				}
				return body
			}
			stuck.Store(true)
			if got := call(); got != tt.answer {
				t.Errorf("answer %s, want %s", got, tt.answer)
			}
			if got := command(t, sender, `{"method":"broadcast","params":{"category":"chat","channel":"x","data":{"text":"other"}}}`); !strings.Contains(got, tt.reply) {
				t.Errorf("reply %s, want %s", got, tt.reply)
			}
			for _, function := range []string{"publish", "broadcast"} {
				s.log.wait(t, 1, "["+function+"] {", `"level":"WARN"`, `"msg":"message dispatched"`, tt.log)
				if report := s.log.wait(t, 1, "["+function+"] REPORT"); strings.Contains(report, "Status") {
					t.Errorf("%s", report)
				}
			}
			stuck.Store(false)
			if got := call(); got != tt.repetition {
				t.Errorf("repetition: answer %s, want %s", got, tt.repetition)
			}
			end(t, s.Stack, "demo", "chat:x")
			for _, r := range receivers {
				if n := copies(t, r); n != tt.copies {
					t.Errorf("%d copies, want %d", n, tt.copies)
				}
			}
		})
	}
}

// TestFreeze publishes with a process that is frozen between two messages. Meanwhile the
// management API and DynamoDB close the connections that the process keeps alive.
func TestFreeze(t *testing.T) {
	const subscribers = 20
	var s atomic.Pointer[processes]
	var posts atomic.Int32
	services := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/"+stack.Stage+"/") {
			posts.Add(1)
			s.Load().Gateway.ServeHTTP(w, r)
			return
		}
		database, err := url.Parse(s.Load().DynamoDBEndpoint)
		if err != nil {
			t.Error(err)
		}
		httputil.NewSingleHostReverseProxy(database).ServeHTTP(w, r)
	}))
	t.Cleanup(services.Close)
	s.Store(startProcesses(t, stack.Lambda{Environment: map[string]string{
		config.ManagementURL: services.URL + "/" + stack.Stage, config.DynamoDBEndpoint: services.URL,
	}}, stack.Options{}))
	var receivers []*websocket.Conn
	for range subscribers {
		receivers = append(receivers, join(t, s.Load().Stack, "", "x"))
	}
	for n := range 3 {
		if n > 0 {
			// The process was frozen before the answer was returned.
			services.CloseClientConnections()
		}
		status, body := request(t, http.DefaultClient, http.MethodPost, s.Load().HTTPURL+"/api/publish", `{"channel":"chat:x","data":`+hello+`}`)
		if status != http.StatusOK || body != fmt.Sprintf(`{"result":{"delivered":%d}}`, subscribers) {
			t.Errorf("message %d: status %d, answer %s", n, status, body)
		}
	}
	if n := s.Load().log.count("[publish] INIT_START"); n != 1 {
		t.Errorf("%d processes, want one", n)
	}
	if got := posts.Load(); got != 3*subscribers {
		t.Errorf("%d posts, want %d", got, 3*subscribers)
	}
	end(t, s.Load().Stack, "demo", "chat:x")
	for _, r := range receivers {
		if n := copies(t, r); n != 3 {
			t.Errorf("%d copies, want 3", n)
		}
	}
}
