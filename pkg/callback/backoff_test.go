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

func TestWaits(t *testing.T) {
	for name, c := range map[string]struct {
		options hub.ProjectOptions
		want    []time.Duration
	}{
		"the defaults": {
			hub.ProjectOptions{},
			[]time.Duration{0, 100 * ms, 300 * ms, 700 * ms, 1500 * ms},
		},
		"as the project says": {
			hub.ProjectOptions{AuthAttempts: 7, BackOffInterval: hub.Duration(10 * ms), BackOffMaxTimeout: hub.Duration(200 * ms)},
			[]time.Duration{0, 10 * ms, 30 * ms, 70 * ms, 150 * ms, 200 * ms, 200 * ms},
		},
		"one attempt": {
			hub.ProjectOptions{AuthAttempts: 1},
			[]time.Duration{0},
		},
		"no attempt is begun that might end after 25 s": {
			hub.ProjectOptions{AuthAttempts: 10, BackOffInterval: hub.Duration(time.Second), BackOffMaxTimeout: hub.Duration(10 * time.Second)},
			[]time.Duration{0, 1000 * ms, 3000 * ms, 7000 * ms}, // and 10 s more, and the attempt itself
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApplication(t, status(500, ""))
			c.options.ValidateURL = a.project.Options.ValidateURL
			a.project.Options = c.options
			k := new(clock)
			got, err := New(k.options()).Validate(t.Context(), a.project, "2694", wish)
			expectNoAnswer(t, got, err)
			if d := cmp.Diff(c.want, k.waits); d != "" {
				t.Error(d)
			}
			if n := a.asked.Load(); int(n) != len(c.want) {
				t.Errorf("asked %d times", n)
			}
			for i, n := range k.drawn {
				if n != 1<<i {
					t.Errorf("draw %d was one of %d, not of %d", i, n, 1<<i)
				}
			}
		})
	}
}

func TestBackOffIsOfTheProject(t *testing.T) {
	var code atomic.Int64
	a := newApplication(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(code.Load())) })
	a.project.Options.AuthAttempts = 1
	other := *a.project
	other.ID = "q"
	v := New(new(clock).options())
	for _, step := range []struct {
		what    string
		status  int
		project *hub.Project
		user    string
		n       int // of project p afterwards
		err     error
	}{
		{"a failure counts", 500, a.project, "ann", 1, hub.ErrValidation},
		{"one of another client counts on", 503, a.project, "bob", 2, hub.ErrValidation},
		{"another project has a count of its own", 500, &other, "ann", 2, hub.ErrValidation},
		{"its success resets its own alone", 200, &other, "ann", 2, nil},
		{"no is an answer, and no success", 403, a.project, "ann", 2, hub.ErrPermissionDenied},
		{"2xx other than 200 resets, and is a failure", 204, a.project, "ann", 1, hub.ErrValidation},
		{"and again", 500, a.project, "ann", 2, hub.ErrValidation},
		{"success resets", 200, a.project, "bob", 0, nil},
	} {
		code.Store(int64(step.status))
		if _, err := v.Validate(t.Context(), step.project, step.user, wish); !errors.Is(err, step.err) {
			t.Errorf("%s: error is %v", step.what, err)
		}
		if n := v.failing.count("p"); n != step.n {
			t.Errorf("%s: n is %d, not %d", step.what, n, step.n)
		}
	}
	if n := v.failing.count("q"); n != 0 {
		t.Errorf("n of the other project is %d", n)
	}
}

func TestFailuresAreBounded(t *testing.T) {
	var f failures
	for range 100 {
		f.add("p")
	}
	if n := f.count("p"); n != maxExponent {
		t.Errorf("n is %d, not %d", n, maxExponent)
	}
	for i := range 3 * maxFailing {
		f.add(strconv.Itoa(i))
	}
	if len(f.n) != maxFailing {
		t.Errorf("%d projects are remembered", len(f.n))
	}
	if n := f.count(strconv.Itoa(3*maxFailing - 1)); n != 1 {
		t.Errorf("the last one has n = %d", n)
	}
}

// The longest wait that options allow does not overflow, and is the longest that
// was set.
func TestLongestWait(t *testing.T) {
	v := New(new(clock).options())
	p := &hub.Project{ID: "p", Options: hub.ProjectOptions{BackOffInterval: hub.Duration(time.Second), BackOffMaxTimeout: hub.Duration(10 * time.Second)}}
	for n := range 2 * maxExponent {
		if d := v.pause(p); d < 0 || d > 10*time.Second {
			t.Fatalf("waits %v at n = %d", d, n)
		}
		v.failing.add("p")
	}
	if d := v.pause(p); d != 10*time.Second {
		t.Errorf("waits %v", d)
	}
	chance := New(Options{})
	for range 1000 {
		chance.failing.add("p")
		if d := chance.pause(p); d < 0 || d > 10*time.Second {
			t.Fatalf("waits %v", d)
		}
	}
}
