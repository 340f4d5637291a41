package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"centrifuge/pkg/hub"
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
func (broken) CloseConnection(context.Context, string) (hub.Connection, error) {
	return hub.Connection{}, errBroken
}
func (broken) Project(context.Context, string) (*hub.Project, error) { return nil, errBroken }
func (broken) Connection(context.Context, string) (hub.Connection, error) {
	return hub.Connection{}, errBroken
}

// newBroken is a hub over a broken store.
func newBroken(t *testing.T) *hub.Publisher {
	t.Helper()
	verify := func(*hub.Project, string, string, time.Time) (hub.Identity, error) { return hub.Identity{}, nil }
	clean := func(data json.RawMessage, _ []string) (json.RawMessage, error) { return data, nil }
	h, err := hub.NewPublisher(hub.PublisherOptions{
		Options: hub.Options{Store: broken{}, Dispatcher: broken{}, Callback: broken{}, VerifyToken: verify}, Clean: clean,
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
		return `{"ack":true,"id":"1","method":"` + method + `","result":null,"error":"internal server error"}`
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
		{"$default", Message(h.Hub, logger), "MESSAGE", frame("presence", `{"category":"a","channel":"x"}`), 200, reply("presence")},
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
			for key, want := range map[string]string{"route": tt.route, "connection": "the-connection", "request": "the-request"} {
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
			want := `{"ack":true,"id":null,"method":"` + route + `","result":null,"error":"unknown method ` + route + `"}`
			if err != nil || got.Body != want {
				t.Errorf("body %s, error %v", got.Body, err)
			}
		})
	}
}
