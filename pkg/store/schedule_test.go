package store_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"pgregory.net/rapid"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store"
	"centrifuge/pkg/store/storetest"
)

// schedule runs processes one request at a time: the order of their requests, and what
// happens to each, is drawn. So a failure is repeated with its seed.
type schedule struct {
	clock  *storetest.Clock
	events chan request // from all processes
}

// request is a process that waits to send one, or has ended.
type request struct {
	process int
	ended   bool
	fate    chan fate
}

// fate is what happens to a request.
type fate string

const (
	answered   fate = "answered"
	lost       fate = "carried out, and its answer is lost"
	diesBefore fate = "not sent: the process dies"
	diesAfter  fate = "carried out: the process dies"
)

type processKey struct{}

// processContext is what the requests of a process carry.
type processContext struct {
	number int
	die    context.CancelFunc
}

func (sc *schedule) intercept(_ string, r *http.Request) (*http.Response, error) {
	p, ok := r.Context().Value(processKey{}).(processContext)
	if !ok {
		return nil, nil
	}
	waiting := request{process: p.number, fate: make(chan fate)}
	sc.events <- waiting
	f := <-waiting.fate
	if f == answered {
		return nil, nil
	}
	if f != diesBefore {
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		resp.Body.Close()
	}
	if f != lost {
		p.die()
	}
	return nil, errors.New("connection reset by peer")
}

// run runs the processes until all have ended. deaths and losses bound what happens.
func (sc *schedule) run(ctx context.Context, t *rapid.T, deaths, losses int, processes ...func(context.Context)) {
	for n, process := range processes {
		ctx, die := context.WithCancel(ctx)
		ctx = context.WithValue(ctx, processKey{}, processContext{n, die})
		go func() {
			defer die()
			process(ctx)
			sc.events <- request{process: n, ended: true}
		}()
	}
	var waiting []request
	for running := len(processes); running > 0; {
		if len(waiting) < running {
			if r := <-sc.events; r.ended {
				running--
			} else {
				waiting = append(waiting, r)
			}
			continue
		}
		// The order of arrival is that of the scheduler of Go: it must not matter.
		slices.SortFunc(waiting, func(a, b request) int { return a.process - b.process })
		n := rapid.IntRange(0, len(waiting)-1).Draw(t, "next")
		fates := []fate{answered, answered, answered, answered}
		if losses > 0 {
			fates = append(fates, lost)
		}
		if deaths > 0 {
			fates = append(fates, diesBefore, diesAfter)
		}
		f := rapid.SampledFrom(fates).Draw(t, "fate")
		switch f {
		case lost:
			losses--
		case diesBefore, diesAfter:
			deaths--
		}
		r := waiting[n]
		waiting = slices.Delete(waiting, n, n+1)
		sc.clock.Advance(time.Second) // the epochs that are drawn sort by their age
		r.fate <- f
	}
}

// impatient is a store of another process whose SDK repeats a request without a wait.
func (s *rig) impatient() *store.Store {
	client := dynamodb.New(s.Client.Options(), func(o *dynamodb.Options) {
		o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) {
			o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
			o.RateLimiter, o.MaxAttempts = retryFreely{}, 10
		})
	})
	return store.New(client, s.Table, store.Options{Now: s.Clock.Now, CacheFor: -1})
}

type retryFreely struct{}

func (retryFreely) GetToken(context.Context, uint) (func() error, error) {
	return func() error { return nil }, nil
}
func (retryFreely) AddTokens(uint) error { return nil }

// accepted is a publish that was acknowledged.
type accepted struct {
	id      string
	options hub.AppendOptions
	message hub.Message
	skipped bool
}

