package gateway

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
)

// Function is a Lambda function: an event in, a response out, both JSON. It is
// invoked concurrently, and a response must stay as it is once returned. The context
// has the deadline of the integration timeout and carries a lambdacontext with a
// request id. A panic is an error.
//
// What lambda.NewHandler of aws-lambda-go returns has the method but, up to v1.55.1
// at least, not the promise: its response is in a pooled buffer that the next
// invocation writes to. NewFunction is for what one would pass to lambda.Start.
type Function interface {
	Invoke(ctx context.Context, payload []byte) ([]byte, error)
}

// FunctionFunc lets a Go function be a Function.
type FunctionFunc func(ctx context.Context, payload []byte) ([]byte, error)

// Invoke calls f.
func (f FunctionFunc) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	return f(ctx, payload)
}

// NewFunction makes a Function of a handler as lambda.Start takes it. It is as safe
// for concurrent use as the handler, and fails when the event is not the JSON of an E
// and when the response cannot be encoded.
func NewFunction[E, R any](handle func(context.Context, E) (R, error)) Function {
	return FunctionFunc(func(ctx context.Context, payload []byte) ([]byte, error) {
		var event E
		if err := json.Unmarshal(payload, &event); err != nil {
			return nil, fmt.Errorf("decode event: %w", err)
		}
		response, err := handle(ctx, event)
		if err != nil {
			return nil, err
		}
		encoded, err := json.Marshal(response)
		if err != nil {
			return nil, fmt.Errorf("encode response: %w", err)
		}
		return encoded, nil
	})
}

// The ways in which an integration fails, beside the function's own errors.
var (
	errTimeout          = errors.New("function timed out")
	errEventTooBig      = errors.New("event exceeds 6 MB")
	errResponseTooBig   = errors.New("response is too large")
	errResponseNotText  = errors.New("response is not UTF-8 text")
	errResponseNoStatus = errors.New("response has no valid statusCode")
)

// invoke runs a function with an event, after the jitter, and returns its payload.
// The cancellation of ctx is ignored: a Lambda does not learn that nobody waits any
// more.
func (g *Gateway) invoke(ctx context.Context, function Function, event any) ([]byte, error) {
	payload, err := json.Marshal(event)
	if err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	if len(payload) > MaxInvocationBytes {
		return nil, errEventTooBig
	}
	ctx = context.WithoutCancel(ctx)
	g.dawdle(ctx)
	ctx = lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: newUUID()})
	ctx, cancel := context.WithTimeout(ctx, g.opts.IntegrationTimeout)
	// The function's return ends ctx as well, so that ctx.Done is not the deadline.
	deadline := time.NewTimer(g.opts.IntegrationTimeout)
	defer deadline.Stop()

	type result struct {
		payload []byte
		err     error
	}
	done := make(chan result, 1)
	g.running.Go(func() {
		defer cancel()
		var r result
		defer func() {
			if p := recover(); p != nil {
				r = result{err: fmt.Errorf("function panicked: %v\n%s", p, debug.Stack())}
			}
			if ctx.Err() != nil {
				r = result{err: errTimeout}
			}
			done <- r
		}()
		r.payload, r.err = function.Invoke(ctx, payload)
	})
	select {
	case r := <-done:
		if r.err == nil && len(r.payload) > MaxInvocationBytes {
			return nil, errResponseTooBig
		}
		return r.payload, r.err
	case <-deadline.C:
		return nil, errTimeout
	}
}

// dawdle waits for a random part of the jitter, or until ctx is over.
func (g *Gateway) dawdle(ctx context.Context) {
	if g.opts.Jitter > 0 {
		wait(ctx, rand.N(g.opts.Jitter))
	}
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// response is what a proxy integration returned.
type response struct {
	status  int
	headers map[string]string
	// multi is filled by payload format 1.0 only, which WebSocket APIs speak.
	multi   map[string][]string
	cookies []string
	body    []byte
}

// header returns a header's value, "" where there is none.
func (r *response) header(name string) string {
	for key, value := range r.headers {
		if strings.EqualFold(key, name) {
			return value
		}
	}
	for key, values := range r.multi {
		if strings.EqualFold(key, name) && len(values) > 0 {
			return values[0]
		}
	}
	return ""
}

// call invokes a function and decodes what it returned: an object with at least a
// statusCode, otherwise the integration has failed.
func (g *Gateway) call(ctx context.Context, function Function, event any) (*response, error) {
	payload, err := g.invoke(ctx, function, event)
	if err != nil {
		return nil, err
	}
	return decodeResponse(payload)
}

// decodeResponse decodes the return value of a proxy integration.
func decodeResponse(payload []byte) (*response, error) {
	var wire struct {
		StatusCode        *int                `json:"statusCode"`
		Headers           map[string]string   `json:"headers"`
		MultiValueHeaders map[string][]string `json:"multiValueHeaders"`
		Cookies           []string            `json:"cookies"`
		Body              string              `json:"body"`
		IsBase64Encoded   bool                `json:"isBase64Encoded"`
	}
	if err := json.Unmarshal(payload, &wire); err != nil {
		return nil, fmt.Errorf("decode response: %w", err)
	}
	if wire.StatusCode == nil || *wire.StatusCode < 200 || *wire.StatusCode > 599 {
		return nil, errResponseNoStatus
	}
	body := []byte(wire.Body)
	if wire.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(wire.Body); err != nil {
			return nil, fmt.Errorf("decode response body: %w", err)
		}
	}
	return &response{*wire.StatusCode, wire.Headers, wire.MultiValueHeaders, wire.Cookies, body}, nil
}

func (g *Gateway) logFailure(route, connectionID string, err error) {
	g.log.Error("integration failed", "route", route, "connection", connectionID, "error", err)
}

// writeMessage answers with API Gateway's own form of an error.
func writeMessage(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(`{"message":"` + message + `"}`))
}
