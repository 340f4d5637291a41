package store_test

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"centrifuge/pkg/hub"
)

// concurrently calls all functions concurrently and reports their errors.
func concurrently(t *testing.T, all ...func() error) {
	t.Helper()
	start := make(chan struct{})
	var wg sync.WaitGroup
	for _, f := range all {
		wg.Go(func() {
			<-start
			if err := f(); err != nil {
				t.Error(err)
			}
		})
	}
	close(start)
	wg.Wait()
}

// unexpected is err, or nil when err is one of the expected errors.
func unexpected(err error, expected ...error) error {
	for _, e := range expected {
		if errors.Is(err, e) {
			return nil
		}
	}
	return err
}

func TestSubscribeWhileDisconnecting(t *testing.T) {
	s := newRig(t)
	channels := channelsNamed(30, "x")
	const rounds = 40
	for i := range rounds {
		id := fmt.Sprint("c", i)
		c := s.enter(t, id, "u")
		concurrently(t,
			func() error { return unexpected(s.Subscribe(t.Context(), c, channels), hub.ErrConnectionNotFound) },
			func() error { _, err := s.CloseConnection(t.Context(), id); return err },
		)
		if _, err := s.Connection(t.Context(), id); !errors.Is(err, hub.ErrConnectionNotFound) {
			t.Fatalf("closed connection %s was found: %v", id, err)
		}
	}
	orphans := 0
	for ch := range channels {
		ids := s.subscribers(t, ch, 0)
		for _, id := range ids[:len(ids)/2] {
			orphans++
			if err := s.RemoveSubscriber(t.Context(), ch, 0, id); err != nil {
				t.Fatal(err)
			}
		}
		if got := len(s.subscribers(t, ch, 0)); got != len(ids)-len(ids)/2 {
			t.Errorf("%d of %d subscribers remain after removing half", got, len(ids))
		}
	}
	t.Logf("orphans removed: %d of %d subscriptions", orphans, rounds*len(channels))
	s.Clock.Advance(hub.MaxConnectionAge)
	for ch := range channels {
		if got := s.subscribers(t, ch, 0); len(got) > 0 {
			t.Errorf("orphans remain after MaxConnectionAge: %v", got)
		}
	}
}

func TestSubscribeConcurrentlyChannelLimit(t *testing.T) {
	s := newRig(t)
	for round := range 5 {
		id := fmt.Sprint("c", round)
		c := s.enter(t, id, "u")
		var all []func() error
		for i := range 10 {
			channels := channelsNamed(20, fmt.Sprint("x", i, "-"))
			all = append(all, func() error { return unexpected(s.Subscribe(t.Context(), c, channels), hub.ErrLimitExceeded) })
		}
		concurrently(t, all...)
		now := s.connection(t, id)
		if n := len(now.Channels); n > hub.MaxChannels || n <= hub.MaxChannels-20 {
			t.Errorf("%d channels", n)
		}
		usage, err := s.Usage(t.Context(), "p", hub.Bound{})
		if err != nil {
			t.Fatal(err)
		}
		same(t, "channels with a subscription", len(usage.Subscribers), len(now.Channels))
		if _, err := s.CloseConnection(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSubscribeConcurrentlySameChannels(t *testing.T) {
	s := newRig(t)
	c := s.enter(t, "c", "u")
	channels := channelsNamed(100, "x")
	var all []func() error
	for range 6 {
		all = append(all, func() error { return s.Subscribe(t.Context(), c, channels) })
	}
	concurrently(t, all...)
	same(t, "channels", len(s.connection(t, "c").Channels), 100)
}

func TestAuthenticateConcurrently(t *testing.T) {
	s := newRig(t)
	s.open(t, "c")
	var accepted atomic.Int32
	s.Requests.Intercept = func(operation string, r *http.Request) (*http.Response, error) {
		resp, err := http.DefaultTransport.RoundTrip(r)
		if operation == "UpdateItem" && err == nil && resp.StatusCode == http.StatusOK {
			accepted.Add(1)
		}
		return resp, err
	}
	var all []func() error
	for i := range 8 {
		all = append(all, func() error {
			_, _, err := s.Authenticate(t.Context(), hub.Connection{ID: "c", Project: "p", User: fmt.Sprint("u", i)}, s.Clock.Now())
			return err
		})
	}
	concurrently(t, all...)
	same(t, "accepted identities", accepted.Load(), int32(1))
}

func TestAuthenticateWhileDisconnecting(t *testing.T) {
	s := newRig(t)
	for i := range 30 {
		id := fmt.Sprint("c", i)
		s.open(t, id)
		concurrently(t,
			func() error {
				_, _, err := s.Authenticate(t.Context(), hub.Connection{ID: id, Project: "p", User: "u"}, s.Clock.Now())
				return unexpected(err, hub.ErrConnectionNotFound)
			},
			func() error { _, err := s.CloseConnection(t.Context(), id); return err },
		)
	}
	if got, err := s.UserConnections(t.Context(), "p", "u"); len(got) > 0 || err != nil {
		t.Errorf("closed connections were found: %v, %v", got, err)
	}
}
