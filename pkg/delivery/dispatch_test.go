package delivery

import (
	"context"
	crand "crypto/rand"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store"
	"centrifuge/pkg/store/storetest"
)

var (
	seed  = flag.Uint64("seed", 0, "seed of TestInterleavings; 0 draws one")
	only  = flag.Int("only", 0, "the one run of TestInterleavings that is played; 0 for all")
	plays = flag.Int("plays", 150, "how many runs TestInterleavings plays for each cast")
)

// world plays publishers and durable dispatchers of one stream over a real table. Each of them
// is stopped before every request to the table, before and after every post, before every
// invocation and at every wait. The world then chooses who goes on, who dies, and when a clock
// goes on. The renewal of a lease, while its holder posts, is an actor of its own: its timer is
// never late. Only one runs at a time, so a seed repeats a run.
type world struct {
	random *rand.Rand
	table  *storetest.Store
	stream hub.Stream
	mutant mutant

	mu    sync.Mutex
	clock time.Time

	actors  []*actor
	arrived chan *actor
	// pending are the events of the function dispatch that Lambda has queued, by request.
	pending      []string
	requests     int
	deaths, dups int
	failures     int // of posts
	stalls       int // of holders, until their lease has expired
	history      []string
	faults       []string

	// posted is the highest offset of which a post was begun, holder the actor between the
	// beginning and the end of its post.
	posted   uint64
	holder   *actor
	repeated int
	slow     bool // the lease of a holder has ended while it posted
	again    bool // a holder has died, failed or stalled, so that a batch may be posted again
	acked    []uint64
	messages int
}

// actor is a publisher or a durable dispatcher.
type actor struct {
	name    string
	request string // of a durable dispatcher
	at      string // what it will do next
	polls   bool
	ended   bool
	resume  chan order
	holds   bool   // the lease, as far as it knows
	lease   string // the one that it took last

	// renewal is that of the lease while it posts, and parked hands it over to the post.
	renewal *actor
	parked  chan *actor
	long    int // how often the lease is renewed before the posts end

	// of is the holder whose renewal this is, due when it is next.
	of  *actor
	due time.Time
}

// longPost is how often a lease is renewed in a long post: it would have expired otherwise.
const longPost = int((hub.LeaseTime+hub.LeaseSlack)/renewEvery) + 1

type order int

const (
	goOn order = iota
	dieBefore
	dieAfter
)

// mutant leaves out a step of the protocol. The test must notice.
type mutant string

const (
	none          mutant = ""
	blindRelease  mutant = "releases whatever was announced"
	noInvoke      mutant = "invokes no durable dispatcher"
	endOnOwn      mutant = "ends where the lease names its own request"
	noRetry       mutant = "is not run again by Lambda"
	takeUnexpired mutant = "takes the lease of its own request before it has expired"
	trustInline   mutant = "acknowledges what only an inline holder knows"
	noKeep        mutant = "does not renew its lease while it posts"
	noDeadline    mutant = "posts after its lease has ended"

	// These are mutants of the model alone.
	postKnown   mutant = "posts its own message before those that wait"
	succeed     mutant = "invokes another dispatcher when its time to wait ends"
	invokeEarly mutant = "invokes its successor before it lets go"
	trustGrant  mutant = "ends where the lease is granted to another dispatcher"
)

// took notes whether the actor has taken a lease.
func (a *actor) took(mine hub.Lease, ok bool) {
	if a.holds = ok; ok {
		a.lease = mine.ID
	}
}

type actorKey struct{}

func actorOf(ctx context.Context) *actor {
	a, _ := ctx.Value(actorKey{}).(*actor)
	return a
}

func (w *world) fault(format string, values ...any) {
	w.faults = append(w.faults, fmt.Sprintf(format, values...))
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock
}

// stop waits until the world lets the actor go on, and then does what it stopped before.
func (w *world) stop(a *actor, at string, polls bool, do func()) {
	a.at, a.polls = at, polls
	w.arrived <- a
	switch <-a.resume {
	case goOn:
		do()
	case dieBefore:
		runtime.Goexit()
	case dieAfter:
		do()
		runtime.Goexit()
	}
}

