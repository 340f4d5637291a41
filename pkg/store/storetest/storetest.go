// Package storetest gives a test a store over a DynamoDB table of its own, the clock of
// the store, and the requests that it sends.
//
// All tests of a package share one database: DYNAMODB_ENDPOINT, or a process that
// ends with the test binary.
package storetest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	local "centrifuge/localstack/dynamodb"
	"centrifuge/pkg/config"
	"centrifuge/pkg/store"
)

// Store is a store over a table of its own.
type Store struct {
	*store.Store
	// Table is the name of the table and Client the client of the store.
	Table  string
	Client *dynamodb.Client
	// Requests are the requests of Client.
	Requests *Requests
	// Clock is the clock of the store, unless the options had one.
	Clock *Clock
}

// New returns a store over an empty table that is deleted when the test ends. The
// default clock is Clock, not time.Now.
func New(tb testing.TB, o store.Options) *Store {
	tb.Helper()
	endpoint, table := Table(tb)
	s := &Store{Table: table, Requests: &Requests{}, Clock: &Clock{now: time.Now()}}
	s.Client = newClient(endpoint, s.Requests)
	s.Store = s.Another(o)
	if err := s.CreateTable(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	s.Requests.Sent()
	return s
}

// Table returns the address of the database and the name of a table that the test may
// create, and that is deleted when the test ends.
func Table(tb testing.TB) (endpoint, table string) {
	tb.Helper()
	endpoint, err := database()
	if err != nil {
		tb.Fatal(err)
	}
	table = "test-" + rand.Text()
	tb.Cleanup(func() {
		client := newClient(endpoint, http.DefaultTransport)
		_, err := client.DeleteTable(context.WithoutCancel(tb.Context()), &dynamodb.DeleteTableInput{TableName: &table})
		if missing := new(types.ResourceNotFoundException); err != nil && !errors.As(err, &missing) {
			tb.Error(err)
		}
	})
	return endpoint, table
}

func newClient(endpoint string, transport http.RoundTripper) *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(endpoint),
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		HTTPClient:  &http.Client{Transport: transport},
	})
}

// Another returns a second store over the same table.
func (s *Store) Another(o store.Options) *store.Store {
	if o.Now == nil {
		o.Now = s.Clock.Now
	}
	return store.New(s.Client, s.Table, o)
}

// database returns the address of the database and starts it on the first call.
var database = sync.OnceValues(func() (endpoint string, err error) {
	if endpoint := os.Getenv(config.DynamoDBEndpoint); endpoint != "" {
		return endpoint, nil
	}
	// The first start on a machine downloads the database.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	server, err := local.Start(ctx, local.Options{Progress: os.Stderr})
	if err != nil {
		return "", err
	}
	return server.Endpoint(), nil
})

// Clock changes only by Advance. It is safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// Now returns the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance changes the time by d.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Requests counts the requests of a store, and may replace them.
type Requests struct {
	// Intercept, when set, gets every request, with its operation ("PutItem"), before
	// it is sent. It may change the request, or answer it by a response or an error.
	Intercept func(operation string, r *http.Request) (*http.Response, error)

	mu    sync.Mutex
	count map[string]int
}

// RoundTrip implements [http.RoundTripper].
func (r *Requests) RoundTrip(request *http.Request) (*http.Response, error) {
	_, operation, _ := strings.Cut(request.Header.Get("X-Amz-Target"), ".")
	r.mu.Lock()
	if r.count == nil {
		r.count = make(map[string]int)
	}
	r.count[operation]++
	r.mu.Unlock()
	if r.Intercept != nil {
		if response, err := r.Intercept(operation, request); response != nil || err != nil {
			return response, err
		}
	}
	return http.DefaultTransport.RoundTrip(request)
}

// Sent returns the requests since the last call: "2 PutItem, 1 Query". Retries count.
func (r *Requests) Sent() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var sent []string
	for _, operation := range slices.Sorted(maps.Keys(r.count)) {
		sent = append(sent, fmt.Sprintf("%d %s", r.count[operation], operation))
	}
	r.count = nil
	return strings.Join(sent, ", ")
}
