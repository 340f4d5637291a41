package eventbridge_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"centrifuge/localstack/eventbridge"
	"centrifuge/localstack/gateway"
)

// putDirectly puts events without a socket, for tests in a bubble.
func putDirectly(t *testing.T, bus *eventbridge.Bus, n int) {
	t.Helper()
	entries := strings.Repeat(`,{"Source":"centrifuge","DetailType":"message","Detail":"{\"text\":\"confidential\"}"}`, n)
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(`{"Entries":[`+entries[1:]+`]}`))
	r.Header.Set("X-Amz-Target", "AWSEvents.PutEvents")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 x")
	w := httptest.NewRecorder()
	bus.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
}

// The tests from here on run in a bubble, whose clock jumps ahead when nothing moves.

func TestAFailedInvocationIsMadeAgain(t *testing.T) {
	for name, c := range map[string]struct {
		failures int
		delays   []time.Duration
		want     []time.Duration // the times of invocations after the event
		dead     int
	}{
		"not when it succeeds":               {0, nil, []time.Duration{0}, 0},
		"after a second":                     {1, nil, []time.Duration{0, time.Second}, 0},
		"after two more":                     {2, nil, []time.Duration{0, time.Second, 3 * time.Second}, 0},
		"and no more":                        {9, nil, []time.Duration{0, time.Second, 3 * time.Second}, 1},
		"after the delays of AWS, if wished": {9, []time.Duration{time.Minute, 2 * time.Minute}, []time.Duration{0, time.Minute, 3 * time.Minute}, 1},
		"never, if wished":                   {9, []time.Duration{}, []time.Duration{0}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				function := &calls{failures: c.failures}
				bus := eventbridge.New(eventbridge.Options{
					Functions: []gateway.Function{function}, Delays: c.delays, Log: slog.New(slog.NewTextHandler(&log, nil)),
				})
				begin := time.Now()
				putDirectly(t, bus, 1)
				<-time.After(time.Hour) // of the bubble: everything has happened then
				bus.Close()
				var times []time.Duration
				for _, at := range function.times {
					times = append(times, at.Sub(begin))
				}
				if d := cmp.Diff(c.want, times); d != "" {
					t.Error(d)
				}
				for i := range function.payloads {
					if function.payloads[i] != function.payloads[0] || function.requests[i] != function.requests[0] {
						t.Errorf("attempt %d is another event or request", i)
					}
				}
				if n := bus.DeadLetters(); n != c.dead || strings.Count(log.String(), "dead letter") != c.dead {
					t.Errorf("%d dead letters, logged: %s", n, &log)
				}
				if strings.Contains(log.String(), "confidential") {
					t.Errorf("the detail is logged: %s", &log)
				}
			})
		})
	}
}

func TestWaysToFail(t *testing.T) {
	for name, c := range map[string]struct {
		function gateway.FunctionFunc
		cause    string
	}{
		"an error": {func(context.Context, []byte) ([]byte, error) { return nil, errors.New("not now") }, "not now"},
		"a panic":  {func(context.Context, []byte) ([]byte, error) { panic("oh") }, "function panicked: oh"},
		"too slow, although it succeeds": {func(ctx context.Context, _ []byte) ([]byte, error) {
			<-ctx.Done()
			return nil, nil
		}, "function timed out"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				bus := eventbridge.New(eventbridge.Options{
					Functions: []gateway.Function{c.function}, Delays: []time.Duration{}, Log: slog.New(slog.NewTextHandler(&log, nil)),
				})
				putDirectly(t, bus, 1)
				bus.Close()
				if bus.DeadLetters() != 1 || !strings.Contains(log.String(), c.cause) {
					t.Errorf("%d dead letters, logged: %s", bus.DeadLetters(), &log)
				}
			})
		})
	}
}

