package gateway

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// apiEvent is the event of an HTTP route, in payload format 2.0.
type apiEvent struct {
	Version         string            `json:"version"`
	RouteKey        string            `json:"routeKey"`
	RawPath         string            `json:"rawPath"`
	RawQueryString  string            `json:"rawQueryString"`
	Cookies         []string          `json:"cookies,omitempty"`
	Headers         map[string]string `json:"headers"`
	Query           map[string]string `json:"queryStringParameters,omitempty"`
	RequestContext  apiContext        `json:"requestContext"`
	PathParameters  map[string]string `json:"pathParameters,omitempty"`
	Body            string            `json:"body,omitempty"`
	IsBase64Encoded bool              `json:"isBase64Encoded"`
}

type apiContext struct {
	AccountID    string         `json:"accountId"`
	APIID        string         `json:"apiId"`
	DomainName   string         `json:"domainName"`
	DomainPrefix string         `json:"domainPrefix"`
	HTTP         apiContextHTTP `json:"http"`
	RequestID    string         `json:"requestId"`
	RouteKey     string         `json:"routeKey"`
	Stage        string         `json:"stage"`
	Time         string         `json:"time"`
	TimeEpoch    int64          `json:"timeEpoch"`
}

type apiContextHTTP struct {
	Method    string `json:"method"`
	Path      string `json:"path"`
	Protocol  string `json:"protocol"`
	SourceIP  string `json:"sourceIp"`
	UserAgent string `json:"userAgent"`
}

// serveAPI serves a request to the HTTP API.
func (g *Gateway) serveAPI(w http.ResponseWriter, r *http.Request) {
	route, variables := g.match(r.Method, r.URL.Path)
	if route == nil {
		writeMessage(w, http.StatusNotFound, "Not Found")
		return
	}
	if !g.startWork() {
		writeMessage(w, http.StatusServiceUnavailable, "Service Unavailable")
		return
	}
	defer g.running.Done()
	if r.ContentLength > MaxRequestBytes {
		writeMessage(w, http.StatusRequestEntityTooLarge, "Request Entity Too Large")
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, MaxRequestBytes+1))
	switch {
	case err != nil:
		writeMessage(w, http.StatusBadRequest, "Bad Request")
		return
	case len(body) > MaxRequestBytes:
		writeMessage(w, http.StatusRequestEntityTooLarge, "Request Entity Too Large")
		return
	}

	event := g.apiEvent(r, route.key, variables, body)
	w.Header().Set("Apigw-Requestid", event.RequestContext.RequestID)
	payload, err := g.invoke(r.Context(), route.function, event)
	var response *response
	if err == nil {
		response, err = decodeAPIResponse(payload)
	}
	switch {
	case errors.Is(err, errEventTooLarge):
		writeMessage(w, http.StatusRequestEntityTooLarge, "Request Entity Too Large")
	case errors.Is(err, ErrUnavailable):
		// Reported for the timeout of the integration: cortexlabs/cortex#1225. For a
		// function that is killed earlier, 500 is reported too: denoland/deno_registry2#87.
		g.logFailure(err, "route", route.key, "event_request", event.RequestContext.RequestID)
		writeMessage(w, http.StatusServiceUnavailable, "Service Unavailable")
	case err != nil:
		// Documented for errors of the function and for responses that are not understood:
		// "Troubleshooting issues with HTTP API Lambda integrations".
		g.logFailure(err, "route", route.key, "event_request", event.RequestContext.RequestID)
		writeMessage(w, http.StatusInternalServerError, "Internal Server Error")
	default:
		response.write(w)
	}
}

