package stack_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"centrifuge/localstack/gateway"
	"centrifuge/localstack/stack"
	"centrifuge/localstack/stack/stacktest"
	"centrifuge/pkg/hub"
)

// join connects a client and subscribes it to channels of the category chat.
func join(t *testing.T, s *stack.Stack, user string, channels ...string) *websocket.Conn {
	t.Helper()
	return joinWith(t, s, demoTenant.member("chat", user), channels...)
}

// member is a client in the channels of a category.
type member struct{ project, token, category, user string }

// joinWith is join with another member.
func joinWith(t *testing.T, s *stack.Stack, m member, channels ...string) *websocket.Conn {
	t.Helper()
	conn := dial(t, s)
	names, err := json.Marshal(channels)
	if err != nil {
		t.Fatal(err)
	}
	for _, frame := range []string{
		fmt.Sprintf(`{"method":"auth","params":{"token":%q,"user":%q,"project_id":%q,"permissions":{}}}`, m.token, m.user, m.project),
		fmt.Sprintf(`{"method":"subscribe","params":{"to":{%q:%s}}}`, m.category, names),
	} {
		reply := command(t, conn, frame)
		for strings.Contains(reply, `"event":"join"`) { // its own join is posted before the reply
			reply = receive(t, conn)
		}
		if !strings.Contains(reply, `"result":true`) {
			t.Fatalf("%s was answered %s", frame, reply)
		}
	}
	return conn
}

// receive returns the next frame. The test fails when it waits for half a minute.
func receive(t *testing.T, conn *websocket.Conn) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_, frame, err := conn.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return string(frame)
}

// demo is the project demo.
func demo(t *testing.T, s *stack.Stack) *hub.Project {
	t.Helper()
	p, err := s.App.Store.Project(t.Context(), "demo")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// publish publishes to a channel of the category chat and returns the result.
func publish(t *testing.T, s *stack.Stack, channel string) hub.Result {
	t.Helper()
	p := demo(t, s)
	report, err := s.App.Hub.Publish(t.Context(), p, hub.Channel{Project: p.ID, Category: "chat", Name: channel}, json.RawMessage(`{}`), hub.PublishOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return report.Result
}

func TestLostDisconnectIsCleanedUp(t *testing.T) {
	lost := make(chan struct{}, 1)
	s := start(t, stack.Options{Gateway: gateway.Options{LoseDisconnect: func(string) bool {
		select {
		case lost <- struct{}{}:
		default:
		}
		return true
	}}})
	stays, leaves := join(t, s, "ada", "a"), join(t, s, "bob", "a", "b", "c")
	_ = leaves.CloseNow()
	<-lost

	if got := publish(t, s, "a"); got.Delivered != 1 || len(got.Gone) != 1 {
		t.Errorf("the first message: %+v, expected one delivered, one gone", got)
	}
	receive(t, stays)
	for channel, want := range map[string]int{"a": 1, "b": 0, "c": 0} {
		if got := publish(t, s, channel); got.Delivered != want || len(got.Gone) != 0 {
			t.Errorf("then, in %s: %+v, expected %d delivered, none gone", channel, got, want)
		}
	}
	usage, err := s.App.Hub.Usage(t.Context(), demo(t, s), "")
	if err != nil || usage.Clients != 1 || len(usage.Subscribers) != 1 {
		t.Errorf("usage %+v, error %v", usage, err)
	}
}

func TestLostDisconnectIsAnnounced(t *testing.T) {
	lost := make(chan struct{}, 1)
	s := stacktest.Start(t, stack.Options{
		Seed: stacktest.Seed(t, `{"name": "chat", "bidirectional": true, "publish_to_admins": true}`, `{"name": "chat", "bidirectional": true, "join_leave": true}`),
		Gateway: gateway.Options{LoseDisconnect: func(string) bool {
			select {
			case lost <- struct{}{}:
			default:
			}
			return true
		}},
	})
	stays, leaves := join(t, s, "ada", "a"), join(t, s, "bob", "a")
	expect := func(event, user string) {
		t.Helper()
		if frame := receive(t, stays); !strings.Contains(frame, `"event":"`+event+`"`) || !strings.Contains(frame, `"user":"`+user+`"`) {
			t.Errorf("ada received %s, want %s of %s", frame, event, user)
		}
	}
	expect("join", "bob")
	_ = leaves.CloseNow()
	<-lost
	if got := publish(t, s, "a"); got.Delivered != 1 || len(got.Gone) != 1 {
		t.Errorf("%+v, expected one delivered, one gone", got)
	}
	if frame := receive(t, stays); !strings.Contains(frame, `"data":{}`) {
		t.Errorf("ada received %s before the message", frame)
	}
	expect("leave", "bob")
}

func TestCleanHTMLOption(t *testing.T) {
	s := stacktest.Start(t, stack.Options{Seed: stacktest.Seed(t,
		`{"name": "chat", "bidirectional": true, "publish_to_admins": true}`, `{"name": "chat", "clean_html": true, "allowed_domains": ["example.com"]}`)})
	conn := join(t, s, "ada", "a")
	p, err := s.App.Store.Project(t.Context(), "demo")
	if err != nil {
		t.Fatal(err)
	}
	data := json.RawMessage(`{"text":"<p onclick=\"x()\">hi <script>x()</script><a href=\"https://a.example.com/\">yes</a> <a href=\"https://evil.example/\">no</a></p>","n":1.50}`)
	if _, err := s.App.Hub.Publish(t.Context(), p, hub.Channel{Project: "demo", Category: "chat", Name: "a"}, data, hub.PublishOptions{}); err != nil {
		t.Fatal(err)
	}
	want := `"data":{"text":"<p>hi <a href=\"https://a.example.com/\" rel=\"nofollow noopener\">yes</a> no</p>","n":1.50}`
	if frame := receive(t, conn); !strings.Contains(frame, want) {
		t.Errorf("received %s, want %s", frame, want)
	}
}

func TestPostRetry(t *testing.T) {
	for _, status := range []int{http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			var posts atomic.Int32
			s := start(t, stack.Options{Gateway: gateway.Options{Faults: func(gateway.Post) gateway.Fault {
				if posts.Add(1) == 1 {
					return gateway.Fault{Status: status}
				}
				return gateway.Fault{}
			}}})
			conn := join(t, s, "ada", "a")
			if diff := cmp.Diff(hub.Result{Delivered: 1}, publish(t, s, "a")); diff != "" {
				t.Errorf("-expected +got:\n%s", diff)
			}
			if frame := receive(t, conn); !strings.Contains(frame, `"channel":"a"`) || posts.Load() != 2 {
				t.Errorf("received %s after %d posts", frame, posts.Load())
			}
		})
	}
}

