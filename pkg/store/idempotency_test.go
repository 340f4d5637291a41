package store_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"centrifuge/pkg/hub"
)

func TestClaim(t *testing.T) {
	ch := channel("x")
	settled := hub.Claim{Settled: &hub.Result{Delivered: 7}, Message: "m1"}
	type step struct {
		after   time.Duration
		message string
		want    hub.Claim
		err     error
	}
	claim := func(t *testing.T, s *rig, k string, steps ...step) {
		t.Helper()
		for n, step := range steps {
			got, err := s.Claim(t.Context(), ch, k, step.message, s.Clock.Now().Add(step.after))
			fails(t, err, step.err)
			same(t, fmt.Sprint("claim ", n), got, step.want)
		}
	}

	t.Run("lease", func(t *testing.T) {
		s := newRig(t)
		claim(t, s, "k",
			step{0, "m1", hub.Claim{Message: "m1"}, nil},
			step{0, "m2", hub.Claim{}, hub.ErrConflict},
			step{hub.IdempotencyLease - 2*time.Second, "m3", hub.Claim{}, hub.ErrConflict},
			// The repeat of a publish that may have delivered keeps its id.
			step{hub.IdempotencyLease, "m4", hub.Claim{Message: "m1"}, nil},
			step{hub.IdempotencyLease, "m5", hub.Claim{}, hub.ErrConflict},
			step{2*hub.IdempotencyLease + hub.IdempotencyWindow, "m6", hub.Claim{Message: "m6"}, nil},
		)
	})

	t.Run("settle", func(t *testing.T) {
		s := newRig(t)
		claim(t, s, "k", step{0, "m1", hub.Claim{Message: "m1"}, nil})
		done := hub.Claim{Settled: &hub.Result{Delivered: 7, Slow: 1}, Message: "m1"}
		if err := s.Settle(t.Context(), ch, "k", done, s.Clock.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		claim(t, s, "k",
			step{time.Second, "m2", settled, nil},
			step{hub.IdempotencyWindow - time.Second, "m3", settled, nil},
			step{hub.IdempotencyWindow + time.Second, "m4", hub.Claim{Message: "m4"}, nil},
			// Nothing of the settled publish remains.
			step{hub.IdempotencyWindow + time.Second + hub.IdempotencyLease, "m5", hub.Claim{Message: "m4"}, nil},
		)
	})

	t.Run("release", func(t *testing.T) {
		s := newRig(t)
		for _, message := range []string{"m1", "m2", "m3"} {
			claim(t, s, "k", step{0, message, hub.Claim{Message: "m1"}, nil})
			if err := s.Release(t.Context(), ch, "k"); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Release(t.Context(), ch, "never claimed"); err != nil {
			t.Error(err)
		}
		claim(t, s, "never claimed", step{0, "m9", hub.Claim{Message: "m9"}, nil})
		if err := s.Settle(t.Context(), ch, "k", settled, s.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		if err := s.Release(t.Context(), ch, "k"); err != nil {
			t.Error(err)
		}
		claim(t, s, "k", step{0, "m4", settled, nil})
	})

	t.Run("same key in another channel", func(t *testing.T) {
		s := newRig(t)
		claim(t, s, "k", step{0, "m1", hub.Claim{Message: "m1"}, nil})
		claim(t, s, "k2", step{0, "m2", hub.Claim{Message: "m2"}, nil})
		for _, other := range []hub.Channel{
			channel("y"), {Project: "q", Category: "chat", Name: "x"}, {Project: "p", Category: "chat2", Name: "x"},
			{Project: "p", Category: "chat", Incarnation: "89abcdef", Name: "x"},
		} {
			if got, err := s.Claim(t.Context(), other, "k", "m3", s.Clock.Now()); got.Message != "m3" || err != nil {
				t.Errorf("%+v: %+v, %v", other, got, err)
			}
		}
	})

	for name, after := range map[string]time.Duration{"unused key": 0, "key that has expired": hub.IdempotencyWindow} {
		t.Run("concurrent claims of an "+name, func(t *testing.T) {
			s := newRig(t)
			if after > 0 {
				claim(t, s, "k", step{0, "m1", hub.Claim{Message: "m1"}, nil})
			}
			var got atomic.Int32
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() {
					switch _, err := s.Claim(t.Context(), ch, "k", "m", s.Clock.Now().Add(after)); {
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
	}
}

// TestClaimOfEarlierVersion checks that the items of versions before the id of the message
// was kept are held and settled as long as those versions promise.
func TestClaimOfEarlierVersion(t *testing.T) {
	s := newRig(t)
	ch, now := channel("x"), s.Clock.Now()
	for k, attributes := range map[string]record{
		"held":    {"holder": str("h"), "exp": num(now.Add(hub.IdempotencyLease).Unix())},
		"settled": {"settled": &types.AttributeValueMemberBOOL{Value: true}, "delivered": num(7), "exp": num(now.Add(hub.IdempotencyWindow).Unix())},
	} {
		s.putRaw(t, "I#p#chat#x#"+k, "-", attributes)
	}
	_, err := s.Claim(t.Context(), ch, "held", "m", now)
	fails(t, err, hub.ErrConflict)
	got, err := s.Claim(t.Context(), ch, "settled", "m", now)
	fails(t, err, nil)
	same(t, "settled", got, hub.Claim{Settled: &hub.Result{Delivered: 7}})
	got, err = s.Claim(t.Context(), ch, "held", "m", now.Add(hub.IdempotencyLease))
	fails(t, err, nil)
	same(t, "after the lease", got, hub.Claim{Message: "m"})
}
