package store

import (
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"centrifuge/pkg/hub"
)

func TestClaims(t *testing.T) {
	ch := channel("x")
	claim := func(t *testing.T, s *stage, k string, after time.Duration, settled bool, want error) {
		t.Helper()
		got, err := s.Claim(t.Context(), ch, k, s.clock.Now().Add(after))
		fails(t, err, want)
		if got != settled {
			t.Errorf("settled: %v", got)
		}
	}

	t.Run("a claim holds for its lease, and is then free", func(t *testing.T) {
		s := newStage(t)
		claim(t, s, "k", 0, false, nil)
		claim(t, s, "k", 0, false, hub.ErrConflict)
		claim(t, s, "k", hub.IdempotencyLease-2*time.Second, false, hub.ErrConflict)
		claim(t, s, "k", hub.IdempotencyLease, false, nil)
		claim(t, s, "k", hub.IdempotencyLease, false, hub.ErrConflict)
	})

	t.Run("a settled one is remembered for the window, and is then free", func(t *testing.T) {
		s := newStage(t)
		claim(t, s, "k", 0, false, nil)
		if err := s.Settle(t.Context(), ch, "k", s.clock.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		claim(t, s, "k", time.Second, true, nil)
		claim(t, s, "k", hub.IdempotencyWindow-time.Second, true, nil)
		claim(t, s, "k", hub.IdempotencyWindow+time.Second, false, nil)
	})

	t.Run("a released one is free, a settled one is not released", func(t *testing.T) {
		s := newStage(t)
		for range 2 {
			claim(t, s, "k", 0, false, nil)
			if err := s.Release(t.Context(), ch, "k"); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Release(t.Context(), ch, "never claimed"); err != nil {
			t.Error(err)
		}
		if err := s.Settle(t.Context(), ch, "k", s.clock.Now()); err != nil {
			t.Fatal(err)
		}
		if err := s.Release(t.Context(), ch, "k"); err != nil {
			t.Error(err)
		}
		claim(t, s, "k", 0, true, nil)
	})

	t.Run("keys are of their channel", func(t *testing.T) {
		s := newStage(t)
		claim(t, s, "k", 0, false, nil)
		claim(t, s, "k2", 0, false, nil)
		for _, other := range []hub.Channel{channel("y"), {Project: "q", Category: "chat", Name: "x"}, {Project: "p", Category: "chat2", Name: "x"}} {
			if _, err := s.Claim(t.Context(), other, "k", s.clock.Now()); err != nil {
				t.Errorf("%+v: %v", other, err)
			}
		}
	})

	t.Run("of many at once one gets it", func(t *testing.T) {
		s := newStage(t)
		var got atomic.Int32
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				switch _, err := s.Claim(t.Context(), ch, "k", s.clock.Now()); {
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

	t.Run("a claim whose answer is lost on the way is still its caller's", func(t *testing.T) {
		s := newStage(t)
		var once sync.Once
		s.wire.tamper = func(_ string, r *http.Request) (resp *http.Response, err error) {
			once.Do(func() {
				if resp, err = http.DefaultTransport.RoundTrip(r); err == nil {
					resp.Body.Close()
					resp, err = nil, errors.New("connection reset by peer")
				}
			})
			return resp, err
		}
		claim(t, s, "k", 0, false, nil)
		same(t, "calls", s.wire.calls(), "2 PutItem")
	})
}
