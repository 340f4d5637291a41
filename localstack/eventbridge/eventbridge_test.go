package eventbridge_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"centrifuge/localstack/eventbridge"
	"centrifuge/localstack/gateway"
)

var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// calls is a function that notes its invocations and fails the first n.
type calls struct {
	mu       sync.Mutex
	failures int
	payloads []string
	requests []string // their request ids
	times    []time.Time
}

func (c *calls) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	lc, _ := lambdacontext.FromContext(ctx)
	c.payloads = append(c.payloads, string(payload))
	c.requests = append(c.requests, lc.AwsRequestID)
	c.times = append(c.times, time.Now())
	clear(payload)
	if len(c.payloads) <= c.failures {
		return nil, errors.New("not now")
	}
	return []byte("null"), nil
}

// client is the unmodified SDK on a server of bus.
func client(t *testing.T, bus *eventbridge.Bus) *sdk.Client {
	t.Helper()
	s := httptest.NewServer(bus)
	t.Cleanup(s.Close)
	return sdk.NewFromConfig(aws.Config{
		Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
		BaseEndpoint: aws.String(s.URL + "/events"), RetryMaxAttempts: 1,
	})
}

// valid is an entry that nothing is wrong with, changed by change.
func valid(change func(*types.PutEventsRequestEntry)) types.PutEventsRequestEntry {
	e := types.PutEventsRequestEntry{
		EventBusName: aws.String("centrifuge"), Source: aws.String("centrifuge"), DetailType: aws.String("message"),
		Detail: aws.String(`{"n":1.50,"text":"é <&>"}`), Time: aws.Time(time.Unix(1795338907, 456e6)),
	}
	if change != nil {
		change(&e)
	}
	return e
}

func put(t *testing.T, c *sdk.Client, entries ...types.PutEventsRequestEntry) (*sdk.PutEventsOutput, error) {
	t.Helper()
	return c.PutEvents(t.Context(), &sdk.PutEventsInput{Entries: entries})
}

func TestEveryFunctionGetsTheEvent(t *testing.T) {
	one, other := new(calls), new(calls)
	bus := eventbridge.New(eventbridge.Options{Functions: []gateway.Function{one, other}, Region: "eu-central-1", AccountID: "123456789012"})
	output, err := put(t, client(t, bus), valid(func(e *types.PutEventsRequestEntry) { e.Resources = []string{"arn:x"} }))
	if err != nil {
		t.Fatal(err)
	}
	bus.Close()
	if output.FailedEntryCount != 0 || len(output.Entries) != 1 || output.Entries[0].ErrorCode != nil {
		t.Fatalf("answered %+v", output)
	}
	id := aws.ToString(output.Entries[0].EventId)
	if !uuid.MatchString(id) {
		t.Errorf("the event id is %s", id)
	}
	want := []string{`{"version":"0","id":"` + id + `","detail-type":"message","source":"centrifuge","account":"123456789012",` +
		`"time":"2026-11-22T09:15:07Z","region":"eu-central-1","resources":["arn:x"],"detail":{"n":1.50,"text":"é <&>"}}`}
	for _, c := range []*calls{one, other} {
		if d := cmp.Diff(want, c.payloads); d != "" {
			t.Error(d)
		}
		if !uuid.MatchString(c.requests[0]) {
			t.Errorf("the request id is %s", c.requests[0])
		}
	}
	if one.requests[0] == other.requests[0] {
		t.Error("two invocations have the same request id")
	}
	if n := bus.DeadLetters(); n != 0 {
		t.Errorf("%d dead letters", n)
	}
}

