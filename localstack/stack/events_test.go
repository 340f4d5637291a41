package stack_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/go-cmp/cmp"

	"centrifuge/functions"
	"centrifuge/localstack/stack"
	"centrifuge/localstack/stack/stacktest"
	"centrifuge/pkg/hub"
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
			case "webhook", "ping":
				v = new(events.EventBridgeEvent)
			case "dispatch":
				v = new(hub.Channel)
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
		"connect/open":               {status: 200},
		"connect/project":            {status: 200},
		"connect/unknown-project":    {status: 404},
		"auth/sha256-token":          {before: "connect/open", status: 200, body: `{"ack":true,"id":"1","method":"auth","result":true,"error":null}`},
		"auth/md5-token":             {before: "connect/open", status: 200, body: `{"ack":true,"id":"1","method":"auth","result":true,"error":null}`},
		"auth/wrong-token":           {before: "connect/open", status: 200, body: `{"ack":true,"id":"1","method":"auth","result":null,"error":"invalid token","code":401,"detail":"a classic token is hex(HMAC-SHA256(secret, user + project_id)); a JWT is signed with HS256 and the same secret, and has sub, the user, and exp"}`},
		"subscribe/two-categories":   {before: authenticated, status: 200, body: `{"ack":true,"id":"2","method":"subscribe","result":true,"error":null}`},
		"subscribe/refused":          {before: authenticated, status: 200, body: `{"ack":true,"id":"2","method":"subscribe","result":true,"error":null,"refused":{"secret":["plans"]},"reasons":{"secret":{"plans":{"code":403,"error":"category does not exist or permission denied","detail":"the category is private: it requires a JWT that grants it in its permissions, or a validate_url that does"}}}}`},
		"unsubscribe/one-channel":    {before: subscribed, status: 200, body: `{"ack":true,"id":"3","method":"unsubscribe","result":true,"error":null}`},
		"broadcast/bidirectional":    {before: authenticated, status: 200, body: `{"ack":true,"id":"4","method":"broadcast","result":true,"error":null}`},
		"broadcast/one-way":          {before: authenticated, status: 200, body: `{"ack":true,"id":"4","method":"broadcast","result":null,"error":"one-way category","code":404,"detail":"publish through the application, or set its option bidirectional"}`},
		"disconnect/going-away":      {before: subscribed, status: 200},
		"subscribe/join-leave":       {before: authenticated, status: 200, body: `{"ack":true,"id":"2","method":"subscribe","result":true,"error":null}`},
		"unsubscribe/join-leave":     {before: authenticated, status: 200, body: `{"ack":true,"id":"3","method":"unsubscribe","result":true,"error":null}`},
		"message/presence":           {before: authenticated, status: 200, body: `{"ack":true,"id":"5","method":"presence","result":{"presence":{}},"error":null}`},
		"message/not-json":           {status: 200, body: `{"ack":true,"id":null,"method":null,"result":null,"error":"malformed JSON data","code":107,"detail":"line 1, column 1: invalid character 'h' looking for beginning of value"}`},
		"message/unknown-method":     {status: 200, body: `{"ack":true,"id":"5","method":"publish","result":null,"error":"unknown method publish","code":104,"detail":"the methods are auth, subscribe, unsubscribe, broadcast and presence"}`},
		"message/centrifugo-connect": {before: "connect/project", status: 200, body: `{"id":1,"connect":{"client":"L0SM9cOFvHcCIhw=","version":"centrifuge","ping":7200,"pong":true}}`},
		"message/centrifugo-pong":    {before: "connect/project message/centrifugo-connect", status: 200},
		"publish/api-publish":        {before: subscribed, status: 200, body: `{"result":{"delivered":0}}`},
		"publish/api-stream":         {before: subscribed, status: 200, body: `{"result":{"delivered":0}}` + "\n" + `{"result":{"num_clients":0,"num_users":0}}`},
		"publish/api-wrong-key":      {status: 401, body: `{"error":{"code":101,"message":"unauthorized: no project has this API key: check it, or create a new one on the admin pages"}}`},
		"publish/rpc-broadcast":      {before: subscribed, status: 200, body: `{"id":"6","error":null,"result":true}`},
		"publish/healthz":            {status: 200, body: `{"status":"ok"}`},
		"publish/openapi":            {status: 200},
		"admin/sign-in-page":         {status: 200},
		"admin/no-session":           {status: 303},
		"admin/wrong-password":       {status: 401},
		"webhook/message":            {}, // asynchronous
		"webhook/disconnect":         {}, // asynchronous
		"dispatch/channel":           {}, // asynchronous
		"ping/schedule":              {}, // asynchronous
		"ping/batch":                 {}, // asynchronous
		"demo/page":                  {status: 200},
		"demo/token":                 {status: 200},
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
	b, err := s.Functions[path.Dir(event)].Invoke(inInvocation(t), read(t, event))
	if err != nil {
		t.Fatalf("%s: %v", event, err)
	}
	var r events.APIGatewayProxyResponse
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatalf("%s: %v", event, err)
	}
	return r.StatusCode, r.Body
}

// inInvocation is the context of an invocation.
func inInvocation(t *testing.T) context.Context {
	t.Helper()
	return lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: rand.Text()})
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