// TestAppendInterleavings lets some publishers append and announce, in any order of their
// requests, some of which die or lose an answer: no offset is without its publication, and
// every message that was acknowledged is in the stream, once.
func TestAppendInterleavings(t *testing.T) {
	s := newRig(t)
	runs := 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		st := streamOf(fmt.Sprint("x", runs))
		warm := s.impatient()
		before := rapid.SampledFrom([]string{"absent", "begun", "expired"}).Draw(t, "stream before")
		if before != "absent" {
			a, err := warm.Append(context.Background(), st, said("before"), hub.AppendOptions{Version: 1})
			if err == nil {
				_, err = warm.Announce(context.Background(), st, a, hub.Lease{ID: "before"})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if before == "expired" {
			s.Clock.Advance(st.Retention.MetaTTL + 2*time.Second)
		}
		sc := &schedule{s.Clock, make(chan request)}
		s.Requests.Intercept = sc.intercept
		var processes []func(context.Context)
		results := make([][]accepted, rapid.IntRange(2, 4).Draw(t, "publishers"))
		for n := range results {
			by := s.impatient()
			if n == 0 {
				by = warm
			}
			var publishes []accepted
			for m := range rapid.IntRange(1, 3).Draw(t, "messages") {
				p := accepted{id: fmt.Sprintf("p%d m%d", n, m)}
				p.options = rapid.SampledFrom([]hub.AppendOptions{
					{}, {}, {IdempotencyKey: "k1"}, {IdempotencyKey: "k2"}, {IdempotencyKey: "k3", Version: 3},
					{Version: 1}, {Version: 2}, {Version: 4},
				}).Draw(t, "options")
				publishes = append(publishes, p)
			}
			processes = append(processes, func(ctx context.Context) {
				for m, p := range publishes {
					a, err := by.Append(ctx, st, said(p.id), p.options)
					at, skipped := a.Message, a.Skipped
					if err == nil && a.Pending {
						var announced hub.Announced
						announced, err = by.Announce(ctx, st, a, hub.Lease{ID: fmt.Sprintf("lease %d %d", n, m), Until: s.Clock.Now()})
						at = announced.Message
					}
					if ctx.Err() != nil {
						return
					}
					if err != nil {
						t.Errorf("publish %s: %v", p.id, err)
						return
					}
					p.message, p.skipped = at, skipped
					results[n] = append(results[n], p)
				}
			})
		}
		sc.run(context.Background(), t, rapid.IntRange(0, 2).Draw(t, "deaths"), rapid.IntRange(0, 3).Draw(t, "losses"), processes...)
		s.Requests.Intercept = nil
		s.checkStream(t, st, slices.Concat(results...))
	})
}

// checkStream checks a stream against what was acknowledged.
func (s *rig) checkStream(t *rapid.T, st hub.Stream, acknowledged []accepted) {
	head, err := s.StreamHead(context.Background(), st)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := s.Publications(context.Background(), st, head.Epoch, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	offsets := make(map[string]uint64)
	for n, m := range stored {
		if m.Position != (hub.Position{Epoch: head.Epoch, Offset: uint64(n + 1)}) {
			t.Fatalf("publication %d is at %+v", n+1, m.Position)
		}
		if offsets[m.ID] != 0 {
			t.Fatalf("%s is at %d and %d", m.ID, offsets[m.ID], m.Position.Offset)
		}
		offsets[m.ID] = m.Position.Offset
	}
	keys := make(map[string]hub.Position)
	versions := make(map[uint64]uint64) // by offset
	for _, a := range acknowledged {
		at := a.message.Position
		if at.Epoch != head.Epoch || at.Offset == 0 {
			t.Fatalf("%s is acknowledged at %+v, the epoch is %s", a.id, at, head.Epoch)
		}
		if a.skipped {
			if at.Offset > uint64(len(stored)) || offsets[a.id] != 0 {
				t.Fatalf("%s was skipped, is at %d, and was answered with %d", a.id, offsets[a.id], at.Offset)
			}
			continue
		}
		if offsets[a.message.ID] != at.Offset {
			t.Fatalf("%s is acknowledged at %d and stored at %d", a.message.ID, at.Offset, offsets[a.message.ID])
		}
		if key := a.options.IdempotencyKey; key != "" {
			if other, used := keys[key]; used && other != at {
				t.Fatalf("key %s is at %+v and %+v", key, at, other)
			}
			keys[key] = at
		}
		if a.message.ID == a.id {
			versions[at.Offset] = a.options.Version
		}
	}
	greatest := uint64(0)
	for n := range stored {
		if v := versions[uint64(n+1)]; v > 0 {
			if v <= greatest {
				t.Fatalf("version %d follows version %d", v, greatest)
			}
			greatest = v
		}
	}
}
