package hub

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestBreakerAsk(t *testing.T) {
	now := time.UnixMilli(1_795_338_907_000)
	for name, tt := range map[string]struct {
		breaker, next Breaker
		wait          time.Duration
	}{
		"no failures":             {Breaker{}, Breaker{}, 0},
		"fewer failures":          {Breaker{BreakerFailures - 1, time.Time{}}, Breaker{BreakerFailures - 1, time.Time{}}, 0},
		"during a pause":          {Breaker{12, now.Add(time.Second)}, Breaker{12, now.Add(time.Second)}, time.Second},
		"a millisecond before":    {Breaker{12, now.Add(time.Millisecond)}, Breaker{12, now.Add(time.Millisecond)}, time.Millisecond},
		"at the end of a pause":   {Breaker{12, now}, Breaker{12, now.Add(10 * time.Second)}, 0},
		"a probe without outcome": {Breaker{12, now.Add(-time.Hour)}, Breaker{12, now.Add(10 * time.Second)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			next, wait := tt.breaker.Ask(now)
			if diff := cmp.Diff(tt.next, next); diff != "" || wait != tt.wait {
				t.Errorf("wait %v, expected %v; next, -expected +got:\n%s", wait, tt.wait, diff)
			}
		})
	}
}

func TestBreakerFailed(t *testing.T) {
	now := time.UnixMilli(1_795_338_907_000)
	in := now.Add
	for name, tt := range map[string]struct {
		breaker Breaker
		prober  bool
		want    Breaker
	}{
		"the first failure":                       {Breaker{}, false, Breaker{1, time.Time{}}},
		"the last failure before a pause":         {Breaker{8, time.Time{}}, false, Breaker{9, time.Time{}}},
		"the failure that begins a pause":         {Breaker{9, time.Time{}}, false, Breaker{10, in(2 * time.Second)}},
		"a request from before the pause":         {Breaker{10, in(time.Second)}, false, Breaker{10, in(time.Second)}},
		"the first prober":                        {Breaker{10, in(9 * time.Second)}, true, Breaker{11, in(4 * time.Second)}},
		"the fourth prober":                       {Breaker{13, in(9 * time.Second)}, true, Breaker{14, in(30 * time.Second)}},
		"the thousandth prober":                   {Breaker{1010, in(9 * time.Second)}, true, Breaker{1011, in(30 * time.Second)}},
		"a prober after its time":                 {Breaker{10, in(-time.Second)}, true, Breaker{11, in(4 * time.Second)}},
		"a slow request, after the pause":         {Breaker{10, in(-time.Second)}, false, Breaker{11, in(4 * time.Second)}},
		"a slow request, at the end of the pause": {Breaker{10, now}, false, Breaker{11, in(4 * time.Second)}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tt.breaker.Failed(now, tt.prober)); diff != "" {
				t.Errorf("-expected +got:\n%s", diff)
			}
		})
	}
}

func TestBreakerExpires(t *testing.T) {
	now := time.UnixMilli(1_795_338_907_000)
	for name, tt := range map[string]struct {
		until time.Time
		want  time.Duration
	}{
		"no pause":         {time.Time{}, time.Minute},
		"a pause":          {now.Add(30 * time.Second), 90 * time.Second},
		"a pause that was": {now.Add(-30 * time.Second), time.Minute},
	} {
		if got := (Breaker{10, tt.until}).Expires(now).Sub(now); got != tt.want {
			t.Errorf("%s: it expires after %v, expected %v", name, got, tt.want)
		}
	}
}

// TestBreakerProperties lets 20 callers of an application that fails and works in turns
// meet one breaker, and checks for each that the rules hold.
func TestBreakerProperties(t *testing.T) {
	for range 200 {
		seed := rand.Uint64()
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { checkBreaker(t, rand.New(rand.NewPCG(seed, 0))) })
	}
}

func checkBreaker(t *testing.T, random *rand.Rand) {
	t.Helper()
	type request struct {
		ends   time.Time
		prober bool
		seen   Breaker
	}
	var (
		now     = time.UnixMilli(1_795_338_907_000)
		breaker Breaker
		running []request
		fails   = true
		inRow   int // failures that were counted since the last success
	)
	for range 1000 {
		now = now.Add(time.Duration(random.IntN(500)) * time.Millisecond)
		if random.IntN(100) == 0 {
			fails = !fails
		}
		next, wait := breaker.Ask(now)
		switch {
		case wait > longestPause:
			t.Fatalf("a caller waits %v for %+v", wait, breaker)
		case wait > 0 && inRow < BreakerFailures:
			t.Fatalf("a caller waits after %d failures", inRow)
		case wait == 0 && len(running) < 20:
			running = append(running, request{now.Add(time.Duration(random.IntN(1000)) * time.Millisecond), next != breaker, next})
			breaker = next
		}
		probers := 0
		for _, r := range running {
			if r.prober && r.seen == breaker {
				probers++
			}
		}
		if probers > 1 {
			t.Fatalf("%d probers for %+v", probers, breaker)
		}
		rest := running[:0]
		for _, r := range running {
			if r.ends.After(now) {
				rest = append(rest, r)
				continue
			}
			if !fails {
				breaker, inRow = Breaker{}, 0
				continue
			}
			before := breaker
			breaker = breaker.Failed(now, r.prober && r.seen == breaker)
			if breaker != before {
				inRow++
			}
			if breaker.Failures != inRow {
				t.Fatalf("%d failures are counted as %+v", inRow, breaker)
			}
		}
		running = rest
	}
}