func TestAnEventIsWhatTheLibraryOfLambdaExpects(t *testing.T) {
	c := new(calls)
	bus := eventbridge.New(eventbridge.Options{Functions: []gateway.Function{c}})
	begin := time.Now().Truncate(time.Second)
	if _, err := put(t, client(t, bus), valid(func(e *types.PutEventsRequestEntry) { e.Time = nil })); err != nil {
		t.Fatal(err)
	}
	bus.Close()
	var got events.EventBridgeEvent
	d := json.NewDecoder(strings.NewReader(c.payloads[0]))
	d.DisallowUnknownFields()
	if err := d.Decode(&got); err != nil {
		t.Fatal(err)
	}
	if got.Time.Before(begin) || got.Time.After(time.Now()) {
		t.Errorf("an event without a time has %v", got.Time)
	}
	want := events.EventBridgeEvent{
		Version: "0", ID: got.ID, DetailType: "message", Source: "centrifuge", AccountID: "000000000000",
		Time: got.Time, Region: "us-east-1", Resources: []string{}, Detail: json.RawMessage(`{"n":1.50,"text":"é <&>"}`),
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestARefusedEntryLeavesTheOthersAlone(t *testing.T) {
	type outcome struct{ Code, Message string }
	required := func(name string) outcome {
		return outcome{"InvalidArgument", "Parameter " + name + " is not valid. Reason: " + name + " is a required argument."}
	}
	malformed := outcome{"MalformedDetail", "Detail is malformed."}
	cases := []struct {
		name   string
		change func(*types.PutEventsRequestEntry)
		want   outcome
	}{
		{"nothing is wrong", nil, outcome{}},
		{"no source", func(e *types.PutEventsRequestEntry) { e.Source = nil }, required("Source")},
		{"no detail type", func(e *types.PutEventsRequestEntry) { e.DetailType = aws.String("") }, required("DetailType")},
		{"no detail", func(e *types.PutEventsRequestEntry) { e.Detail = nil }, required("Detail")},
		{"a detail that is not JSON", func(e *types.PutEventsRequestEntry) { e.Detail = aws.String(`{"a":`) }, malformed},
		{"a detail that is a list", func(e *types.PutEventsRequestEntry) { e.Detail = aws.String(`[]`) }, malformed},
		{"a detail that is null", func(e *types.PutEventsRequestEntry) { e.Detail = aws.String(`null`) }, malformed},
		{"AWS's own source", func(e *types.PutEventsRequestEntry) { e.Source = aws.String("aws.s3") }, outcome{"NotAuthorizedForSourceException", "Not authorized for the source."}},
		{"an empty detail", func(e *types.PutEventsRequestEntry) { e.Detail = aws.String(`{}`) }, outcome{}},
		{"no bus, which is the default one", func(e *types.PutEventsRequestEntry) { e.EventBusName = nil }, outcome{}},
	}
	c := new(calls)
	bus := eventbridge.New(eventbridge.Options{Functions: []gateway.Function{c}})
	var entries []types.PutEventsRequestEntry
	for _, c := range cases {
		entries = append(entries, valid(c.change))
	}
	output, err := put(t, client(t, bus), entries...)
	if err != nil {
		t.Fatal(err)
	}
	bus.Close()
	failed := 0
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			e := output.Entries[i]
			if d := cmp.Diff(c.want, outcome{aws.ToString(e.ErrorCode), aws.ToString(e.ErrorMessage)}); d != "" {
				t.Error(d)
			}
			if (e.EventId == nil) != (e.ErrorCode != nil) {
				t.Errorf("the event id is %v", e.EventId)
			}
		})
		if c.want.Code != "" {
			failed++
		}
	}
	if int(output.FailedEntryCount) != failed || len(c.payloads) != len(cases)-failed {
		t.Errorf("%d failed, %d were invoked", output.FailedEntryCount, len(c.payloads))
	}
}

