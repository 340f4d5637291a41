package delivery

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"centrifuge/pkg/hub"
)

const (
	// invokeAttempts is how often an invocation is requested at most.
	invokeAttempts = 4
	// invokeTimeout ends one attempt.
	invokeTimeout = 2 * time.Second
	// maxInvokeAnswer limits the bytes of an answer that are read.
	maxInvokeAnswer = 4 << 10
)

// FunctionOptions are the parts of a Function. All are required except Endpoint and Wait.
type FunctionOptions struct {
	// Name is the name or the ARN of the function.
	Name string
	// Region is its region, and Credentials sign the requests.
	Region      string
	Credentials aws.CredentialsProvider
	// Endpoint is the address of another Lambda; "" means AWS.
	Endpoint string
	// Wait waits between attempts, until d has passed or ctx ends, whose error it then
	// returns. nil means a timer.
	Wait func(ctx context.Context, d time.Duration) error
}

// Function is a Lambda function that is invoked asynchronously. The one that dispatches streams is
// an Invoker: its event is the channel, as JSON. The request is that of Lambda's API "Invoke" with
// the invocation type Event: Lambda queues the event, and runs the function again where it fails. It
// is made without the SDK's client of Lambda, which would cost every cold start. A Function is safe
// for concurrent use.
type Function struct {
	address     string
	region      string
	credentials aws.CredentialsProvider
	signer      *v4.Signer
	client      *http.Client
	wait        func(context.Context, time.Duration) error
}

var _ Invoker = (*Function)(nil)

// NewFunction returns a Function. It makes no request.
func NewFunction(o FunctionOptions) (*Function, error) {
	switch {
	case o.Name == "" || o.Region == "":
		return nil, errors.New("function: name or region is missing")
	case o.Credentials == nil:
		return nil, errors.New("function: credentials are missing")
	}
	if o.Endpoint == "" {
		o.Endpoint = "https://lambda." + o.Region + ".amazonaws.com"
	}
	if o.Wait == nil {
		o.Wait = sleep
	}
	return &Function{
		address: o.Endpoint + "/2015-03-31/functions/" + url.PathEscape(o.Name) + "/invocations",
		region:  o.Region, credentials: o.Credentials, signer: v4.NewSigner(), wait: o.Wait,
		client: &http.Client{Timeout: invokeTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, nil
}

// Invoke has the contract of Invoker.
func (f *Function) Invoke(ctx context.Context, ch hub.Channel) error {
	event, err := json.Marshal(ch)
	if err != nil {
		return fmt.Errorf("encode the event: %w", err)
	}
	return f.InvokeWith(ctx, event)
}

// InvokeWith invokes the function with an event, which is JSON of at most 1 MB. It repeats a request
// that was throttled, answered with an error of the server, or not answered: then the function may be
// invoked twice.
func (f *Function) InvokeWith(ctx context.Context, event []byte) error {
	payload := NewPayload(event)
	for attempt := 1; ; attempt++ {
		again, err := f.request(ctx, payload)
		if err == nil || !again || attempt == invokeAttempts {
			return err
		}
		if f.wait(ctx, backOff<<(attempt-1)) != nil {
			return err
		}
	}
}

// request makes one request. again means that repeating it may help.
func (f *Function) request(ctx context.Context, p *Payload) (again bool, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, f.address, bytes.NewReader(p.body))
	if err != nil {
		return false, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Amz-Invocation-Type", "Event")
	credentials, err := f.credentials.Retrieve(ctx)
	if err != nil {
		return false, fmt.Errorf("read credentials: %w", err)
	}
	if err := f.signer.SignHTTP(ctx, credentials, r, p.hash, "lambda", f.region, time.Now()); err != nil {
		return false, fmt.Errorf("sign: %w", err)
	}
	response, err := f.client.Do(r)
	if err != nil {
		return ctx.Err() == nil, err
	}
	defer func() { _ = response.Body.Close() }()
	text, _ := io.ReadAll(io.LimitReader(response.Body, maxInvokeAnswer))
	if response.StatusCode == http.StatusAccepted {
		return false, nil
	}
	again = response.StatusCode == http.StatusTooManyRequests || response.StatusCode >= http.StatusInternalServerError
	return again, fmt.Errorf("lambda answered %s: %s", response.Status, text)
}
