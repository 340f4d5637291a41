package stack_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"centrifuge/functions"
	"centrifuge/localstack/stack"
	"centrifuge/localstack/stack/stacktest"
)

const eventsFolder = "../../events"

// capturedEvents returns the files of events/, as function/case.
func capturedEvents(t *testing.T) []string {
	t.Helper()
	var names []string
	err := fs.WalkDir(os.DirFS(eventsFolder), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, strings.TrimSuffix(name, ".json"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func read(t *testing.T, event string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(eventsFolder, event+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestEventTypes finds fields of events that the event types lack.
func TestEventTypes(t *testing.T) {
	for _, event := range capturedEvents(t) {
		t.Run(event, func(t *testing.T) {
			var v any = new(events.APIGatewayWebsocketProxyRequest)
			switch path.Dir(event) {
			case "publish", "demo", "admin":
				v = new(events.APIGatewayV2HTTPRequest)
			case "webhook":
				v = new(events.EventBridgeEvent)
			}
			d := json.NewDecoder(bytes.NewReader(read(t, event)))
			d.DisallowUnknownFields()
			if err := d.Decode(v); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestEventResponses invokes every function with every event captured for it.
func TestEventResponses(t *testing.T) {
	const authenticated, subscribed = "connect/open auth/sha256-token", "connect/open auth/sha256-token subscribe/two-categories"
	responses := map[string]struct {
		before string
		status int
		body   string // not checked if empty
	}{
		"connect/open":             {status: 200},
		"connect/project":          {status: 200},
		"connect/unknown-project":  {status: 404},
		"auth/sha256-token":        {before: "connect/open", status: 200, body: `{"ack":true,"id":"1","method":"auth","result":true,"error":null}`},
		"auth/md5-token":           {before: "connect/open", status: 200, body: `{"ack":true,"id":"1","method":"auth","result":true,"error":null}`},
		"auth/wrong-token":         {before: "connect/open", status: 200, body: `{"ack":true,"id":"1","method":"auth","result":null,"error":"invalid token"}`},
		"subscribe/two-categories": {before: authenticated, status: 200, body: `{"ack":true,"id":"2","method":"subscribe","result":true,"error":null}`},
		"subscribe/refused":        {before: authenticated, status: 200, body: `{"ack":true,"id":"2","method":"subscribe","result":true,"error":null,"refused":{"secret":["plans"]}}`},
		"unsubscribe/one-channel":  {before: subscribed, status: 200, body: `{"ack":true,"id":"3","method":"unsubscribe","result":true,"error":null}`},
		"broadcast/bidirectional":  {before: authenticated, status: 200, body: `{"ack":true,"id":"4","method":"broadcast","result":true,"error":null}`},
		"broadcast/one-way":        {before: authenticated, status: 200, body: `{"ack":true,"id":"4","method":"broadcast","result":null,"error":"one-way category"}`},
		"disconnect/going-away":    {before: subscribed, status: 200},
		"subscribe/join-leave":     {before: authenticated, status: 200, body: `{"ack":true,"id":"2","method":"subscribe","result":true,"error":null}`},
		"unsubscribe/join-leave":   {before: authenticated, status: 200, body: `{"ack":true,"id":"3","method":"unsubscribe","result":true,"error":null}`},
		"message/presence":         {before: authenticated, status: 200, body: `{"ack":true,"id":"5","method":"presence","result":{"presence":{}},"error":null}`},
		"message/not-json":         {status: 200, body: `{"ack":true,"id":null,"method":null,"result":null,"error":"malformed JSON data"}`},
		"message/unknown-method":   {status: 200, body: `{"ack":true,"id":"5","method":"publish","result":null,"error":"unknown method publish"}`},
		"message/unknown-protocol": {status: 200, body: `{"ack":true,"id":null,"method":null,"result":null,"error":"method is required"}`},
		"publish/api-publish":      {before: subscribed, status: 200, body: `{"result":{"delivered":0}}`},
		"publish/api-wrong-key":    {status: 401, body: `{"error":{"code":101,"message":"unauthorized"}}`},
		"publish/rpc-broadcast":    {before: subscribed, status: 200, body: `{"id":"6","error":null,"result":true}`},
		"publish/healthz":          {status: 200, body: `{"status":"ok"}`},
		"publish/openapi":          {status: 200},
		"admin/sign-in-page":       {status: 200},
		"admin/no-session":         {status: 303},
		"admin/wrong-password":     {status: 401},
		"webhook/message":          {}, // asynchronous
		"demo/page":                {status: 200},
		"demo/token":               {status: 200},
	}
	for _, event := range capturedEvents(t) {
		want, known := responses[event]
		if !known {
			t.Errorf("events/%s.json has no expected response", event)
			continue
		}
		delete(responses, event)
		t.Run(event, func(t *testing.T) {
			s := start(t, stack.Options{})
			for _, earlier := range strings.Fields(want.before) {
				invoke(t, s, earlier)
			}
			status, body := invoke(t, s, event)
			if status != want.status {
				t.Errorf("status %d, want %d: %s", status, want.status, body)
			}
			if want.body != "" {
				if diff := cmp.Diff(want.body, strings.TrimSpace(body)); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
		})
	}
	for event := range responses {
		t.Errorf("events/%s.json is missing", event)
	}
}

func invoke(t *testing.T, s *stack.Stack, event string) (status int, body string) {
	t.Helper()
	b, err := s.Functions[path.Dir(event)].Invoke(t.Context(), read(t, event))
	if err != nil {
		t.Fatalf("%s: %v", event, err)
	}
	var r events.APIGatewayProxyResponse
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatalf("%s: %v", event, err)
	}
	return r.StatusCode, r.Body
}

// start starts a seeded stack in memory that ends with the test.
func start(t *testing.T, o stack.Options) *stack.Stack {
	t.Helper()
	o.Seed = stacktest.Seed(t)
	return stacktest.Start(t, o)
}

func TestEveryFunctionHasEvents(t *testing.T) {
	for _, f := range functions.All {
		if _, err := os.Stat(filepath.Join(eventsFolder, f.Name)); err != nil {
			t.Errorf("function %s: %v", f.Name, err)
		}
	}
}
