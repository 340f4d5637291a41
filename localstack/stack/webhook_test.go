package stack_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"centrifuge/localstack/lambda"
	"centrifuge/localstack/stack"
	"centrifuge/localstack/stack/stacktest"
	"centrifuge/pkg/hub"
)

// TestWebhook publishes in a category with hooks and in one without. The webhook
// refuses the first attempt and gets the message, signed, in the second. It gets
// nothing else.
func TestWebhook(t *testing.T) {
	for name, l := range map[string]*stack.Lambda{
		"functions in one process": nil,
		"functions as processes": {
			Bootstraps: stacktest.Bootstraps(t), Options: lambda.Options{QueueOptions: lambda.QueueOptions{RetryDelays: [2]time.Duration{time.Nanosecond, time.Minute}}},
		},
	} {
		t.Run(name, func(t *testing.T) { testWebhook(t, l) })
	}
}

func testWebhook(t *testing.T, l *stack.Lambda) {
	t.Helper()
	type post struct{ body, signature, timestamp string }
	posts := make(chan post, 10)
	refuse := make(chan bool, 1)
	refuse <- true
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-refuse:
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		default:
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		posts <- post{string(body), r.Header.Get("X-Centrifuge-Signature"), r.Header.Get("X-Centrifuge-Timestamp")}
	}))
	t.Cleanup(receiver.Close)
	s := stacktest.Start(t, stack.Options{Lambda: l, Log: os.Stderr, Seed: stacktest.Seed(t,
		`{"name": "news", "publish_to_admins": true}`, `{"name": "news", "hooks": true}`,
		`"validate_url"`, `"webhook_url": "`+receiver.URL+`", "validate_url"`)})
	for _, channel := range []string{"chat:silent", "news:hooked"} {
		publishOne(t, s, channel)
	}
	got := <-posts
	var message struct {
		Project  string          `json:"project_id"`
		Category string          `json:"category"`
		Channel  string          `json:"channel"`
		Event    string          `json:"event_id"`
		Data     json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal([]byte(got.body), &message); err != nil {
		t.Fatal(err)
	}
	if message.Project != "demo" || message.Category != "news" || message.Channel != "hooked" || string(message.Data) != "1" || len(message.Event) != 24 {
		t.Errorf("the webhook received %s", got.body)
	}
	if !strings.HasPrefix(got.signature, "sha256=") || got.timestamp == "" {
		t.Errorf("signature %q, timestamp %q", got.signature, got.timestamp)
	}
	// Close waits for invocations, so no post is on its way afterwards.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if len(posts) > 0 {
		t.Errorf("the webhook received another post: %v", <-posts)
	}
}

// publishOne publishes the number 1 through the server API.
func publishOne(t *testing.T, s *stack.Stack, channel string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.HTTPURL+"/api/publish", strings.NewReader(`{"channel":"`+channel+`","data":1}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-API-Key", "demo-key")
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	if body, err := io.ReadAll(w.Body); err != nil || strings.TrimSpace(string(body)) != `{"result":{"delivered":0}}` {
		t.Fatalf("publish to %s: %s, error %v", channel, body, err)
	}
}

// TestDeadWebhook publishes messages whose webhook always fails. Each is posted three times,
// and then is a dead letter. After ten failures in a row the webhook is left alone.
func TestDeadWebhook(t *testing.T) {
	var attempts atomic.Int32
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		attempts.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(receiver.Close)
	letters := make(chan lambda.DeadLetter, 1)
	options := webhookRetries
	options.DeadLetter = func(d lambda.DeadLetter) { letters <- d }
	s := stacktest.Start(t, stack.Options{
		Seed: stacktest.Seed(t, `{"name": "news", "publish_to_admins": true}`, `{"name": "news", "hooks": true}`,
			`"validate_url"`, `"webhook_url": "`+receiver.URL+`", "validate_url"`),
		Lambda: &stack.Lambda{Bootstraps: stacktest.Bootstraps(t), Options: options},
	})
	for message, want := range []struct {
		err      string
		attempts int32
	}{{"status 503", 3}, {"status 503", 6}, {"status 503", 9}, {"the address is left alone", hub.BreakerFailures}} {
		publishOne(t, s, "news:hooked")
		d := <-letters
		var event struct{ Detail struct{ Channel string } }
		if err := json.Unmarshal(d.Event, &event); err != nil {
			t.Fatal(err)
		}
		if d.Function != "webhook" || event.Detail.Channel != "hooked" || !strings.Contains(d.Err.Error(), want.err) || attempts.Load() != want.attempts {
			t.Errorf("message %d, after %d attempts: %s of %s, error %v, want %+v", message, attempts.Load(), d.Event, d.Function, d.Err, want)
		}
	}
}
