package callback

import (
	"errors"
	"net/http"
	"strconv"
	"sync/atomic"
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
		"no attempt that could end after 25 s": {
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

func TestBackOffPerProject(t *testing.T) {
	var code atomic.Int64
	a := newApplication(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(code.Load())) })
	a.project.Options.AuthAttempts = 1
	other := *a.project
	other.ID = "q"
	v := New(new(clock).options())
	for _, step := range []struct {
		name     string
		status   int
		project  *hub.Project
		user     string
		failures int // of project p, after the step
		err      error
	}{
		{"failure", 500, a.project, "ann", 1, hub.ErrValidation},
		{"failure for another user", 503, a.project, "bob", 2, hub.ErrValidation},
		{"failure of another project", 500, &other, "ann", 2, hub.ErrValidation},
		{"success of another project", 200, &other, "ann", 2, nil},
		{"403 does not reset", 403, a.project, "ann", 2, hub.ErrPermissionDenied},
		{"2xx other than 200 resets and counts", 204, a.project, "ann", 1, hub.ErrValidation},
		{"second failure", 500, a.project, "ann", 2, hub.ErrValidation},
		{"success", 200, a.project, "bob", 0, nil},
	} {
		code.Store(int64(step.status))
		if _, err := v.Validate(t.Context(), step.project, step.user, requested); !errors.Is(err, step.err) {
			t.Errorf("%s: error %v, expected %v", step.name, err, step.err)
		}
		if n := v.failures.count("p"); n != step.failures {
			t.Errorf("%s: %d failures, expected %d", step.name, n, step.failures)
		}
	}
	if n := v.failures.count("q"); n != 0 {
		t.Errorf("other project: %d failures, expected 0", n)
	}
}

func TestFailuresLimits(t *testing.T) {
	var f failures
	for range 100 {
		f.add("p")
	}
	if n := f.count("p"); n != maxExponent {
		t.Errorf("%d failures, expected %d", n, maxExponent)
	}
	for i := range 3 * maxFailingProjects {
		f.add(strconv.Itoa(i))
	}
	if len(f.n) != maxFailingProjects {
		t.Errorf("%d projects, expected %d", len(f.n), maxFailingProjects)
	}
	if n := f.count(strconv.Itoa(3*maxFailingProjects - 1)); n != 1 {
		t.Errorf("last project: %d failures, expected 1", n)
	}
}

// TestBackOffLongestWait checks that the longest allowed options do not overflow.
func TestBackOffLongestWait(t *testing.T) {
	v := New(new(clock).options())
	p := &hub.Project{ID: "p", Options: hub.ProjectOptions{BackOffInterval: hub.Duration(time.Second), BackOffMaxTimeout: hub.Duration(10 * time.Second)}}
	for n := range 2 * maxExponent {
		if d := v.backOff(p); d < 0 || d > 10*time.Second {
			t.Fatalf("waits %v after %d failures", d, n)
		}
		v.failures.add("p")
	}
	if d := v.backOff(p); d != 10*time.Second {
		t.Errorf("waits %v, expected 10s", d)
	}
	random := New(Options{})
	for range 1000 {
		random.failures.add("p")
		if d := random.backOff(p); d < 0 || d > 10*time.Second {
			t.Fatalf("waits %v", d)
		}
	}
}
