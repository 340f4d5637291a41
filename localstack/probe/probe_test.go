package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"

	"centrifuge/localstack/gateway"
	"centrifuge/localstack/stack"
	"centrifuge/localstack/stack/stacktest"
)

// target starts a local stack for a test.
func target(t *testing.T, o gateway.Options) Target {
	t.Helper()
	s := stacktest.Start(t, stack.Options{Seed: stacktest.Seed(t), Gateway: o})
	return Target{
		WebSocketURL: s.WebSocketURL, HTTPURL: s.HTTPURL, ManagementURL: s.ManagementURL,
		Project: "demo", Secret: "demo-secret",
		Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	}
}

// TestLocalStack runs every probe on a local stack, which does what we assume: its
// throttles, and what depends on the speed of this machine, are the exceptions.
func TestLocalStack(t *testing.T) {
	deployed := 0
	o := Options{Deploy: func(context.Context) error { deployed++; return nil }, FailureURL: failing(t, failureBody)}
	got := map[string]Agreement{}
	err := Run(t.Context(), target(t, gateway.Options{}), o, func(r Result) {
		t.Logf("%s, %.1f s: %s: %s", r.Name, r.Seconds, r.Agreement, r.Seen)
		got[r.Name] = r.Agreement
		if r.Question == "" || r.Assumed == "" || r.Seen == "" {
			t.Errorf("%s lacks a question, an assumption or what was seen: %+v", r.Name, r)
		}
	})
	if err != nil || deployed != 1 {
		t.Fatalf("error %v, %d deployments", err, deployed)
	}
	for _, measured := range []string{"cold-start", "post-latency", "post-throttle"} {
		if _, run := got[measured]; !run {
			t.Errorf("%s was not run", measured)
		}
		delete(got, measured)
	}
	want := map[string]Agreement{
		"ping": Yes, "lifecycle-route": Yes, "json-depth": Yes, "fragments": Yes, "reply-size": Yes, "frame-order": Yes,
		"gone": Yes, "post-order": Yes, "deployment": Yes,
		"failure-reply": Yes, "idle": Unknown,
		"frame-throttle": No, // the local gateway has no throttle
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-expected +seen:\n%s", diff)
	}
}

func TestIdle(t *testing.T) {
	for _, tt := range []struct {
		name          string
		timeout, idle time.Duration
		want          Agreement
		seen          string
	}{
		{"a gateway that counts the client's frames only", 600 * time.Millisecond, 1100 * time.Millisecond, Yes, " and 1 posts: "},
		{"a connection that stays open", time.Hour, 300 * time.Millisecond, No, "open after 300ms and 2 posts"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSession(target(t, gateway.Options{IdleTimeout: tt.timeout}), Options{Idle: tt.idle})
			got := s.run(t.Context(), idle)
			if got.Agreement != tt.want || !strings.Contains(got.Seen, tt.seen) {
				t.Errorf("agreement %s, seen %q", got.Agreement, got.Seen)
			}
		})
	}
}

func TestDisagreement(t *testing.T) {
	// The posts of the probe fail as in a report about AWS.
	invalid := gateway.Options{Faults: func(p gateway.Post) gateway.Fault {
		if bytes.Contains(p.Data, []byte(`"probe"`)) && !bytes.Contains(p.Data, []byte("event")) {
			return gateway.Fault{Status: http.StatusBadRequest}
		}
		return gateway.Fault{}
	}}
	s := newSession(target(t, invalid), Options{})
	got := s.run(t.Context(), probe{name: "gone", limit: time.Minute, find: findGone})
	if got.Agreement != No || !strings.Contains(got.Seen, "a short id: 400") {
		t.Errorf("agreement %s, seen %q", got.Agreement, got.Seen)
	}
}

// failing starts a WebSocket API whose function returns status 500 with a body, and
// returns its URL.
func failing(t *testing.T, body string) string {
	t.Helper()
	gw := gateway.New(gateway.Options{Stage: "probe", RouteResponses: []string{"$default"}, Routes: map[string]gateway.Function{
		"$default": gateway.NewFunction(func(context.Context, events.APIGatewayWebsocketProxyRequest) (events.APIGatewayProxyResponse, error) {
			return events.APIGatewayProxyResponse{StatusCode: http.StatusInternalServerError, Body: body}, nil
		}),
	}})
	t.Cleanup(func() { gw.Close() })
	server := httptest.NewServer(gw)
	t.Cleanup(server.Close)
	return server.URL + "/probe"
}

