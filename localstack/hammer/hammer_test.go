package hammer_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"centrifuge/functions"
	"centrifuge/localstack/gateway"
	"centrifuge/localstack/lambda"
	"centrifuge/localstack/stack"
	"centrifuge/localstack/stack/stacktest"
	"centrifuge/pkg/hub"
)

var (
	duration = flag.Duration("hammer", 5*time.Second, "how long messages are published and functions killed")
	seed     = flag.Uint64("seed", 0, "the seed of the load and of the faults; 0 draws one")
	size     = flag.Int("clients", 100, "how many clients there are")
	rate     = flag.Int("rate", 50, "how many messages are published a second")
)

const (
	project  = "hammer"
	secret   = "hammer-secret"
	apiKey   = "hammer-key"
	category = "stream"
	seedFile = `{"projects": [{"id": "hammer", "name": "hammer", "secret": "hammer-secret", "api_keys": ["hammer-key"], "categories": [
		{"name": "stream", "history_size": 10000, "history_ttl": 3600000, "force_recovery": true}]}]}`

	channels   = 20
	publishers = 8
	// jitter is how long a post is delayed at most.
	jitter = 40 * time.Millisecond
	// killEvery is the time between two deaths.
	killEvery = time.Second
	// concurrency bounds the processes of a function: more than there are publishers, because
	// one that cleans up is not idle.
	concurrency = 3 * publishers
	// dials is how many clients connect concurrently.
	dials = 16
	// settle is how long everything but the load may take. A dead holder keeps its lease for
	// hub.LeaseTime and hub.LeaseSlack, and a dispatcher that was killed three times is run again
	// after as long.
	settle = 2 * time.Minute
	// poll is the time between two looks at the streams.
	poll = 100 * time.Millisecond
	// maxViolations is how many are printed.
	maxViolations = 20
)

// hammer is one run. It is safe for concurrent use.
type hammer struct {
	t        *testing.T
	stack    *stack.Stack
	channels []string
	faults   *postFaults
	watch    *watch
	ledger   *ledger
	log      *functionLog
	end      time.Time // of the load

	violations atomic.Int64
	redriven   atomic.Int64
	timers     sync.WaitGroup // of dead letters
}

// fail reports what must not be.
func (h *hammer) fail(format string, args ...any) {
	if h.violations.Add(1) <= maxViolations {
		h.t.Errorf(format, args...)
	}
}

func TestHammer(t *testing.T) {
	run(t, func(ctx context.Context, h *hammer, n int) (subscriber, error) {
		return h.connect(ctx, fmt.Sprintf("u%04d", n), h.channels[n%channels], n/channels%2 == 0)
	})
}

// run hammers subscribers that connect makes from their numbers.
func run(t *testing.T, connect func(ctx context.Context, h *hammer, n int) (subscriber, error)) {
	t.Helper()
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("seed %d", *seed)
	ctx, cancel := context.WithTimeoutCause(t.Context(), *duration+settle, fmt.Errorf("it hangs: the load and %v more are over", settle))
	defer cancel()
	h := start(ctx, t)
	defer func() {
		cancel()
		h.timers.Wait()
	}()
	clients, err := h.connectAll(ctx, connect)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := h.hammer(ctx, began, clients); err != nil {
		t.Fatal(err)
	}
	loaded := time.Now()
	streams, err := h.settle(ctx, clients)
	if err != nil {
		t.Error(err)
	}
	settled := time.Now()
	twice := h.check(streams, clients)
	t.Log(h.report(clients, streams, twice, loaded.Sub(began), settled.Sub(loaded)))
	if n := h.violations.Load(); n > maxViolations {
		t.Errorf("%d more violations", n-maxViolations)
	}
	if t.Failed() {
		t.Log(h.watch.suspected())
		t.Log(h.log.last())
		t.Logf("repeat it with SEED=%d", *seed)
	}
}

