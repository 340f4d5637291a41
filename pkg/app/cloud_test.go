package app

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"centrifuge/pkg/config"
)

// read reads an item with a client that cloud configures.
func read(ctx context.Context, client *dynamodb.Client) error {
	_, err := client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: aws.String("t"), Key: map[string]types.AttributeValue{"PK": &types.AttributeValueMemberS{Value: "p"}},
	})
	return err
}

func newDynamoDB(t *testing.T, handler http.HandlerFunc, attempt, all time.Duration) *dynamodb.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	c := cloud(config.Config{Region: "eu-west-1", AccessKeyID: "A", SecretAccessKey: "S"}, attempt, all)
	t.Cleanup(c.HTTPClient.(*client).CloseIdleConnections)
	return dynamodb.NewFromConfig(c, func(o *dynamodb.Options) { o.BaseEndpoint = &server.URL })
}

func TestAttempts(t *testing.T) {
	const bound = 1500 * time.Millisecond // of attempts that hang; the others are far quicker
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/x-amz-json-1.0")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for _, test := range []struct {
		name     string
		first    http.HandlerFunc // answers so many requests; the others get an item
		times    int
		attempt  time.Duration
		all      time.Duration
		attempts int
		fails    bool
	}{
		{name: "no answer once", first: hang, times: 1, attempt: bound, all: time.Minute, attempts: 2},
		{name: "part of an answer once", first: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "2")
			_, _ = io.WriteString(w, "{")
			_ = http.NewResponseController(w).Flush()
			hang(w, r)
		}, times: 1, attempt: bound, all: time.Minute, attempts: 2},
		{name: "broken connection once", first: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			times: 1, attempt: time.Minute, all: time.Minute, attempts: 2},
		{name: "500 twice", first: answer(500, "{}"), times: 2, attempt: time.Minute, all: time.Minute, attempts: 3},
		{name: "throttled seven times", first: answer(400, `{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"}`),
			times: 7, attempt: time.Minute, all: time.Minute, attempts: 8},
		{name: "throttled always", first: answer(400, `{"__type":"com.amazon.coral.availability#ThrottlingException"}`),
			times: 100, attempt: time.Minute, all: time.Minute, attempts: 8, fails: true},
		{name: "failed condition", first: answer(400, `{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"}`),
			times: 1, attempt: time.Minute, all: time.Minute, attempts: 1, fails: true},
		{name: "no answer in all the time", first: hang, times: 100, attempt: time.Minute, all: bound, attempts: 1, fails: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int64
			db := newDynamoDB(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if requests.Add(1) <= int64(test.times) {
					test.first(w, r)
					return
				}
				answer(200, "{}")(w, r)
			}, test.attempt, test.all)
			if err := read(t.Context(), db); (err != nil) != test.fails {
				t.Errorf("got error %v, want one: %v", err, test.fails)
			}
			if n := int(requests.Load()); n != test.attempts {
				t.Errorf("%d attempts were made, want %d", n, test.attempts)
			}
		})
	}
}

// TestThaw makes a request after a freeze, in which the service has forgotten all
// connections. It costs one attempt, not one for each connection.
func TestThaw(t *testing.T) {
	const connections = 5
	var (
		mu        sync.Mutex
		forgotten = make(map[string]bool) // by address of the client
		frozen    bool
		hung      int
		all       sync.WaitGroup
	)
	all.Add(connections)
	db := newDynamoDB(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		mu.Lock()
		hangs := forgotten[r.RemoteAddr]
		if hangs {
			hung++
		}
		first := !frozen
		if first {
			forgotten[r.RemoteAddr] = true
		}
		mu.Unlock()
		switch {
		case hangs:
			<-r.Context().Done()
		case first: // together, so that each request has a connection of its own
			all.Done()
			all.Wait()
			fallthrough
		default:
			_, _ = io.WriteString(w, "{}")
		}
	}, 1500*time.Millisecond, time.Minute)
	var requests sync.WaitGroup
	for range connections {
		requests.Go(func() {
			if err := read(t.Context(), db); err != nil {
				t.Error(err)
			}
		})
	}
	requests.Wait()
	mu.Lock()
	frozen = true
	mu.Unlock()

	if err := read(t.Context(), db); err != nil {
		t.Error(err)
	}
	if len(forgotten) != connections || hung != 1 {
		t.Errorf("%d connections before the freeze, and %d requests hung after it, want %d and 1", len(forgotten), hung, connections)
	}
}

func TestWait(t *testing.T) {
	for made, most := range []time.Duration{1: 50 * time.Millisecond, 2: 100 * time.Millisecond, 5: 800 * time.Millisecond, 6: time.Second, 7: time.Second} {
		if most == 0 {
			continue
		}
		for range 1000 {
			if d, err := wait(made, nil); err != nil || d < 0 || d >= most {
				t.Fatalf("wait after %d attempts is %v, error %v, want less than %v", made, d, err, most)
			}
		}
	}
}