func TestFailureReply(t *testing.T) {
	for _, tt := range []struct {
		name, url string
		timeout   time.Duration // zero is the default
		want      Agreement
		seen      string
	}{
		{"the body", failing(t, failureBody), 0, Yes, failureBody},
		{"another frame", failing(t, `{"message": "Internal server error"}`), 0, No, `{"message": "Internal server error"}`},
		{"no frame", failing(t, ""), 300 * time.Millisecond, No, "nothing"},
		{"no API", "", 0, Unknown, "left out: no API whose function fails was given"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSession(Target{}, Options{FailureURL: tt.url, ReplyTimeout: tt.timeout})
			got := s.run(t.Context(), probe{name: "failure-reply", limit: time.Minute, find: findFailure})
			if got.Agreement != tt.want || got.Seen != tt.seen {
				t.Errorf("agreement %s, seen %q", got.Agreement, got.Seen)
			}
		})
	}
}

// TestFailureTemplate compares the function in failure.json with what the probe expects.
func TestFailureTemplate(t *testing.T) {
	content, err := os.ReadFile("failure.json")
	if err != nil {
		t.Fatal(err)
	}
	var template struct {
		Resources map[string]struct {
			Type       string
			Properties struct {
				Code struct{ ZipFile string }
			}
		}
	}
	if err := json.Unmarshal(content, &template); err != nil {
		t.Fatal(err)
	}
	want := "exports.handler = async () => ({ statusCode: 500, body: '" + failureBody + "' });"
	if got := template.Resources["Function"].Properties.Code.ZipFile; got != want {
		t.Errorf("the function is %s, want %s", got, want)
	}
}

func TestFailedDeployment(t *testing.T) {
	s := newSession(target(t, gateway.Options{}), Options{Deploy: func(context.Context) error { return errors.New("no credentials") }})
	got := s.run(t.Context(), probe{name: "deployment", limit: time.Minute, find: findDeployment})
	if got.Agreement != Unknown || got.Seen != "could not find out: deploy: no credentials" {
		t.Errorf("agreement %s, seen %q", got.Agreement, got.Seen)
	}
}

func TestUnreachableTarget(t *testing.T) {
	unreachable := Target{WebSocketURL: "ws://127.0.0.1:1", HTTPURL: "http://127.0.0.1:1", ManagementURL: "http://127.0.0.1:1", Project: "demo", Secret: "demo-secret"}
	results := 0
	err := Run(t.Context(), unreachable, Options{}, func(r Result) {
		results++
		if r.Agreement != Unknown {
			t.Errorf("%s: %s", r.Name, r.Agreement)
		}
	})
	if err == nil || results != 1 {
		t.Errorf("error %v after %d results", err, results)
	}
	unreachable.Secret = ""
	if err := Run(t.Context(), unreachable, Options{}, nil); err == nil {
		t.Error("no error without a secret")
	}
}

func TestList(t *testing.T) {
	names := map[string]bool{}
	for _, p := range append(probes, idle) {
		if names[p.name] || p.limit == 0 && p.messages > 0 {
			t.Errorf("%s is listed twice, or has no limit", p.name)
		}
		names[p.name] = true
	}
	if cost := Cost(); cost <= 0 || cost > 0.05 {
		t.Errorf("a run costs $%.3f: it may cost a few cents", cost)
	}
}

func TestSummarize(t *testing.T) {
	var out bytes.Buffer
	Summarize(&out, []Result{
		{Name: "ping", Question: "Silent?", Assumed: "yes", Seen: "no reply", Agreement: Yes},
		{Name: "gone", Question: "Which status?", Assumed: "410", Seen: "400", Agreement: No},
		{Name: "idle", Question: "How long?", Assumed: "10 minutes", Seen: fmt.Sprint(leftOutError{"not asked for"}), Agreement: Unknown},
	})
	want := `ping: Silent?
  assumed: yes
  seen:    no reply
  agrees:  yes

gone: Which status?
  assumed: 410
  seen:    400
  agrees:  no

idle: How long?
  assumed: 10 minutes
  seen:    left out: not asked for
  agrees:  unknown

3 probes: 1 agree with what we assume, 1 do not, 1 are unknown.
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("-expected +written:\n%s", diff)
	}
}
