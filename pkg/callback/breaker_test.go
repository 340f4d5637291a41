package callback

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store"
	"centrifuge/pkg/store/storetest"
)

// newShared returns a store, and a function that makes a Validator with a cache of its
// own over it, as another process has. All have the clock of the store.
func newShared(t *testing.T) (*storetest.Store, func() *Validator) {
	t.Helper()
	s := storetest.New(t, store.Options{})
	return s, func() *Validator {
		o := new(clock).options()
		o.Breakers, o.Now, o.Budget = s.Another(store.Options{}), s.Clock.Now, time.Hour
		return New(o)
	}
}

// expectPause validates a user and expects hub.ErrValidation with the seconds after which
// the application is asked again.
func expectPause(t *testing.T, v *Validator, p *hub.Project, seconds string) {
	t.Helper()
	_, err := v.Validate(t.Context(), p, "2694", requested)
	public := hub.Public(err)
	if !errors.Is(err, hub.ErrValidation) || !public.Temporary || !strings.Contains(public.Help, "asked again in "+seconds+" s") {
		t.Errorf("error %+v, expected %v and a pause of %s s", public, hub.ErrValidation, seconds)
	}
}

// TestValidatePause follows an application that fails, for two processes.
func TestValidatePause(t *testing.T) {
	s, process := newShared(t)
	one, two := process(), process()
	var code atomic.Int64
	a := newApplication(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(code.Load())) })
	code.Store(http.StatusServiceUnavailable)
	asked := func(what string, want int64) {
		t.Helper()
		if n := a.requests.Swap(0); n != want {
			t.Errorf("%s: %d requests, expected %d", what, n, want)
		}
	}
	expectFailure(t, one, a.project)
	asked("first client", 5)
	expectPause(t, two, a.project, "2")
	asked("second client, in the other process", 5)
	s.Clock.Advance(1500 * time.Millisecond) // the caches have expired
	expectPause(t, one, a.project, "1")
	expectPause(t, two, a.project, "1")
	asked("during the pause", 0)
	other := *a.project
	other.ID = "q"
	expectFailure(t, one, &other)
	asked("another project with the same address", 5)
	moved := *a.project
	moved.Options.ValidateURL += "&moved"
	expectFailure(t, one, &moved)
	asked("another address of the project", 5)
	s.Clock.Advance(500 * time.Millisecond)
	expectPause(t, one, a.project, "4")
	asked("the first prober", 1)
	s.Clock.Advance(4 * time.Second)
	code.Store(http.StatusForbidden)
	if _, err := two.Validate(t.Context(), a.project, "2694", requested); !errors.Is(err, hub.ErrPermissionDenied) {
		t.Errorf("error %v, expected %v", err, hub.ErrPermissionDenied)
	}
	asked("the second prober", 1)
	code.Store(http.StatusServiceUnavailable)
	expectFailure(t, two, a.project)
	asked("the first client after a pause", 5)
}

// TestValidateRequests counts the requests to DynamoDB: none but a read while all is well.
func TestValidateRequests(t *testing.T) {
	s, process := newShared(t)
	v := process()
	var code atomic.Int64
	a := newApplication(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(code.Load())) })
	for _, step := range []struct {
		name   string
		status int64
		want   string
	}{
		{"success", 200, "1 GetItem"},
		{"another success within a second", 200, ""},
		{"failure of five attempts", 500, "5 UpdateItem"},
		{"first success after failures", 200, "1 DeleteItem"},
		{"another success", 200, ""},
		{"refusal", 403, ""},
		{"failure", 500, "5 UpdateItem"},
		{"failure that begins a pause", 500, "5 UpdateItem"},
		{"client during the pause", 500, ""},
	} {
		code.Store(step.status)
		s.Requests.Sent()
		_, _ = v.Validate(t.Context(), a.project, "2694", requested) // TestValidatePause checks the errors
		if got := s.Requests.Sent(); got != step.want {
			t.Errorf("%s: %q, expected %q", step.name, got, step.want)
		}
	}
}

// TestValidateCrowd lets 30 processes meet an application whose requests all fail at the
// same time.
func TestValidateCrowd(t *testing.T) {
	const crowd = 30
	_, process := newShared(t)
	var arrived sync.WaitGroup
	arrived.Add(crowd)
	var n atomic.Int64
	a := newApplication(t, func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1) <= crowd {
			arrived.Done()
			arrived.Wait()
		}
		w.WriteHeader(http.StatusInternalServerError)
	})
	var g sync.WaitGroup
	for range crowd {
		v := process()
		g.Go(func() {
			if _, err := v.Validate(context.Background(), a.project, "2694", requested); !errors.Is(err, hub.ErrValidation) {
				t.Errorf("error %v, expected %v", err, hub.ErrValidation)
			}
		})
	}
	g.Wait()
	// Only who counts one of the failures before the pause asks again.
	if got, most := a.requests.Load(), int64(crowd+hub.BreakerFailures-1); got > most {
		t.Errorf("%d requests, expected at most %d", got, most)
	}
}