// TestRefusedPublish publishes to two clients. A publish that reaches nobody because API
// Gateway refuses the posts is an internal error.
func TestRefusedPublish(t *testing.T) {
	for _, test := range []struct {
		name    string
		status  int
		refused int // of the posts, from the first on
		fails   bool
	}{
		{"403 to all", http.StatusForbidden, 100, true},
		{"403 to one", http.StatusForbidden, 1, false},
		{"410 to all", http.StatusGone, 100, false},
		{"429 to all", http.StatusTooManyRequests, 100, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var posts atomic.Int32
			s := start(t, stack.Options{Gateway: gateway.Options{Faults: func(gateway.Post) gateway.Fault {
				if int(posts.Add(1)) <= test.refused {
					return gateway.Fault{Status: test.status}
				}
				return gateway.Fault{}
			}}})
			join(t, s, "ada", "a")
			join(t, s, "bob", "a")
			p, err := s.App.Store.Project(t.Context(), "demo")
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.App.Hub.Publish(t.Context(), p, hub.Channel{Project: "demo", Category: "chat", Name: "a"}, json.RawMessage(`1`), hub.PublishOptions{})
			if known := new(hub.Error); (err != nil) != test.fails || errors.As(err, &known) {
				t.Errorf("got error %v, want an internal one: %v", err, test.fails)
			}
			if _, err := s.App.Hub.Publish(t.Context(), p, hub.Channel{Project: "demo", Category: "chat", Name: "empty"}, json.RawMessage(`1`), hub.PublishOptions{}); err != nil {
				t.Errorf("a channel without subscribers: %v", err)
			}
		})
	}
}

func TestSlowClient(t *testing.T) {
	slow := make(chan string, 1)
	var victim atomic.Value
	s := start(t, stack.Options{Gateway: gateway.Options{Faults: func(p gateway.Post) gateway.Fault {
		if victim.CompareAndSwap(nil, p.ConnectionID) {
			slow <- p.ConnectionID
		}
		if victim.Load() == p.ConnectionID {
			return gateway.Fault{Status: http.StatusTooManyRequests}
		}
		return gateway.Fault{}
	}}})
	for i := range 5 {
		join(t, s, fmt.Sprint(i), "a")
	}
	result, connection := publish(t, s, "a"), <-slow
	if diff := cmp.Diff(hub.Result{Delivered: 4, Slow: 1, Stalled: []string{connection}}, result); diff != "" {
		t.Errorf("-expected +got:\n%s", diff)
	}
	// A slow client stays subscribed.
	if c, err := s.App.Store.Connection(context.Background(), connection); err != nil || len(c.Channels) != 1 {
		t.Errorf("slow connection %+v, error %v", c, err)
	}
}

// lines is a log. It is safe for concurrent use.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func TestMetrics(t *testing.T) {
	var log lines
	s := stacktest.Start(t, stack.Options{MetricsNamespace: "Centrifuge/test", Log: &log, Seed: stacktest.Seed(t,
		`{"name": "chat", "bidirectional": true, "publish_to_admins": true}`, `{"name": "chat", "bidirectional": true}`)}) // the feed has metrics too
	join(t, s, "ada", "a")
	join(t, s, "bob", "a")
	publish(t, s, "a")

	log.mu.Lock()
	defer log.mu.Unlock()
	var line struct {
		Messages, Deliveries, Gone, Slow, Failed, Errors int
		PublishLatency                                   float64
		AWS                                              struct{ CloudWatchMetrics []struct{ Namespace string } } `json:"_aws"`
	}
	if err := json.Unmarshal([]byte(log.b.String()), &line); err != nil {
		t.Fatalf("the log is not one line of JSON: %v: %s", err, log.b.String())
	}
	if line.Messages != 1 || line.Deliveries != 2 || line.Gone+line.Slow+line.Failed+line.Errors != 0 || line.PublishLatency <= 0 ||
		len(line.AWS.CloudWatchMetrics) != 1 || line.AWS.CloudWatchMetrics[0].Namespace != "Centrifuge/test" {
		t.Errorf("%s", log.b.String())
	}
}