func start(ctx context.Context, t *testing.T) *hammer {
	t.Helper()
	h := &hammer{
		t: t, faults: &postFaults{row: make(map[string]int), gone: make(map[string]bool)}, ledger: &ledger{}, log: newFunctionLog(),
	}
	h.watch = newWatch(h.fail)
	for n := range channels {
		h.channels = append(h.channels, fmt.Sprintf("c%02d", n))
	}
	dead := make(chan lambda.DeadLetter, 1000)
	h.stack = stacktest.Start(t, stack.Options{
		Seed:    []byte(seedFile),
		Gateway: gateway.Options{Jitter: jitter, Faults: h.faults.next},
		Lambda: &stack.Lambda{
			Bootstraps: stacktest.Bootstraps(t), Faults: h.watch.request,
			Options: lambda.Options{Concurrency: concurrency, QueueOptions: lambda.QueueOptions{
				RetryDelays: [2]time.Duration{100 * time.Millisecond, 200 * time.Millisecond},
				DeadLetter:  func(d lambda.DeadLetter) { dead <- d },
			}},
		},
		Log: h.log, LogLevel: "warn",
	})
	go h.redrive(ctx, dead)
	return h
}

// redrive runs dead letters again, as an operator does: when no lease and no turn of the dead
// invocation is left.
func (h *hammer) redrive(ctx context.Context, dead <-chan lambda.DeadLetter) {
	dispatch, _ := h.stack.Functions[functions.Dispatch].(*lambda.Function)
	for {
		select {
		case d := <-dead:
			h.redriven.Add(1)
			h.timers.Go(func() {
				if pace(ctx, hub.LeaseTime+hub.LeaseSlack) != nil {
					return
				}
				if err := dispatch.InvokeAsync(d.Event); err != nil {
					h.fail("redrive: %v", err)
				}
			})
		case <-ctx.Done():
			return
		}
	}
}

// subscriber is a client that is in one channel.
type subscriber interface {
	// in is its channel.
	in() string
	// disturb does what happens to it while messages are published, until ctx ends.
	disturb(ctx context.Context, random *rand.Rand)
	// wait returns when it has received an offset, or will not receive it.
	wait(ctx context.Context, top uint64)
	// check compares what it has received with the stream, and returns how many publications
	// it received again.
	check(stream []publication, epoch string) (twice int)
	// receipts are what it has received.
	receipts() receipts
}

// receipts are what a subscriber has received.
type receipts struct {
	stayed       bool
	batch        bool // frames hold several publications
	frames       int
	publications int
	recoveries   int             // with a position
	late         []time.Duration // of first receipts, since the publish began
}

func (h *hammer) connectAll(ctx context.Context, connect func(ctx context.Context, h *hammer, n int) (subscriber, error)) ([]subscriber, error) {
	clients := make([]subscriber, *size)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(dials)
	for n := range clients {
		g.Go(func() (err error) {
			clients[n], err = connect(ctx, h, n)
			return err
		})
	}
	return clients, g.Wait()
}

// hammer publishes, and kills functions, until the time is over.
func (h *hammer) hammer(ctx context.Context, began time.Time, clients []subscriber) error {
	h.end = began.Add(*duration)
	h.faults.begin(rand.New(rand.NewPCG(*seed, 0)))
	var killing sync.WaitGroup
	killed, stop := context.WithDeadline(ctx, h.end)
	defer stop()
	killing.Go(func() {
		random := rand.New(rand.NewPCG(*seed, 1))
		for pace(killed, killEvery) == nil {
			h.watch.arm(random)
		}
		h.watch.disarm()
	})
	for n, c := range clients {
		killing.Go(func() { c.disturb(killed, rand.New(rand.NewPCG(*seed, uint64(1000+n)))) })
	}
	g, ctx := errgroup.WithContext(ctx)
	for n := range publishers {
		g.Go(func() error { return h.load(ctx, n, rand.New(rand.NewPCG(*seed, uint64(2+n)))) })
	}
	err := g.Wait()
	stop()
	killing.Wait()
	return err
}

// stream is the stream of a channel, as the table has it.
type stream struct {
	channel      string
	epoch        string
	publications []publication // offset 1 first
}

// publication is a publication and the number of its message.
type publication struct {
	offset uint64
	number int
}

// settle returns the streams when all of them are dispatched and all clients that stayed have
// received everything.
func (h *hammer) settle(ctx context.Context, clients []subscriber) ([]stream, error) {
	for {
		streams, err := h.conclude(ctx)
		if err != nil {
			return streams, err
		}
		tops := make(map[string]uint64)
		for _, s := range streams {
			tops[s.channel] = uint64(len(s.publications))
		}
		// A client whose subscribe was abandoned is told so with a message after that time.
		waiting, cancel := context.WithTimeout(ctx, hub.AbandonTime)
		for _, c := range clients {
			c.wait(waiting, tops[c.in()])
		}
		over := waiting.Err() == nil
		cancel()
		if over || ctx.Err() != nil {
			return streams, nil //nolint:nilerr // check finds what is missing
		}
	}
}

