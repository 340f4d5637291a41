package stack

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"centrifuge/localstack/gateway"
	"centrifuge/localstack/lambda"
	"centrifuge/pkg/hub"
)

// traffic logs what passes through the gateway: connections, frames and HTTP requests; and
// webhooks and dispatches of streams. It never logs headers, queries, tokens or the data of messages.
type traffic struct{ log *slog.Logger }

// maxMethod limits the method that is logged of a frame: clients choose it.
const maxMethod = 40

// event has what is logged of an event, whatever its source.
type event struct {
	Headers struct {
		Origin string
	} `json:"headers"`
	RequestContext struct {
		RouteKey             string `json:"routeKey"`
		EventType            string `json:"eventType"`
		ConnectionID         string `json:"connectionId"`
		RequestID            string `json:"requestId"`
		ConnectedAt          int64  `json:"connectedAt"`
		DisconnectStatusCode int    `json:"disconnectStatusCode"`
		DisconnectReason     string `json:"disconnectReason"`
	} `json:"requestContext"`
	Body string `json:"body"`

	DetailType string `json:"detail-type"`
	Detail     struct {
		Project  string `json:"project_id"`
		Category string `json:"category"`
		Channel  string `json:"channel"`
		Message  string `json:"event_id"`
	} `json:"detail"`

	Project, Category, Name string // of the channel that is to be dispatched
}

// watch returns functions that log their WebSocket events, webhooks and dispatches.
func (t traffic) watch(functions map[string]gateway.Function) map[string]gateway.Function {
	watched := make(map[string]gateway.Function, len(functions))
	for name, f := range functions {
		watched[name] = gateway.FunctionFunc(func(ctx context.Context, payload []byte) ([]byte, error) {
			start := time.Now()
			response, err := f.Invoke(ctx, payload)
			t.invoked(ctx, payload, response, err, time.Since(start))
			return response, err
		})
	}
	return watched
}

// watchAsync returns a function that logs what it is given, when it is given.
func (t traffic) watchAsync(f lambda.Asynchronous) lambda.Asynchronous { return watched{f, t} }

type watched struct {
	function lambda.Asynchronous
	traffic  traffic
}

func (w watched) InvokeAsync(event []byte) error {
	start := time.Now()
	err := w.function.InvokeAsync(event)
	w.traffic.invoked(context.Background(), event, nil, err, time.Since(start))
	return err
}

// invoked logs an invocation. HTTP requests are logged by serve, which also sees those
// that no function gets.
func (t traffic) invoked(ctx context.Context, payload, response []byte, failure error, took time.Duration) {
	var e event
	if json.Unmarshal(payload, &e) != nil {
		return
	}
	var attributes []slog.Attr
	if failure != nil {
		attributes = append(attributes, slog.Any("error", failure))
	}
	c := e.RequestContext
	switch {
	case c.EventType == "CONNECT":
		t.connected(ctx, e, response, took)
	case c.EventType == "DISCONNECT":
		t.log.LogAttrs(ctx, slog.LevelInfo, "connection closed", append([]slog.Attr{
			slog.String("connection", c.ConnectionID), slog.Int("code", c.DisconnectStatusCode), slog.String("reason", c.DisconnectReason),
			slog.Duration("duration", time.Since(time.UnixMilli(c.ConnectedAt)).Truncate(time.Millisecond)),
		}, attributes...)...)
	case c.EventType == "MESSAGE":
		attributes = append(attributes, outcome(response)...)
		t.log.LogAttrs(ctx, slog.LevelInfo, "frame", append([]slog.Attr{
			slog.String("method", methodOf(e)), slog.String("connection", c.ConnectionID), slog.Int("bytes", len(e.Body)),
			slog.String("event_request", c.RequestID), slog.Duration("duration", took),
		}, attributes...)...)
	case e.DetailType == "Scheduled Event":
		// The pings that it sends are logged, where there are any.
	case e.DetailType != "":
		t.log.LogAttrs(ctx, slog.LevelInfo, "webhook", append([]slog.Attr{
			slog.String("project", e.Detail.Project), slog.String("channel", hub.Channel{Category: e.Detail.Category, Name: e.Detail.Channel}.String()),
			slog.String("message", e.Detail.Message), slog.Duration("duration", took),
		}, attributes...)...)
	case e.Project != "" && e.Name != "":
		t.log.LogAttrs(ctx, slog.LevelInfo, "stream dispatched", append([]slog.Attr{
			slog.String("project", e.Project), slog.String("channel", hub.Channel{Category: e.Category, Name: e.Name}.String()), slog.Duration("duration", took),
		}, attributes...)...)
	}
}

// connected logs a connection that $connect accepts. serve logs those that it refuses.
func (t traffic) connected(ctx context.Context, e event, response []byte, took time.Duration) {
	var answer struct {
		Status int `json:"statusCode"`
	}
	if json.Unmarshal(response, &answer) == nil && answer.Status >= 200 && answer.Status <= 299 {
		t.log.LogAttrs(ctx, slog.LevelInfo, "connection opened", slog.String("connection", e.RequestContext.ConnectionID),
			slog.String("origin", e.Headers.Origin), slog.Duration("duration", took))
	}
}

