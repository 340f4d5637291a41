package hub_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store"
	"centrifuge/pkg/store/storetest"
)

// interleaving runs processes one request at a time. A seed decides the order of their requests,
// and what happens to each. One process runs until another one takes its place: so a process may
// stand still between two requests while others end.
type interleaving struct {
	*rand.Rand
	waiting chan waiting // from all processes
	dead    sync.Map     // the numbers of those that have died
}

// waiting is a process that waits to send a request, or has ended.
type waiting struct {
	process int
	ended   bool
	request string
	fate    chan fate
}

// fate is what happens to a request.
type fate string

const (
	answered   fate = "answered"
	unheard    fate = "carried out, and its answer is lost"
	diesBefore fate = "not sent: the process dies"
	diesAfter  fate = "carried out: the process dies"
)

type processKey struct{}

func (i *interleaving) intercept(operation string, r *http.Request) (*http.Response, error) {
	reset := errors.New("connection reset by peer")
	p, ok := r.Context().Value(processKey{}).(int)
	if !ok {
		return nil, nil
	}
	if _, dead := i.dead.Load(p); dead {
		return nil, reset
	}
	w := waiting{process: p, request: operation, fate: make(chan fate)}
	i.waiting <- w
	f := <-w.fate
	if f == answered {
		return nil, nil
	}
	if f == diesBefore || f == diesAfter {
		i.dead.Store(p, true)
	}
	if f != diesBefore {
		response, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		_ = response.Body.Close()
	}
	return nil, reset
}

// run runs processes until all have ended, and returns what happened. deaths and losses bound how
// many requests are not answered.
func (i *interleaving) run(ctx context.Context, deaths, losses int, processes ...func(context.Context)) (story []string) {
	for n, process := range processes {
		go func() {
			process(context.WithValue(ctx, processKey{}, n))
			i.waiting <- waiting{process: n, ended: true}
		}()
	}
	var all []waiting
	ranks := i.Perm(len(processes))
	for running := len(processes); running > 0; {
		if len(all) < running {
			if w := <-i.waiting; w.ended {
				running--
			} else {
				all = append(all, w)
			}
			continue
		}
		// The order of arrival is that of the scheduler of Go: it must not matter.
		slices.SortFunc(all, func(a, b waiting) int { return ranks[a.process] - ranks[b.process] })
		n, f := 0, answered
		if i.IntN(5) == 0 { // it waits until all others have ended, or wait so
			ranks[all[0].process] += len(ranks)
		}
		switch d := i.IntN(12); {
		case d == 0 && deaths > 0:
			f, deaths = diesBefore, deaths-1
		case d == 1 && deaths > 0:
			f, deaths = diesAfter, deaths-1
		case d == 2 && losses > 0:
			f, losses = unheard, losses-1
		}
		w := all[n]
		all = slices.Delete(all, n, n+1)
		story = append(story, fmt.Sprintf("%d %s: %s", w.process, w.request, f))
		w.fate <- f
	}
	return story
}

// retryFreely never counts repetitions.
type retryFreely struct{}

func (retryFreely) GetToken(context.Context, uint) (func() error, error) {
	return func() error { return nil }, nil
}
func (retryFreely) AddTokens(uint) error { return nil }

// impatient is a store whose SDK repeats a request without a wait.
func impatient(s *storetest.Store, now func() time.Time) *store.Store {
	client := dynamodb.New(s.Client.Options(), func(o *dynamodb.Options) {
		o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) {
			o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
			o.RateLimiter, o.MaxAttempts = retryFreely{}, 4
		})
	})
	return store.New(client, s.Table, store.Options{Now: now, CountEvery: -1})
}

// TestOccupancyInterleavings lets clients subscribe and unsubscribe, be unsubscribed and be closed,
// expire and authenticate again, in any order of their requests, some of which lose their answer, or
// whose invocation dies. The
// events of a channel are numbered, and alternate. When all have ended, the last one agrees with
// the subscriptions; after a death only after the next message.
func TestOccupancyInterleavings(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	if err := r.store.PutCategory(t.Context(), projectID, hub.Category{ID: "7", Name: "busy", CategoryOptions: hub.CategoryOptions{OccupancyEvents: true}}); err != nil {
		t.Fatal(err)
	}
	r.store.Store = impatient(r.store, r.clock)
	r.hub(t, r.store.Store)
	const rounds = 200
	events, deaths := 0, 0
	for seed := range uint64(rounds) {
		died := r.occupy(t, seed)
		events, deaths = events+len(r.reported), deaths+died
	}
	t.Logf("%d rounds, %d events, %d deaths", rounds, events, deaths)
}

