package delivery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/hub"
)

var (
	room    = hub.Channel{Project: "demo", Category: "chat", Name: "room"}
	hello   = hub.Message{ID: "0123456789abcdef01234567", Channel: room, Data: []byte(`"hello"`)}
	spoken  = map[hub.Protocol]Encoder{hub.Classic: func(m hub.Message) ([]byte, error) { return m.Data, nil }}
	errRead = errors.New("throttled")
)

// shards is who listens, by shard and page. What a page's function returns is
// yielded; it may wait first.
type shards [][]func() ([]hub.Subscriber, error)

func (s shards) Subscribers(_ context.Context, ch hub.Channel, shard int) iter.Seq2[[]hub.Subscriber, error] {
	return func(yield func([]hub.Subscriber, error) bool) {
		if ch != room {
			yield(nil, fmt.Errorf("asked for %s", ch))
			return
		}
		for _, page := range s[shard] {
			subs, err := page()
			if !yield(subs, err) || err != nil {
				return
			}
		}
	}
}

// listeners is a page of subscribers.
func listeners(ids ...string) func() ([]hub.Subscriber, error) {
	return func() ([]hub.Subscriber, error) {
		subs := make([]hub.Subscriber, 0, len(ids))
		for _, id := range ids {
			subs = append(subs, hub.Subscriber{Connection: id, Protocol: hub.Classic})
		}
		return subs, nil
	}
}

// crowd makes ids of a number of connections.
func crowd(prefix string, n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("%s%04d=", prefix, i)
	}
	return ids
}

// graveyard remembers what it is told of as gone.
type graveyard struct {
	mu   sync.Mutex
	rows []string
	err  error
}

func (g *graveyard) bury(_ context.Context, at hub.Place) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rows = append(g.rows, fmt.Sprintf("%s %s %d %s", at.Channel.Project, at.Channel, at.Shard, at.Connection))
	return g.err
}

// over is the audience of hello, over this many shards.
func over(shards int) []hub.Audience {
	return []hub.Audience{{Channel: hello.Channel, Shards: shards}}
}

// nobodyGone fails the test when a connection is said to be over.
func nobodyGone(t *testing.T) func(context.Context, hub.Place) error {
	return func(_ context.Context, at hub.Place) error {
		t.Errorf("%s is said to be over", at.Connection)
		return nil
	}
}

// posts counts what a management API accepted, by connection and body.
type posts struct {
	mu   sync.Mutex
	seen map[string]int
}

func (p *posts) add(r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen == nil {
		p.seen = make(map[string]int)
	}
	p.seen[r.Method+" "+connectionOf(r)+" "+string(body)]++
}

func TestReport(t *testing.T) {
	var (
		accepted posts
		dead     graveyard
		log      bytes.Buffer
	)
	m := newManagement(t, func(w http.ResponseWriter, r *http.Request) {
		switch connectionOf(r)[0] {
		case 'g':
			w.WriteHeader(http.StatusGone)
		case 's':
			w.WriteHeader(http.StatusTooManyRequests)
		case 'f':
			w.WriteHeader(http.StatusInternalServerError)
		default:
			accepted.add(r)
		}
	})
	d := New(Options{
		Subscribers: shards{
			{listeners(crowd("a", 30)...), listeners("g1", "s1", "f1"), listeners()},
			{},
			{listeners("g2", "s2", "a"), listeners("g1"), func() ([]hub.Subscriber, error) {
				return []hub.Subscriber{{Connection: "x1", Protocol: "morse"}, {Connection: "x2", Protocol: "morse"}, {Connection: "b", Protocol: "loud"}}, nil
			}},
		},
		Poster: m.newPoster(t, PosterOptions{Concurrency: 4, Attempts: 2}),
		Encoders: map[hub.Protocol]Encoder{
			hub.Classic: spoken[hub.Classic],
			"loud":      func(m hub.Message) ([]byte, error) { return bytes.ToUpper(m.Data), nil },
		},
		Log: slog.New(slog.NewTextHandler(&log, nil)),
	})

	report, err := d.Deliver(t.Context(), hello, over(3), dead.bury)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(hub.Report{Delivered: 32, Gone: 3, Slow: 2, Failed: 3}, report); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	want := map[string]int{`POST a "hello"`: 1, `POST b "HELLO"`: 1}
	for _, id := range crowd("a", 30) {
		want["POST "+id+` "hello"`] = 1
	}
	if diff := cmp.Diff(want, accepted.seen); diff != "" {
		t.Errorf("posts (-want +got):\n%s", diff)
	}
	slices.Sort(dead.rows)
	if diff := cmp.Diff([]string{
		"demo chat:room 0 g1", "demo chat:room 2 g1", "demo chat:room 2 g2",
	}, dead.rows); diff != "" {
		t.Errorf("removed (-want +got):\n%s", diff)
	}
	if lines := strings.Count(log.String(), "\n"); lines != 1 {
		t.Errorf("%d lines were logged, want 1:\n%s", lines, &log)
	}
	for _, part := range []string{"level=WARN", "delivered=32 gone=3 slow=2 failed=3", "morse:2", "channel=chat:room"} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("the log lacks %q: %s", part, &log)
		}
	}
}