// apiEvent builds the event of a request.
func (g *Gateway) apiEvent(r *http.Request, key string, variables map[string]string, body []byte) *apiEvent {
	now := time.Now()
	peer := peerOf(r)
	prefix, _, _ := strings.Cut(r.Host, ".")
	event := &apiEvent{
		Version:        "2.0",
		RouteKey:       key,
		RawPath:        r.URL.Path, // decoded: that is what HTTP APIs send as rawPath
		RawQueryString: r.URL.RawQuery,
		Cookies:        cookies(r),
		Headers:        apiHeaders(r, peer, now),
		PathParameters: variables,
		RequestContext: apiContext{
			AccountID:    g.opts.AccountID,
			APIID:        g.opts.APIID,
			DomainName:   r.Host,
			DomainPrefix: prefix,
			HTTP: apiContextHTTP{
				Method: r.Method, Path: r.URL.Path, Protocol: r.Proto,
				SourceIP: peer.SourceIP, UserAgent: peer.UserAgent,
			},
			RequestID: newID(),
			RouteKey:  key,
			Stage:     "$default",
			Time:      now.UTC().Format(timeLayout),
			TimeEpoch: now.UnixMilli(),
		},
	}
	if query := r.URL.Query(); len(query) > 0 {
		event.Query = make(map[string]string, len(query))
		for name, values := range query {
			event.Query[name] = strings.Join(values, ",")
		}
	}
	switch {
	case len(body) == 0:
	case isText(r.Header.Get("Content-Type")) && utf8.Valid(body):
		event.Body = string(body)
	default:
		event.Body, event.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), true
	}
	return event
}

func cookies(r *http.Request) []string {
	var all []string
	for _, line := range r.Header.Values("Cookie") {
		for cookie := range strings.SplitSeq(line, ";") {
			if cookie = strings.TrimSpace(cookie); cookie != "" {
				all = append(all, cookie)
			}
		}
	}
	return all
}

// apiHeaders returns the headers in format 2.0: names in lower case, values joined,
// without cookies, and with the headers that API Gateway adds.
func apiHeaders(r *http.Request, p peer, now time.Time) map[string]string {
	headers := make(map[string]string, len(r.Header)+6)
	for name, values := range r.Header {
		if name != "Cookie" {
			headers[strings.ToLower(name)] = strings.Join(values, ",")
		}
	}
	maps.Copy(headers, map[string]string{
		"host":              r.Host,
		"x-amzn-trace-id":   newTrace(now),
		"x-forwarded-for":   forwardedFor(r, p),
		"x-forwarded-port":  p.port,
		"x-forwarded-proto": p.scheme,
	})
	if r.ContentLength >= 0 {
		headers["content-length"] = strconv.FormatInt(r.ContentLength, 10)
	}
	return headers
}

// isText reports whether a body of this content type is sent as text. Every other
// body is base64-encoded, including forms and bodies without a content type.
func isText(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return false
	}
	switch media {
	case "application/json", "application/xml", "application/javascript":
		return true
	}
	return strings.HasPrefix(media, "text/")
}

// decodeAPIResponse decodes the return value of an HTTP route. A value without
// statusCode is the body of a response with status 200 and type application/json.
func decodeAPIResponse(payload []byte) (*response, error) {
	var probe struct {
		StatusCode json.RawMessage `json:"statusCode"`
	}
	if err := json.Unmarshal(payload, &probe); err == nil && probe.StatusCode != nil {
		return decodeResponse(payload)
	}
	var value any
	if err := json.Unmarshal(payload, &value); err != nil {
		return nil, fmt.Errorf("decode response: %w", err)
	}
	body := payload
	if text, ok := value.(string); ok {
		body = []byte(text)
	}
	return &response{
		status:  http.StatusOK,
		headers: map[string]string{"Content-Type": "application/json"},
		body:    body,
	}, nil
}

// write answers an HTTP request with the response of its function.
// multiValueHeaders are ignored: they do not exist in format 2.0.
func (r *response) write(w http.ResponseWriter) {
	header := w.Header()
	// Without it net/http would guess a type from the body; API Gateway does not.
	header.Set("Content-Type", "text/plain; charset=utf-8")
	for name, value := range r.headers {
		switch http.CanonicalHeaderKey(name) {
		case "Content-Length", "Connection", "Transfer-Encoding":
			// The HTTP server sets these.
		default:
			header.Set(name, value)
		}
	}
	for _, cookie := range r.cookies {
		header.Add("Set-Cookie", cookie)
	}
	w.WriteHeader(r.status)
	_, _ = w.Write(r.body) // fails only when the client is gone
}
