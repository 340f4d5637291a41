package signed

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/smithy-go/middleware"
	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/signed/signedtest"
)

// TestRequestsEqualSDK compares our request with that of the SDK, byte by byte: same target, same
// signed headers, same signature.
func TestRequestsEqualSDK(t *testing.T) {
	server := signedtest.NewServer(t, `{"FailedEntryCount":0,"Entries":[]}`)
	for _, tt := range []struct{ name, token, detail string }{
		{"static credentials", "", `{"n":1.50}`},
		{"credentials of a role", "a/token+of=a==role", `{"text":"é <&>"}`},
		{"a large body", "", `"` + strings.Repeat("x", 200<<10) + `"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			provider := credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "the-secret-key", tt.token)
			sdk := eventbridge.New(eventbridge.Options{
				Region: "eu-west-1", BaseEndpoint: &server.URL, Credentials: provider, APIOptions: []func(*middleware.Stack) error{signedtest.WithoutRetryHeaders},
			})
			if _, err := sdk.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{Detail: &tt.detail}}}); err != nil {
				t.Fatal(err)
			}
			want := server.Take()
			service, err := New(Options{
				Name: "events", Region: "eu-west-1", Credentials: provider, Endpoint: server.URL,
				Now: func() time.Time { return want.SignedAt(t) },
			})
			if err != nil {
				t.Fatal(err)
			}
			answer, err := service.Post(t.Context(), "/", map[string]string{
				"Content-Type": want.Header.Get("Content-Type"), "X-Amz-Target": want.Header.Get("X-Amz-Target"),
			}, []byte(want.Body))
			if err != nil || string(answer) != `{"FailedEntryCount":0,"Entries":[]}` {
				t.Fatalf("answer %q, error %v", answer, err)
			}
			if diff := cmp.Diff(want, server.Take()); diff != "" {
				t.Errorf("the SDK's request (-) and ours (+):\n%s", diff)
			}
		})
	}
}

// TestAddresses compares addresses with those of the SDK.
func TestAddresses(t *testing.T) {
	for _, region := range []string{"us-east-1", "eu-central-2", "cn-north-1", "us-gov-west-1", "ap-southeast-5"} {
		endpoint, err := eventbridge.NewDefaultEndpointResolverV2().ResolveEndpoint(t.Context(), eventbridge.EndpointParameters{Region: &region})
		if err != nil {
			t.Fatal(err)
		}
		if got := address("events", region); got != endpoint.URI.String() {
			t.Errorf("the address is %s, that of the SDK %s", got, &endpoint.URI)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	provider := credentials.NewStaticCredentialsProvider("A", "S", "")
	for _, tt := range []struct {
		name    string
		options Options
		want    string
	}{
		{"no name", Options{Region: "us-east-1", Credentials: provider}, "name or region of the service is missing"},
		{"no region", Options{Name: "events", Credentials: provider}, "name or region of the service is missing"},
		{"no credentials", Options{Name: "events", Region: "us-east-1"}, "events: credentials are missing"},
		{"an endpoint without a scheme", Options{Name: "events", Region: "us-east-1", Credentials: provider, Endpoint: "127.0.0.1:4566"}, "events: endpoint must have the form https://host"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := New(tt.options); err == nil || err.Error() != tt.want {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
}

func TestPost(t *testing.T) {
	const ms = time.Millisecond
	all := []time.Duration{50 * ms, 100 * ms, 200 * ms, 400 * ms, 800 * ms, 1000 * ms, 1000 * ms}
	answer := func(status int, kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if kind != "" {
				w.Header().Set("X-Amzn-Errortype", kind)
			}
			w.WriteHeader(status)
			io.WriteString(w, body)
		}
	}
	for _, tt := range []struct {
		name  string
		first http.HandlerFunc
		times int // that it answers; later requests get "ok"
		waits []time.Duration
		want  string // the error, "" for none
	}{
		{"an answer", nil, 0, nil, ""},
		{"another status of success", answer(202, "", "ok"), 1, nil, ""},
		{"503 twice", answer(503, "", `{"__type":"ServiceUnavailable"}`), 2, all[:2], ""},
		{"429 once", answer(429, "TooManyRequestsException:http://internal/", ""), 1, all[:1], ""},
		{"throttled once", answer(400, "", `{"__type":"com.amazonaws.events#ThrottlingException","message":"Rate exceeded"}`), 1, all[:1], ""},
		{"no answer once", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 1, all[:1], ""},
		{"part of an answer once", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "3")
			io.WriteString(w, "o")
		}, 1, all[:1], ""},
		{"500 always", answer(500, "", `{"__type":"InternalException"}`), 100, all, "events answered 500 Internal Server Error, InternalException"},
		{"refused", answer(400, "ValidationException", `{"message":"no entries"}`), 1, nil, "events answered 400 Bad Request, ValidationException: no entries"},
		{"forbidden", answer(403, "", `{"__type":"AccessDeniedException","Message":"not authorized"}`), 1, nil, "events answered 403 Forbidden, AccessDeniedException: not authorized"},
		{"a redirect", answer(307, "", ""), 1, nil, "events answered 307 Temporary Redirect"},
		{"an error that is not JSON", answer(404, "", "<html>"), 1, nil, "events answered 404 Not Found"},
		{"an answer that is too long", answer(200, "", strings.Repeat("x", maxAnswerBytes+1)), 1, nil, "events answered with more than 65536 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var made atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				n := made.Add(1)
				if body, _ := io.ReadAll(r.Body); string(body) != "{}" || r.URL.EscapedPath() != "/a%3Ab" {
					t.Errorf("request to %s with %q", r.URL.EscapedPath(), body)
				}
				if int(n) <= tt.times {
					tt.first(w, r)
					return
				}
				io.WriteString(w, "ok")
			}))
			t.Cleanup(server.Close)
			var waits []time.Duration
			s, err := New(Options{
				Name: "events", Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("A", "S", ""), Endpoint: server.URL + "/",
				Wait: func(_ context.Context, d time.Duration) error {
					waits = append(waits, d)
					return nil
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.Post(t.Context(), "/a%3Ab", nil, []byte("{}"))
			switch {
			case tt.want == "" && (err != nil || string(got) != "ok"):
				t.Errorf("answer %q, error %v", got, err)
			case tt.want != "" && (err == nil || err.Error() != tt.want):
				t.Errorf("error %v, want %s", err, tt.want)
			}
			if diff := cmp.Diff(tt.waits, waits); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPostEndsWithContext(t *testing.T) {
	failing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }))
	t.Cleanup(failing.Close)
	s, err := New(Options{
		Name: "events", Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("A", "S", ""), Endpoint: failing.URL,
		Wait: func(context.Context, time.Duration) error { return context.DeadlineExceeded },
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Post(t.Context(), "/", nil, nil)
	if failure, ok := errors.AsType[*Error](err); !ok || failure.Status != 500 || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error while waiting is %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Post(ctx, "/", nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}

func TestWait(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Wait(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	if err := Wait(t.Context(), time.Nanosecond); err != nil {
		t.Error(err)
	}
}

// refusing are credentials that cannot be read.
type refusing struct{}

func (refusing) Retrieve(context.Context) (aws.Credentials, error) {
	return aws.Credentials{}, errors.New("no role")
}

func TestPostWithoutCredentials(t *testing.T) {
	s, err := New(Options{Name: "events", Region: "us-east-1", Credentials: refusing{}, Endpoint: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Post(t.Context(), "/", nil, nil); err == nil || err.Error() != "retrieve credentials: no role" {
		t.Errorf("error is %v", err)
	}
}
