package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi/types"
	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"centrifuge/localstack/gateway"
)

func TestHandshakeStatus(t *testing.T) {
	t.Parallel()
	fails := func(context.Context, []byte) ([]byte, error) { return nil, errors.New("failed") }
	hangs := func(ctx context.Context, _ []byte) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() }
	cases := []struct {
		name     string
		function gateway.Function
		status   int
		message  string
	}{
		{"200 accepts", returns(`{"statusCode":200}`), 101, ""},
		{"204 accepts", returns(`{"statusCode":204}`), 101, ""},
		{"no $connect accepts", nil, 101, ""},
		{"401 refuses with 401", returns(`{"statusCode":401}`), 401, "Unauthorized"},
		{"403 refuses with 403", returns(`{"statusCode":403,"body":"go away"}`), 403, "Forbidden"},
		{"500 refuses with 500", returns(`{"statusCode":500}`), 500, "Internal Server Error"},
		{"a redirect refuses", returns(`{"statusCode":302,"headers":{"Location":"/"}}`), 302, "Found"},
		{"a response without statusCode refuses", returns(`{}`), 502, "Internal server error"},
		{"statusCode 101 refuses", returns(`{"statusCode":101}`), 502, "Internal server error"},
		{"an error of the function refuses", gateway.FunctionFunc(fails), 502, "Internal server error"},
		{"a function without a response refuses", unavailable, 502, "Internal server error"},
		{"a timeout refuses", gateway.FunctionFunc(hangs), 502, "Internal server error"},
	}
	withAndWithoutJitter(t, func(t *testing.T, jitter time.Duration) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				ends := make(chan websocket.CloseError, 1)
				routes := map[string]gateway.Function{"$disconnect": recordClose(ends)}
				if c.function != nil {
					routes["$connect"] = c.function
				}
				r := start(t, gateway.Options{Jitter: jitter, Routes: routes, IntegrationTimeout: time.Second})
				conn, response, err := r.handshake(t, "/dev", nil)
				if response == nil {
					t.Fatalf("no answer: %v", err)
				}
				if response.StatusCode != c.status {
					t.Errorf("got status %d, want %d", response.StatusCode, c.status)
				}
				if err == nil {
					_ = conn.Close(websocket.StatusNormalClosure, "")
					receive(t, ends)
					return
				}
				body, _ := io.ReadAll(response.Body)
				var answer refused
				if err := json.Unmarshal(body, &answer); err != nil {
					t.Fatalf("body %q: %v", body, err)
				}
				if answer.Message != c.message || answer.ConnectionID == "" || answer.RequestID == "" {
					t.Errorf("got %+v, want message %q and ids", answer, c.message)
				}
				r.gateway.Close()
				if len(ends) > 0 {
					t.Error("$disconnect was invoked for a refused handshake")
				}
				if got := r.gateway.Connections(); got != 0 {
					t.Errorf("%d connections after a refusal", got)
				}
			})
		}
	})
}

func TestMalformedHandshake(t *testing.T) {
	t.Parallel()
	invoked := make(chan string, 10)
	r := start(t, gateway.Options{Routes: map[string]gateway.Function{"$connect": accept(invoked)}})
	cases := []struct {
		name   string
		query  string
		header map[string]string
		status int
	}{
		{"no key", "", map[string]string{"Sec-WebSocket-Key": ""}, 400},
		{"a key that is too short", "", map[string]string{"Sec-WebSocket-Key": "aGVsbG8="}, 400},
		{"an old version", "", map[string]string{"Sec-WebSocket-Version": "8"}, 400},
		{"no Connection: Upgrade", "", map[string]string{"Connection": "keep-alive"}, 400},
		{"a URL over 4 KB", "?" + strings.Repeat("x", 4096), nil, 414},
		{"no Upgrade: a request to the HTTP API", "", map[string]string{"Upgrade": ""}, 404},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/dev"+c.query, nil)
			if err != nil {
				t.Fatal(err)
			}
			for name, value := range map[string]string{
				"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
				"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
			} {
				req.Header.Set(name, value)
			}
			for name, value := range c.header {
				req.Header.Set(name, value)
			}
			response, err := r.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = response.Body.Close() }()
			if response.StatusCode != c.status {
				t.Errorf("got %d, want %d", response.StatusCode, c.status)
			}
			if len(invoked) > 0 {
				t.Error("$connect was invoked")
			}
		})
	}
}

