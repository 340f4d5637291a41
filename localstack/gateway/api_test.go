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

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/go-cmp/cmp"

	"centrifuge/localstack/gateway"
)

// answer is the response that an HTTP client receives.
type answer struct {
	Status int
	Body   string
	Header http.Header
}

func (r *rig) do(t *testing.T, method, path string, header http.Header, body io.Reader) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		req.Header = header
	}
	client := *r.client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	response, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, string(text), response.Header}
}

func TestHTTPRoutePrecedence(t *testing.T) {
	t.Parallel()
	// report answers with the key of its route and the variables.
	report := gateway.FunctionFunc(func(_ context.Context, payload []byte) ([]byte, error) {
		var e events.APIGatewayV2HTTPRequest
		if err := json.Unmarshal(payload, &e); err != nil {
			return nil, err
		}
		return json.Marshal(fmt.Sprint(e.RouteKey, " ", e.PathParameters))
	})
	var routes []gateway.HTTPRoute
	for _, key := range []string{
		"ANY /demo/{proxy+}", "ANY /demo", "GET /demo/{page}", "POST /rpc/{project}", "ANY /rpc/{project}",
		"GET /demo/about", "POST /api/{proxy+}", "GET /", "GET /a/{x}/c", "GET /a/b/{y}", "GET /end/",
	} {
		method, path, _ := strings.Cut(key, " ")
		routes = append(routes, gateway.HTTPRoute{Method: method, Path: path, Function: report})
	}
	r := start(t, gateway.Options{HTTP: routes})
	withDefault := start(t, gateway.Options{HTTP: append(routes, gateway.HTTPRoute{Path: "$default", Function: report})})
	cases := []struct{ name, method, path, want string }{
		{"the root", "GET", "/", "GET / map[]"},
		{"a fixed path", "GET", "/demo/about", "GET /demo/about map[]"},
		{"a variable takes precedence over a greedy one", "GET", "/demo/x", "GET /demo/{page} map[page:x]"},
		{"greedy matches several segments", "GET", "/demo/x/y", "ANY /demo/{proxy+} map[proxy:x/y]"},
		{"greedy for a method without a more specific route", "PUT", "/demo/x", "ANY /demo/{proxy+} map[proxy:x]"},
		{"greedy includes a trailing slash", "GET", "/demo/x/", "ANY /demo/{proxy+} map[proxy:x/]"},
		{"greedy matches the empty rest after a slash", "GET", "/demo/", "ANY /demo/{proxy+} map[proxy:]"},
		{"the parent of a greedy route", "GET", "/demo", "ANY /demo map[]"},
		{"a method takes precedence over ANY", "POST", "/rpc/p", "POST /rpc/{project} map[project:p]"},
		{"ANY matches the other methods", "GET", "/rpc/p", "ANY /rpc/{project} map[project:p]"},
		{"variables are decoded", "POST", "/rpc/a%20b%3A", "POST /rpc/{project} map[project:a b:]"},
		{"an escaped question mark does not end the path", "POST", "/rpc/a%3Fb", "POST /rpc/{project} map[project:a?b]"},
		{"a variable does not match an empty segment", "POST", "/rpc/", ""},
		{"a variable matches one segment", "POST", "/rpc/a/b", ""},
		{"a trailing slash is significant", "GET", "/end", ""},
		{"a route with a trailing slash", "GET", "/end/", "GET /end/ map[]"},
		{"the leftmost fixed segment takes precedence", "GET", "/a/b/c", "GET /a/b/{y} map[y:c]"},
		{"no route for the method", "GET", "/api/publish", ""},
		{"no route for the path", "GET", "/nothing", ""},
		{"the socket's path without an upgrade", "GET", "/dev", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			want := answer{Status: 200, Body: c.want}
			wantOther := want
			if c.want == "" {
				want = answer{Status: 404, Body: `{"message":"Not Found"}`}
				wantOther.Body = "$default map[]"
			}
			got := r.do(t, c.method, c.path, nil, nil)
			got.Header = nil
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			got = withDefault.do(t, c.method, c.path, nil, nil)
			got.Header = nil
			if diff := cmp.Diff(wantOther, got); diff != "" {
				t.Error("with $default", diff)
			}
		})
	}
}

