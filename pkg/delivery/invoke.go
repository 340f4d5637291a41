package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/signed"
)

// invokeAttempts is how often an invocation is requested at most: a publisher waits for it.
const invokeAttempts = 4

// FunctionOptions are the parts of a Function. Name, Region and Credentials are required.
type FunctionOptions struct {
	// Name is the name or the ARN of the function.
	Name string
	// Region is its region, and Credentials sign the requests.
	Region      string
	Credentials aws.CredentialsProvider
	// Endpoint is the address of another Lambda; "" means AWS.
	Endpoint string
	// HTTP and Wait are those of signed.Options.
	HTTP aws.HTTPClient
	Wait func(ctx context.Context, d time.Duration) error
}

// Function is a Lambda function that is invoked asynchronously. The one that dispatches streams is
// an Invoker: its event is the channel, as JSON. The request is that of Lambda's API "Invoke" with
// the invocation type Event: Lambda queues the event, and runs the function again where it fails. It
// is made without the SDK's client of Lambda, which would cost every cold start. A Function is safe
// for concurrent use.
type Function struct {
	path   string
	lambda *signed.Service
}

var _ Invoker = (*Function)(nil)

// NewFunction returns a Function. It makes no request.
func NewFunction(o FunctionOptions) (*Function, error) {
	if o.Name == "" {
		return nil, errors.New("function: name is missing")
	}
	lambda, err := signed.New(signed.Options{
		Name: "lambda", Region: o.Region, Credentials: o.Credentials, Endpoint: o.Endpoint, HTTP: o.HTTP, Wait: o.Wait,
		Attempts: invokeAttempts,
	})
	if err != nil {
		return nil, fmt.Errorf("function: %w", err)
	}
	return &Function{path: "/2015-03-31/functions/" + url.PathEscape(o.Name) + "/invocations", lambda: lambda}, nil
}

// Invoke has the contract of Invoker.
func (f *Function) Invoke(ctx context.Context, ch hub.Channel) error {
	event, err := json.Marshal(ch)
	if err != nil {
		return fmt.Errorf("encode the event: %w", err)
	}
	return f.InvokeWith(ctx, event)
}

// InvokeWith invokes the function with an event, which is JSON of at most 1 MB. A request that was not
// answered is repeated: then the function may be invoked twice.
func (f *Function) InvokeWith(ctx context.Context, event []byte) error {
	_, err := f.lambda.Post(ctx, f.path, map[string]string{"Content-Type": "application/json", "X-Amz-Invocation-Type": "Event"}, event)
	return err
}
