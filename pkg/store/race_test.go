package store

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"centrifuge/pkg/hub"
)

// together runs all of them at once.
func together(t *testing.T, all ...func() error) {
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

func unless(err error, expected ...error) error {
	for _, e := range expected {
		if errors.Is(err, e) {
			return nil
		}
	}
	return err
}

func TestSubscribeWhileDisconnecting(t *testing.T) {
	s := newStage(t)
	channels := channelsNamed(30, "x")
	const rounds = 40
	for i := range rounds {
		id := fmt.Sprint("c", i)
		c := s.enter(t, id, "u")
		together(t,
			func() error { return unless(s.Subscribe(t.Context(), c, channels), hub.ErrConnectionNotFound) },
			func() error { _, err := s.CloseConnection(t.Context(), id); return err },
		)
		if _, err := s.Connection(t.Context(), id); !errors.Is(err, hub.ErrConnectionNotFound) {
			t.Fatalf("connection %s came back: %v", id, err)
		}
	}
	ghosts := 0
	for ch := range channels {
		ids := s.subscribers(t, ch, 0)
		for _, id := range ids[:len(ids)/2] {
			ghosts++
			if err := s.DropSubscriber(t.Context(), hub.Place{Channel: ch, Connection: id}); err != nil {
				t.Fatal(err)
			}
		}
		if got := len(s.subscribers(t, ch, 0)); got != len(ids)-len(ids)/2 {
			t.Errorf("%d of %d ghosts are left after dropping half", got, len(ids))
		}
	}
	t.Logf("ghosts dropped: %d of %d subscriptions", ghosts, rounds*len(channels))
	s.clock.advance(hub.MaxConnectionAge)
	for ch := range channels {
		if got := s.subscribers(t, ch, 0); len(got) > 0 {
			t.Errorf("ghosts outlive a connection's age: %v", got)
		}
	}
}

func TestChannelLimitUnderConcurrency(t *testing.T) {
	s := newStage(t)
	for round := range 5 {
		id := fmt.Sprint("c", round)
		c := s.enter(t, id, "u")
		var all []func() error
		for i := range 10 {
			channels := channelsNamed(20, fmt.Sprint("x", i, "-"))
			all = append(all, func() error { return unless(s.Subscribe(t.Context(), c, channels), hub.ErrLimitExceeded) })
		}
		together(t, all...)
		now := s.connection(t, id)
		if n := len(now.Channels); n > hub.MaxChannels || n <= hub.MaxChannels-20 {
			t.Errorf("in %d channels", n)
		}
		usage, err := s.Usage(t.Context(), "p")
		if err != nil {
			t.Fatal(err)
		}
		same(t, "channels with a subscription", len(usage.Subscribers), len(now.Channels))
		if _, err := s.CloseConnection(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSameChannelsAtOnceAreNotRefused(t *testing.T) {
	s := newStage(t)
	c := s.enter(t, "c", "u")
	channels := channelsNamed(100, "x")
	var all []func() error
	for range 6 {
		all = append(all, func() error { return s.Subscribe(t.Context(), c, channels) })
	}
	together(t, all...)
	same(t, "channels", len(s.connection(t, "c").Channels), 100)
}

func TestAuthenticateAtOnce(t *testing.T) {
	s := newStage(t)
	s.open(t, "c")
	var accepted atomic.Int32
	s.wire.tamper = func(operation string, r *http.Request) (*http.Response, error) {
		resp, err := http.DefaultTransport.RoundTrip(r)
		if operation == "UpdateItem" && err == nil && resp.StatusCode == http.StatusOK {
			accepted.Add(1)
		}
		return resp, err
	}
	var all []func() error
	for i := range 8 {
		all = append(all, func() error {
			_, err := s.Authenticate(t.Context(), hub.Connection{ID: "c", Project: "p", User: fmt.Sprint("u", i)}, s.clock.Now())
			return err
		})
	}
	together(t, all...)
	same(t, "how many changed it", accepted.Load(), int32(1))
}

func TestAuthenticateWhileDisconnecting(t *testing.T) {
	s := newStage(t)
	for i := range 30 {
		id := fmt.Sprint("c", i)
		s.open(t, id)
		together(t,
			func() error {
				_, err := s.Authenticate(t.Context(), hub.Connection{ID: id, Project: "p", User: "u"}, s.clock.Now())
				return unless(err, hub.ErrConnectionNotFound)
			},
			func() error { _, err := s.CloseConnection(t.Context(), id); return err },
		)
	}
	if got, err := s.UserConnections(t.Context(), "p", "u"); len(got) > 0 || err != nil {
		t.Errorf("connections that are over came back: %v, %v", got, err)
	}
}