// occupy plays a round, and returns how many invocations died in it.
func (r *rig) occupy(t *testing.T, seed uint64) int {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	i := &interleaving{Rand: rand.New(rand.NewPCG(seed, 0)), waiting: make(chan waiting)}
	channels := in(fmt.Sprint("busy:x", seed))
	p, err := r.store.Project(ctx, projectID)
	if err != nil {
		t.Fatal(err)
	}
	ch := p.Locate(hub.Channel{Project: projectID, Category: channels[0].Category, Name: channels[0].Name})
	r.reported = nil
	var processes []func(context.Context)
	for n := range 2 + i.IntN(2) {
		id, user := fmt.Sprintf("c%d.%d", seed, n), fmt.Sprintf("u%d.%d", seed, n)
		r.enter(t, id, user)
		if i.IntN(3) == 0 {
			if _, err := r.Subscribe(ctx, by(id), channels); err != nil {
				t.Fatal(err)
			}
		}
		subscribe := func(ctx context.Context) { _, _ = r.Subscribe(ctx, by(id), channels) }
		unsubscribe := func(ctx context.Context) { _ = r.Unsubscribe(ctx, by(id), channels) }
		again := token(t, hub.Identity{User: user, Info: []byte(`{"n":1}`)})
		authenticate := func(ctx context.Context) {
			_, _ = r.Authenticate(ctx, hub.Credentials{Command: by(id), Protocol: hub.Classic, Project: projectID, User: user, Token: again, Permissions: all})
		}
		expire := func(ctx context.Context) {
			if c, err := r.store.Connection(ctx, id); err == nil {
				_, _, _ = r.store.ChangeConnection(ctx, c, func(c hub.Connection) (hub.Change, error) {
					c.TokenExpires = r.clock().Add(-time.Second)
					return hub.Change{Connection: c}, nil
				})
			}
			_, _ = r.Publish(ctx, p, hub.Channel{Project: projectID, Category: ch.Category, Name: ch.Name}, []byte("1"), hub.PublishOptions{})
		}
		var commands []func(context.Context)
		for range 1 + i.IntN(3) {
			commands = append(commands, []func(context.Context){subscribe, subscribe, unsubscribe, authenticate}[i.IntN(4)])
		}
		processes = append(processes, func(ctx context.Context) {
			for _, do := range commands {
				do(ctx)
			}
		})
		switch i.IntN(6) {
		case 0:
			processes = append(processes, func(ctx context.Context) { _ = r.Disconnect(ctx, id, hub.Ending{}) })
		case 1:
			processes = append(processes, func(ctx context.Context) { _ = r.UnsubscribeUser(ctx, p, user, hub.UnsubscribeRequest{}) })
		case 2, 3:
			processes = append(processes, expire)
		}
	}
	r.store.Requests.Intercept = i.intercept
	story := i.run(ctx, i.IntN(3), i.IntN(3), processes...)
	r.store.Requests.Intercept = nil
	died := 0
	i.dead.Range(func(any, any) bool { died++; return true })
	fail := func(format string, a ...any) {
		t.Helper()
		t.Fatalf("seed %d: %s\n%v\n%v", seed, fmt.Sprintf(format, a...), story, r.reported)
	}
	if died > 0 {
		r.now = r.now.Add(hub.CloseLease + time.Second)
		for range 2 { // the first one may only find connections that are gone
			if _, err := r.Publish(ctx, p, hub.Channel{Project: projectID, Category: ch.Category, Name: ch.Name}, []byte("1"), hub.PublishOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	has, err := r.store.HasSubscriber(ctx, ch, 0)
	if err != nil {
		t.Fatal(err)
	}
	o, err := r.store.Occupancy(ctx, ch)
	if err != nil {
		t.Fatal(err)
	}
	if o.Occupied != has && (died == 0 || !has) {
		fail("occupied %v, and there is a subscriber: %v", o.Occupied, has)
	}
	slices.SortFunc(r.reported, func(a, b hub.HookEvent) int { return int(a.Sequence) - int(b.Sequence) }) //nolint:gosec // they differ by little
	for n, e := range r.reported {
		switch {
		case n == 0 && died == 0 && e.Type != hub.OccupiedHook:
			fail("the first event is %s", e.Type)
		case n > 0 && e.Sequence == r.reported[n-1].Sequence:
			fail("two events have the number %d", e.Sequence)
		case n > 0 && (e.Sequence-r.reported[n-1].Sequence)%2 == 1 == (e.Type == r.reported[n-1].Type):
			fail("event %d does not alternate", n)
		case n > 0 && died == 0 && e.Sequence != r.reported[n-1].Sequence+1:
			fail("number %d is missing", e.Sequence-1)
		case e.Channel != ch || e.CategoryID != "7" || e.Project != projectID || len(e.ID) != 24:
			fail("event %+v", e)
		}
	}
	if died == 0 {
		last := hub.VacatedHook
		if n := len(r.reported); n > 0 {
			last = r.reported[n-1].Type
		}
		if (last == hub.OccupiedHook) != has {
			fail("the last event is %s", last)
		}
	}
	return died
}
