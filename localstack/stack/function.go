package stack

import (
	"context"
	"encoding/json"
	"fmt"
)

// Function is a Lambda function: JSON in, JSON out. It is safe for concurrent use,
// which what lambda.NewHandler returns is not: its output is in a buffer that the
// next invocation writes to.
type Function func(ctx context.Context, payload []byte) ([]byte, error)

// Invoke runs the function with an event. It fails when the event does not have
// the function's form, and with what the function fails with.
func (f Function) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	return f(ctx, payload)
}

// function makes a Function of a handler as lambda.Start takes it.
func function[E, R any](handler func(context.Context, E) (R, error)) Function {
	return func(ctx context.Context, payload []byte) ([]byte, error) {
		var event E
		if err := json.Unmarshal(payload, &event); err != nil {
			return nil, fmt.Errorf("decode event: %w", err)
		}
		response, err := handler(ctx, event)
		if err != nil {
			return nil, err
		}
		return json.Marshal(response)
	}
}