func TestHTTPEvent(t *testing.T) {
	t.Parallel()
	payloads := make(chan []byte, 1)
	r := start(t, gateway.Options{APIID: "abc123", AccountID: "123456789012", HTTP: []gateway.HTTPRoute{{
		Method: "POST", Path: "/rpc/{project}",
		Function: gateway.FunctionFunc(func(ctx context.Context, payload []byte) ([]byte, error) {
			if lc, ok := lambdacontext.FromContext(ctx); !ok || len(lc.AwsRequestID) != 36 {
				return nil, errors.New("the context has no request id")
			}
			if _, ok := ctx.Deadline(); !ok {
				return nil, errors.New("the context has no deadline")
			}
			payloads <- payload
			return []byte(`{}`), nil
		}),
	}}})
	got := r.do(t, "POST", "/rpc/my%20project?a=1&a=2&b=%26", http.Header{
		"Content-Type": {"application/json"}, "Cookie": {"a=1; b=2", "c=3"}, "X-Twice": {"1", "2"},
		"User-Agent": {"tester/1"}, "X-Forwarded-For": {"192.0.2.1"},
	}, strings.NewReader(`{"x":"ü"}`))
	if got.Status != 200 {
		t.Fatalf("got %v", got)
	}
	var event map[string]any
	if err := json.Unmarshal(receive(t, payloads), &event); err != nil {
		t.Fatal(err)
	}
	requestContext := event["requestContext"].(map[string]any)
	if id := requestContext["requestId"]; id != got.Header.Get("Apigw-Requestid") {
		t.Errorf("requestId %v is not the header %v", id, got.Header)
	}
	at, err := time.Parse("02/Jan/2006:15:04:05 -0700", requestContext["time"].(string))
	if err != nil || at.Unix() != int64(requestContext["timeEpoch"].(float64))/1000 {
		t.Errorf("time %v is not timeEpoch %v", requestContext["time"], requestContext["timeEpoch"])
	}
	for _, key := range []string{"requestId", "time", "timeEpoch"} {
		delete(requestContext, key)
	}
	headers := event["headers"].(map[string]any)
	if trace, _ := headers["x-amzn-trace-id"].(string); !strings.HasPrefix(trace, "Root=1-") {
		t.Errorf("x-amzn-trace-id is %q", trace)
	}
	delete(headers, "x-amzn-trace-id")
	host := strings.TrimPrefix(r.url, "http://")
	if diff := cmp.Diff(map[string]any{
		"version": "2.0", "routeKey": "POST /rpc/{project}", "rawPath": "/rpc/my project",
		"rawQueryString": "a=1&a=2&b=%26", "cookies": []any{"a=1", "b=2", "c=3"},
		"queryStringParameters": map[string]any{"a": "1,2", "b": "&"},
		"pathParameters":        map[string]any{"project": "my project"},
		"headers": map[string]any{
			"accept-encoding": "gzip", "content-type": "application/json", "content-length": "10", "x-twice": "1,2",
			"host": host, "user-agent": "tester/1", "x-forwarded-for": "192.0.2.1, 127.0.0.1",
			"x-forwarded-port": host[strings.LastIndex(host, ":")+1:], "x-forwarded-proto": "http",
		},
		"body": `{"x":"ü"}`, "isBase64Encoded": false,
		"requestContext": map[string]any{
			"accountId": "123456789012", "apiId": "abc123", "domainName": host, "domainPrefix": "127",
			"routeKey": "POST /rpc/{project}", "stage": "$default",
			"http": map[string]any{
				"method": "POST", "path": "/rpc/my project", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "tester/1",
			},
		},
	}, event); diff != "" {
		t.Error(diff)
	}
}

