package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"centrifuge/localstack/lambda"
	"centrifuge/pkg/app"
	"centrifuge/pkg/hub"
)

// bootstrapVariable makes the test binary a bootstrap. Its value is the URL that the
// function requests in the work after its answer.
const bootstrapVariable = "TEST_BOOTSTRAP"

func TestMain(m *testing.M) {
	if os.Getenv(bootstrapVariable) == "" {
		os.Exit(m.Run())
	}
	app.Main(func(getenv func(string) string, _ io.Writer) (string, error) { return getenv(bootstrapVariable), nil }, handler)
}

// handler answers with the body of an event, and fails where that is "fail".
func handler(url string) any {
	return func(ctx context.Context, e events.APIGatewayWebsocketProxyRequest) (events.APIGatewayProxyResponse, error) {
		hub.Later(ctx, func() {
			if w, err := http.Post(url, "text/plain", http.NoBody); err == nil {
				w.Body.Close()
			}
		})
		if e.Body == "fail" {
			return events.APIGatewayProxyResponse{}, errors.New("no luck")
		}
		return events.APIGatewayProxyResponse{StatusCode: http.StatusOK, Body: e.Body}, nil
	}
}

// start starts the function as a process, at most one at a time.
func start(t *testing.T, work string) *lambda.Function {
	t.Helper()
	s, err := lambda.Start(t.Context(), lambda.Options{Concurrency: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return s.New(lambda.Configuration{Name: "f", Bootstrap: binary, MemoryMB: 256, Environment: map[string]string{bootstrapVariable: work}})
}

// TestMainAnswersFirst runs a function as a process behind the Runtime API. Its work after
// an answer waits for the test, which has the answer. An error comes after the work.
func TestMainAnswersFirst(t *testing.T) {
	working, goOn := make(chan struct{}), make(chan struct{})
	work := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		working <- struct{}{}
		<-goOn
	}))
	t.Cleanup(work.Close)
	f := start(t, work.URL)

	const body = `a "quoted" <b> & 1`
	event, err := json.Marshal(map[string]any{"body": body})
	if err != nil {
		t.Fatal(err)
	}
	response, err := f.Invoke(t.Context(), event)
	if err != nil {
		t.Fatal(err)
	}
	// The bytes that lambda.Start sends for this type without app.Main.
	if want := `{"statusCode":200,"headers":null,"multiValueHeaders":null,"body":"a \"quoted\" <b> & 1"}`; string(response) != want {
		t.Errorf("response %s, expected %s", response, want)
	}
	<-working
	if _, err := f.Invoke(t.Context(), event); !errors.Is(err, lambda.ErrThrottled) {
		t.Errorf("error %v during the work, expected %v", err, lambda.ErrThrottled)
	}
	if err := f.InvokeAsync([]byte(`{"body":"next"}`)); err != nil {
		t.Fatal(err)
	}
	goOn <- struct{}{}
	<-working // of the next event, which waited
	goOn <- struct{}{}
}

// TestMainError checks that an error is that of the handler, and that the work is done
// before it.
func TestMainError(t *testing.T) {
	requests := make(chan struct{}, 1)
	work := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests <- struct{}{} }))
	t.Cleanup(work.Close)
	f := start(t, work.URL)
	var failure *lambda.FunctionError
	if _, err := f.Invoke(t.Context(), []byte(`{"body":"fail"}`)); !errors.As(err, &failure) || *failure != (lambda.FunctionError{Type: "errorString", Message: "no luck"}) {
		t.Errorf("error %v, expected that of the handler", err)
	}
	if len(requests) != 1 {
		t.Errorf("the work was done %d times before the error, expected once", len(requests))
	}
}