func TestNobodyListens(t *testing.T) {
	var log bytes.Buffer
	m := newManagement(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was made") })
	d := New(Options{Subscribers: shards{{}}, Poster: m.newPoster(t, PosterOptions{}), Encoders: spoken, Log: slog.New(slog.NewTextHandler(&log, nil))})
	report, err := d.Deliver(t.Context(), hello, over(0), nobodyGone(t))
	if err != nil || report != (hub.Report{}) {
		t.Errorf("got %v, %v", report, err)
	}
	if log.Len() > 0 {
		t.Errorf("logged above debug: %s", &log)
	}
}

func TestEncoding(t *testing.T) {
	m := newManagement(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	var calls atomic.Int64
	deliver := func(t *testing.T, s Subscribers, encode Encoder) (hub.Report, error) {
		calls.Store(0)
		d := New(Options{Subscribers: s, Poster: m.newPoster(t, PosterOptions{}), Encoders: map[hub.Protocol]Encoder{
			hub.Classic: func(m hub.Message) ([]byte, error) { calls.Add(1); return encode(m) },
		}})
		return d.Deliver(t.Context(), hello, over(1), nobodyGone(t))
	}
	unread := shards{{func() ([]hub.Subscriber, error) {
		t.Error("subscribers were read")
		return nil, nil
	}}}
	t.Run("happens once for all subscribers", func(t *testing.T) {
		report, err := deliver(t, shards{{listeners(crowd("a", 50)...), listeners(crowd("b", 50)...)}}, spoken[hub.Classic])
		if err != nil || report.Delivered != 100 {
			t.Errorf("got %v, %v", report, err)
		}
		if calls.Load() != 1 {
			t.Errorf("encoded %d times", calls.Load())
		}
	})
	t.Run("that makes the largest push succeeds", func(t *testing.T) {
		report, err := deliver(t, shards{{listeners("a")}}, func(hub.Message) ([]byte, error) { return make([]byte, hub.MaxMessageBytes), nil })
		if err != nil || report.Delivered != 1 {
			t.Errorf("got %v, %v", report, err)
		}
	})
	t.Run("that makes a larger one is refused before anything", func(t *testing.T) {
		_, err := deliver(t, unread, func(hub.Message) ([]byte, error) { return make([]byte, hub.MaxMessageBytes+1), nil })
		if !errors.Is(err, hub.ErrTooLarge) {
			t.Errorf("got %v, want ErrTooLarge", err)
		}
	})
	t.Run("that fails is reported before anything", func(t *testing.T) {
		broken := errors.New("broken")
		if _, err := deliver(t, unread, func(hub.Message) ([]byte, error) { return nil, broken }); !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
	})
}

func TestPostingBeginsWhilePagesArrive(t *testing.T) {
	var first sync.WaitGroup
	first.Add(10)
	m := newManagement(t, func(_ http.ResponseWriter, r *http.Request) {
		if connectionOf(r)[0] == 'a' {
			first.Done()
		}
	})
	d := New(Options{
		Subscribers: shards{{listeners(crowd("a", 10)...), func() ([]hub.Subscriber, error) {
			first.Wait() // would hang if the first page waited for the second
			return listeners("b")()
		}}},
		Poster: m.newPoster(t, PosterOptions{}), Encoders: spoken,
	})
	report, err := d.Deliver(t.Context(), hello, over(1), nobodyGone(t))
	if err != nil || report.Delivered != 11 {
		t.Errorf("got %v, %v", report, err)
	}
}

// TestConcurrency has the server answer only when as many requests are there as
// there may be, again and again: fewer would hang, more are counted.
func TestConcurrency(t *testing.T) {
	const bound, deliveries, each = 8, 5, 40
	var (
		mu        sync.Mutex
		here, top int
		full      = make(chan struct{})
	)
	m := newManagement(t, func(http.ResponseWriter, *http.Request) {
		mu.Lock()
		here++
		top = max(top, here)
		gate := full
		if here == bound {
			here, full = 0, make(chan struct{})
			close(gate)
		}
		mu.Unlock()
		<-gate
	})
	poster := m.newPoster(t, PosterOptions{Concurrency: bound})
	var held atomic.Int64
	var wg sync.WaitGroup
	for n := range deliveries {
		wg.Go(func() {
			d := New(Options{
				Subscribers: shards{{listeners(crowd(fmt.Sprint("a", n), each/2)...)}, {listeners(crowd(fmt.Sprint("b", n), each/2)...)}},
				Poster:      poster, Encoders: spoken,
			})
			report, err := d.Deliver(t.Context(), hello, over(2), nobodyGone(t))
			if err != nil || report.Delivered != each {
				t.Errorf("got %v, %v", report, err)
			}
			held.Add(int64(report.Delivered))
		})
	}
	wg.Wait()
	if top != bound || here != 0 || held.Load() != deliveries*each {
		t.Errorf("at most %d requests at once, %d left over, %d delivered; want %d, 0, %d", top, here, held.Load(), bound, deliveries*each)
	}
	if n := m.dials.Load(); n > bound {
		t.Errorf("%d connections for %d slots", n, bound)
	}
}

func TestSlowClientStallsNobody(t *testing.T) {
	var others sync.WaitGroup
	others.Add(1000)
	m := newManagement(t, func(w http.ResponseWriter, r *http.Request) {
		if connectionOf(r) == "slow" {
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		others.Done()
	})
	d := New(Options{
		Subscribers: shards{{listeners("slow"), listeners(crowd("a", 1000)...)}},
		Poster: m.newPoster(t, PosterOptions{Concurrency: 1, Wait: func(context.Context, time.Duration) error {
			others.Wait() // would hang if anybody waited for the slow one
			return nil
		}}),
		Encoders: spoken,
	})
	report, err := d.Deliver(t.Context(), hello, over(1), nobodyGone(t))
	if diff := cmp.Diff(hub.Report{Delivered: 1000, Slow: 1}, report); err != nil || diff != "" {
		t.Errorf("error %v, report (-want +got):\n%s", err, diff)
	}
}

func TestReaping(t *testing.T) {
	m := newManagement(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) })
	t.Run("removes each of many once and is over when Deliver returns", func(t *testing.T) {
		var dead graveyard
		ids := crowd("g", 500)
		d := New(Options{Subscribers: shards{{listeners(ids...)}}, Poster: m.newPoster(t, PosterOptions{}), Encoders: spoken})
		report, err := d.Deliver(t.Context(), hello, over(1), dead.bury)
		if diff := cmp.Diff(hub.Report{Gone: 500}, report); err != nil || diff != "" {
			t.Errorf("error %v, report (-want +got):\n%s", err, diff)
		}
		want := make(map[string]int)
		for _, id := range ids {
			want["demo chat:room 0 "+id] = 1
		}
		got := make(map[string]int)
		for _, row := range dead.rows {
			got[row]++
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("removed (-want +got):\n%s", diff)
		}
	})
	t.Run("that fails is logged and fails nothing", func(t *testing.T) {
		var log bytes.Buffer
		dead := graveyard{err: errors.New("table is away")}
		d := New(Options{
			Subscribers: shards{{listeners("g1", "g2")}}, Poster: m.newPoster(t, PosterOptions{}), Encoders: spoken,
			Log: slog.New(slog.NewTextHandler(&log, nil)),
		})
		report, err := d.Deliver(t.Context(), hello, over(1), dead.bury)
		if err != nil || report.Gone != 2 {
			t.Errorf("got %v, %v", report, err)
		}
		if len(dead.rows) != 2 {
			t.Errorf("a failure kept others from being tried: %v", dead.rows)
		}
		if !strings.Contains(log.String(), "unremoved=2") || !strings.Contains(log.String(), "table is away") {
			t.Errorf("logged %s", &log)
		}
	})
}

func TestSubscribersThatCannotBeRead(t *testing.T) {
	var accepted posts
	m := newManagement(t, func(_ http.ResponseWriter, r *http.Request) { accepted.add(r) })
	d := New(Options{
		Subscribers: shards{
			{listeners("a"), func() ([]hub.Subscriber, error) { return nil, errRead }, listeners("never")},
			{listeners("b"), listeners("c")},
		},
		Poster: m.newPoster(t, PosterOptions{}), Encoders: spoken,
	})
	report, err := d.Deliver(t.Context(), hello, over(2), nobodyGone(t))
	if !errors.Is(err, errRead) {
		t.Errorf("got error %v", err)
	}
	if report != (hub.Report{Delivered: 3}) {
		t.Errorf("got %+v", report)
	}
	got := slices.Sorted(maps.Keys(accepted.seen))
	if diff := cmp.Diff([]string{`POST a "hello"`, `POST b "hello"`, `POST c "hello"`}, got); diff != "" {
		t.Errorf("posts (-want +got):\n%s", diff)
	}
}

func TestAudiencesThatFailNothing(t *testing.T) {
	var accepted posts
	var log bytes.Buffer
	m := newManagement(t, func(_ http.ResponseWriter, r *http.Request) { accepted.add(r) })
	d := New(Options{
		Subscribers: shards{{listeners("a")}, {func() ([]hub.Subscriber, error) { return nil, errRead }}},
		Poster:      m.newPoster(t, PosterOptions{}), Encoders: spoken, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	to := []hub.Audience{{Channel: hello.Channel, Shards: 1}, {Channel: hello.Channel, Shards: 2, BestEffort: true}}
	report, err := d.Deliver(t.Context(), hello, to, nobodyGone(t))
	if err != nil || report != (hub.Report{Delivered: 2}) {
		t.Errorf("got %+v, error %v", report, err)
	}
	if !strings.Contains(log.String(), errRead.Error()) || !strings.Contains(log.String(), "level=WARN") {
		t.Errorf("logged %s", &log)
	}
}

func TestCancelledDelivery(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	m := newManagement(t, func(_ http.ResponseWriter, r *http.Request) {
		if connectionOf(r) == "last" {
			_, _ = io.Copy(io.Discard, r.Body)
			cancel()
			<-r.Context().Done()
		}
	})
	d := New(Options{
		Subscribers: shards{{listeners("first", "last", "never1", "never2"), listeners("never3")}},
		Poster:      m.newPoster(t, PosterOptions{Concurrency: 1}), Encoders: spoken,
	})
	report, err := d.Deliver(ctx, hello, over(1), nobodyGone(t))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v", err)
	}
	if diff := cmp.Diff(hub.Report{Delivered: 1, Failed: 4}, report); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

func TestDisconnect(t *testing.T) {
	var accepted posts
	m := newManagement(t, func(w http.ResponseWriter, r *http.Request) {
		accepted.add(r)
		switch connectionOf(r) {
		case "gone":
			w.WriteHeader(http.StatusGone)
		case "refused":
			w.WriteHeader(http.StatusForbidden)
		case "slow":
			w.WriteHeader(http.StatusTooManyRequests)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	})
	d := New(Options{Poster: m.newPoster(t, PosterOptions{Concurrency: 2, Attempts: 2})})
	t.Run("closes all and takes those that are over for closed", func(t *testing.T) {
		if err := d.Disconnect(t.Context(), []string{"a", "gone", "b"}); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(map[string]int{"DELETE a ": 1, "DELETE gone ": 1, "DELETE b ": 1}, accepted.seen); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
	})
	t.Run("joins failures and goes on", func(t *testing.T) {
		accepted.seen = nil
		err := d.Disconnect(t.Context(), []string{"refused", "slow", "c"})
		if !errors.Is(err, ErrSlow) || !strings.Contains(err.Error(), "delete connection refused: ") {
			t.Errorf("got %v", err)
		}
		if diff := cmp.Diff(map[string]int{"DELETE refused ": 1, "DELETE slow ": 2, "DELETE c ": 1}, accepted.seen); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
	})
	t.Run("begins nothing once the context has ended", func(t *testing.T) {
		accepted.seen = nil
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := d.Disconnect(ctx, []string{"a", "b"}); !errors.Is(err, context.Canceled) || accepted.seen != nil {
			t.Errorf("got %v and %v", err, accepted.seen)
		}
	})
}

func TestAudiences(t *testing.T) {
	var accepted posts
	m := newManagement(t, func(_ http.ResponseWriter, r *http.Request) { accepted.add(r) })
	feed := hub.Feed("demo")
	d := New(Options{Subscribers: byChannel{hello.Channel: "a", feed: "admin"}, Poster: m.newPoster(t, PosterOptions{}), Encoders: spoken})
	report, err := d.Deliver(t.Context(), hello, append(over(1), hub.Audience{Channel: feed, Shards: 1}), nobodyGone(t))
	if diff := cmp.Diff(hub.Report{Delivered: 2}, report); err != nil || diff != "" {
		t.Errorf("error %v, report (-want +got):\n%s", err, diff)
	}
	if diff := cmp.Diff(map[string]int{`POST a "hello"`: 1, `POST admin "hello"`: 1}, accepted.seen); diff != "" {
		t.Errorf("posts (-want +got):\n%s", diff)
	}
}

// byChannel has one subscriber in each channel.
type byChannel map[hub.Channel]string

func (c byChannel) Subscribers(_ context.Context, ch hub.Channel, _ int) iter.Seq2[[]hub.Subscriber, error] {
	return func(yield func([]hub.Subscriber, error) bool) {
		yield([]hub.Subscriber{{Connection: c[ch], Protocol: hub.Classic}}, nil)
	}
}
