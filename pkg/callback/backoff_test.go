package callback

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/hub"
)

const ms = time.Millisecond

func TestBackOffWaits(t *testing.T) {
	for name, c := range map[string]struct {
		options hub.ProjectOptions
		want    []time.Duration
	}{
		"defaults": {
			hub.ProjectOptions{},
			[]time.Duration{0, 100 * ms, 300 * ms, 700 * ms, 1500 * ms},
		},
		"options of the project": {
			hub.ProjectOptions{AuthAttempts: 7, BackOffInterval: hub.Duration(10 * ms), BackOffMaxTimeout: hub.Duration(200 * ms)},
			[]time.Duration{0, 10 * ms, 30 * ms, 70 * ms, 150 * ms, 200 * ms, 200 * ms},
		},
		"one attempt": {
			hub.ProjectOptions{AuthAttempts: 1},
			[]time.Duration{0},
		},
		"no attempt that could end after the budget": {
			hub.ProjectOptions{AuthAttempts: 10, BackOffInterval: hub.Duration(time.Second), BackOffMaxTimeout: hub.Duration(10 * time.Second)},
			[]time.Duration{0, 1000 * ms, 3000 * ms, 7000 * ms}, // the next wait would be 10 s
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApplication(t, status(500, ""))
			c.options.ValidateURL = a.project.Options.ValidateURL
			a.project.Options = c.options
			k := new(clock)
			expectFailure(t, New(k.options()), a.project)
			if diff := cmp.Diff(c.want, k.waits); diff != "" {
				t.Errorf("waits, -expected +got:\n%s", diff)
			}
			if n := a.requests.Load(); int(n) != len(c.want) {
				t.Errorf("%d requests, expected %d", n, len(c.want))
			}
			for i, n := range k.limits {
				if n != 1<<i {
					t.Errorf("random number %d has the limit %d, expected %d", i, n, 1<<i)
				}
			}
		})
	}
}

// TestBackOffSlowApplication lets each attempt at an application take its whole timeout,
// with the proportions of the defaults.
func TestBackOffSlowApplication(t *testing.T) {
	k := new(clock)
	a := newApplication(t, func(w http.ResponseWriter, _ *http.Request) {
		k.advance(10 * ValidateTimeout)
		w.WriteHeader(http.StatusGatewayTimeout)
	})
	a.project.Options.BackOffInterval, a.project.Options.BackOffMaxTimeout = hub.Duration(10*defaultInterval), hub.Duration(10*defaultMaxWait)
	o := k.options()
	o.Timeout, o.Budget = 10*ValidateTimeout, 10*Budget
	start := o.Now()
	expectFailure(t, New(o), a.project)
	if diff := cmp.Diff([]time.Duration{0, time.Second, 3 * time.Second}, k.waits); diff != "" {
		t.Errorf("waits, -expected +got:\n%s", diff)
	}
	if took := o.Now().Sub(start); took > 10*Budget {
		t.Errorf("it took %v, expected at most %v", took, 10*Budget)
	}
}

// TestBackOffLongestWait checks the waits with the longest allowed options.
func TestBackOffLongestWait(t *testing.T) {
	p := &hub.Project{ID: "p", Options: hub.ProjectOptions{BackOffInterval: hub.Duration(time.Second), BackOffMaxTimeout: hub.Duration(10 * time.Second)}}
	largest, random := New(new(clock).options()), New(Options{})
	for failed := range 10 { // auth_attempts is at most 10
		if d, want := largest.backOff(p, failed), time.Duration(min(10, 1<<failed-1))*time.Second; d != want {
			t.Errorf("waits %v after %d failures, expected %v", d, failed, want)
		}
		for range 100 {
			if d := random.backOff(p, failed); d < 0 || d > 10*time.Second {
				t.Fatalf("waits %v after %d failures", d, failed)
			}
		}
	}
}
