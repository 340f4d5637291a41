package lambda_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/go-cmp/cmp"

	"centrifuge/localstack/gateway"
	"centrifuge/localstack/lambda"
)

// recorder is a function that records its invocations and fails the first ones.
type recorder struct {
	failures int

	mu       sync.Mutex
	events   []string
	requests []string
	times    []time.Time
}

func (r *recorder) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	lc, _ := lambdacontext.FromContext(ctx)
	r.events = append(r.events, string(event))
	r.requests = append(r.requests, lc.AwsRequestID)
	r.times = append(r.times, time.Now())
	clear(event) // a function may change its event
	if len(r.events) <= r.failures {
		return nil, errors.New("not now")
	}
	return []byte("null"), nil
}

// newQueue returns a queue that waits for one second and for two, and its dead letters, which
// may be read when it is closed.
func newQueue() (*lambda.Queue, *[]lambda.DeadLetter) {
	var mu sync.Mutex
	letters := new([]lambda.DeadLetter)
	return lambda.NewQueue(lambda.QueueOptions{
		RetryDelays: [2]time.Duration{time.Second, 2 * time.Second},
		DeadLetter: func(d lambda.DeadLetter) {
			mu.Lock()
			defer mu.Unlock()
			*letters = append(*letters, d)
		},
	}), letters
}

func TestQueueRetries(t *testing.T) {
	for _, test := range []struct {
		name     string
		failures int
		want     []time.Duration // from the request to each invocation
		dead     bool
	}{
		{"a success", 0, []time.Duration{0}, false},
		{"one failure", 1, []time.Duration{0, time.Second}, false},
		{"two failures", 2, []time.Duration{0, time.Second, 3 * time.Second}, false},
		{"every attempt fails", 3, []time.Duration{0, time.Second, 3 * time.Second}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				function := &recorder{failures: test.failures}
				q, letters := newQueue()
				begin := time.Now()
				if err := (lambda.InProcess{Queue: q, Name: "f", Function: function}).InvokeAsync([]byte(`{"n":1}`)); err != nil {
					t.Fatal(err)
				}
				q.Wait()
				var times []time.Duration
				for i, at := range function.times {
					times = append(times, at.Sub(begin))
					if function.events[i] != `{"n":1}` || function.requests[i] != function.requests[0] {
						t.Errorf("attempt %d has the event %s and the request id %s", i, function.events[i], function.requests[i])
					}
				}
				if diff := cmp.Diff(test.want, times); diff != "" {
					t.Errorf("invocations (-want +got):\n%s", diff)
				}
				if dead := len(*letters) == 1; dead != test.dead || dead && ((*letters)[0].Function != "f" ||
					string((*letters)[0].Event) != `{"n":1}` || (*letters)[0].RequestID != function.requests[0] || (*letters)[0].Err.Error() != "not now") {
					t.Errorf("dead letters %+v", *letters)
				}
			})
		})
	}
}

func TestQueueFailures(t *testing.T) {
	for _, test := range []struct {
		name     string
		function gateway.FunctionFunc
		want     string
	}{
		{"an error", func(context.Context, []byte) ([]byte, error) { return nil, errors.New("not now") }, "not now"},
		{"a panic", func(context.Context, []byte) ([]byte, error) { panic("oh") }, "function panicked: oh"},
		{"a late success", func(ctx context.Context, _ []byte) ([]byte, error) {
			<-ctx.Done()
			return nil, nil
		}, "it timed out"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q, letters := newQueue()
				if err := (lambda.InProcess{Queue: q, Name: "f", Function: test.function}).InvokeAsync(nil); err != nil {
					t.Fatal(err)
				}
				q.Close()
				if len(*letters) != 1 || !strings.Contains((*letters)[0].Err.Error(), test.want) {
					t.Errorf("dead letters %+v, want one with %q", *letters, test.want)
				}
			})
		})
	}
}

func TestQueueClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		function := &recorder{failures: 2}
		q, _ := newQueue()
		slow := lambda.InProcess{Queue: q, Name: "f", Function: gateway.FunctionFunc(func(ctx context.Context, event []byte) ([]byte, error) {
			<-time.After(10 * time.Second) // of the fake clock
			return function.Invoke(ctx, event)
		})}
		begin := time.Now()
		if err := slow.InvokeAsync(nil); err != nil {
			t.Fatal(err)
		}
		q.Close()
		q.Close()
		if d := time.Since(begin); d != 30*time.Second || len(function.events) != 3 {
			t.Errorf("closed after %v with %d invocations, want 30s with 3: a closed queue waits for no repetition", d, len(function.events))
		}
		if err := slow.InvokeAsync(nil); err == nil {
			t.Error("a closed queue took an event")
		}
	})
}

// TestQueueWait adds an invocation from another one: Wait returns after both.
func TestQueueWait(t *testing.T) {
	function := new(recorder)
	q, _ := newQueue()
	second := lambda.InProcess{Queue: q, Name: "second", Function: function}
	first := lambda.InProcess{Queue: q, Name: "first", Function: gateway.FunctionFunc(func(context.Context, []byte) ([]byte, error) {
		return nil, second.InvokeAsync([]byte("1"))
	})}
	if err := first.InvokeAsync(nil); err != nil {
		t.Fatal(err)
	}
	q.Wait()
	if diff := cmp.Diff([]string{"1"}, function.events); diff != "" {
		t.Error(diff)
	}
}
