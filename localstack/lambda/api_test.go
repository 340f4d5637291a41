package lambda_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"

	"centrifuge/localstack/lambda"
	"centrifuge/pkg/delivery"
	"centrifuge/pkg/hub"
)

// TestAPIInvoke invokes a function as functions that publish do.
func TestAPIInvoke(t *testing.T) {
	function := new(recorder)
	q, _ := newQueue()
	server := httptest.NewServer(lambda.API(map[string]lambda.Asynchronous{"dispatch": lambda.InProcess{Queue: q, Name: "dispatch", Function: function}}))
	t.Cleanup(server.Close)
	f, err := delivery.NewFunction(delivery.FunctionOptions{
		Name: "dispatch", Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""), Endpoint: server.URL,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Invoke(t.Context(), hub.Channel{Project: "demo", Category: "chat", Incarnation: "5", Name: "a"}); err != nil {
		t.Fatal(err)
	}
	q.Wait()
	if diff := cmp.Diff([]string{`{"Project":"demo","Category":"chat","Incarnation":"5","Name":"a"}`}, function.events); diff != "" {
		t.Error(diff)
	}
}

func TestAPIRefusals(t *testing.T) {
	const path = "/2015-03-31/functions/dispatch/invocations"
	for _, tt := range []struct {
		name, method, path, kind, body string
		closed                         bool
		status                         int
		want                           string // the name of the error
	}{
		{"an event", "POST", path, "Event", `{}`, false, 202, ""},
		{"a function that is not there", "POST", "/2015-03-31/functions/other/invocations", "Event", `{}`, false, 404, "ResourceNotFoundException"},
		{"a synchronous invocation", "POST", path, "RequestResponse", `{}`, false, 400, "InvalidParameterValueException"},
		{"an event that is not JSON", "POST", path, "Event", `{`, false, 400, "InvalidRequestContentException"},
		{"an event over 1 MB", "POST", path, "Event", `"` + strings.Repeat("x", 1<<20) + `"`, false, 413, "RequestTooLargeException"},
		{"a closed queue", "POST", path, "Event", `{}`, true, 503, "ServiceException"},
		{"another method", "GET", path, "Event", ``, false, 405, ""},
		{"another operation", "POST", "/2015-03-31/functions", "Event", `{}`, false, 404, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q, _ := newQueue()
			if tt.closed {
				q.Close()
			}
			r := httptest.NewRequest(tt.method, tt.path, strings.NewReader(tt.body))
			r.Header.Set("X-Amz-Invocation-Type", tt.kind)
			w := httptest.NewRecorder()
			lambda.API(map[string]lambda.Asynchronous{"dispatch": lambda.InProcess{Queue: q, Name: "dispatch", Function: new(recorder)}}).ServeHTTP(w, r)
			if got := w.Header().Get("X-Amzn-Errortype"); w.Code != tt.status || got != tt.want {
				t.Errorf("status %d with %s, want %d with %s", w.Code, got, tt.status, tt.want)
			}
			if tt.status == http.StatusAccepted && w.Body.Len() > 0 {
				t.Errorf("the answer has a body: %s", w.Body)
			}
		})
	}
}