func TestTheSDKGetsTheErrorsOfAWS(t *testing.T) {
	// An entry of n bytes: with source, detail type, time and the detail's own eleven.
	sized := func(n int) types.PutEventsRequestEntry {
		return valid(func(e *types.PutEventsRequestEntry) {
			e.Detail = aws.String(`{"text":"` + strings.Repeat("x", n-len("centrifuge"+"message")-14-11) + `"}`)
		})
	}
	for name, c := range map[string]struct {
		entries []types.PutEventsRequestEntry
		code    string
	}{
		"ten entries are taken":        {slices.Repeat([]types.PutEventsRequestEntry{valid(nil)}, 10), ""},
		"eleven are too many":          {slices.Repeat([]types.PutEventsRequestEntry{valid(nil)}, 11), "ValidationException"},
		"none are too few":             {[]types.PutEventsRequestEntry{}, "ValidationException"},
		"256 KB are taken":             {[]types.PutEventsRequestEntry{sized(128 << 10), sized(128 << 10)}, ""},
		"a byte more is too large":     {[]types.PutEventsRequestEntry{sized(128 << 10), sized(128<<10 + 1)}, "ValidationException"},
		"a resource counts":            {[]types.PutEventsRequestEntry{sized(256 << 10), valid(func(e *types.PutEventsRequestEntry) { e.Resources = []string{"x"} })}, "ValidationException"},
		"a body that is far too large": {[]types.PutEventsRequestEntry{sized(2 << 20)}, "RequestEntityTooLargeException"},
		"a time before 1970 is taken":  {[]types.PutEventsRequestEntry{valid(func(e *types.PutEventsRequestEntry) { e.Time = aws.Time(time.Unix(-1e9, 0)) })}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			function := new(calls)
			bus := eventbridge.New(eventbridge.Options{Functions: []gateway.Function{function}})
			output, err := put(t, client(t, bus), c.entries...)
			bus.Close()
			var api smithy.APIError
			code := ""
			if errors.As(err, &api) {
				code = api.ErrorCode()
			} else if err != nil {
				t.Fatal(err)
			}
			if code != c.code {
				t.Errorf("the error is %v", err)
			}
			want := 0
			if c.code == "" {
				want = len(c.entries)
				if output.FailedEntryCount != 0 {
					t.Errorf("%d failed", output.FailedEntryCount)
				}
			}
			if len(function.payloads) != want {
				t.Errorf("invoked %d times", len(function.payloads))
			}
		})
	}
}

func TestRequestsThatTheSDKDoesNotMake(t *testing.T) {
	const good = `{"Entries":[{"Source":"a","DetailType":"b","Detail":"{}"}]}`
	for name, c := range map[string]struct {
		method, target, authorization, body string
		status                              int
		kind                                string
	}{
		"the smallest that is one":   {"POST", "AWSEvents.PutEvents", "AWS4-HMAC-SHA256 x", good, 200, ""},
		"another operation":          {"POST", "AWSEvents.PutRule", "AWS4-HMAC-SHA256 x", good, 400, "UnknownOperationException"},
		"no operation":               {"GET", "", "AWS4-HMAC-SHA256 x", "", 400, "UnknownOperationException"},
		"no signature":               {"POST", "AWSEvents.PutEvents", "", good, 400, "MissingAuthenticationTokenException"},
		"no JSON":                    {"POST", "AWSEvents.PutEvents", "AWS4-HMAC-SHA256 x", `{"Entries":[`, 400, "SerializationException"},
		"an entry of another kind":   {"POST", "AWSEvents.PutEvents", "AWS4-HMAC-SHA256 x", `{"Entries":["x"]}`, 400, "SerializationException"},
		"a time of another kind":     {"POST", "AWSEvents.PutEvents", "AWS4-HMAC-SHA256 x", `{"Entries":[{"Time":"now"}]}`, 400, "SerializationException"},
		"a time after the year 9999": {"POST", "AWSEvents.PutEvents", "AWS4-HMAC-SHA256 x", `{"Entries":[{"Source":"a","DetailType":"b","Detail":"{}","Time":253402300800}]}`, 400, "ValidationException"},
		"a time before the year 0":   {"POST", "AWSEvents.PutEvents", "AWS4-HMAC-SHA256 x", `{"Entries":[{"Source":"a","DetailType":"b","Detail":"{}","Time":-62167219201}]}`, 400, "ValidationException"},
		"no entries":                 {"POST", "AWSEvents.PutEvents", "AWS4-HMAC-SHA256 x", `{}`, 400, "ValidationException"},
		"null":                       {"POST", "AWSEvents.PutEvents", "AWS4-HMAC-SHA256 x", `null`, 400, "ValidationException"},
	} {
		t.Run(name, func(t *testing.T) {
			bus := eventbridge.New(eventbridge.Options{})
			defer bus.Close()
			r := httptest.NewRequest(c.method, "/", strings.NewReader(c.body))
			r.Header.Set("X-Amz-Target", c.target)
			r.Header.Set("Authorization", c.authorization)
			w := httptest.NewRecorder()
			bus.ServeHTTP(w, r)
			var answer struct {
				Type string `json:"__type"`
			}
			if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
				t.Fatal(err)
			}
			if w.Code != c.status || answer.Type != c.kind || w.Header().Get("Content-Type") != "application/x-amz-json-1.1" {
				t.Errorf("status %d, %v: %s", w.Code, w.Header(), w.Body)
			}
		})
	}
}