func TestClose(t *testing.T) {
	t.Run("waits for what is under way and cuts delays short", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			function := &calls{failures: 1}
			slow := gateway.FunctionFunc(func(ctx context.Context, payload []byte) ([]byte, error) {
				<-time.After(10 * time.Second) // of the bubble
				return function.Invoke(ctx, payload)
			})
			bus := eventbridge.New(eventbridge.Options{Functions: []gateway.Function{slow}, Delays: []time.Duration{time.Hour}})
			begin := time.Now()
			putDirectly(t, bus, 1)
			bus.Close()
			bus.Close()
			if d := time.Since(begin); d != 20*time.Second || len(function.payloads) != 2 {
				t.Errorf("closed after %v and %d invocations", d, len(function.payloads))
			}
		})
	})
	t.Run("refuses what comes later", func(t *testing.T) {
		bus := eventbridge.New(eventbridge.Options{})
		c := client(t, bus)
		bus.Close()
		_, err := put(t, c, valid(nil))
		var api smithy.APIError
		if !errors.As(err, &api) || api.ErrorCode() != "ServiceUnavailableException" {
			t.Errorf("the error is %v", err)
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	function := &calls{failures: 20}
	bus := eventbridge.New(eventbridge.Options{Functions: []gateway.Function{function}, Delays: []time.Duration{0, 0}})
	c := client(t, bus)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 5 {
				if _, err := put(t, c, valid(nil), valid(nil)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	bus.Close()
	if n := len(function.payloads); n != 80+20-bus.DeadLetters() {
		t.Errorf("invoked %d times, %d dead letters", n, bus.DeadLetters())
	}
}

func TestAFunctionThatIsNoneIsRefused(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("it is not")
		}
	}()
	eventbridge.New(eventbridge.Options{Functions: []gateway.Function{nil}})
}

// Whatever is sent gets an answer, and what is invoked gets an event.
func FuzzPutEvents(f *testing.F) {
	for _, seed := range []string{
		`{"Entries":[{"Source":"a","DetailType":"b","Detail":"{\"c\":1}","Time":1795338907.456,"Resources":["d"]}]}`,
		`{"Entries":[{"Source":"a","DetailType":"b","Detail":"[]"},null,{}]}`, `{"Entries":[]}`, `[]`, ``,
		`{"Entries":[{"Source":"a","DetailType":"b","Detail":"{}","Time":-1e11}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		function := gateway.FunctionFunc(func(_ context.Context, payload []byte) ([]byte, error) {
			var e events.EventBridgeEvent
			d := json.NewDecoder(bytes.NewReader(payload))
			d.DisallowUnknownFields()
			if err := d.Decode(&e); err != nil {
				t.Errorf("invoked with %s: %v", payload, err)
			}
			return nil, nil
		})
		bus := eventbridge.New(eventbridge.Options{Functions: []gateway.Function{function}, Delays: []time.Duration{}})
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		r.Header.Set("X-Amz-Target", "AWSEvents.PutEvents")
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 x")
		w := httptest.NewRecorder()
		bus.ServeHTTP(w, r)
		bus.Close()
		if w.Code != 200 && w.Code != 400 && w.Code != 413 || !json.Valid(w.Body.Bytes()) {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
		if n := bus.DeadLetters(); n != 0 {
			t.Errorf("%d events could not be made", n)
		}
	})
}

func Example() {
	bus := eventbridge.New(eventbridge.Options{Functions: []gateway.Function{
		gateway.NewFunction(func(_ context.Context, e events.EventBridgeEvent) (any, error) {
			fmt.Println(e.Source, e.DetailType, string(e.Detail))
			return nil, nil
		}),
	}})
	server := httptest.NewServer(bus)
	defer server.Close()

	client := sdk.NewFromConfig(aws.Config{
		Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
		BaseEndpoint: &server.URL,
	})
	_, err := client.PutEvents(context.Background(), &sdk.PutEventsInput{Entries: []types.PutEventsRequestEntry{{
		Source: aws.String("shop"), DetailType: aws.String("order"), Detail: aws.String(`{"id":1234}`),
	}}})
	if err != nil {
		fmt.Println(err)
	}
	bus.Close()
	// Output: shop order {"id":1234}
}