func TestHTTPEventBodyEncoding(t *testing.T) {
	t.Parallel()
	bodies := make(chan string, 1)
	r := start(t, gateway.Options{HTTP: []gateway.HTTPRoute{{Path: "$default",
		Function: gateway.FunctionFunc(func(_ context.Context, payload []byte) ([]byte, error) {
			var e events.APIGatewayV2HTTPRequest
			if err := json.Unmarshal(payload, &e); err != nil {
				return nil, err
			}
			bodies <- fmt.Sprint(e.Body, " ", e.IsBase64Encoded)
			return []byte(`{}`), nil
		}),
	}}})
	cases := []struct{ contentType, body, want string }{
		{"application/json", "hello", "hello false"},
		{"application/json; charset=utf-8", "hello", "hello false"},
		{"Application/JSON", "hello", "hello false"},
		{"text/plain", "hello", "hello false"},
		{"application/xml", "hello", "hello false"},
		{"application/x-www-form-urlencoded", "hello", "aGVsbG8= true"},
		{"application/octet-stream", "hello", "aGVsbG8= true"},
		{"", "hello", "aGVsbG8= true"},
		{"text/plain", "\xff", "/w== true"},
		{"application/octet-stream", "", " false"},
	}
	for _, c := range cases {
		t.Run(fmt.Sprintf("%q with %q", c.contentType, c.body), func(t *testing.T) {
			r.do(t, "POST", "/", http.Header{"Content-Type": {c.contentType}}, strings.NewReader(c.body))
			if got := receive(t, bodies); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestHTTPResponse(t *testing.T) {
	t.Parallel()
	internalError := answer{500, `{"message":"Internal Server Error"}`, http.Header{"Content-Type": {"application/json"}}}
	json200 := func(body string) answer {
		return answer{200, body, http.Header{"Content-Type": {"application/json"}}}
	}
	cases := []struct {
		name     string
		function gateway.Function
		want     answer
	}{
		{"status, headers, cookies and body", returns(`{"statusCode":201,"headers":{"content-type":"text/html","x-a":"1"},"cookies":["a=1","b=2"],"body":"<p>"}`),
			answer{201, "<p>", http.Header{"Content-Type": {"text/html"}, "X-A": {"1"}, "Set-Cookie": {"a=1", "b=2"}}}},
		{"a base64 body is decoded", returns(`{"statusCode":200,"body":"/w==","isBase64Encoded":true,"headers":{"Content-Type":"image/png"}}`),
			answer{200, "\xff", http.Header{"Content-Type": {"image/png"}}}},
		{"the default content type is text/plain", returns(`{"statusCode":200,"body":"<html>"}`),
			answer{200, "<html>", http.Header{"Content-Type": {"text/plain; charset=utf-8"}}}},
		{"a redirect is not followed", returns(`{"statusCode":302,"headers":{"Location":"/demo/","Content-Length":"7"}}`),
			answer{302, "", http.Header{"Content-Type": {"text/plain; charset=utf-8"}, "Location": {"/demo/"}}}},
		{"204 has no body", returns(`{"statusCode":204,"body":"x"}`), answer{204, "", http.Header{"Content-Type": {"text/plain; charset=utf-8"}}}},
		{"multiValueHeaders are ignored in format 2.0", returns(`{"statusCode":200,"multiValueHeaders":{"X-A":["1"]}}`),
			answer{200, "", http.Header{"Content-Type": {"text/plain; charset=utf-8"}}}},
		{"an object without statusCode is the body", returns(`{"a":1}`), json200(`{"a":1}`)},
		{"an array is the body", returns(`[1]`), json200(`[1]`)},
		{"a string is the body", returns(`"hello"`), json200("hello")},
		{"null is the body", returns(`null`), json200("null")},
		{"a response that is not JSON is an error", returns(`hello`), internalError},
		{"a statusCode that is not a number is an error", returns(`{"statusCode":"x"}`), internalError},
		{"a statusCode out of range is an error", returns(`{"statusCode":1000}`), internalError},
		{"statusCode 101 is an error", returns(`{"statusCode":101}`), internalError},
		{"headers that are not strings are an error", returns(`{"statusCode":200,"headers":{"a":[1]}}`), internalError},
		{"a body that is not base64 is an error", returns(`{"statusCode":200,"body":"%","isBase64Encoded":true}`), internalError},
		{"a response over 6 MB is an error", returns(`"` + strings.Repeat("x", 6<<20) + `"`), internalError},
		{"an error of the function", gateway.FunctionFunc(func(context.Context, []byte) ([]byte, error) {
			return nil, errors.New("failed")
		}), internalError},
		{"a panic of the function", gateway.FunctionFunc(func(context.Context, []byte) ([]byte, error) { panic("failed") }), internalError},
		{"a function without a response is answered with 503", unavailable, answer{503, `{"message":"Service Unavailable"}`, internalError.Header}},
		{"a timeout is answered with 503", gateway.FunctionFunc(func(ctx context.Context, _ []byte) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}), answer{503, `{"message":"Service Unavailable"}`, internalError.Header}},
		{"a response after the deadline is answered with 503", gateway.FunctionFunc(func(ctx context.Context, _ []byte) ([]byte, error) {
			<-ctx.Done()
			return []byte(`"late"`), nil
		}), answer{503, `{"message":"Service Unavailable"}`, internalError.Header}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := start(t, gateway.Options{
				IntegrationTimeout: time.Second, HTTP: []gateway.HTTPRoute{{Path: "$default", Function: c.function}},
			})
			got := r.do(t, "GET", "/", nil, nil)
			for _, name := range []string{"Date", "Content-Length", "Apigw-Requestid"} {
				got.Header.Del(name)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHTTPRequestSizeLimit(t *testing.T) {
	t.Parallel()
	r := start(t, gateway.Options{HTTP: []gateway.HTTPRoute{{Path: "$default", Function: returns(`"ok"`)}}})
	text := http.Header{"Content-Type": {"text/plain"}}
	cases := []struct {
		name   string
		body   io.Reader
		status int
	}{
		{"5 MB are accepted", strings.NewReader(strings.Repeat("x", 5<<20)), 200},
		{"an event over 6 MB is refused", strings.NewReader(strings.Repeat("x", 6<<20)), 413},
		{"a body over 10 MB is refused", strings.NewReader(strings.Repeat("x", 10<<20+1)), 413},
		{"a body over 10 MB without Content-Length is refused", io.MultiReader(strings.NewReader(strings.Repeat("x", 10<<20+1))), 413},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := r.do(t, "POST", "/", text, c.body); got.Status != c.status {
				t.Errorf("got %d %s, want %d", got.Status, got.Body, c.status)
			}
		})
	}
}

func TestNewPanicsOnMalformedHTTPRoute(t *testing.T) {
	t.Parallel()
	f := returns(`{}`)
	cases := []struct {
		name   string
		routes []gateway.HTTPRoute
	}{
		{"a path without a slash", []gateway.HTTPRoute{{Path: "demo", Function: f}}},
		{"a variable without a closing brace", []gateway.HTTPRoute{{Path: "/{demo", Function: f}}},
		{"a variable without a name", []gateway.HTTPRoute{{Path: "/{}", Function: f}}},
		{"a greedy variable without a name", []gateway.HTTPRoute{{Path: "/{+}", Function: f}}},
		{"a greedy variable in the middle", []gateway.HTTPRoute{{Path: "/{a+}/b", Function: f}}},
		{"no function", []gateway.HTTPRoute{{Path: "/demo"}}},
		{"a route defined twice", []gateway.HTTPRoute{{Path: "/demo", Function: f}, {Method: "ANY", Path: "/demo", Function: f}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("New did not panic")
				}
			}()
			gateway.New(gateway.Options{HTTP: c.routes})
		})
	}
}
