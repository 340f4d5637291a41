package eventbridge_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/google/go-cmp/cmp"

	"centrifuge/localstack/eventbridge"
	"centrifuge/localstack/gateway"
)

// recorder is a function that records its invocations and fails the first ones.
type recorder struct {
	failures int

	mu       sync.Mutex
	payloads []string
	requests []string
	times    []time.Time
}

func (r *recorder) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	lc, _ := lambdacontext.FromContext(ctx)
	r.payloads = append(r.payloads, string(payload))
	r.requests = append(r.requests, lc.AwsRequestID)
	r.times = append(r.times, time.Now())
	clear(payload) // a function may change its payload
	if len(r.payloads) <= r.failures {
		return nil, errors.New("not now")
	}
	return []byte("null"), nil
}

// newBus returns a bus that invokes function for messages, and its log.
func newBus(function gateway.Function) (*eventbridge.Bus, *bytes.Buffer) {
	log := new(bytes.Buffer)
	rules := []eventbridge.Rule{{Source: "centrifuge", DetailType: "message", Function: function}}
	return eventbridge.New(rules, slog.New(slog.NewTextHandler(log, nil))), log
}

func TestPutEvents(t *testing.T) {
	function := new(recorder)
	bus, log := newBus(function)
	server := httptest.NewServer(bus)
	defer server.Close()
	client := sdk.NewFromConfig(aws.Config{
		Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
		BaseEndpoint: aws.String(server.URL + "/events"), RetryMaxAttempts: 1,
	})
	entry := func(source, detailType, detail string) types.PutEventsRequestEntry {
		return types.PutEventsRequestEntry{
			EventBusName: aws.String("any"), Source: &source, DetailType: &detailType, Detail: &detail,
			Time: aws.Time(time.Unix(1795338907, 456e6)),
		}
	}
	output, err := client.PutEvents(t.Context(), &sdk.PutEventsInput{Entries: []types.PutEventsRequestEntry{
		entry("centrifuge", "message", `{"n":1.50,"text":"é <&>"}`),
		entry("centrifuge", "other", `{}`),
		entry("other", "message", `{}`),
		entry("centrifuge", "message", `{"n":`),
	}})
	if err != nil {
		t.Fatal(err)
	}
	bus.Close()

	var codes []string
	for _, e := range output.Entries {
		codes = append(codes, aws.ToString(e.ErrorCode))
	}
	if diff := cmp.Diff([]string{"", "", "", "MalformedDetail"}, codes); diff != "" || output.FailedEntryCount != 1 {
		t.Errorf("%d failed entries, codes (-want +got):\n%s", output.FailedEntryCount, diff)
	}
	want := []string{`{"version":"0","id":"` + aws.ToString(output.Entries[0].EventId) + `","detail-type":"message","source":"centrifuge",` +
		`"account":"000000000000","time":"2026-11-22T09:15:07Z","region":"us-east-1","resources":[],"detail":{"n":1.50,"text":"é <&>"}}`}
	if diff := cmp.Diff(want, function.payloads); diff != "" {
		t.Errorf("payloads (-want +got):\n%s", diff)
	}
	if log.Len() > 0 {
		t.Errorf("log: %s", log)
	}
}

// post sends a request without a socket, for tests with a fake clock.
func post(bus *eventbridge.Bus, target, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("X-Amz-Target", target)
	w := httptest.NewRecorder()
	bus.ServeHTTP(w, r)
	return w
}

const (
	target = "AWSEvents.PutEvents"
	body   = `{"Entries":[{"Source":"centrifuge","DetailType":"message","Detail":"{\"text\":\"confidential\"}"}]}`
)

func TestRefusedRequests(t *testing.T) {
	for _, test := range []struct {
		name, target, body string
		closed             bool
		status             int
		kind               string
	}{
		{"another operation", "AWSEvents.PutRule", body, false, http.StatusBadRequest, "UnknownOperationException"},
		{"not JSON", target, `{"Entries":[`, false, http.StatusBadRequest, "SerializationException"},
		{"closed", target, body, true, http.StatusServiceUnavailable, "ServiceUnavailableException"},
	} {
		t.Run(test.name, func(t *testing.T) {
			bus, _ := newBus(new(recorder))
			if test.closed {
				bus.Close()
			}
			w := post(bus, test.target, test.body)
			if w.Code != test.status || !strings.Contains(w.Body.String(), test.kind) {
				t.Errorf("status %d, want %d with %s: %s", w.Code, test.status, test.kind, w.Body)
			}
		})
	}
}

func TestRetries(t *testing.T) {
	for _, test := range []struct {
		name     string
		failures int
		want     []time.Duration // from the request to each invocation
		log      string
	}{
		{"success", 0, []time.Duration{0}, ""},
		{"one failure", 1, []time.Duration{0, time.Second}, ""},
		{"two failures", 2, []time.Duration{0, time.Second, 3 * time.Second}, ""},
		{"every attempt fails", 3, []time.Duration{0, time.Second, 3 * time.Second}, `msg="event failed in every attempt"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				function := &recorder{failures: test.failures}
				bus, log := newBus(function)
				begin := time.Now()
				post(bus, target, body)
				<-time.After(time.Hour) // of the fake clock
				bus.Close()
				var times []time.Duration
				for i, at := range function.times {
					times = append(times, at.Sub(begin))
					if function.payloads[i] != function.payloads[0] || function.requests[i] != function.requests[0] {
						t.Errorf("attempt %d has another payload or request id", i)
					}
				}
				if diff := cmp.Diff(test.want, times); diff != "" {
					t.Errorf("invocations (-want +got):\n%s", diff)
				}
				if (log.Len() > 0) != (test.log != "") || !strings.Contains(log.String(), test.log) {
					t.Errorf("log %q, want %q", log, test.log)
				}
				if strings.Contains(log.String(), "confidential") {
					t.Errorf("the log holds the detail: %s", log)
				}
			})
		})
	}
}

func TestFailures(t *testing.T) {
	for _, test := range []struct {
		name     string
		function gateway.FunctionFunc
		want     string
	}{
		{"an error", func(context.Context, []byte) ([]byte, error) { return nil, errors.New("not now") }, "not now"},
		{"a panic", func(context.Context, []byte) ([]byte, error) { panic("oh") }, "function panicked: oh"},
		{"a late success", func(ctx context.Context, _ []byte) ([]byte, error) {
			<-ctx.Done()
			return nil, nil
		}, "function timed out"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bus, log := newBus(test.function)
				post(bus, target, body)
				bus.Close()
				if !strings.Contains(log.String(), test.want) {
					t.Errorf("log %q, want %q", log, test.want)
				}
			})
		})
	}
}

func TestCloseSkipsDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		function := &recorder{failures: 2}
		slow := gateway.FunctionFunc(func(ctx context.Context, payload []byte) ([]byte, error) {
			<-time.After(10 * time.Second) // of the fake clock
			return function.Invoke(ctx, payload)
		})
		bus, _ := newBus(slow)
		begin := time.Now()
		post(bus, target, body)
		bus.Close()
		bus.Close()
		if d := time.Since(begin); d != 30*time.Second || len(function.payloads) != 3 {
			t.Errorf("closed after %v with %d invocations, want 30s with 3", d, len(function.payloads))
		}
	})
}
