package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/gateway"
	"centrifuge/pkg/hub"
)

// oneProject has the project demo, and fails for the id "broken".
type oneProject struct{}

func (oneProject) Project(_ context.Context, id string) (*hub.Project, error) {
	switch id {
	case "demo":
		return &hub.Project{ID: "demo", Secret: "demo-secret"}, nil
	case "broken":
		return nil, errors.New("the table is missing")
	}
	return nil, hub.ErrProjectNotFound
}

func TestWebhook(t *testing.T) {
	const detail = `{ "event_id":"m1", "project_id":"demo", "data":{"n":1.50,"text":"confidential \u00e9<"} }`
	for name, c := range map[string]struct {
		detail   string
		fails    error // of notify
		notified string
		err      string // part of the error, "" for none
		log      string // part of the one line of the log, "" for no line
	}{
		"a message, unchanged":           {detail: detail, notified: detail},
		"a webhook that fails":           {detail: detail, fails: errors.New("status 502"), notified: detail, err: "webhook of event m1: status 502", log: "level=ERROR msg=\"webhook failed\" project=demo message=m1 event=e1 error=\"status 502\""},
		"a project that does not exist":  {detail: `{"event_id":"m1","project_id":"gone"}`, log: "level=INFO msg=\"project not found\" project=gone message=m1"},
		"a project that cannot be read":  {detail: `{"event_id":"m1","project_id":"broken"}`, err: "webhook of event m1: the table is missing", log: "level=ERROR"},
		"a detail without a project":     {detail: `{"text":"confidential"}`, err: "event e1: the detail names no project", log: "level=ERROR msg=\"event without project\" event=e1 source=centrifuge type=message"},
		"a detail that is no object":     {detail: `["confidential"]`, err: "event e1: the detail names no project", log: "level=ERROR"},
		"a project id that is an object": {detail: `{"project_id":{"confidential":1}}`, err: "event e1: the detail names no project", log: "level=ERROR"},
		"a detail that is not UTF-8":     {detail: "{\"project_id\":\"demo\",\"event_id\":\"\xff\"}", err: "event e1: the detail names no project", log: "level=ERROR"},
		"an event without a detail":      {detail: ``, err: "event e1: the detail names no project", log: "level=ERROR"},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			notified := ""
			handle := gateway.Webhook(oneProject{}, func(_ context.Context, p *hub.Project, body []byte) error {
				if p.ID != "demo" {
					t.Errorf("project %s is notified", p.ID)
				}
				notified += string(body)
				return c.fails
			}, slog.New(slog.NewTextHandler(&log, nil)))
			err := handle(t.Context(), events.EventBridgeEvent{ID: "e1", Source: "centrifuge", DetailType: "message", Detail: json.RawMessage(c.detail)})
			checkFailure(t, err, c.err, c.fails, log.String(), c.log)
			if d := cmp.Diff(c.notified, notified); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestWebhookInLambda invokes the handler as Lambda does, with an event of EventBridge.
func TestWebhookInLambda(t *testing.T) {
	event, err := os.ReadFile("../../events/webhook/message.json")
	if err != nil {
		t.Fatal(err)
	}
	var strict events.EventBridgeEvent
	d := json.NewDecoder(bytes.NewReader(event))
	d.DisallowUnknownFields()
	if err := d.Decode(&strict); err != nil {
		t.Fatal(err)
	}
	var notified []byte
	handler := lambda.NewHandler(gateway.Webhook(oneProject{}, func(_ context.Context, _ *hub.Project, body []byte) error {
		notified = body
		return nil
	}, slog.New(slog.DiscardHandler)))
	if _, err := handler.Invoke(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(strict.Detail), string(notified)); diff != "" {
		t.Error(diff)
	}
}
