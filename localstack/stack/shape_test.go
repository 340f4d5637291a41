package stack_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"centrifuge/localstack/gateway"
)

// A shape lists the members of an event: the path of each with the kind of its JSON
// value. A "?" after the kind allows the member to be absent. "*" stands for any name.
type shape map[string]string

// The shapes of the events of API Gateway, as public captures from AWS have them: the
// test events of Powertools for AWS Lambda (WebSocket) and the HTTP API capture of
// github.com/hotsock/voker.
var (
	socketContextShape = shape{
		"requestContext": "object", "requestContext.apiId": "string", "requestContext.connectedAt": "number",
		"requestContext.connectionId": "string", "requestContext.domainName": "string", "requestContext.eventType": "string",
		"requestContext.extendedRequestId": "string", "requestContext.identity": "object",
		"requestContext.identity.sourceIp": "string", "requestContext.identity.userAgent": "string?",
		"requestContext.messageDirection": "string", "requestContext.requestId": "string",
		"requestContext.requestTime": "string", "requestContext.requestTimeEpoch": "number",
		"requestContext.routeKey": "string", "requestContext.stage": "string",
		"isBase64Encoded": "boolean",
	}
	connectShape = socketContextShape.with(shape{
		"headers": "object", "headers.Host": "string", "headers.Sec-WebSocket-Key": "string",
		"headers.Sec-WebSocket-Version": "string", "headers.X-Amzn-Trace-Id": "string", "headers.X-Forwarded-For": "string",
		"headers.X-Forwarded-Port": "string", "headers.X-Forwarded-Proto": "string", "headers.*": "string?",
		"multiValueHeaders": "object", "multiValueHeaders.Host": "array", "multiValueHeaders.*": "array?",
		"queryStringParameters": "object?", "queryStringParameters.*": "string?",
		"multiValueQueryStringParameters": "object?", "multiValueQueryStringParameters.*": "array?",
	})
	messageShape = socketContextShape.with(shape{"requestContext.messageId": "string", "body": "string"})
	// Three of the four headers of a $disconnect are empty.
	disconnectShape = socketContextShape.with(shape{
		"requestContext.disconnectStatusCode": "number", "requestContext.disconnectReason": "string",
		"headers": "object", "headers.Host": "string", "headers.X-Forwarded-For": "string",
		"headers.x-api-key": "string", "headers.x-restapi": "string",
		"multiValueHeaders": "object", "multiValueHeaders.Host": "array", "multiValueHeaders.X-Forwarded-For": "array",
		"multiValueHeaders.x-api-key": "array", "multiValueHeaders.x-restapi": "array",
	})
	httpShape = shape{
		"version": "string", "routeKey": "string", "rawPath": "string", "rawQueryString": "string",
		"cookies": "array?", "headers": "object", "headers.content-length": "string", "headers.host": "string",
		"headers.x-amzn-trace-id": "string", "headers.x-forwarded-for": "string", "headers.x-forwarded-port": "string",
		"headers.x-forwarded-proto": "string", "headers.*": "string?",
		"queryStringParameters": "object?", "queryStringParameters.*": "string?",
		"pathParameters": "object?", "pathParameters.*": "string?", "body": "string?", "isBase64Encoded": "boolean",
		"requestContext": "object", "requestContext.accountId": "string", "requestContext.apiId": "string",
		"requestContext.domainName": "string", "requestContext.domainPrefix": "string", "requestContext.http": "object",
		"requestContext.http.method": "string", "requestContext.http.path": "string", "requestContext.http.protocol": "string",
		"requestContext.http.sourceIp": "string", "requestContext.http.userAgent": "string",
		"requestContext.requestId": "string", "requestContext.routeKey": "string", "requestContext.stage": "string",
		"requestContext.time": "string", "requestContext.timeEpoch": "number",
	}
)

func (s shape) with(more shape) shape {
	all := maps.Clone(s)
	maps.Copy(all, more)
	return all
}

// check reports members that are missing, unknown or of another kind.
func (s shape) check(t *testing.T, event []byte) {
	t.Helper()
	var value any
	if err := json.Unmarshal(event, &value); err != nil {
		t.Fatal(err)
	}
	found := make(map[string]bool)
	s.walk(t, "", value, found)
	for member, kind := range s {
		if !strings.HasSuffix(kind, "?") && !found[member] {
			t.Errorf("%s is missing", member)
		}
	}
}

