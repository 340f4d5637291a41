package eventbus

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/hub"
)

var message = hub.Message{
	ID:          "6921d2fb0123456789abcdef",
	Channel:     hub.Channel{Project: "demo", Category: "chat", Name: "lobby"},
	ProjectName: "Demo", CategoryID: "6921d2fa0123456789abcdef",
	Data: json.RawMessage(`{"text":"confidential"}`),
}

const detail = `{"data":{"text":"confidential"},"name":"é <&> \u2028"}`

func encode(hub.Message) ([]byte, error) { return []byte(detail), nil }

// The answers of EventBridge.
const (
	accepted  = `{"FailedEntryCount":0,"Entries":[{"EventId":"17793124-05d4-b198-2fde-7ededc63b103"}]}`
	throttled = `{"FailedEntryCount":1,"Entries":[{"ErrorCode":"ThrottlingException","ErrorMessage":"Rate exceeded"}]}`
	malformed = `{"FailedEntryCount":1,"Entries":[{"ErrorCode":"MalformedDetail","ErrorMessage":"Detail is malformed."}]}`
	unnamed   = `{"FailedEntryCount":1,"Entries":[]}`
)

// endpoint is EventBridge on a real socket: it answers the nth request with the nth
// answer, and further requests with the last one. An answer may begin with its status.
type endpoint struct {
	mu       sync.Mutex
	answers  []string
	requests []request
}

type request struct {
	Target, ContentType string
	Signed              bool
	Body                any
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	var body any
	_ = json.Unmarshal(b, &body)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.requests = append(e.requests, request{
		r.Header.Get("X-Amz-Target"), r.Header.Get("Content-Type"),
		strings.Contains(r.Header.Get("Authorization"), "/us-east-1/events/aws4_request"), body,
	})
	answer := e.answers[min(len(e.requests), len(e.answers))-1]
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if rest, failed := strings.CutPrefix(answer, "500 "); failed {
		answer = rest
		w.WriteHeader(http.StatusInternalServerError)
	} else if rest, failed := strings.CutPrefix(answer, "400 "); failed {
		answer = rest
		w.WriteHeader(http.StatusBadRequest)
	}
	io.WriteString(w, answer)
}