func TestSubprotocol(t *testing.T) {
	t.Parallel()
	for name, payload := range map[string]string{
		"chat": `{"statusCode":200,"headers":{"sec-websocket-protocol":"chat"}}`,
		"news": `{"statusCode":200,"multiValueHeaders":{"Sec-WebSocket-Protocol":["news"]}}`,
		"":     `{"statusCode":200}`,
	} {
		t.Run("protocol "+name, func(t *testing.T) {
			r := start(t, gateway.Options{Routes: map[string]gateway.Function{"$connect": returns(payload)}})
			conn, _, err := r.handshake(t, "/dev", &websocket.DialOptions{Subprotocols: []string{"chat", "news"}})
			if err != nil {
				t.Fatal(err)
			}
			if got := conn.Subprotocol(); got != name {
				t.Errorf("got subprotocol %q, want %q", got, name)
			}
		})
	}
}

func TestOriginIsNotChecked(t *testing.T) {
	t.Parallel()
	r := start(t, gateway.Options{})
	_, _, err := r.handshake(t, "/dev", &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"https://elsewhere.example"}}})
	if err != nil {
		t.Error(err)
	}
}

func TestPostDuringConnect(t *testing.T) {
	t.Parallel()
	withAndWithoutJitter(t, func(t *testing.T, jitter time.Duration) {
		ids, proceed := make(chan string, 1), make(chan struct{})
		r := start(t, gateway.Options{Jitter: jitter, Routes: map[string]gateway.Function{
			"$connect": function(func(_ context.Context, r request) (response, error) {
				ids <- r.RequestContext.ConnectionID
				<-proceed
				return response{StatusCode: 200}, nil
			}),
		}})
		connected := make(chan error, 1)
		var conn *websocket.Conn
		go func() {
			var err error
			conn, _, err = r.handshake(t, "/dev", nil)
			connected <- err
		}()
		id := receive(t, ids)
		var gone *types.GoneException
		if err := r.post(t, id, "too early"); !errors.As(err, &gone) {
			t.Errorf("post during $connect: %v, want GoneException", err)
		}
		close(proceed)
		if err := receive(t, connected); err != nil {
			t.Fatal(err)
		}
		r.mustPost(t, id, "in time")
		if got := read(t, conn); got != "in time" {
			t.Errorf("got %q", got)
		}
	})
}