func (s shape) walk(t *testing.T, parent string, value any, found map[string]bool) {
	t.Helper()
	object, _ := value.(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(object)) {
		member := strings.TrimPrefix(parent+"."+name, ".")
		found[member] = true
		want, known := s[member]
		if !known {
			want, known = s[parent+".*"]
		}
		switch got := kindOf(object[name]); {
		case !known:
			t.Errorf("%s is not in the events of AWS", member)
		case strings.TrimSuffix(want, "?") != got:
			t.Errorf("%s is a %s, the events of AWS have a %s", member, got, strings.TrimSuffix(want, "?"))
		default:
			s.walk(t, member, object[name], found)
		}
	}
}

// kindOf is the kind of a JSON value. An array with anything but strings has the name
// of its Go type.
func kindOf(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case float64:
		return "number"
	case string:
		return "string"
	case map[string]any:
		return "object"
	case []any:
		if slices.ContainsFunc(v, func(element any) bool { return kindOf(element) != "string" }) {
			break
		}
		return "array"
	}
	return fmt.Sprintf("%T", value)
}

// TestEventShapes checks the files of events/ against the events of AWS.
func TestEventShapes(t *testing.T) {
	shapes := map[string]shape{"connect": connectShape, "disconnect": disconnectShape, "publish": httpShape, "admin": httpShape, "demo": httpShape}
	for _, event := range capturedEvents(t) {
		function := path.Dir(event)
		if function == "webhook" || function == "dispatch" || function == "ping" { // not invoked by API Gateway
			continue
		}
		t.Run(event, func(t *testing.T) {
			s := shapes[function]
			if s == nil {
				s = messageShape
			}
			s.check(t, read(t, event))
		})
	}
}

// TestGatewayEventShapes checks the events of the local gateway against those of AWS.
func TestGatewayEventShapes(t *testing.T) {
	built := make(chan []byte, 10)
	record := gateway.FunctionFunc(func(_ context.Context, event []byte) ([]byte, error) {
		built <- event
		return []byte(`{"statusCode":200}`), nil
	})
	gw := gateway.New(gateway.Options{
		Routes: map[string]gateway.Function{"$connect": record, "$disconnect": record, "$default": record, "auth": record},
		HTTP:   []gateway.HTTPRoute{{Method: "POST", Path: "/rpc/{project}", Function: record}, {Path: "$default", Function: record}},
	})
	server := httptest.NewServer(gw)
	t.Cleanup(server.Close)
	t.Cleanup(gw.Close)
	var conn *websocket.Conn
	dial := func(query string) func(*testing.T) {
		return func(t *testing.T) {
			var err error
			if conn, _, err = websocket.Dial(t.Context(), strings.Replace(server.URL, "http", "ws", 1)+"/dev"+query, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	send := func(text string) func(*testing.T) {
		return func(t *testing.T) {
			if err := conn.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
				t.Fatal(err)
			}
		}
	}
	request := func(method, target, body string, header http.Header) func(*testing.T) {
		return func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), method, server.URL+target, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			maps.Copy(r.Header, header)
			response, err := server.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
		}
	}
	for _, c := range []struct {
		name  string
		shape shape
		act   func(*testing.T)
	}{
		{"connect with a query", connectShape, dial("?project=demo&a=1&a=2")},
		{"message of a route", messageShape, send(`{"method":"auth"}`)},
		{"message of $default", messageShape, send(``)},
		{"disconnect", disconnectShape, func(*testing.T) { _ = conn.Close(websocket.StatusNormalClosure, "") }},
		{"connect", connectShape, dial("")},
		{"disconnect without a close frame", disconnectShape, func(*testing.T) { _ = conn.CloseNow() }},
		{"request with everything", httpShape, request("POST", "/rpc/demo?a=1&a=2", "hello", http.Header{"Cookie": {"a=1"}, "Content-Type": {"text/plain"}})},
		{"request with nothing", httpShape, request("GET", "/", "", nil)},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.act(t)
			c.shape.check(t, <-built)
		})
	}
}