// newBus returns a bus at the endpoint. It does not wait: it appends its waits to waits.
func (e *endpoint) newBus(t *testing.T, log io.Writer, waits *[]time.Duration) *Bus {
	t.Helper()
	s := httptest.NewServer(e)
	t.Cleanup(s.Close)
	b, err := New(Options{
		Bus: "centrifuge-dev", Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("local", "the-secret-key", ""),
		Endpoint: s.URL, Encode: encode, Log: slog.New(slog.NewJSONHandler(log, nil)),
		Now: func() time.Time { return time.Unix(1795338907, 0) },
		Wait: func(ctx context.Context, d time.Duration) error {
			*waits = append(*waits, d)
			return ctx.Err()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEmit(t *testing.T) {
	e := &endpoint{answers: []string{accepted}}
	var log bytes.Buffer
	var waits []time.Duration
	e.newBus(t, &log, &waits).Emit(t.Context(), message)
	if d := cmp.Diff([]request{{
		"AWSEvents.PutEvents", "application/x-amz-json-1.1", true,
		map[string]any{"Entries": []any{map[string]any{
			"EventBusName": "centrifuge-dev", "Source": "centrifuge", "DetailType": "message",
			"Detail": detail, "Time": 1795338907.0,
		}}},
	}}, e.requests); d != "" {
		t.Error(d)
	}
	if log.Len() > 0 {
		t.Errorf("logged: %s", &log)
	}
}

func TestReport(t *testing.T) {
	const ms = int64(1795338907456)
	at := time.UnixMilli(ms)
	ch := hub.Channel{Project: "demo", Category: "chat", Incarnation: "5", Name: "lobby"}
	client := hub.Client{Connection: "c1", User: "ann", Info: json.RawMessage(`{"n":"<é>"}`)}
	for _, tt := range []struct {
		name  string
		event hub.HookEvent
		want  string
	}{
		{
			"a disconnect", hub.HookEvent{Type: hub.DisconnectHook, Client: client, Ending: hub.Ending{Code: 1001, Reason: "Going away"}},
			`{"project_id":"demo","project":"Demo","event_id":"e1","event":"disconnect","time":1795338907456,` +
				`"client":{"client":"c1","user":"ann","conn_info":{"n":"<é>"}},"code":1001,"reason":"Going away"}`,
		},
		{
			"a disconnect of an anonymous user without a code", hub.HookEvent{Type: hub.DisconnectHook, Client: hub.Client{Connection: "c1"}},
			`{"project_id":"demo","project":"Demo","event_id":"e1","event":"disconnect","time":1795338907456,"client":{"client":"c1","user":""}}`,
		},
		{
			"an unsubscribe", hub.HookEvent{Type: hub.UnsubscribeHook, Channel: ch, CategoryID: "6", Client: client, Ending: hub.Ending{Reason: "client unsubscribe"}},
			`{"project_id":"demo","project":"Demo","category_id":"6","category":"chat","event_id":"e1","channel":"lobby","event":"unsubscribe","time":1795338907456,` +
				`"client":{"client":"c1","user":"ann","conn_info":{"n":"<é>"}},"code":0,"reason":"client unsubscribe"}`,
		},
		{
			"an occupied channel", hub.HookEvent{Type: hub.OccupiedHook, Channel: ch, CategoryID: "6", Sequence: 1795338900001},
			`{"project_id":"demo","project":"Demo","category_id":"6","category":"chat","event_id":"e1","channel":"lobby","event":"occupied","time":1795338907456,"sequence":1795338900001}`,
		},
		{
			"a vacated channel in the category without a name", hub.HookEvent{Type: hub.VacatedHook, Channel: hub.Channel{Project: "demo", Name: "x"}, CategoryID: "6", Sequence: 2},
			`{"project_id":"demo","project":"Demo","category_id":"6","category":"","event_id":"e1","channel":"x","event":"vacated","time":1795338907456,"sequence":2}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := &endpoint{answers: []string{accepted}}
			var log bytes.Buffer
			var waits []time.Duration
			tt.event.ID, tt.event.Time, tt.event.Project, tt.event.ProjectName = "e1", at, "demo", "Demo"
			e.newBus(t, &log, &waits).Report(t.Context(), tt.event)
			if d := cmp.Diff([]request{{
				"AWSEvents.PutEvents", "application/x-amz-json-1.1", true,
				map[string]any{"Entries": []any{map[string]any{
					"EventBusName": "centrifuge-dev", "Source": "centrifuge", "DetailType": string(tt.event.Type),
					"Detail": tt.want, "Time": 1795338907.456,
				}}},
			}}, e.requests); d != "" {
				t.Error(d)
			}
			if log.Len() > 0 {
				t.Errorf("logged: %s", &log)
			}
		})
	}
}

// TestReportFailure logs an event that could not be put, without its client.
func TestReportFailure(t *testing.T) {
	e := &endpoint{answers: []string{malformed}}
	var log bytes.Buffer
	var waits []time.Duration
	e.newBus(t, &log, &waits).Report(t.Context(), hub.HookEvent{
		Type: hub.DisconnectHook, ID: "e1", Project: "demo", Client: hub.Client{Connection: "c1", Info: json.RawMessage(`"confidential"`)},
	})
	var line struct{ Level, Project, Type, Message, Error string }
	if err := json.Unmarshal(log.Bytes(), &line); err != nil {
		t.Fatalf("not one line: %s", &log)
	}
	line.Error = ""
	want := line
	want.Level, want.Project, want.Type, want.Message = "ERROR", "demo", "disconnect", "e1"
	if d := cmp.Diff(want, line); d != "" || strings.Contains(log.String(), "confidential") {
		t.Errorf("%s%s", d, &log)
	}
}

func TestEmitFailures(t *testing.T) {
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		answers  []string
		requests int
		waits    []time.Duration
		log      string // part of the error in the one line of the log, "" for no line
	}{
		"refused twice":                     {[]string{throttled, throttled, accepted}, 3, []time.Duration{50 * ms, 100 * ms}, ""},
		"refused always":                    {[]string{throttled}, 4, []time.Duration{50 * ms, 100 * ms, 200 * ms}, "ThrottlingException: Rate exceeded"},
		"refused without a reason":          {[]string{unnamed}, 4, []time.Duration{50 * ms, 100 * ms, 200 * ms}, "no reason is given"},
		"final refusal":                     {[]string{malformed, accepted}, 1, nil, "MalformedDetail: Detail is malformed."},
		"failed once":                       {[]string{`500 {"__type":"InternalException"}`, accepted}, 2, []time.Duration{50 * ms}, ""},
		"throttled as a whole":              {[]string{`400 {"__type":"ThrottlingException"}`, accepted}, 2, []time.Duration{50 * ms}, ""},
		"invalid request":                   {[]string{`400 {"__type":"ValidationException","message":"no"}`}, 1, nil, "ValidationException: no"},
		"failed and refused, then accepted": {[]string{`500 {}`, throttled, `500 {}`, accepted}, 4, []time.Duration{50 * ms, 50 * ms, 50 * ms}, ""},
		"answer that is not JSON":           {[]string{`<html>`}, 1, nil, "put event: decode answer"},
	} {
		t.Run(name, func(t *testing.T) {
			e := &endpoint{answers: c.answers}
			var log bytes.Buffer
			var waits []time.Duration
			e.newBus(t, &log, &waits).Emit(t.Context(), message)
			if len(e.requests) != c.requests {
				t.Errorf("%d requests, want %d", len(e.requests), c.requests)
			}
			for _, again := range e.requests[1:] {
				if d := cmp.Diff(e.requests[0], again); d != "" {
					t.Errorf("the repeated request differs: %s", d)
				}
			}
			if d := cmp.Diff(c.waits, waits); d != "" {
				t.Error(d)
			}
			expectLog(t, log.String(), c.log)
		})
	}
}

// expectLog expects one line about the message, or none, and nothing confidential.
func expectLog(t *testing.T, log, cause string) {
	t.Helper()
	if cause == "" {
		if log != "" {
			t.Errorf("logged: %s", log)
		}
		return
	}
	var line struct{ Level, Project, Channel, Type, Message, Error string }
	if err := json.Unmarshal([]byte(log), &line); err != nil {
		t.Fatalf("not one line: %s", log)
	}
	if !strings.Contains(line.Error, cause) {
		t.Errorf("the cause is %q", line.Error)
	}
	line.Error = ""
	want := line
	want.Level, want.Project, want.Channel, want.Type, want.Message = "ERROR", "demo", "chat:lobby", "message", message.ID
	if d := cmp.Diff(want, line); d != "" {
		t.Error(d)
	}
	for _, secret := range []string{"confidential", "the-secret-key"} {
		if strings.Contains(log, secret) {
			t.Errorf("%q is logged: %s", secret, log)
		}
	}
}

func TestEmitEndsWithContext(t *testing.T) {
	e := &endpoint{answers: []string{throttled, accepted}}
	var log bytes.Buffer
	var waits []time.Duration
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e.newBus(t, &log, &waits).Emit(ctx, message)
	if len(e.requests) != 0 {
		t.Errorf("%d requests", len(e.requests))
	}
	expectLog(t, log.String(), "context canceled")
}

// recorder is a client of HTTP that records the deadline of a request and gives no answer.
type recorder struct{ deadline time.Time }

func (r *recorder) Do(request *http.Request) (*http.Response, error) {
	r.deadline, _ = request.Context().Deadline()
	return nil, errors.New("no answer")
}

func TestEmitTimeout(t *testing.T) {
	r := &recorder{}
	begin := time.Now()
	b, err := New(Options{
		Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""), HTTP: r, Encode: encode,
		Wait: func(context.Context, time.Duration) error { return context.Canceled },
	})
	if err != nil {
		t.Fatal(err)
	}
	b.Emit(t.Context(), message)
	if r.deadline.Before(begin.Add(Timeout)) || r.deadline.After(time.Now().Add(Timeout)) {
		t.Errorf("the deadline is %v after the call", r.deadline.Sub(begin))
	}
	t.Run("wait", func(t *testing.T) {
		e := &endpoint{answers: []string{throttled}}
		var log bytes.Buffer
		var waits []time.Duration
		b := e.newBus(t, &log, &waits)
		b.options.Wait = func(context.Context, time.Duration) error { return context.DeadlineExceeded }
		b.Emit(t.Context(), message)
		if len(e.requests) != 1 {
			t.Errorf("%d requests", len(e.requests))
		}
		expectLog(t, log.String(), "ThrottlingException: Rate exceeded; context deadline exceeded while waiting")
	})
}

func TestEmitEncodingFailure(t *testing.T) {
	e := &endpoint{answers: []string{accepted}}
	var log bytes.Buffer
	var waits []time.Duration
	b := e.newBus(t, &log, &waits)
	b.options.Encode = func(hub.Message) ([]byte, error) { return nil, errors.New("too long") }
	b.Emit(t.Context(), message)
	if len(e.requests) != 0 {
		t.Errorf("%d requests", len(e.requests))
	}
	expectLog(t, log.String(), "encode message: too long")
}

// details are the numbers in the events of a request.
func (r request) details(t *testing.T) (details []string) {
	t.Helper()
	for _, e := range r.Body.(map[string]any)["Entries"].([]any) {
		details = append(details, strings.TrimRight(e.(map[string]any)["Detail"].(string), "."))
	}
	return details
}

// TestEmitMany puts many messages: in their order, in requests that hold what EventBridge
// takes, and of a request only those again that were refused.
func TestEmitMany(t *testing.T) {
	const (
		twice   = `{"FailedEntryCount":0,"Entries":[{"EventId":"1"},{"EventId":"2"}]}`
		partial = `{"FailedEntryCount":2,"Entries":[{"EventId":"1"},{"ErrorCode":"ThrottlingException","ErrorMessage":"Rate exceeded"},
			{"ErrorCode":"MalformedDetail","ErrorMessage":"Detail is malformed."},{"EventId":"4"}]}`
	)
	for _, tt := range []struct {
		name     string
		messages int
		bytes    int // of each
		answers  []string
		requests [][]string
		failed   []string // the messages that are logged
	}{
		{"none", 0, 1, []string{twice}, nil, nil},
		{"more than ten", 12, 1, []string{`{"FailedEntryCount":0,"Entries":[]}`},
			[][]string{{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}, {"10", "11"}}, nil},
		{"more than 256 KB", 5, 100 << 10, []string{twice}, [][]string{{"0", "1"}, {"2", "3"}, {"4"}}, nil},
		{"some are refused", 4, 1, []string{partial, accepted}, [][]string{{"0", "1", "2", "3"}, {"1"}}, []string{"2"}},
		{"a request fails", 11, 1, []string{`400 {"__type":"ValidationException"}`, accepted},
			[][]string{{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}, {"10"}}, []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := &endpoint{answers: tt.answers}
			var log bytes.Buffer
			var waits []time.Duration
			b := e.newBus(t, &log, &waits)
			b.options.Encode = func(m hub.Message) ([]byte, error) {
				return []byte(m.ID + strings.Repeat(".", tt.bytes-1)), nil
			}
			var messages []hub.Message
			for n := range tt.messages {
				messages = append(messages, hub.Message{ID: strconv.Itoa(n)})
			}
			b.Emit(t.Context(), messages...)
			var requests [][]string
			for _, r := range e.requests {
				requests = append(requests, r.details(t))
			}
			if d := cmp.Diff(tt.requests, requests); d != "" {
				t.Errorf("-want +requests\n%s", d)
			}
			var failed []string
			for line := range strings.Lines(log.String()) {
				var l struct{ Message string }
				if err := json.Unmarshal([]byte(line), &l); err != nil {
					t.Fatal(err)
				}
				failed = append(failed, l.Message)
			}
			if d := cmp.Diff(tt.failed, failed); d != "" {
				t.Errorf("-want +failed\n%s", d)
			}
		})
	}
}

func TestEmitConcurrently(t *testing.T) {
	e := &endpoint{answers: []string{accepted}}
	var log bytes.Buffer
	var waits []time.Duration
	b := e.newBus(t, &log, &waits)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { b.Emit(t.Context(), message) })
	}
	all.Wait()
	if len(e.requests) != 8 {
		t.Errorf("%d requests", len(e.requests))
	}
}