// conclude publishes a last message in every channel, which makes the dispatch of what was
// appended and not acknowledged certain, and returns the streams when all of them are dispatched.
func (h *hammer) conclude(ctx context.Context) ([]stream, error) {
	g, publishing := errgroup.WithContext(ctx)
	g.SetLimit(publishers)
	for _, ch := range h.channels {
		g.Go(func() error { return h.publish(publishing, message{channel: ch, key: "last " + time.Now().String()}) })
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	p, err := h.stack.App.Store.ReadProject(ctx, project)
	if err != nil {
		return nil, err
	}
	streams, errs := make([]stream, len(h.channels)), make([]error, len(h.channels))
	var reading sync.WaitGroup
	for i, ch := range h.channels {
		reading.Go(func() {
			st, _ := p.Stream(hub.Channel{Project: project, Category: category, Name: ch})
			streams[i], errs[i] = h.read(ctx, st)
		})
	}
	reading.Wait()
	return streams, errors.Join(errs...)
}

// read returns a stream when it is dispatched and nobody holds its lease. After an error it is
// as it was last.
func (h *hammer) read(ctx context.Context, st hub.Stream) (stream, error) {
	s := stream{channel: st.Channel.Name}
	for {
		head, err := h.stack.App.Store.StreamHead(ctx, st)
		if err != nil {
			return s, err
		}
		s.epoch, s.publications = head.Epoch, nil
		for after := uint64(0); ; {
			page, err := h.stack.App.Store.Publications(ctx, st, head.Epoch, after, hub.MaxHistory)
			if err != nil {
				return s, err
			}
			for _, m := range page {
				var data struct{ N int }
				if err := json.Unmarshal(m.Data, &data); err != nil {
					return s, err
				}
				s.publications = append(s.publications, publication{m.Position.Offset, data.N})
				after = m.Position.Offset
			}
			if len(page) < hub.MaxHistory {
				break
			}
		}
		if n := len(s.publications); n > 0 && head.Done == s.publications[n-1].offset && head.Lease.ID == "" {
			return s, nil
		}
		if err := pace(ctx, poll); err != nil {
			h.watch.suspect(s.channel)
			return s, fmt.Errorf("%s has %d publications, and its head is %+v: %w", st.Channel, len(s.publications), head, err)
		}
	}
}

// check compares the streams with what was acknowledged, and with what the clients received. It
// returns how many publications were received again.
func (h *hammer) check(streams []stream, clients []subscriber) (twice int) {
	messages := h.ledger.all()
	places := make(map[int]hub.Position) // by number
	byChannel := make(map[string]stream)
	for _, s := range streams {
		byChannel[s.channel] = s
		for i, p := range s.publications {
			if p.offset != uint64(i+1) {
				h.fail("%s has offset %d in place of %d", s.channel, p.offset, i+1)
			}
			if p.number < 1 || p.number > len(messages) || messages[p.number-1].channel != s.channel {
				h.fail("%s has message %d at offset %d, which was not published there", s.channel, p.number, p.offset)
				continue
			}
			if before, double := places[p.number]; double {
				h.fail("%s has message %d at offsets %d and %d", s.channel, p.number, before.Offset, p.offset)
			}
			places[p.number] = hub.Position{Epoch: s.epoch, Offset: p.offset}
		}
	}
	for i, m := range messages {
		if m.at.Offset != 0 && places[i+1] != m.at {
			h.fail("message %d was acknowledged in %s at %v, and is at %v", i+1, m.channel, m.at, places[i+1])
		}
	}
	for _, c := range clients {
		if s, ok := byChannel[c.in()]; ok {
			twice += c.check(s.publications, s.epoch)
		}
	}
	if failed, dead := len(h.ledger.failures), h.watch.dead("publish"); failed > dead {
		h.fail("%d publishes failed, and %d processes of publish were killed: %q", failed, dead, h.ledger.failures)
	}
	return twice
}
