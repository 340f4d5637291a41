package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"

	"centrifuge/localstack/dynoxide/dynoxidetest"
	"centrifuge/pkg/hub"
)

// stage is a store over a table of its own, whose requests are counted and may be
// tampered with, and whose clock stands still.
type stage struct {
	*Store
	clock *clock
	wire  *wire
}

func newStage(tb testing.TB) *stage {
	tb.Helper()
	w := &wire{}
	client := dynamodb.New(dynamodb.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(dynoxidetest.Endpoint(tb)),
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		HTTPClient:  &http.Client{Transport: w},
	})
	c := &clock{now: time.Now()}
	s := New(client, "centrifuge-test-"+rand.Text(), Options{Now: c.Now, CacheFor: -1})
	if err := s.CreateTable(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx := context.WithoutCancel(tb.Context())
		if _, err := client.DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: aws.String(s.table)}); err != nil {
			tb.Error(err)
		}
	})
	w.calls()
	return &stage{Store: s, clock: c, wire: w}
}

// another is a second Store over the same table.
func (s *stage) another(o Options) *Store {
	if o.Now == nil {
		o.Now = s.clock.Now
	}
	return New(s.db, s.table, o)
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// wire counts requests by operation, as they leave.
type wire struct {
	// tamper, when set, may answer a request itself, or change it on its way.
	tamper func(operation string, r *http.Request) (*http.Response, error)

	mu    sync.Mutex
	count map[string]int
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	w.mu.Lock()
	if w.count == nil {
		w.count = make(map[string]int)
	}
	w.count[operation]++
	w.mu.Unlock()
	if w.tamper != nil {
		if resp, err := w.tamper(operation, r); resp != nil || err != nil {
			return resp, err
		}
	}
	return http.DefaultTransport.RoundTrip(r)
}

// calls returns the requests since it was last called, as "2 PutItem, 1 Query".
func (w *wire) calls() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var b []string
	for _, operation := range slices.Sorted(maps.Keys(w.count)) {
		b = append(b, fmt.Sprintf("%d %s", w.count[operation], operation))
	}
	w.count = nil
	return strings.Join(b, ", ")
}

// takeBody reads the body of a message for another to be put in its place.
func takeBody(tb testing.TB, body io.ReadCloser) map[string]any {
	tb.Helper()
	defer body.Close()
	var v map[string]any
	if err := json.NewDecoder(body).Decode(&v); err != nil {
		tb.Error(err)
	}
	return v
}

func body(tb testing.TB, v any) (io.ReadCloser, int64) {
	tb.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		tb.Error(err)
	}
	return io.NopCloser(bytes.NewReader(b)), int64(len(b))
}

// What most tests are about.

func channel(name string) hub.Channel {
	return hub.Channel{Project: "p", Category: "chat", Name: name}
}

func channelsNamed(n int, prefix string) map[hub.Channel]int {
	m := make(map[hub.Channel]int)
	for i := range n {
		m[channel(fmt.Sprintf("%s%d", prefix, i))] = 1
	}
	return m
}

func (s *stage) open(tb testing.TB, id string) {
	tb.Helper()
	err := s.OpenConnection(tb.Context(), hub.Connection{ID: id, Origin: "https://o", Expires: s.clock.Now().Add(hub.MaxConnectionAge)})
	if err != nil {
		tb.Fatal(err)
	}
}

// enter opens and authenticates a connection of a user to project p.
func (s *stage) enter(tb testing.TB, id, user string) hub.Connection {
	tb.Helper()
	s.open(tb, id)
	s.authenticate(tb, hub.Connection{ID: id, Project: "p", User: user, Protocol: hub.Classic})
	return s.connection(tb, id)
}

func (s *stage) authenticate(tb testing.TB, c hub.Connection) {
	tb.Helper()
	if _, err := s.Authenticate(tb.Context(), c, s.clock.Now()); err != nil {
		tb.Fatalf("authenticate %s: %v", c.ID, err)
	}
	if got := s.connection(tb, c.ID); got.Project != c.Project || got.User != c.User {
		tb.Fatalf("authenticate %s: it is %s's of %s", c.ID, got.User, got.Project)
	}
}

func (s *stage) connection(tb testing.TB, id string) hub.Connection {
	tb.Helper()
	c, err := s.Connection(tb.Context(), id)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func (s *stage) subscribe(tb testing.TB, id string, channels map[hub.Channel]int) {
	tb.Helper()
	if err := s.Subscribe(tb.Context(), s.connection(tb, id), channels); err != nil {
		tb.Fatal(err)
	}
}

// subscribers are the ids of a channel's subscribers in a shard, in order.
func (s *stage) subscribers(tb testing.TB, ch hub.Channel, shard int) []string {
	tb.Helper()
	var ids []string
	for page, err := range s.Subscribers(tb.Context(), ch, shard) {
		if err != nil {
			tb.Fatal(err)
		}
		for _, sub := range page {
			ids = append(ids, sub.Connection)
		}
	}
	slices.Sort(ids)
	return ids
}

func same(tb testing.TB, what string, got, want any) {
	tb.Helper()
	if d := cmp.Diff(want, got); d != "" {
		tb.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func fails(tb testing.TB, err, want error) {
	tb.Helper()
	if !errors.Is(err, want) {
		tb.Errorf("error %v, want %v", err, want)
	}
}
