package app

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/aws/aws-lambda-go/lambda"

	"centrifuge/pkg/hub"
)

// answerFirst returns a handler for lambda.Start that answers as h does, and then does the
// work that the hub left for later. The next event waits for this work, the caller of the
// function does not. The work ends before the process is killed: gateway sets its stop.
// An error of h is answered after the work.
func answerFirst(h lambda.Handler) func(context.Context, json.RawMessage) (*answer, error) {
	return func(ctx context.Context, event json.RawMessage) (*answer, error) {
		ctx, later := hub.WithLater(ctx)
		response, err := h.Invoke(ctx, event)
		if err != nil {
			later()
			return nil, err
		}
		// The response is in a buffer that the next event overwrites. It is posted earlier.
		return &answer{bytes.NewReader(response), later}, nil
	}
}

// answer is the response of a function, which is JSON. aws-lambda-go posts what it reads
// from it to the Runtime API, which passes it on to the caller. Then it calls Close, and
// then it asks for the next event. It does so only while the JSON of this type is {}.
type answer struct {
	response *bytes.Reader
	later    func()
}

func (a *answer) Read(b []byte) (int, error) { return a.response.Read(b) }

// ContentType is that of a response which lambda.Start encodes itself.
func (a *answer) ContentType() string { return "application/json" }

func (a *answer) Close() error {
	a.later()
	return nil
}
