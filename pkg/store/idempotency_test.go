package store_test

import (
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"centrifuge/pkg/hub"
)

func TestClaim(t *testing.T) {
	ch := channel("x")
	claim := func(t *testing.T, s *rig, k string, after time.Duration, settled bool, want error) {
		t.Helper()
		got, err := s.Claim(t.Context(), ch, k, s.Clock.Now().Add(after))
		fails(t, err, want)
		if (got != nil) != settled {
			t.Errorf("settled: %v", got)
		}
		if got != nil {
			same(t, "result", *got, hub.Result{Delivered: 7})
		}
	}

	t.Run("lease", func(t *testing.T) {
		s := newRig(t)
		claim(t, s, "k", 0, false, nil)
		claim(t, s, "k", 0, false, hub.ErrConflict)
		claim(t, s, "k", hub.IdempotencyLease-2*time.Second, false, hub.ErrConflict)
		claim(t, s, "k", hub.IdempotencyLease, false, nil)
		claim(t, s, "k", hub.IdempotencyLease, false, hub.ErrConflict)
	})

	t.Run("settle", func(t *testing.T) {
		s := newRig(t)
		claim(t, s, "k", 0, false, nil)
		if err := s.Settle(t.Context(), ch, "k", hub.Result{Delivered: 7, Slow: 1}, s.Clock.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		claim(t, s, "k", time.Second, true, nil)
		claim(t, s, "k", hub.IdempotencyWindow-time.Second, true, nil)
		claim(t, s, "k", hub.IdempotencyWindow+time.Second, false, nil)
	})

	t.Run("release", func(t *testing.T) {
		s := newRig(t)
		for range 2 {
			claim(t, s, "k", 0, false, nil)
			if err := s.Release(t.Context(), ch, "k"); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Release(t.Context(), ch, "never claimed"); err != nil {
			t.Error(err)
		}
		if err := s.Settle(t.Context(), ch, "k", hub.Result{Delivered: 7}, s.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		if err := s.Release(t.Context(), ch, "k"); err != nil {
			t.Error(err)
		}
		claim(t, s, "k", 0, true, nil)
	})

	t.Run("same key in another channel", func(t *testing.T) {
		s := newRig(t)
		claim(t, s, "k", 0, false, nil)
		claim(t, s, "k2", 0, false, nil)
		for _, other := range []hub.Channel{channel("y"), {Project: "q", Category: "chat", Name: "x"}, {Project: "p", Category: "chat2", Name: "x"}} {
			if _, err := s.Claim(t.Context(), other, "k", s.Clock.Now()); err != nil {
				t.Errorf("%+v: %v", other, err)
			}
		}
	})

	t.Run("concurrent claims of one key", func(t *testing.T) {
		s := newRig(t)
		var got atomic.Int32
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				switch _, err := s.Claim(t.Context(), ch, "k", s.Clock.Now()); {
				case err == nil:
					got.Add(1)
				case !errors.Is(err, hub.ErrConflict):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		same(t, "claims", got.Load(), int32(1))
	})

	t.Run("lost response", func(t *testing.T) {
		s := newRig(t)
		var once sync.Once
		s.Requests.Intercept = func(_ string, r *http.Request) (resp *http.Response, err error) {
			once.Do(func() {
				if resp, err = http.DefaultTransport.RoundTrip(r); err == nil {
					resp.Body.Close()
					resp, err = nil, errors.New("connection reset by peer")
				}
			})
			return resp, err
		}
		claim(t, s, "k", 0, false, nil)
		same(t, "requests", s.Requests.Sent(), "2 PutItem")
	})
}