// methodOf is the method of a frame: its route, or for $default what the client sent.
func methodOf(e event) string {
	if e.RequestContext.RouteKey != "$default" {
		return e.RequestContext.RouteKey
	}
	var frame struct {
		Method string `json:"method"`
	}
	_ = json.Unmarshal([]byte(e.Body), &frame) // the reply says what is wrong with the frame
	if len(frame.Method) > maxMethod {
		return "$default"
	}
	return frame.Method
}

// outcome returns what a reply says about success: the error, and the channels that were
// refused with the reasons.
func outcome(response []byte) []slog.Attr {
	var answer struct {
		Body string `json:"body"`
	}
	var reply map[string]json.RawMessage
	if json.Unmarshal(response, &answer) != nil || json.Unmarshal([]byte(answer.Body), &reply) != nil {
		return nil
	}
	var all []slog.Attr
	for _, key := range []string{"error", "detail", "refused", "reasons"} {
		var value any
		if json.Unmarshal(reply[key], &value) == nil && value != nil {
			all = append(all, slog.Any(key, errorsOnly(value)))
		}
	}
	return all
}

// errorsOnly returns a value of a reply in which each object with an error is replaced by
// the error: a line has no room for what to do about it.
func errorsOnly(value any) any {
	object, ok := value.(map[string]any)
	if !ok {
		return value
	}
	if text, ok := object["error"].(string); ok {
		return text
	}
	short := make(map[string]any, len(object))
	for key, member := range object {
		short[key] = errorsOnly(member)
	}
	return short
}

// reasons say why a handshake is refused, by the status.
var reasons = map[int]string{
	http.StatusBadRequest: "the request is not a WebSocket handshake, or $connect cannot read it",
	http.StatusForbidden:  "the Origin is not allowed in the project",
	http.StatusNotFound:   "the project in the URL does not exist",
}

// serve logs HTTP requests and handshakes that are refused.
func (t traffic) serve(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		a := &answer{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(a, r)
		attributes := []slog.Attr{slog.Int("status", a.status), slog.Duration("duration", time.Since(start))}
		attributes = append(attributes, a.refusals()...)
		message := "request"
		switch handshake := r.URL.Path == "/"+Stage && r.Header.Get("Upgrade") != ""; {
		case !handshake:
			attributes = append([]slog.Attr{slog.String("method", r.Method), slog.String("path", r.URL.Path)}, attributes...)
		case a.status < http.StatusBadRequest:
			return // $connect and $disconnect are logged
		default:
			message = "connection refused"
			attributes = append([]slog.Attr{slog.String("origin", r.Header.Get("Origin")), slog.String("reason", reasons[a.status])}, attributes...)
		}
		t.log.LogAttrs(r.Context(), slog.LevelInfo, message, attributes...)
	})
}

// maxAnswer limits what is read of an answer to find its errors. It holds the answer to
// a broadcast to as many channels as one may name.
const maxAnswer = 1 << 20

// answer records the status of a response, and its body in JSON.
type answer struct {
	http.ResponseWriter
	status int
	body   []byte
}

func (a *answer) Write(b []byte) (int, error) {
	if strings.HasPrefix(a.Header().Get("Content-Type"), "application/json") && len(a.body)+len(b) <= maxAnswer {
		a.body = append(a.body, b...)
	}
	return a.ResponseWriter.Write(b)
}

// refusal is the error in a reply: a text, or an object with a message. It is "" for
// anything else.
type refusal string

func (r *refusal) UnmarshalJSON(b []byte) error {
	var object struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(b, (*string)(r)) != nil && json.Unmarshal(b, &object) == nil {
		*r = refusal(object.Message)
	}
	return nil
}

// part is one of many things that a request of the server API asks for.
type part struct {
	Error refusal `json:"error"`
}

// refusals are the error of the server API or of the admin pages' API, whatever the status. Of
// a broadcast, a batch and a stream of commands they are the number of parts that failed, with
// the first error.
func (a *answer) refusals() []slog.Attr {
	var (
		first  refusal
		detail string
		parts  []part
	)
	lines := slices.Collect(bytes.Lines(a.body))
	for _, line := range lines {
		var reply struct {
			part
			Detail  string          `json:"detail"`
			Code    int             `json:"code"` // in the transport error mode
			Message string          `json:"message"`
			Result  json.RawMessage `json:"result"`
			Replies []part          `json:"replies"`
		}
		if json.Unmarshal(line, &reply) != nil {
			return nil
		}
		if reply.Code != 0 {
			reply.Error = cmp.Or(reply.Error, refusal(reply.Message))
		}
		var broadcast struct {
			Responses []part `json:"responses"`
		}
		_ = json.Unmarshal(reply.Result, &broadcast) // other results have no responses
		parts = slices.Concat(parts, broadcast.Responses, reply.Replies)
		if len(lines) > 1 {
			parts = append(parts, reply.part)
		}
		first, detail = cmp.Or(first, reply.Error), cmp.Or(detail, reply.Detail)
	}
	failed := 0
	for _, p := range parts {
		if p.Error != "" {
			failed++
			first = cmp.Or(first, p.Error)
		}
	}
	var all []slog.Attr
	if failed > 0 {
		all = append(all, slog.Int("failed", failed))
	}
	if first != "" {
		all = append(all, slog.String("error", string(first)))
	}
	if first != "" && detail != "" {
		all = append(all, slog.String("detail", detail))
	}
	return all
}

func (a *answer) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

// Unwrap lets the gateway take over the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
