package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/protocol/classic"
)

// broken is a store whose requests fail, and a dispatcher and a callback that are never
// called.
type broken struct {
	hub.Store
	hub.Dispatcher
	hub.Callback
}

var errBroken = errors.New("the table is missing")

func (broken) OpenConnection(context.Context, hub.Connection) error { return errBroken }
func (broken) BeginClose(context.Context, string, time.Time) (hub.Connection, bool, error) {
	return hub.Connection{}, false, errBroken
}
func (broken) Project(context.Context, string) (*hub.Project, error) { return nil, errBroken }
func (broken) Spend(context.Context, string, time.Duration, time.Duration, time.Time) (hub.Connection, time.Duration, error) {
	return hub.Connection{}, 0, errBroken
}

// newBroken is a hub over a broken store.
func newBroken(t *testing.T) *hub.Publisher {
	t.Helper()
	verify := func(*hub.Project, string, string, time.Time) (hub.Identity, error) { return hub.Identity{}, nil }
	clean := func(data json.RawMessage, _ []string) (json.RawMessage, error) { return data, nil }
	h, err := hub.NewPublisher(hub.PublisherOptions{
		Options: hub.Options{Store: broken{}, Dispatcher: broken{}, Callback: broken{}, VerifyToken: verify}, Clean: clean,
		Streams: struct{ hub.StreamDispatcher }{}, // no command gets that far
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestInternalErrors makes every route fail, and checks the client's reply and the log.
func TestInternalErrors(t *testing.T) {
	var log strings.Builder
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	h := newBroken(t)
	frame := func(method, params string) string {
		return `{"id":"1","method":"` + method + `","params":` + params + `}`
	}
	reply := func(method string) string {
		return `{"ack":true,"id":"1","method":"` + method + `","result":null,"error":"internal server error","code":100,"detail":"repeat later; the log of the service has the cause"}`
	}
	for _, tt := range []struct {
		route     string
		handler   WebSocket
		eventType string
		body      string
		status    int
		want      string
	}{
		{"$connect", Connect(h.Hub, logger), "CONNECT", "", 500, ""},
		{"$disconnect", Disconnect(h.Hub, logger), "DISCONNECT", "", 500, ""},
		{"auth", Auth(h.Hub, logger), "MESSAGE", frame("auth", `{"token":"the-token","user":"u","project_id":"p","permissions":{}}`), 200, reply("auth")},
		{"subscribe", Subscribe(h.Hub, logger), "MESSAGE", frame("subscribe", `{"to":{}}`), 200, reply("subscribe")},
		{"unsubscribe", Unsubscribe(h.Hub, logger), "MESSAGE", frame("unsubscribe", `{"from":{}}`), 200, reply("unsubscribe")},
		{"broadcast", Broadcast(h, logger), "MESSAGE", frame("broadcast", `{"category":"a","channel":"x","data":{}}`), 200, reply("broadcast")},
		{"$default", Message(h, logger), "MESSAGE", frame("presence", `{"category":"a","channel":"x"}`), 200, reply("presence")},
	} {
		t.Run(tt.route, func(t *testing.T) {
			log.Reset()
			var e events.APIGatewayWebsocketProxyRequest
			e.RequestContext.EventType, e.RequestContext.RouteKey, e.Body = tt.eventType, tt.route, tt.body
			e.RequestContext.ConnectionID, e.RequestContext.RequestID = "the-connection", "the-request"
			got, err := tt.handler(t.Context(), e)
			if err != nil || got.StatusCode != tt.status || got.Body != tt.want {
				t.Errorf("status %d, body %s, error %v", got.StatusCode, got.Body, err)
			}
			var line map[string]any
			if err := json.Unmarshal([]byte(log.String()), &line); err != nil {
				t.Fatalf("the log does not hold one line: %v: %s", err, log.String())
			}
			for key, want := range map[string]string{"route": tt.route, "connection": "the-connection", "event_request": "the-request"} {
				if line[key] != want {
					t.Errorf("the log says %s=%v, expected %q", key, line[key], want)
				}
			}
			if cause, _ := line["error"].(string); !strings.Contains(cause, errBroken.Error()) {
				t.Errorf("the log lacks the cause: %s", log.String())
			}
			if strings.Contains(log.String(), "the-token") {
				t.Error("the log holds a token")
			}
		})
	}
}

// TestFramesToConnectionRoutes sends frames whose method is $connect or $disconnect.
func TestFramesToConnectionRoutes(t *testing.T) {
	h := newBroken(t)
	for route, handler := range map[string]WebSocket{"$connect": Connect(h.Hub, slog.New(slog.DiscardHandler)), "$disconnect": Disconnect(h.Hub, slog.New(slog.DiscardHandler))} {
		t.Run(route, func(t *testing.T) {
			var e events.APIGatewayWebsocketProxyRequest
			e.RequestContext.EventType, e.Body = "MESSAGE", `{"method":"`+route+`","params":{}}`
			got, err := handler(t.Context(), e)
			want := `{"ack":true,"id":null,"method":"` + route + `","result":null,"error":"unknown method ` + route + `","code":104,"detail":"the methods are auth, subscribe, unsubscribe, broadcast and presence"}`
			if err != nil || got.Body != want {
				t.Errorf("body %s, error %v", got.Body, err)
			}
		})
	}
}

// strict is a store with one authenticated connection, which may use nothing.
type strict struct{ broken }

func (strict) Spend(context.Context, string, time.Duration, time.Duration, time.Time) (hub.Connection, time.Duration, error) {
	return hub.Connection{ID: "the-connection", Project: "p", Expires: time.Now().Add(time.Hour)}, 0, nil
}

func (strict) ChangeConnection(_ context.Context, c hub.Connection, plan func(hub.Connection) (hub.Change, error)) (before, after hub.Connection, err error) {
	_, err = plan(c)
	return c, c, err
}

func (s strict) ReadProject(ctx context.Context, id string) (*hub.Project, error) {
	return s.Project(ctx, id)
}

func (strict) Project(context.Context, string) (*hub.Project, error) {
	return &hub.Project{ID: "p", Categories: map[string]hub.Category{
		"open":   {Name: "open"},
		"closed": {Name: "closed", CategoryOptions: hub.CategoryOptions{Private: true}},
	}}, nil
}

// subscribe sends a frame to the route subscribe of a strict store, and returns the reply
// and the log.
func subscribe(t *testing.T, frame string) (reply string, log []map[string]any) {
	t.Helper()
	h, err := hub.New(hub.Options{Store: strict{}, Dispatcher: broken{}, Callback: broken{},
		VerifyToken: func(*hub.Project, string, string, time.Time) (hub.Identity, error) { return hub.Identity{}, nil }})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	var e events.APIGatewayWebsocketProxyRequest
	e.RequestContext.EventType, e.RequestContext.RouteKey, e.Body = "MESSAGE", "subscribe", frame
	e.RequestContext.ConnectionID, e.RequestContext.RequestID = "the-connection", "the-request"
	got, err := Subscribe(h, slog.New(slog.NewJSONHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug})))(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		var attributes map[string]any
		if err := json.Unmarshal([]byte(line), &attributes); err != nil {
			t.Fatal(err)
		}
		delete(attributes, "time")
		log = append(log, attributes)
	}
	return got.Body, log
}

// TestRefusedSubscribe checks the reply and the log of a subscribe that is refused for
// three reasons.
func TestRefusedSubscribe(t *testing.T) {
	const denied = "category does not exist or permission denied"
	reasons := map[string]string{
		"absent": "the project has no category of this name: create it, or correct the name",
		"closed": "the category is private: it requires a JWT that grants it in its permissions, or a validate_url that does",
		"open":   "the category is not granted: request it in the permissions of auth, and grant it in the JWT or in validate_url where the project has one",
	}
	reply, log := subscribe(t, `{"id":"1","method":"subscribe","params":{"to":{"absent":["x"],"closed":["x"],"open":["x"]}}}`)
	reason := func(category string) string {
		return `"` + category + `":{"x":{"code":403,"error":"` + denied + `","detail":"` + reasons[category] + `"}}`
	}
	want := `{"ack":true,"id":"1","method":"subscribe","result":true,"error":null,"refused":{"absent":["x"],"closed":["x"],"open":["x"]},` +
		`"reasons":{` + reason("absent") + `,` + reason("closed") + `,` + reason("open") + `}}`
	if diff := cmp.Diff(want, reply); diff != "" {
		t.Errorf("-expected +replied:\n%s", diff)
	}
	var lines []map[string]any
	for _, category := range []string{"absent", "closed", "open"} {
		lines = append(lines, map[string]any{
			"level": "DEBUG", "msg": "subscribe refused", "event_request": "the-request", "connection": "the-connection",
			"project": "p", "channel": category + ":x", "code": 403.0, "error": denied + ": " + reasons[category],
		})
	}
	if diff := cmp.Diff(lines, log); diff != "" {
		t.Errorf("-expected +logged:\n%s", diff)
	}
}

// TestRefusedCommand checks the log of commands that are refused as a whole.
func TestRefusedCommand(t *testing.T) {
	for _, tt := range []struct{ name, frame, err string }{
		{"no JSON", `{`, "malformed JSON data: line 1, column 2: it ends too early"},
		{"invalid params", `{"method":"subscribe","params":{}}`, `to is required: the params of subscribe are {"to": {"category": ["channel"]}}`},
		{"an unknown method", `{"method":"x","params":{}}`, "unknown method x: the methods are auth, subscribe, unsubscribe, broadcast and presence"},
		{"a long method", `{"method":"` + strings.Repeat("é", 1000) + `","params":{}}`, "limit exceeded: method is 2000 bytes, at most 255 are allowed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, log := subscribe(t, tt.frame)
			if len(log) != 1 || log[0]["msg"] != "command refused" || log[0]["error"] != tt.err || log[0]["connection"] != "the-connection" {
				t.Errorf("logged %v", log)
			}
		})
	}
}