// TestValidateProbe holds the prober until all other processes have been refused.
func TestValidateProbe(t *testing.T) {
	const crowd = 20
	s, process := newShared(t)
	var probing atomic.Bool
	refused := make(chan struct{}, crowd)
	a := newApplication(t, func(w http.ResponseWriter, r *http.Request) {
		if !probing.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		for range crowd - 1 {
			select {
			case <-refused:
			case <-r.Context().Done():
				return
			}
		}
	})
	v := process()
	expectFailure(t, v, a.project)
	expectPause(t, v, a.project, "2")
	s.Clock.Advance(2 * time.Second)
	probing.Store(true)
	a.requests.Store(0)
	var g sync.WaitGroup
	var in atomic.Int64
	for range crowd {
		v := process()
		g.Go(func() {
			_, err := v.Validate(context.Background(), a.project, "2694", requested)
			switch {
			case err == nil:
				in.Add(1)
			case errors.Is(err, hub.ErrValidation):
				refused <- struct{}{}
			default:
				t.Errorf("error %v", err)
			}
		})
	}
	g.Wait()
	if n := a.requests.Load(); n != 1 || in.Load() != 1 {
		t.Errorf("%d requests, %d clients in, expected one prober", n, in.Load())
	}
}

// TestProberDies checks that another process probes when the first has no outcome.
func TestProberDies(t *testing.T) {
	s, process := newShared(t)
	a := newApplication(t, status(500, ""))
	v := process()
	expectFailure(t, v, a.project)
	expectPause(t, v, a.project, "2")
	s.Clock.Advance(2 * time.Second)
	if turn, err := v.breaker.enter(t.Context(), "p", a.project.Options.ValidateURL); err != nil || !turn.prober {
		t.Fatalf("turn %+v, error %v, expected a prober", turn, err)
	}
	expectPause(t, process(), a.project, "10")
	s.Clock.Advance(10 * time.Second)
	a.requests.Store(0)
	expectPause(t, process(), a.project, "4")
	if n := a.requests.Load(); n != 1 {
		t.Errorf("%d requests, expected 1", n)
	}
}

// broken are breakers whose database fails.
type broken struct{ readable bool }

var errBroken = errors.New("no database")

func (b broken) Breaker(context.Context, string, string) (hub.Breaker, error) {
	if b.readable {
		return hub.Breaker{Failures: 1}, nil
	}
	return hub.Breaker{}, errBroken
}

func (broken) ReplaceBreaker(context.Context, string, string, hub.Breaker, hub.Breaker) (hub.Breaker, bool, error) {
	return hub.Breaker{}, false, errBroken
}

// TestBreakersFail checks that clients are in, and failures are failures, when breakers can
// be neither read nor written.
func TestBreakersFail(t *testing.T) {
	for name, tt := range map[string]struct {
		breakers broken
		status   int
		requests int64
		err      error
		logged   int
	}{
		"not readable, success":  {broken{}, 200, 1, nil, 1},
		"not readable, failures": {broken{}, 500, 5, hub.ErrValidation, 6},
		"not writable, success":  {broken{true}, 200, 1, nil, 1},
		"not writable, failures": {broken{true}, 500, 5, hub.ErrValidation, 5},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApplication(t, status(tt.status, ""))
			var log bytes.Buffer
			o := new(clock).options()
			o.Breakers, o.Log = tt.breakers, slog.New(slog.NewTextHandler(&log, nil))
			if _, err := New(o).Validate(t.Context(), a.project, "2694", requested); !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
				t.Errorf("error %v, expected %v", err, tt.err)
			}
			if n := a.requests.Load(); n != tt.requests {
				t.Errorf("%d requests, expected %d", n, tt.requests)
			}
			if n := strings.Count(log.String(), errBroken.Error()); n != tt.logged {
				t.Errorf("%d failures in the log, expected %d: %s", n, tt.logged, &log)
			}
		})
	}
}

func TestNotifyPause(t *testing.T) {
	s, _ := newShared(t)
	var code atomic.Int64
	p, requests := newWebhook(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(code.Load())) })
	notify := func() error {
		o := NotifierOptions{Insecure: true, Timeout: time.Minute, Breakers: s.Another(store.Options{}), Now: s.Clock.Now}
		return NewNotifier(o).Notify(t.Context(), p, []byte(`{}`))
	}
	code.Store(http.StatusBadGateway)
	for range hub.BreakerFailures {
		var pause pauseError
		if err := notify(); err == nil || errors.As(err, &pause) {
			t.Fatalf("error %v, expected the status", err)
		}
	}
	var pause pauseError
	if err := notify(); !errors.As(err, &pause) || pause.seconds() != 2 {
		t.Errorf("error %v, expected a pause of 2 s", err)
	}
	if n := requests.Swap(0); n != hub.BreakerFailures {
		t.Errorf("%d requests, expected %d", n, hub.BreakerFailures)
	}
	s.Clock.Advance(2 * time.Second)
	code.Store(http.StatusNoContent)
	for range 2 {
		if err := notify(); err != nil {
			t.Error(err)
		}
	}
	if n := requests.Load(); n != 2 {
		t.Errorf("%d requests after the pause, expected 2", n)
	}
	if got, err := s.Breaker(t.Context(), p.ID, p.Options.WebhookURL); err != nil || !cmp.Equal(got, hub.Breaker{}) {
		t.Errorf("breaker %+v, error %v, expected no failures", got, err)
	}
}
