package gateway

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
)

// HTTP is the handler of an HTTP API route with payload format 2.0, for
// lambda.Start.
type HTTP func(context.Context, events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error)

// Serve answers the requests of an HTTP API with an http.Handler. The request has the
// path and the query that the client sent, and the client's address. A response to HEAD has
// no body.
func Serve(handler http.Handler) HTTP {
	return func(ctx context.Context, e events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
		ctx, cancel := limit(ctx)
		defer cancel()
		r, err := request(ctx, e)
		if err != nil {
			return events.APIGatewayV2HTTPResponse{StatusCode: http.StatusBadRequest, Body: "bad request"}, nil //nolint:nilerr // the caller's mistake, not ours
		}
		w := &response{header: make(http.Header)}
		handler.ServeHTTP(w, r)
		response := w.event()
		if r.Method == http.MethodHead {
			response.Body, response.IsBase64Encoded = "", false
		}
		return response, nil
	}
}

func request(ctx context.Context, e events.APIGatewayV2HTTPRequest) (*http.Request, error) {
	body := []byte(e.Body)
	if e.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(e.Body); err != nil {
			return nil, fmt.Errorf("decode body: %w", err)
		}
	}
	r, err := http.NewRequestWithContext(ctx, e.RequestContext.HTTP.Method, "/", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("read request line: %w", err)
	}
	// The path comes decoded, the query does not.
	r.URL = &url.URL{Path: e.RawPath, RawQuery: e.RawQueryString}
	for name, value := range e.Headers {
		r.Header.Set(name, value)
	}
	if len(e.Cookies) > 0 {
		r.Header.Set("Cookie", strings.Join(e.Cookies, "; "))
	}
	r.Host = e.RequestContext.DomainName
	r.RemoteAddr = e.RequestContext.HTTP.SourceIP
	r.RequestURI = r.URL.RequestURI()
	return r, nil
}

// response collects what a handler writes. Lambda returns a response as a whole, so
// there is nothing to flush.
type response struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *response) Header() http.Header { return w.header }

func (w *response) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *response) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}

func (w *response) event() events.APIGatewayV2HTTPResponse {
	w.WriteHeader(http.StatusOK)
	if w.header.Get("Content-Type") == "" && w.body.Len() > 0 {
		w.header.Set("Content-Type", http.DetectContentType(w.body.Bytes()))
	}
	e := events.APIGatewayV2HTTPResponse{StatusCode: w.status, Headers: make(map[string]string), Cookies: w.header.Values("Set-Cookie")}
	for name, values := range w.header {
		if name != "Set-Cookie" {
			e.Headers[name] = strings.Join(values, ",")
		}
	}
	if utf8.Valid(w.body.Bytes()) {
		e.Body = w.body.String()
	} else {
		e.Body, e.IsBase64Encoded = base64.StdEncoding.EncodeToString(w.body.Bytes()), true
	}
	return e
}
