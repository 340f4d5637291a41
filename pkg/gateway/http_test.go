package gateway

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"
)

// seen is a request as a handler sees it.
type seen struct {
	Method, Path, Query, Host, Remote, Cookie, Agent, Body string
}

func TestServeRequest(t *testing.T) {
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		_ = json.NewEncoder(w).Encode(seen{r.Method, r.URL.Path, r.URL.RawQuery, r.Host, r.RemoteAddr, r.Header.Get("Cookie"), r.Header.Get("User-Agent"), string(body)})
	})
	event := func(method, path string, change func(*events.APIGatewayV2HTTPRequest)) events.APIGatewayV2HTTPRequest {
		e := events.APIGatewayV2HTTPRequest{RawPath: path, Headers: map[string]string{"user-agent": "curl"}}
		e.RequestContext.DomainName = "api.example.com"
		e.RequestContext.HTTP.Method, e.RequestContext.HTTP.SourceIP = method, "192.0.2.1"
		if change != nil {
			change(&e)
		}
		return e
	}
	for _, tt := range []struct {
		name  string
		event events.APIGatewayV2HTTPRequest
		want  seen
	}{
		{"a plain request", event("GET", "/healthz", nil),
			seen{Method: "GET", Path: "/healthz", Host: "api.example.com", Remote: "192.0.2.1", Agent: "curl"}},
		{"a path with special characters and a query", event("GET", "/rpc/a b?%20", func(e *events.APIGatewayV2HTTPRequest) { e.RawQueryString = "x=1&x=2" }),
			seen{Method: "GET", Path: "/rpc/a b?%20", Query: "x=1&x=2", Host: "api.example.com", Remote: "192.0.2.1", Agent: "curl"}},
		{"a body", event("POST", "/api/publish", func(e *events.APIGatewayV2HTTPRequest) { e.Body = `{"a":"é"}` }),
			seen{Method: "POST", Path: "/api/publish", Host: "api.example.com", Remote: "192.0.2.1", Agent: "curl", Body: `{"a":"é"}`}},
		{"a body in base64", event("POST", "/api/publish", func(e *events.APIGatewayV2HTTPRequest) { e.Body, e.IsBase64Encoded = "aGVsbG8=", true }),
			seen{Method: "POST", Path: "/api/publish", Host: "api.example.com", Remote: "192.0.2.1", Agent: "curl", Body: "hello"}},
		{"cookies", event("GET", "/", func(e *events.APIGatewayV2HTTPRequest) { e.Cookies = []string{"a=1", "b=2"} }),
			seen{Method: "GET", Path: "/", Host: "api.example.com", Remote: "192.0.2.1", Agent: "curl", Cookie: "a=1; b=2"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			response, err := Serve(echo)(t.Context(), tt.event)
			if err != nil {
				t.Fatal(err)
			}
			var got seen
			if err := json.Unmarshal([]byte(response.Body), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-expected +seen:\n%s", diff)
			}
		})
	}
}

func TestServeResponse(t *testing.T) {
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		want    events.APIGatewayV2HTTPResponse
	}{
		{"nothing written", func(http.ResponseWriter, *http.Request) {},
			events.APIGatewayV2HTTPResponse{StatusCode: 200, Headers: map[string]string{}}},
		{"a status written twice", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(404)
			w.WriteHeader(500)
		}, events.APIGatewayV2HTTPResponse{StatusCode: 404, Headers: map[string]string{}}},
		{"text", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) },
			events.APIGatewayV2HTTPResponse{StatusCode: 200, Headers: map[string]string{"Content-Type": "text/plain; charset=utf-8"}, Body: "hello"}},
		{"bytes", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "image/x")
			_, _ = w.Write([]byte{0xff, 0})
		}, events.APIGatewayV2HTTPResponse{StatusCode: 200, Headers: map[string]string{"Content-Type": "image/x"}, Body: "/wA=", IsBase64Encoded: true}},
		{"repeated headers", func(w http.ResponseWriter, _ *http.Request) {
			for _, v := range []string{"1", "2"} {
				w.Header().Add("Set-Cookie", "c"+v+"="+v)
				w.Header().Add("Vary", v)
			}
		}, events.APIGatewayV2HTTPResponse{StatusCode: 200, Headers: map[string]string{"Vary": "1,2"}, Cookies: []string{"c1=1", "c2=2"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := events.APIGatewayV2HTTPRequest{RawPath: "/"}
			e.RequestContext.HTTP.Method = "GET"
			got, err := Serve(tt.handler)(t.Context(), e)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-expected +returned:\n%s", diff)
			}
		})
	}
}

func TestServeInvalidRequest(t *testing.T) {
	never := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the handler was called") })
	badBase64 := events.APIGatewayV2HTTPRequest{RawPath: "/", Body: "%", IsBase64Encoded: true}
	badMethod := events.APIGatewayV2HTTPRequest{RawPath: "/"}
	badMethod.RequestContext.HTTP.Method = "GET\r\n"
	for name, e := range map[string]events.APIGatewayV2HTTPRequest{"a body that is not base64": badBase64, "an invalid method": badMethod} {
		t.Run(name, func(t *testing.T) {
			response, err := Serve(never)(t.Context(), e)
			if err != nil || response.StatusCode != http.StatusBadRequest {
				t.Errorf("status %d, error %v", response.StatusCode, err)
			}
		})
	}
}

func TestServeHead(t *testing.T) {
	e := events.APIGatewayV2HTTPRequest{RawPath: "/"}
	e.RequestContext.HTTP.Method = http.MethodHead
	got, err := Serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("ETag", "1")
		_, _ = w.Write([]byte{0xff})
	}))(t.Context(), e)
	want := events.APIGatewayV2HTTPResponse{StatusCode: 200, Headers: map[string]string{"Content-Type": "text/plain; charset=utf-8", "Etag": "1"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("-expected +returned:\n%s %v", diff, err)
	}
}
