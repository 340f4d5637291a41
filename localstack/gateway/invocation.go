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

// Function is a Lambda function: it takes an event and returns a response, both
// JSON. It is invoked concurrently, and must not change a response after it returned
// it. The context has the deadline of the integration timeout and carries a
// lambdacontext with a request id. A panic counts as an error.
//
// The handler that lambda.NewHandler of aws-lambda-go returns has this method but
// breaks the contract, at least up to v1.55.1: its response is in a pooled buffer
// that the next invocation overwrites. Use NewFunction with the handler that
// lambda.Start takes.
//
// An error that wraps ErrUnavailable means that the function gave no response at all.
// Any other error is one that the function returned.
type Function interface {
	Invoke(ctx context.Context, payload []byte) ([]byte, error)
}

// FunctionFunc is a Go function as a Function.
type FunctionFunc func(ctx context.Context, payload []byte) ([]byte, error)

// Invoke calls f.
func (f FunctionFunc) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	return f(ctx, payload)
}

// NewFunction returns the Function of a handler that lambda.Start takes. It is as
// safe for concurrent use as the handler. It fails when the event is not JSON of type
// E and when the response cannot be encoded.
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

// ErrUnavailable is what the error of a Function wraps when the function gave no
// response: it was killed at its timeout, its process exited, or it was throttled. A
// frame and a $connect fail as for any other error. An HTTP request is answered with
// 503 instead of 500.
var ErrUnavailable = errors.New("function gave no response")

// The failures of an integration, in addition to the errors of the function itself.
var (
	errTimeout          = fmt.Errorf("%w: integration timeout", ErrUnavailable)
	errEventTooLarge    = errors.New("event exceeds 6 MB")
	errResponseTooLarge = errors.New("response is too large")
	errResponseNotText  = errors.New("response is not UTF-8 text")
	errResponseNoStatus = errors.New("response has no valid statusCode")
)

// invoke runs a function with an event, after the jitter, and returns its response.
// It ignores the cancellation of ctx: a Lambda does not notice that its caller left.
func (g *Gateway) invoke(ctx context.Context, function Function, event any) ([]byte, error) {
	payload, err := json.Marshal(event)
	if err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	if len(payload) > MaxInvocationBytes {
		return nil, errEventTooLarge
	}
	ctx = context.WithoutCancel(ctx)
	g.applyJitter(ctx)
	ctx = lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: newUUID()})
	ctx, cancel := context.WithTimeout(ctx, g.opts.IntegrationTimeout)
	// ctx.Done cannot stand for the deadline: it is closed when the function returns.
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
			return nil, errResponseTooLarge
		}
		return r.payload, r.err
	case <-deadline.C:
		return nil, errTimeout
	}
}

// applyJitter waits for a random part of the jitter, or until ctx ends.
func (g *Gateway) applyJitter(ctx context.Context) {
	if g.opts.Jitter > 0 {
		sleep(ctx, rand.N(g.opts.Jitter))
	}
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// response is the decoded response of a proxy integration.
type response struct {
	status  int
	headers map[string]string
	// multiValue is set by payload format 1.0, the format of WebSocket APIs.
	multiValue map[string][]string
	cookies    []string
	body       []byte
}

// header returns the value of a header, or "".
func (r *response) header(name string) string {
	for key, value := range r.headers {
		if strings.EqualFold(key, name) {
			return value
		}
	}
	for key, values := range r.multiValue {
		if strings.EqualFold(key, name) && len(values) > 0 {
			return values[0]
		}
	}
	return ""
}

// invokeProxy invokes a function and decodes its response. The integration fails
// when the response is not an object with a statusCode.
func (g *Gateway) invokeProxy(ctx context.Context, function Function, event any) (*response, error) {
	payload, err := g.invoke(ctx, function, event)
	if err != nil {
		return nil, err
	}
	return decodeResponse(payload)
}

// decodeResponse decodes the response of a proxy integration.
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

// logFailure logs the failure of an integration with further attributes.
func (g *Gateway) logFailure(err error, attributes ...any) {
	g.log.Error("integration failed", append(attributes, "error", err)...)
}

// writeMessage answers with an error in the form that API Gateway uses.
func writeMessage(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	body, _ := json.Marshal(map[string]string{"message": message}) // cannot fail
	_, _ = w.Write(body)
}
