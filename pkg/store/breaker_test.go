package store_test

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store"
)

// breaker reads a breaker of address a of project p.
func (s *rig) breaker(tb testing.TB) hub.Breaker {
	tb.Helper()
	b, err := s.Breaker(tb.Context(), "p", "a")
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// replace replaces it, and returns what is stored then.
func (s *rig) replace(tb testing.TB, old, next hub.Breaker) hub.Breaker {
	tb.Helper()
	b, replaced, err := s.ReplaceBreaker(tb.Context(), "p", "a", old, next)
	if err != nil {
		tb.Fatal(err)
	}
	if replaced != (b == next) {
		tb.Errorf("replaced %+v by %+v: %v, the breaker is %+v", old, next, replaced, b)
	}
	return b
}

func TestReplaceBreaker(t *testing.T) {
	s := newRig(t)
	// Breakers are compared as structs: without a location, as the store makes times.
	at := func(d time.Duration) time.Time { return time.UnixMilli(s.Clock.Now().Add(d).UnixMilli()) }
	none, one, paused := hub.Breaker{}, hub.Breaker{Failures: 1}, hub.Breaker{Failures: 10, Until: at(2*time.Second + 7*time.Millisecond)}
	probed := hub.Breaker{Failures: 10, Until: at(12 * time.Second)}
	same(t, "the first state", s.breaker(t), none)
	for _, step := range []struct {
		name      string
		old, next hub.Breaker
		want      hub.Breaker
	}{
		{"the first failure", none, one, one},
		{"another first failure", none, hub.Breaker{Failures: 1, Until: at(time.Second)}, one},
		{"other failures", hub.Breaker{Failures: 2}, hub.Breaker{Failures: 3}, one},
		{"a pause", one, paused, paused},
		{"the same failures without the pause", hub.Breaker{Failures: 10}, one, paused},
		{"the same failures with another pause", hub.Breaker{Failures: 10, Until: at(2 * time.Second)}, one, paused},
		{"no failures", none, one, paused},
		{"a probe", paused, probed, probed},
		{"another probe", paused, hub.Breaker{Failures: 10, Until: at(13 * time.Second)}, probed},
		{"a failure that ends the pause", probed, one, one},
		{"a success", paused, none, none},
		{"a success without a breaker", one, none, none},
		{"a failure after a success", one, hub.Breaker{Failures: 2}, none},
	} {
		same(t, step.name+", replaced", s.replace(t, step.old, step.next), step.want)
		same(t, step.name+", read", s.breaker(t), step.want)
	}
	if other, err := s.Breaker(t.Context(), "q", "a"); err != nil || other != none {
		t.Errorf("breaker of another project %+v, error %v", other, err)
	}
	s.replace(t, none, one)
	if other, err := s.Breaker(t.Context(), "p", "b"); err != nil || other != none {
		t.Errorf("breaker of another address %+v, error %v", other, err)
	}
}

func TestBreakerExpiry(t *testing.T) {
	s := newRig(t)
	one := hub.Breaker{Failures: 1}
	s.replace(t, hub.Breaker{}, one)
	s.Clock.Advance(59 * time.Second)
	same(t, "before its expiry", s.breaker(t), one)
	s.Clock.Advance(time.Second)
	same(t, "at its expiry", s.breaker(t), hub.Breaker{})
	next := hub.Breaker{Failures: 1, Until: time.UnixMilli(s.Clock.Now().Add(time.Second).UnixMilli())}
	same(t, "the first failure after it", s.replace(t, hub.Breaker{}, next), next)
}

// TestBreakerElection checks that of many processes, which all want to write the same, one
// becomes the prober.
func TestBreakerElection(t *testing.T) {
	s := newRig(t)
	paused := hub.Breaker{Failures: 10, Until: time.UnixMilli(s.Clock.Now().UnixMilli())}
	s.replace(t, hub.Breaker{}, paused)
	var won atomic.Int32
	var g sync.WaitGroup
	for range 20 {
		other := s.Another(store.Options{})
		g.Go(func() {
			next := hub.Breaker{Failures: 10, Until: paused.Until.Add(10 * time.Second)}
			current, replaced, err := other.ReplaceBreaker(t.Context(), "p", "a", paused, next)
			if err != nil || current != next {
				t.Errorf("breaker %+v, error %v", current, err)
			}
			if replaced {
				won.Add(1)
			}
		})
	}
	g.Wait()
	if won.Load() != 1 {
		t.Errorf("%d probers, expected 1", won.Load())
	}
}

// TestBreakerLostResponse checks a write that was carried out and not answered: the SDK
// repeats it, and its condition is no longer true.
func TestBreakerLostResponse(t *testing.T) {
	s := newRig(t)
	lost := false
	s.Requests.Intercept = func(operation string, r *http.Request) (*http.Response, error) {
		if operation != "UpdateItem" || lost {
			return nil, nil
		}
		lost = true
		w, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		w.Body.Close()
		w.StatusCode, w.Body = http.StatusInternalServerError, http.NoBody
		return w, nil
	}
	one := hub.Breaker{Failures: 1}
	same(t, "the replaced breaker", s.replace(t, hub.Breaker{}, one), one)
	if !lost {
		t.Error("no response was lost")
	}
}

func TestBreakerCache(t *testing.T) {
	s := newRig(t)
	cached, other := s.Another(store.Options{}), s.Another(store.Options{})
	read := func(want hub.Breaker, requests string) {
		t.Helper()
		s.Requests.Sent()
		b, err := cached.Breaker(t.Context(), "p", "a")
		if err != nil {
			t.Fatal(err)
		}
		same(t, "breaker", b, want)
		same(t, "requests", s.Requests.Sent(), requests)
	}
	one, two := hub.Breaker{Failures: 1}, hub.Breaker{Failures: 2}
	read(hub.Breaker{}, "1 GetItem")
	read(hub.Breaker{}, "")
	if _, _, err := other.ReplaceBreaker(t.Context(), "p", "a", hub.Breaker{}, one); err != nil {
		t.Fatal(err)
	}
	read(hub.Breaker{}, "")
	s.Clock.Advance(time.Second)
	read(one, "1 GetItem")
	if _, _, err := cached.ReplaceBreaker(t.Context(), "p", "a", one, two); err != nil {
		t.Fatal(err)
	}
	read(two, "")
}
