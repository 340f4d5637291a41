package store_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store"
	"centrifuge/pkg/store/storetest"
)

// rig is a store over a table of its own without a cache.
type rig struct{ *storetest.Store }

func newRig(tb testing.TB) *rig {
	tb.Helper()
	return &rig{storetest.New(tb, store.Options{CacheFor: -1})}
}

// takeBody decodes the body of a request or response and closes it.
func takeBody(tb testing.TB, body io.ReadCloser) map[string]any {
	tb.Helper()
	defer body.Close()
	var v map[string]any
	if err := json.NewDecoder(body).Decode(&v); err != nil {
		tb.Error(err)
	}
	return v
}

// body encodes the body of a request or response, and returns its length.
func body(tb testing.TB, v any) (io.ReadCloser, int64) {
	tb.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		tb.Error(err)
	}
	return io.NopCloser(bytes.NewReader(b)), int64(len(b))
}

// channel is a channel of the tests' usual project and category.
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

func (s *rig) open(tb testing.TB, id string) {
	tb.Helper()
	err := s.OpenConnection(tb.Context(), hub.Connection{ID: id, Origin: "https://o", Expires: s.Clock.Now().Add(hub.MaxConnectionAge)})
	if err != nil {
		tb.Fatal(err)
	}
}

// enter opens a connection and authenticates it as a user of project p.
func (s *rig) enter(tb testing.TB, id, user string) hub.Connection {
	tb.Helper()
	s.open(tb, id)
	s.authenticate(tb, hub.Connection{ID: id, Project: "p", User: user, Protocol: hub.Classic})
	return s.connection(tb, id)
}

func (s *rig) authenticate(tb testing.TB, c hub.Connection) {
	tb.Helper()
	if _, _, err := s.Authenticate(tb.Context(), c, s.Clock.Now()); err != nil {
		tb.Fatalf("authenticate %s: %v", c.ID, err)
	}
	if got := s.connection(tb, c.ID); got.Project != c.Project || got.User != c.User {
		tb.Fatalf("authenticate %s: user %q of project %q", c.ID, got.User, got.Project)
	}
}

func (s *rig) connection(tb testing.TB, id string) hub.Connection {
	tb.Helper()
	c, err := s.Connection(tb.Context(), id)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func (s *rig) subscribe(tb testing.TB, id string, channels map[hub.Channel]int) {
	tb.Helper()
	if err := s.Subscribe(tb.Context(), s.connection(tb, id), channels); err != nil {
		tb.Fatal(err)
	}
}

// subscribers are the sorted connection ids of a channel's subscribers in a shard.
func (s *rig) subscribers(tb testing.TB, ch hub.Channel, shard int) []string {
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