// intercept stops an actor before its request.
func (w *world) intercept(op string, r *http.Request) (response *http.Response, err error) {
	a := actorOf(r.Context())
	switch {
	case a == nil:
	case a.of != nil:
		if err = w.stopRenewal(r.Context(), a, op, w.arrived); err == nil {
			response, err = http.DefaultTransport.RoundTrip(r)
		}
	default:
		w.stop(a, op, false, func() { response, err = http.DefaultTransport.RoundTrip(r) })
	}
	return response, err
}

// stopRenewal is stop for a renewal. It fails when the posts have ended.
func (w *world) stopRenewal(ctx context.Context, r *actor, at string, arrived chan<- *actor) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r.at = at
	arrived <- r
	select {
	case <-r.resume:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Invoke queues an event.
func (w *world) Invoke(ctx context.Context, _ hub.Channel) error {
	w.stop(actorOf(ctx), "invoke", false, func() {
		if w.mutant != noInvoke {
			w.requests++
			w.pending = append(w.pending, fmt.Sprint("r", w.requests))
		}
	})
	return nil
}

// waits is what a renewal does until it is due.
const waits = "renews the lease"

// wait is a poll of a durable dispatcher, or waits until the renewal of a lease.
func (w *world) wait(ctx context.Context, d time.Duration) error {
	a := actorOf(ctx)
	if d <= maxDeadPoll {
		w.stop(a, "poll", true, func() {})
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err // the posts have ended while a renewal was under way
	}
	arrived := w.arrived
	if a.renewal == nil {
		a.renewal = &actor{name: "renewal of " + a.name, of: a, resume: make(chan order)}
		arrived = a.parked
	}
	a.renewal.due = w.now().Add(d)
	return w.stopRenewal(ctx, a.renewal, waits, arrived)
}

// post records what is posted, and checks the order, and the lease at both ends.
func (w *world) post(ctx context.Context, _ hub.Head, batch []hub.Message) (lost bool, err error) {
	a := actorOf(ctx)
	r := <-a.parked
	w.actors = append(w.actors, r)
	defer func() { r.ended, a.renewal, a.long = true, nil, 0 }()
	// A renewal that finds the lease lost ends, and with it the posts.
	defer context.AfterFunc(ctx, func() {
		r.ended = true
		w.arrived <- r
	})()
	if w.random.IntN(8) == 0 {
		a.long = longPost
	}
	w.stop(a, "post", false, func() {
		if ctx.Err() != nil {
			return
		}
		if w.holder != nil {
			w.fault("%s posts while %s does", a.name, w.holder.name)
		}
		w.holder = a
		w.checkLease(a)
		for _, m := range batch {
			switch offset := m.Position.Offset; {
			case offset > w.posted+1:
				w.fault("%s posts offset %d after %d", a.name, offset, w.posted)
			case offset <= w.posted && !w.again:
				w.fault("%s posts offset %d again", a.name, offset)
			case offset <= w.posted:
				w.repeated++
			}
			w.posted = max(w.posted, m.Position.Offset)
		}
	})
	w.stop(a, "end of post", false, func() {
		if ctx.Err() == nil {
			w.checkLease(a)
			w.holder = nil
		}
	})
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if w.failures > 0 && w.random.IntN(8) == 0 {
		// Some have got the batch. Who follows posts it again.
		w.failures--
		w.again = true
		w.history = append(w.history, a.name+" fails to post")
		return false, errors.New("posts failed")
	}
	return false, nil
}

// checkLease checks that an actor that posts holds the lease.
func (w *world) checkLease(a *actor) {
	head, err := w.store().StreamHead(context.Background(), w.stream)
	if err != nil || head.Lease.ID != a.lease || head.Lease.Free(w.now()) {
		w.fault("%s posts without the lease: %+v, error %v", a.name, head.Lease, err)
	}
}

// start makes an actor whose work stops first.
func (w *world) start(a *actor, work func(ctx context.Context)) {
	a.resume, a.parked = make(chan order), make(chan *actor)
	w.actors = append(w.actors, a)
	go func() {
		defer func() {
			a.ended = true
			w.arrived <- a
		}()
		ctx := context.WithValue(context.Background(), actorKey{}, a)
		w.stop(a, "start", false, func() {})
		work(ctx)
	}()
	<-w.arrived
}

func (w *world) leased(s *store.Store) *Leased {
	o := LeasedOptions{Streams: mutated{s, w.mutant, func() { w.again, w.slow = true, true }}, Invoker: w, Now: w.now, Wait: w.wait}
	if w.mutant == noDeadline {
		o.PostTimeout = -time.Hour
	}
	l := NewLeased(o)
	if w.mutant == none {
		l.firstBatch, l.maxBatch = 1, 2
	}
	return l
}

func (w *world) store() *store.Store { return w.table.Another(store.Options{Now: w.now}) }

func (w *world) publisher(n int, s *store.Store) {
	a := &actor{name: fmt.Sprint("p", n)}
	w.start(a, func(ctx context.Context) {
		appended, err := s.Append(ctx, w.stream, hub.Message{ID: hub.NewID(w.now()), Channel: w.stream.Channel, Data: []byte(`1`)}, hub.AppendOptions{})
		if err == nil {
			var m hub.Message
			m, err = w.leased(s).Announce(ctx, w.stream, appended, w.post)
			appended.Message = m
		}
		if err != nil {
			w.fault("%s: %v", a.name, err)
			return
		}
		w.acked = append(w.acked, appended.Message.Position.Offset)
	})
}

func (w *world) dispatcher(request string) {
	w.messages++
	a := &actor{name: fmt.Sprintf("d%d(%s)", w.messages, request), request: request}
	s := w.store()
	w.start(a, func(ctx context.Context) {
		load := func(context.Context) (hub.Stream, error) { return w.stream, nil }
		if err := w.leased(s).Drain(ctx, load, request, w.post); err != nil {
			// Lambda invokes it again.
			w.pending = append(w.pending, request)
			if !strings.Contains(err.Error(), "posts failed") {
				w.fault("%s: %v", a.name, err)
			}
		}
	})
}

// play lets them act until nothing is left to do.
func (w *world) play() {
	for steps := 0; ; steps++ {
		if steps == 3000 {
			w.fault("no end after %d steps", steps)
			return
		}
		w.actors = slices.DeleteFunc(w.actors, func(a *actor) bool { return a.ended })
		if len(w.actors)+len(w.pending) == 0 {
			return
		}
		// Those who poll go on when others cannot, and sometimes.
		all := slices.DeleteFunc(slices.Clone(w.actors), func(a *actor) bool { return a.at == "end of post" && a.long > 0 })
		able := slices.DeleteFunc(slices.Clone(all), func(a *actor) bool { return a.polls || a.of != nil && a.at == waits && a.of.long == 0 })
		if len(w.pending) > 0 && (len(able) == 0 || w.random.IntN(6) == 0) {
			w.begin()
			continue
		}
		if len(able) == 0 || w.random.IntN(8) == 0 {
			able = all
		}
		a := able[w.random.IntN(len(able))]
		if w.random.IntN(10) == 0 {
			w.pass()
		}
		o := goOn
		if w.deaths > 0 && a.at != "start" && a.of == nil && w.random.IntN(12) == 0 {
			o = []order{dieBefore, dieAfter}[w.random.IntN(2)]
			w.deaths--
			w.again = true
		}
		w.proceed(a, o)
	}
}

// pass lets time pass. While one posts, only its renewals do. Leases of the dead end, and that
// of a holder which stalls.
func (w *world) pass() {
	d := hub.LeaseTime/2 + hub.LeaseSlack
	for _, a := range w.actors {
		if a.of != nil {
			return
		}
		if a.holds {
			if w.stalls == 0 {
				return
			}
			d = hub.LeaseTime + hub.LeaseSlack
		}
	}
	if d > hub.LeaseTime {
		w.stalls--
		w.again = true
	}
	w.advance(w.now().Add(d))
	w.history = append(w.history, "time passes")
}

// advance sets the clock, unless it is later.
func (w *world) advance(to time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if to.After(w.clock) {
		w.clock = to
	}
}

// begin starts the run of a queued event, which may stay in the queue.
func (w *world) begin() {
	n := w.random.IntN(len(w.pending))
	request := w.pending[n]
	if w.dups > 0 && w.random.IntN(3) == 0 {
		w.dups--
	} else {
		w.pending = slices.Delete(w.pending, n, n+1)
	}
	w.history = append(w.history, "begin "+request)
	w.dispatcher(request)
}

// proceed lets an actor go on until it stops again or ends.
func (w *world) proceed(a *actor, o order) {
	w.history = append(w.history, fmt.Sprintf("%s %s%s", a.name, a.at, [...]string{"", ", dies before", ", dies after"}[o]))
	a.polls = false
	if a.of != nil && a.at == waits {
		w.advance(a.due)
		a.of.long = max(a.of.long-1, 0)
	}
	a.resume <- o
	<-w.arrived
	if a.of != nil && a.ended {
		// The lease is lost.
		a.of.long = 0
		if w.holder == a.of {
			w.holder = nil
		}
	}
	if !a.ended || o == goOn {
		return
	}
	if w.holder == a {
		w.holder = nil
	}
	if a.request != "" && w.mutant != noRetry {
		w.pending = append(w.pending, a.request)
	}
}

// judge checks what is left.
func (w *world) judge() {
	s := w.store()
	head, err := s.StreamHead(context.Background(), w.stream)
	if err != nil {
		w.fault("%v", err)
	}
	for _, offset := range w.acked {
		if offset > w.posted || offset > head.Done {
			w.fault("offset %d was acknowledged, and is not dispatched: posted %d, head %+v", offset, w.posted, head)
		}
	}
	all, err := s.Publications(context.Background(), w.stream, head.Epoch, 0, 1000)
	if err != nil {
		w.fault("%v", err)
	}
	for n, m := range all {
		if m.Position.Offset != uint64(n)+1 {
			w.fault("publication %d has offset %d", n+1, m.Position.Offset)
		}
	}
}

// mutated is a store that leaves out a step. It notes who holds the lease.
type mutated struct {
	*store.Store
	mutant mutant
	// slow is called where a holder was so slow that its lease has ended while it posted.
	slow func()
}

func (m mutated) ReleaseLease(ctx context.Context, s hub.Stream, p hub.Progress, wake uint64) (hub.Head, bool, error) {
	if m.mutant == blindRelease {
		return m.DropLease(ctx, s, p, hub.Turn{})
	}
	head, ok, err := m.Store.ReleaseLease(ctx, s, p, wake)
	actorOf(ctx).holds = !ok && head.Lease.ID == p.Lease
	return head, ok, err
}

func (m mutated) DropLease(ctx context.Context, s hub.Stream, p hub.Progress, next hub.Turn) (hub.Head, bool, error) {
	if p.Era != 0 {
		m.slow()
	}
	head, ok, err := m.Store.DropLease(ctx, s, p, next)
	actorOf(ctx).holds = false
	return head, ok, err
}

func (m mutated) RenewLease(ctx context.Context, s hub.Stream, p hub.Progress, until time.Time) (hub.Head, bool, error) {
	a := actorOf(ctx)
	if a.renewal == nil {
		head, ok, err := m.Store.RenewLease(ctx, s, p, until)
		a.holds = ok
		return head, ok, err
	}
	if m.mutant == noKeep {
		return hub.Head{}, true, nil
	}
	return m.Store.RenewLease(context.WithValue(ctx, actorKey{}, a.renewal), s, p, until)
}

func (m mutated) Announce(ctx context.Context, s hub.Stream, a hub.Appended, mine hub.Lease) (hub.Announced, error) {
	actorOf(ctx).holds = true // perhaps, and from now on it ends
	out, err := m.Store.Announce(ctx, s, a, mine)
	actorOf(ctx).took(mine, out.Head.Lease.ID == mine.ID)
	if m.mutant == trustInline && !actorOf(ctx).holds {
		out.Head.Done = out.Message.Position.Offset
	}
	return out, err
}

func (m mutated) TakeLease(ctx context.Context, s hub.Stream, mine hub.Lease) (hub.Head, bool, error) {
	actorOf(ctx).holds = true // perhaps
	head, ok, err := m.Store.TakeLease(ctx, s, mine)
	actorOf(ctx).took(mine, ok)
	if err == nil && !ok && mine.Durable && head.Lease.Request == mine.Request {
		switch m.mutant {
		case endOnOwn:
			head.Lease.Request = "another"
		case takeUnexpired:
			head.Lease = mine
			actorOf(ctx).took(mine, true)
			return head, true, nil
		}
	}
	return head, ok, err
}

func (m mutated) TakeOver(ctx context.Context, s hub.Stream, mine hub.Lease, other string, era uint64) (hub.Head, bool, error) {
	actorOf(ctx).holds = true // perhaps
	head, ok, err := m.Store.TakeOver(ctx, s, mine, other, era)
	actorOf(ctx).took(mine, ok)
	return head, ok, err
}

// cast is who acts in a run.
type cast struct{ publishers, deaths, dups, failures, stalls int }

// playAll plays runs of a cast until one has a fault, which it returns with the history.
func playAll(t *testing.T, table *storetest.Store, runs int, c cast, m mutant) (fault string, repeated int) {
	t.Helper()
	for n := 1; n <= runs; n++ {
		if *only != 0 && n != *only {
			continue
		}
		w := &world{
			random: rand.New(rand.NewPCG(*seed, uint64(n))), table: table, mutant: m, //nolint:gosec // a repeatable run
			clock: time.UnixMilli(1_800_000_000_000), arrived: make(chan *actor), deaths: c.deaths, dups: c.dups, failures: c.failures, stalls: c.stalls,
			stream: hub.Stream{Channel: hub.Channel{Project: "p", Category: crand.Text(), Name: fmt.Sprint(n)}, ProjectName: "P", CategoryID: "1"},
		}
		table.Requests.Intercept = w.intercept
		shared := w.store()
		for n := range c.publishers {
			s := shared
			if w.random.IntN(2) == 0 {
				s = w.store()
			}
			w.publisher(n, s)
		}
		w.play()
		table.Requests.Intercept = nil
		w.judge()
		if !w.slow {
			repeated += w.repeated
		}
		if len(w.faults) > 0 {
			return fmt.Sprintf("run %d:\n%s\n%s", n, strings.Join(w.faults, "\n"), strings.Join(w.history, "\n")), repeated
		}
	}
	return "", repeated
}

// TestInterleavings plays random runs of the protocol of leases: whatever dies, every
// acknowledged message is dispatched, only one posts at a time, offsets have no gaps and are
// posted in order, and twice only after a death.
func TestInterleavings(t *testing.T) {
	drawSeed(t)
	table := storetest.New(t, store.Options{})
	for _, c := range []cast{{2, 0, 0, 0, 0}, {3, 0, 0, 0, 0}, {3, 0, 0, 2, 1}, {3, 2, 1, 0, 0}, {6, 3, 2, 2, 1}} {
		t.Run(fmt.Sprintf("%d publishers, %d deaths, %d duplicates, %d failures, %d stalls", c.publishers, c.deaths, c.dups, c.failures, c.stalls), func(t *testing.T) {
			fault, repeated := playAll(t, table, *plays, c, none)
			if fault != "" {
				t.Errorf("seed %d, repeat it with -seed %d -only RUN: %s", *seed, *seed, fault)
			}
			if c.deaths+c.failures+c.stalls == 0 && repeated > 0 {
				t.Errorf("%d messages were posted again without a death", repeated)
			}
		})
	}
}

// TestMutants plays runs of a protocol that leaves out a step: a fault must be found.
func TestMutants(t *testing.T) {
	drawSeed(t)
	table := storetest.New(t, store.Options{})
	for _, m := range []mutant{blindRelease, noInvoke, endOnOwn, noRetry, takeUnexpired, trustInline, noKeep, noDeadline} {
		c := cast{3, 2, 1, 0, 1}
		if m == blindRelease {
			c = cast{publishers: 4} // a fault would only hide it
		}
		t.Run(string(m), func(t *testing.T) {
			if fault, _ := playAll(t, table, 40**plays, c, m); fault == "" {
				t.Errorf("seed %d: not noticed", *seed)
			}
		})
	}
}

// invokerFunc is an Invoker.
type invokerFunc func(ctx context.Context) error

func (f invokerFunc) Invoke(ctx context.Context, _ hub.Channel) error { return f(ctx) }

// TestHandOverAtTheEnd has a durable dispatcher that has no time left, and another one that it
// invokes and that has ended before it goes on: what was announced meanwhile is dispatched.
func TestHandOverAtTheEnd(t *testing.T) {
	s := storetest.New(t, store.Options{Now: time.Now})
	stream := hub.Stream{Channel: hub.Channel{Project: "p", Category: "c", Name: "n"}, ProjectName: "P", CategoryID: "1"}
	publish := func() {
		t.Helper()
		a, err := s.Append(t.Context(), stream, hub.Message{ID: hub.NewID(time.Now()), Channel: stream.Channel, Data: []byte(`1`)}, hub.AppendOptions{})
		if err != nil {
			t.Fatal(err)
		}
		// Its publisher has died: the lease has expired.
		if _, err := s.Announce(t.Context(), stream, a, hub.Lease{ID: hub.NewID(time.Now()), Until: time.UnixMilli(0)}); err != nil {
			t.Fatal(err)
		}
	}
	publish()
	var posted []string
	post := func(request string) hub.Post {
		return func(_ context.Context, _ hub.Head, batch []hub.Message) (bool, error) {
			for _, m := range batch {
				posted = append(posted, fmt.Sprint(request, " ", m.Position.Offset))
			}
			if request == "r1" {
				publish()
			}
			return false, nil
		}
	}
	var l *Leased
	drain := func(ctx context.Context, request string) error {
		return l.Drain(ctx, func(context.Context) (hub.Stream, error) { return stream, nil }, request, post(request))
	}
	l = NewLeased(LeasedOptions{Streams: s, Invoker: invokerFunc(func(context.Context) error { return drain(t.Context(), "r2") })})
	ctx, cancel := context.WithTimeout(t.Context(), handOver)
	defer cancel()
	if err := drain(ctx, "r1"); err != nil {
		t.Fatal(err)
	}
	if want := []string{"r1 1", "r2 2"}; !slices.Equal(posted, want) {
		t.Errorf("posted %q, want %q", posted, want)
	}
	head, err := s.StreamHead(t.Context(), stream)
	if err != nil || head.Done != 2 || head.Lease.ID != "" {
		t.Errorf("the head is %+v, error %v", head, err)
	}
}

// unreleased is a store whose leases cannot be let go.
type unreleased struct{ *store.Store }

func (unreleased) ReleaseLease(context.Context, hub.Stream, hub.Progress, uint64) (hub.Head, bool, error) {
	return hub.Head{}, false, errors.New("refused")
}

// TestDrainEnds ends the time of a durable dispatcher while it waits: it fails, and invokes no
// other one, so that Lambda runs it again under its request, and gives up at last.
func TestDrainEnds(t *testing.T) {
	for _, tt := range []struct {
		name   string
		lease  hub.Lease // of the publisher
		posted int
	}{
		{"behind an inline holder", hub.Lease{ID: "inline", Until: time.Now().Add(time.Hour)}, 0},
		{"behind a lease that is granted to another", hub.Lease{ID: "granted", Durable: true, Granted: true, Request: "r2", Until: time.Now().Add(time.Hour)}, 0},
		{"behind its own lease", hub.Lease{ID: "dead", Until: time.UnixMilli(0)}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := storetest.New(t, store.Options{Now: time.Now})
			stream := hub.Stream{Channel: hub.Channel{Project: "p", Category: "c", Name: "n"}, ProjectName: "P", CategoryID: "1"}
			a, err := s.Append(t.Context(), stream, hub.Message{ID: hub.NewID(time.Now()), Channel: stream.Channel, Data: []byte(`1`)}, hub.AppendOptions{})
			if err == nil {
				_, err = s.Announce(t.Context(), stream, a, tt.lease)
			}
			if err != nil {
				t.Fatal(err)
			}
			invoked, posted := 0, 0
			l := NewLeased(LeasedOptions{
				Streams: unreleased{s.Store}, Invoker: invokerFunc(func(context.Context) error { invoked++; return nil }),
				Wait: func(ctx context.Context, d time.Duration) error {
					if d > maxDeadPoll { // the renewal of the lease
						<-ctx.Done()
					}
					return context.DeadlineExceeded
				},
			})
			err = l.Drain(t.Context(), func(context.Context) (hub.Stream, error) { return stream, nil }, "r1", func(context.Context, hub.Head, []hub.Message) (bool, error) {
				posted++
				return false, nil
			})
			if err == nil || invoked != 0 || posted != tt.posted {
				t.Errorf("error %v, %d invoked, %d posted", err, invoked, posted)
			}
		})
	}
}

