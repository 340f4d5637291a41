package eventbridge_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/google/go-cmp/cmp"

	"centrifuge/localstack/eventbridge"
)

// recorder is a function that records its events.
type recorder struct {
	closed bool
	events []string
}

func (r *recorder) InvokeAsync(event []byte) error {
	if r.closed {
		return errors.New("closed")
	}
	r.events = append(r.events, string(event))
	return nil
}

// newBus returns a bus that invokes function for messages.
func newBus(function *recorder) *eventbridge.Bus {
	return eventbridge.New([]eventbridge.Rule{{Source: "centrifuge", DetailType: "message", Function: function}})
}

func TestPutEvents(t *testing.T) {
	function := new(recorder)
	server := httptest.NewServer(newBus(function))
	defer server.Close()
	client := sdk.NewFromConfig(aws.Config{
		Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
		BaseEndpoint: aws.String(server.URL + "/events"), RetryMaxAttempts: 1,
	})
	entry := func(source, detailType, detail string) types.PutEventsRequestEntry {
		return types.PutEventsRequestEntry{
			EventBusName: aws.String("any"), Source: &source, DetailType: &detailType, Detail: &detail,
			Time: aws.Time(time.Unix(1795338907, 456e6)),
		}
	}
	output, err := client.PutEvents(t.Context(), &sdk.PutEventsInput{Entries: []types.PutEventsRequestEntry{
		entry("centrifuge", "message", `{"n":1.50,"text":"é <&>"}`),
		entry("centrifuge", "other", `{}`),
		entry("other", "message", `{}`),
		entry("centrifuge", "message", `{"n":`),
	}})
	if err != nil {
		t.Fatal(err)
	}
	var codes []string
	for _, e := range output.Entries {
		codes = append(codes, aws.ToString(e.ErrorCode))
	}
	if diff := cmp.Diff([]string{"", "", "", "MalformedDetail"}, codes); diff != "" || output.FailedEntryCount != 1 {
		t.Errorf("%d failed entries, codes (-want +got):\n%s", output.FailedEntryCount, diff)
	}
	want := []string{`{"version":"0","id":"` + aws.ToString(output.Entries[0].EventId) + `","detail-type":"message","source":"centrifuge",` +
		`"account":"000000000000","time":"2026-11-22T09:15:07Z","region":"us-east-1","resources":[],"detail":{"n":1.50,"text":"é <&>"}}`}
	if diff := cmp.Diff(want, function.events); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

const (
	target = "AWSEvents.PutEvents"
	body   = `{"Entries":[{"Source":"centrifuge","DetailType":"message","Detail":"{\"text\":\"confidential\"}"}]}`
)

func TestRefusedRequests(t *testing.T) {
	for _, test := range []struct {
		name, target, body string
		closed             bool
		status             int
		kind               string
	}{
		{"another operation", "AWSEvents.PutRule", body, false, http.StatusBadRequest, "UnknownOperationException"},
		{"not JSON", target, `{"Entries":[`, false, http.StatusBadRequest, "SerializationException"},
		{"a function that takes no events", target, body, true, http.StatusServiceUnavailable, "ServiceUnavailableException"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(test.body))
			r.Header.Set("X-Amz-Target", test.target)
			w := httptest.NewRecorder()
			newBus(&recorder{closed: test.closed}).ServeHTTP(w, r)
			if w.Code != test.status || !strings.Contains(w.Body.String(), test.kind) {
				t.Errorf("status %d, want %d with %s: %s", w.Code, test.status, test.kind, w.Body)
			}
		})
	}
}