func TestSocketEvents(t *testing.T) {
	t.Parallel()
	events := make(chan map[string]any, 3)
	report := gateway.FunctionFunc(func(_ context.Context, payload []byte) ([]byte, error) {
		var event map[string]any
		if err := json.Unmarshal(payload, &event); err != nil {
			return nil, err
		}
		events <- event
		return []byte(`{"statusCode":200}`), nil
	})
	r := start(t, gateway.Options{Stage: "live", APIID: "abc123", Routes: map[string]gateway.Function{
		"$connect": report, "$default": report, "$disconnect": report,
	}})
	conn, _, err := r.handshake(t, "/live?a=1&a=2&b=%20", &websocket.DialOptions{HTTPHeader: http.Header{
		"Origin": {"https://site.example"}, "User-Agent": {"tester/1"}, "X-Twice": {"1", "2"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	connect := receive(t, events)
	write(t, conn, `{"a":1}`)
	message := receive(t, events)
	_ = conn.Close(4000, "bye")
	disconnect := receive(t, events)

	host := strings.TrimPrefix(r.url, "http://")
	port := host[strings.LastIndex(host, ":")+1:]
	ids := make(map[string]bool)
	// normalize checks the form of values that differ in each run and replaces them.
	normalize := func(event map[string]any) map[string]any {
		t.Helper()
		context := event["requestContext"].(map[string]any)
		if context["requestId"] != context["extendedRequestId"] {
			t.Errorf("requestId %v and extendedRequestId %v differ", context["requestId"], context["extendedRequestId"])
		}
		for _, key := range []string{"requestId", "extendedRequestId", "messageId"} {
			id, ok := context[key].(string)
			if !ok {
				continue
			}
			if len(id) != 16 || !strings.HasSuffix(id, "=") {
				t.Errorf("%s is %q, want 16 characters that end in =", key, id)
			}
			if key != "extendedRequestId" && ids[id] {
				t.Errorf("%s %q is used twice", key, id)
			}
			ids[id] = true
			context[key] = "id"
		}
		at, err := time.Parse("02/Jan/2006:15:04:05 -0700", context["requestTime"].(string))
		if err != nil || at.Unix() != int64(context["requestTimeEpoch"].(float64))/1000 {
			t.Errorf("requestTime %v is not requestTimeEpoch %v", context["requestTime"], context["requestTimeEpoch"])
		}
		context["requestTime"], context["requestTimeEpoch"] = "time", "epoch"
		return event
	}
	id := connect["requestContext"].(map[string]any)["connectionId"].(string)
	connectedAt := connect["requestContext"].(map[string]any)["connectedAt"].(float64)
	context := func(eventType, route string) map[string]any {
		return map[string]any{
			"routeKey": route, "eventType": eventType, "extendedRequestId": "id", "requestId": "id",
			"requestTime": "time", "requestTimeEpoch": "epoch", "messageDirection": "IN", "stage": "live",
			"connectedAt": connectedAt, "connectionId": id, "domainName": host, "apiId": "abc123",
			"identity": map[string]any{"sourceIp": "127.0.0.1", "userAgent": "tester/1"},
		}
	}

	headers := connect["headers"].(map[string]any)
	for _, name := range []string{"Sec-WebSocket-Key", "X-Amzn-Trace-Id"} {
		if headers[name] == nil {
			t.Errorf("$connect has no header %s", name)
		}
		delete(headers, name)
	}
	delete(connect, "multiValueHeaders")
	wantHeaders := map[string]any{
		"Accept-Encoding": "gzip", "Host": host, "Origin": "https://site.example", "User-Agent": "tester/1", "X-Twice": "2",
		"Sec-WebSocket-Version": "13", "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Port": port, "X-Forwarded-Proto": "http",
	}
	if diff := cmp.Diff(map[string]any{
		"headers":                         wantHeaders,
		"queryStringParameters":           map[string]any{"a": "2", "b": " "},
		"multiValueQueryStringParameters": map[string]any{"a": []any{"1", "2"}, "b": []any{" "}},
		"requestContext":                  context("CONNECT", "$connect"),
		"isBase64Encoded":                 false,
	}, normalize(connect)); diff != "" {
		t.Error("CONNECT", diff)
	}

	want := context("MESSAGE", "$default")
	want["messageId"] = "id"
	if diff := cmp.Diff(map[string]any{
		"requestContext": want, "body": `{"a":1}`, "isBase64Encoded": false,
	}, normalize(message)); diff != "" {
		t.Error("MESSAGE", diff)
	}

	want = context("DISCONNECT", "$disconnect")
	want["disconnectStatusCode"], want["disconnectReason"] = 4000.0, "bye"
	if diff := cmp.Diff(map[string]any{
		"headers":           map[string]any{"Host": host, "X-Forwarded-For": "", "x-api-key": "", "x-restapi": ""},
		"multiValueHeaders": map[string]any{"Host": []any{host}, "X-Forwarded-For": []any{""}, "x-api-key": []any{""}, "x-restapi": []any{""}},
		"requestContext":    want, "isBase64Encoded": false,
	}, normalize(disconnect)); diff != "" {
		t.Error("DISCONNECT", diff)
	}
}

func TestConnectEventRepeatedHeaders(t *testing.T) {
	t.Parallel()
	got := make(chan map[string][]string, 1)
	r := start(t, gateway.Options{Routes: map[string]gateway.Function{
		"$connect": function(func(_ context.Context, r request) (response, error) {
			got <- r.MultiValueHeaders
			return response{StatusCode: 200}, nil
		}),
	}})
	if _, _, err := r.handshake(t, "/dev", &websocket.DialOptions{HTTPHeader: http.Header{"X-Twice": {"1", "2"}}}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"1", "2"}, receive(t, got)["X-Twice"]); diff != "" {
		t.Error(diff)
	}
}

func TestNewPanicsOnRouteWithoutFunction(t *testing.T) {
	t.Parallel()
	defer func() {
		if got := fmt.Sprint(recover()); !strings.Contains(got, "auth") {
			t.Errorf("New panicked with %q, want the name of the route in it", got)
		}
	}()
	gateway.New(gateway.Options{Routes: map[string]gateway.Function{"auth": nil}})
}

func TestNewPanicsOnMock(t *testing.T) {
	t.Parallel()
	for _, route := range []string{"$connect", "$disconnect", "auth"} {
		t.Run(route, func(t *testing.T) {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, route) {
					t.Errorf("New panicked with %q, want the name of the route in it", got)
				}
			}()
			gateway.New(gateway.Options{Routes: map[string]gateway.Function{"auth": echo}, Mocks: map[string]string{route: ""}})
		})
	}
}