// TestLongRefusal sends names that need so many escapes that a reply with the reasons
// would exceed the limit of API Gateway.
func TestLongRefusal(t *testing.T) {
	names := make([]string, hub.MaxChannels)
	for i := range names {
		names[i] = fmt.Sprintf("%0240d", i) + strings.Repeat("x", 10)
	}
	frame := func(names []string) string {
		b, err := json.Marshal(map[string]any{"id": "1", "method": "subscribe", "params": map[string]any{"to": map[string]any{"a": names}}})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	short, log := subscribe(t, frame(names))
	for i := range names {
		names[i] = fmt.Sprintf("%03d", i) + strings.Repeat(`"`, 230)
	}
	long, _ := subscribe(t, frame(names))
	if !strings.Contains(short, `"reasons":`) || strings.Contains(long, `"reasons":`) || !strings.Contains(long, `"refused":{"a":["000`) {
		t.Errorf("%d bytes %.100s, %d bytes %.100s", len(short), short, len(long), long)
	}
	if len(log) != maxLoggedRefusals {
		t.Errorf("%d lines for %d refusals", len(log), hub.MaxChannels)
	}
	for i := range names {
		names[i] = fmt.Sprintf("%03d", i) + strings.Repeat("\u2028", 83)
	}
	// The control characters of the id and the names need six bytes each in the reply.
	hostile := strings.Replace(frame(names), `"id":"1"`, `"id":"`+strings.Repeat(`\u0001`, classic.MaxLabelBytes)+`"`, 1)
	if reply, _ := subscribe(t, hostile); len(reply) > hub.MaxMessageBytes || !strings.Contains(reply, `"id":"`+strings.Repeat(`\u0001`, classic.MaxLabelBytes)+`"`) {
		t.Errorf("%d bytes %.100s", len(reply), reply)
	}
}