// TestBatches has dispatchers of 64 messages whose posts fail, or take long: the next batch is
// smaller, also that of the next holder, and then they grow again.
func TestBatches(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fails int             // so many posts, each in a run of its own
		takes []time.Duration // each post, 0 after the last
		want  []int
	}{
		{"fast", 0, nil, []int{32, 32}},
		{"the first fails", 1, nil, []int{32, 8, 16, 32, 8}},
		{"two fail", 2, nil, []int{32, 8, 2, 4, 8, 16, 32, 2}},
		{"four fail", 4, nil, []int{32, 8, 2, 1, 1, 2, 4, 8, 16, 32, 1}},
		{"the first is slow", 0, []time.Duration{slowBatch + time.Millisecond}, []int{32, 16, 16}},
		{"none is fast", 0, []time.Duration{fastBatch, fastBatch}, []int{32, 32}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var clock atomic.Int64
			clock.Store(1_800_000_000_000)
			now := func() time.Time { return time.UnixMilli(clock.Load()) }
			s := storetest.New(t, store.Options{Now: now})
			stream := hub.Stream{Channel: hub.Channel{Project: "p", Category: "c", Name: "n"}, ProjectName: "P", CategoryID: "1"}
			var a hub.Appended
			for range 64 {
				var err error
				if a, err = s.Append(t.Context(), stream, hub.Message{ID: hub.NewID(now()), Channel: stream.Channel, Data: []byte(`1`)}, hub.AppendOptions{}); err != nil {
					t.Fatal(err)
				}
				// Its publisher has died: the lease has expired.
				if _, err := s.Announce(t.Context(), stream, a, hub.Lease{ID: hub.NewID(now()), Until: time.UnixMilli(0)}); err != nil {
					t.Fatal(err)
				}
			}
			var got []int
			l := NewLeased(LeasedOptions{Streams: s, Now: now, Invoker: invokerFunc(func(context.Context) error { return errors.New("none is needed") })})
			for run := 0; run <= tt.fails; run++ {
				err := l.Drain(t.Context(), func(context.Context) (hub.Stream, error) { return stream, nil }, "r", func(_ context.Context, _ hub.Head, batch []hub.Message) (bool, error) {
					got = append(got, len(batch))
					if len(got) <= len(tt.takes) {
						clock.Add(tt.takes[len(got)-1].Milliseconds())
					}
					if len(got) <= tt.fails {
						return false, errors.New("posts failed")
					}
					return false, nil
				})
				if (err != nil) != (run < tt.fails) {
					t.Fatalf("run %d: %v", run, err)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("batches of %v, not %v", got, tt.want)
			}
			head, err := s.StreamHead(t.Context(), stream)
			if err != nil || head.Done != a.Message.Position.Offset || head.Batch != 0 || head.Lease.ID != "" {
				t.Errorf("the head is %+v, error %v", head, err)
			}
		})
	}
}

func drawSeed(t *testing.T) {
	t.Helper()
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("seed %d", *seed)
}
