package delivery

import (
	"bytes"
	stdcmp "cmp"
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
	room     = hub.Channel{Project: "demo", Category: "chat", Name: "room"}
	hello    = hub.Message{ID: "0123456789abcdef01234567", Channel: room, Data: []byte(`"hello"`)}
	encoders = map[hub.Protocol]Encoder{hub.Classic: data}
	errRead  = errors.New("throttled")
)

// data encodes every message as its data, in a batch two a frame, separated by a plus sign.
func data(messages []hub.Message, batch bool) (frames [][]byte, err error) {
	each := 1
	if batch {
		each = 2
	}
	for some := range slices.Chunk(messages, each) {
		var frame [][]byte
		for _, m := range some {
			frame = append(frame, m.Data)
		}
		frames = append(frames, bytes.Join(frame, []byte("+")))
	}
	return frames, nil
}

// shards are the subscribers of room, by shard and page. Subscribers yields what the
// function of a page returns; the function may wait first.
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

// subscribers is a page of subscribers.
func subscribers(ids ...string) func() ([]hub.Subscriber, error) {
	return func() ([]hub.Subscriber, error) {
		subs := make([]hub.Subscriber, 0, len(ids))
		for _, id := range ids {
			subs = append(subs, hub.Subscriber{Connection: id, Protocol: hub.Classic})
		}
		return subs, nil
	}
}

// ids makes the ids of n connections.
func ids(prefix string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%s%04d=", prefix, i)
	}
	return all
}

// audience is the subscribers of room, which has this many shards.
func audience(shards int) hub.Audience { return hub.Audience{Channel: room, Shards: shards} }

// posts counts the requests that a management API accepted, by method, connection and
// body.
type posts struct {
	mu   sync.Mutex
	seen map[string]int
}

// answer notes a request and answers it as the name of its connection says.
func (p *posts) answer(w http.ResponseWriter, r *http.Request) {
	p.add(r)
	switch connectionOf(r) {
	case "gone":
		w.WriteHeader(http.StatusGone)
	case "slow":
		w.WriteHeader(http.StatusTooManyRequests)
	case "unknown":
		w.WriteHeader(http.StatusInternalServerError)
	}
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

// take returns what was counted, and counts from zero. A request that was not answered may be
// counted after the client has given it up.
func (p *posts) take() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := p.seen
	p.seen = nil
	return seen
}

func TestDispatchResult(t *testing.T) {
	var (
		accepted posts
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
			{subscribers(ids("a", 30)...), subscribers("g1", "s1", "f1"), subscribers()},
			{},
			{subscribers("g2", "s2", "a"), subscribers("g1"), func() ([]hub.Subscriber, error) {
				return []hub.Subscriber{{Connection: "x1", Protocol: "unknown"}, {Connection: "x2", Protocol: "unknown"}, {Connection: "b", Protocol: "loud"}}, nil
			}},
		},
		Poster: m.newPoster(t, PosterOptions{Concurrency: 4, Attempts: 2}),
		Encoders: map[hub.Protocol]Encoder{
			hub.Classic: data,
			"loud": func(messages []hub.Message, _ bool) ([][]byte, error) {
				return [][]byte{bytes.ToUpper(messages[0].Data)}, nil
			},
		},
		Log: slog.New(slog.NewTextHandler(&log, nil)),
	})

	result, err := d.Dispatch(t.Context(), audience(3), []hub.Message{hello})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(result.Gone, byShard)
	slices.Sort(result.Stalled)
	if diff := cmp.Diff(hub.Result{Stalled: []string{"s1", "s2"}, Delivered: 32, Slow: 2, Failed: 3, Refused: 1, Refusal: "post to connection f1: management API answered 500 Internal Server Error", Gone: []hub.Gone{
		{Connection: "g1", Channel: room, Shard: 0}, {Connection: "g1", Channel: room, Shard: 2}, {Connection: "g2", Channel: room, Shard: 2},
	}}, result); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
	want := map[string]int{`POST a "hello"`: 1, `POST b "HELLO"`: 1}
	for _, id := range ids("a", 30) {
		want["POST "+id+` "hello"`] = 1
	}
	if diff := cmp.Diff(want, accepted.seen); diff != "" {
		t.Errorf("posts (-want +got):\n%s", diff)
	}
	if lines := strings.Count(log.String(), "\n"); lines != 1 {
		t.Errorf("%d lines were logged, want 1:\n%s", lines, &log)
	}
	for _, part := range []string{"level=WARN", "delivered=32 gone=3 ended=0 slow=2 failed=3", "unknown:2", "channel=chat:room"} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("the log lacks %q: %s", part, &log)
		}
	}
}

// byShard sorts subscriptions that are gone.
func byShard(a, b hub.Gone) int {
	return stdcmp.Or(a.Shard-b.Shard, strings.Compare(a.Connection, b.Connection))
}

func TestDispatchWithoutSubscribers(t *testing.T) {
	var log bytes.Buffer
	m := newManagement(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was made") })
	d := New(Options{Subscribers: shards{{}}, Poster: m.newPoster(t, PosterOptions{}), Encoders: encoders, Log: slog.New(slog.NewTextHandler(&log, nil))})
	result, err := d.Dispatch(t.Context(), audience(0), []hub.Message{hello})
	if diff := cmp.Diff(hub.Result{}, result); err != nil || diff != "" {
		t.Errorf("error %v, result (-want +got):\n%s", err, diff)
	}
	if log.Len() > 0 {
		t.Errorf("logged above debug: %s", &log)
	}
}

func TestEncoding(t *testing.T) {
	m := newManagement(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	var calls atomic.Int64
	dispatch := func(t *testing.T, s Subscribers, encode Encoder) (hub.Result, error) {
		calls.Store(0)
		d := New(Options{Subscribers: s, Poster: m.newPoster(t, PosterOptions{}), Encoders: map[hub.Protocol]Encoder{
			hub.Classic: func(messages []hub.Message, batch bool) ([][]byte, error) {
				calls.Add(1)
				return encode(messages, batch)
			},
		}})
		return d.Dispatch(t.Context(), audience(1), []hub.Message{hello})
	}
	unread := shards{{func() ([]hub.Subscriber, error) {
		t.Error("subscribers were read")
		return nil, nil
	}}}
	frame := func(size int) Encoder {
		return func([]hub.Message, bool) ([][]byte, error) { return [][]byte{make([]byte, size)}, nil }
	}
	t.Run("one encoding for all subscribers", func(t *testing.T) {
		result, err := dispatch(t, shards{{subscribers(ids("a", 50)...), subscribers(ids("b", 50)...)}}, data)
		if err != nil || result.Delivered != 100 {
			t.Errorf("got %v, %v", result, err)
		}
		if calls.Load() != 1 {
			t.Errorf("encoded %d times", calls.Load())
		}
	})
	t.Run("push of the largest size", func(t *testing.T) {
		result, err := dispatch(t, shards{{subscribers("a")}}, frame(hub.MaxMessageBytes))
		if err != nil || result.Delivered != 1 {
			t.Errorf("got %v, %v", result, err)
		}
	})
	t.Run("larger push", func(t *testing.T) {
		if _, err := dispatch(t, unread, frame(hub.MaxMessageBytes+1)); !errors.Is(err, hub.ErrTooLarge) {
			t.Errorf("got %v, want ErrTooLarge", err)
		}
	})
	t.Run("error of an encoder", func(t *testing.T) {
		broken := errors.New("broken")
		if _, err := dispatch(t, unread, func([]hub.Message, bool) ([][]byte, error) { return nil, broken }); !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
	})
}

// TestDispatchOrder sends three messages to connections of which one is gone after the
// first message and one fails at the second.
func TestDispatchOrder(t *testing.T) {
	var mu sync.Mutex
	received := make(map[string][]string)
	m := newManagement(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		id := connectionOf(r)
		switch id + " " + string(body) {
		case "g 2":
			w.WriteHeader(http.StatusGone)
			return
		case "f 2":
			w.WriteHeader(http.StatusForbidden)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		received[id] = append(received[id], string(body))
	})
	d := New(Options{Subscribers: shards{{subscribers("a", "g", "f", "b")}}, Poster: m.newPoster(t, PosterOptions{}), Encoders: encoders})
	var messages []hub.Message
	for _, data := range []string{"1", "2", "3"} {
		messages = append(messages, hub.Message{Channel: room, Data: []byte(data)})
	}
	result, err := d.Dispatch(t.Context(), audience(1), messages)
	want := hub.Result{
		Delivered: 8, Failed: 2, Refused: 2, Gone: []hub.Gone{{Connection: "g", Channel: room}},
		Refusal: "post to connection f: " + statusError{status: 403}.Error(),
	}
	if diff := cmp.Diff(want, result); err != nil || diff != "" {
		t.Errorf("error %v, result (-want +got):\n%s", err, diff)
	}
	if diff := cmp.Diff(map[string][]string{"a": {"1", "2", "3"}, "b": {"1", "2", "3"}, "g": {"1"}, "f": {"1"}}, received); diff != "" {
		t.Errorf("received (-want +got):\n%s", diff)
	}
}

// batched are subscribers that get several pushes in a frame.
func batched(ids ...string) func() ([]hub.Subscriber, error) {
	return func() ([]hub.Subscriber, error) {
		subs, err := subscribers(ids...)()
		for i := range subs {
			subs[i].Batch = true
		}
		return subs, err
	}
}

// TestDispatchBatch sends messages to connections of which some get several in a frame. Of
// these, one is gone, and one fails at the second frame.
func TestDispatchBatch(t *testing.T) {
	var calls []string
	for _, tt := range []struct {
		name     string
		messages []string
		frames   map[string][]string
		result   hub.Result
		calls    []string
	}{
		{"one message", []string{"1"},
			map[string][]string{"a": {"1"}, "b": {"1"}, "c": {"1"}, "f": {"1"}},
			hub.Result{Delivered: 4, Gone: []hub.Gone{{Connection: "g", Channel: room, Shard: 1}}}, []string{"1 false"}},
		{"two messages", []string{"1", "2"},
			map[string][]string{"a": {"1", "2"}, "b": {"1+2"}, "c": {"1+2"}, "f": {"1+2"}},
			hub.Result{Delivered: 5, Gone: []hub.Gone{{Connection: "g", Channel: room, Shard: 1}}}, []string{"2 false", "2 true"}},
		{"five messages", []string{"1", "2", "3", "4", "5"},
			map[string][]string{"a": {"1", "2", "3", "4", "5"}, "b": {"1+2", "3+4", "5"}, "c": {"1+2", "3+4", "5"}, "f": {"1+2"}},
			hub.Result{
				Delivered: 12, Failed: 2, Refused: 2, Gone: []hub.Gone{{Connection: "g", Channel: room, Shard: 1}},
				Refusal: "post to connection f: " + statusError{status: 403}.Error(),
			}, []string{"5 false", "5 true"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			calls = nil
			var mu sync.Mutex
			received := make(map[string][]string)
			m := newManagement(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				id := connectionOf(r)
				switch {
				case id == "g":
					w.WriteHeader(http.StatusGone)
					return
				case id+string(body) == "f3+4":
					w.WriteHeader(http.StatusForbidden)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				received[id] = append(received[id], string(body))
			})
			d := New(Options{
				Subscribers: shards{{subscribers("a"), batched("b")}, {batched("c", "f", "g")}}, Poster: m.newPoster(t, PosterOptions{}),
				Encoders: map[hub.Protocol]Encoder{hub.Classic: func(messages []hub.Message, batch bool) ([][]byte, error) {
					calls = append(calls, fmt.Sprint(len(messages), batch))
					return data(messages, batch)
				}},
			})
			var messages []hub.Message
			for _, data := range tt.messages {
				messages = append(messages, hub.Message{Channel: room, Data: []byte(data)})
			}
			result, err := d.Dispatch(t.Context(), audience(2), messages)
			if diff := cmp.Diff(tt.result, result); err != nil || diff != "" {
				t.Errorf("error %v, result (-want +got):\n%s", err, diff)
			}
			if diff := cmp.Diff(tt.frames, received); diff != "" {
				t.Errorf("received (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.calls, calls); diff != "" {
				t.Errorf("calls of the encoder (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPostsBetweenPages(t *testing.T) {
	var first sync.WaitGroup
	first.Add(10)
	m := newManagement(t, func(_ http.ResponseWriter, r *http.Request) {
		if connectionOf(r)[0] == 'a' {
			first.Done()
		}
	})
	d := New(Options{
		Subscribers: shards{{subscribers(ids("a", 10)...), func() ([]hub.Subscriber, error) {
			first.Wait() // would hang if the first page waited for the second
			return subscribers("b")()
		}}},
		Poster: m.newPoster(t, PosterOptions{}), Encoders: encoders,
	})
	result, err := d.Dispatch(t.Context(), audience(1), []hub.Message{hello})
	if err != nil || result.Delivered != 11 {
		t.Errorf("got %v, %v", result, err)
	}
}

// TestPosterConcurrency has a server that answers only when as many requests are in
// progress as are allowed: fewer would hang, more are counted.
func TestPosterConcurrency(t *testing.T) {
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
	poster.wires.patience = time.Minute // no request gives up its slot
	var held atomic.Int64
	var wg sync.WaitGroup
	for n := range deliveries {
		wg.Go(func() {
			d := New(Options{
				Subscribers: shards{{subscribers(ids(fmt.Sprint("a", n), each/2)...)}, {subscribers(ids(fmt.Sprint("b", n), each/2)...)}},
				Poster:      poster, Encoders: encoders,
			})
			result, err := d.Dispatch(t.Context(), audience(2), []hub.Message{hello})
			if err != nil || result.Delivered != each {
				t.Errorf("got %v, %v", result, err)
			}
			held.Add(int64(result.Delivered))
		})
	}
	wg.Wait()
	if top != bound || here != 0 || held.Load() != deliveries*each {
		t.Errorf("at most %d concurrent requests, %d left over, %d delivered; want %d, 0, %d", top, here, held.Load(), bound, deliveries*each)
	}
	if n := m.dials.Load(); n > bound {
		t.Errorf("%d connections for %d slots", n, bound)
	}
}

func TestSlowClient(t *testing.T) {
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
		Subscribers: shards{{subscribers("slow"), subscribers(ids("a", 1000)...)}},
		Poster: m.newPoster(t, PosterOptions{Concurrency: 1, Wait: func(context.Context, time.Duration) error {
			others.Wait() // would hang if the others waited for the slow one
			return nil
		}}),
		Encoders: encoders,
	})
	result, err := d.Dispatch(t.Context(), audience(1), []hub.Message{hello})
	if diff := cmp.Diff(hub.Result{Delivered: 1000, Slow: 1, Stalled: []string{"slow"}}, result); err != nil || diff != "" {
		t.Errorf("error %v, result (-want +got):\n%s", err, diff)
	}
}

// TestHungPosts has 256 posts, before 2,000 others, that are answered only when all others
// have been carried out: it would hang if they held up the others.
func TestHungPosts(t *testing.T) {
	const hung, healthy = 256, 2000
	var others sync.WaitGroup
	others.Add(healthy)
	var accepted posts
	m := newManagement(t, func(_ http.ResponseWriter, r *http.Request) {
		accepted.add(r)
		if connectionOf(r)[0] == 'h' {
			others.Wait()
		} else {
			others.Done()
		}
	})
	d := New(Options{
		Subscribers: shards{{subscribers(ids("h", hung)...), subscribers(ids("a", healthy)...)}},
		Poster:      m.newPoster(t, PosterOptions{}), Encoders: encoders,
	})
	result, err := d.Dispatch(t.Context(), audience(1), []hub.Message{hello})
	if diff := cmp.Diff(hub.Result{Delivered: hung + healthy}, result); err != nil || diff != "" {
		t.Errorf("error %v, result (-want +got):\n%s", err, diff)
	}
	if n := len(accepted.seen); n != hung+healthy {
		t.Errorf("%d connections got the message, want %d", n, hung+healthy)
	}
	for post, n := range accepted.seen {
		if n != 1 {
			t.Errorf("%s came %d times, want once", post, n)
		}
	}
}

// TestUnansweredPosts breaks the connections of posts off. They are repeated once.
func TestUnansweredPosts(t *testing.T) {
	var (
		mu     sync.Mutex
		bodies = make(map[string][]string)
	)
	m := newManagement(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		id := connectionOf(r)
		mu.Lock()
		bodies[id] = append(bodies[id], string(body))
		n := len(bodies[id])
		mu.Unlock()
		if id == "always" || id == "once" && n == 1 || id == "second" && n == 2 {
			panic(http.ErrAbortHandler)
		}
	})
	d := New(Options{
		Subscribers: shards{{subscribers("always", "once"), subscribers(ids("a", 100)...), subscribers("second")}},
		Poster:      m.newPoster(t, PosterOptions{Concurrency: 4}), Encoders: encoders,
	})
	var messages []hub.Message
	for _, data := range []string{"1", "2"} {
		messages = append(messages, hub.Message{Channel: room, Data: []byte(data)})
	}
	result, err := d.Dispatch(t.Context(), audience(1), messages)
	if diff := cmp.Diff(hub.Result{Delivered: 204, Failed: 2, Stalled: []string{"always"}}, result); err != nil || diff != "" {
		t.Errorf("error %v, result (-want +got):\n%s", err, diff)
	}
	want := map[string][]string{"always": {"1", "1"}, "once": {"1", "1", "2"}, "second": {"1", "2", "2"}}
	for _, id := range ids("a", 100) {
		want[id] = []string{"1", "2"}
	}
	m.Close() // it waits for its handlers
	if diff := cmp.Diff(want, bodies); diff != "" {
		t.Errorf("posts (-want +got):\n%s", diff)
	}
}

// TestRefused checks which posts count as refused, and that the cause is kept.
func TestRefused(t *testing.T) {
	answer := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
	}
	for _, test := range []struct {
		name    string
		handler http.HandlerFunc // nil where nobody listens
		refused bool
		says    string
	}{
		{name: "403", handler: answer(403), refused: true, says: "the role needs execute-api:ManageConnections"},
		{name: "404", handler: answer(404), refused: true, says: "answered 404"},
		{name: "408", handler: answer(408), refused: true, says: "answered 408"},
		{name: "503", handler: answer(503), refused: true, says: "answered 503"},
		{name: "nobody listens", refused: true, says: "connection refused"},
		{name: "429", handler: answer(429)},
		{name: "410", handler: answer(410)},
		{name: "no answer", handler: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newManagement(t, test.handler)
			if test.handler == nil {
				m.Close()
			}
			d := New(Options{Subscribers: shards{{subscribers("a", "b")}}, Poster: m.newPoster(t, PosterOptions{Attempts: 2}), Encoders: encoders})
			result, err := d.Dispatch(t.Context(), audience(1), []hub.Message{hello})
			if err != nil || (result.Refused == 2) != test.refused || (result.Err() != nil) != test.refused {
				t.Errorf("got %+v, errors %v and %v", result, err, result.Err())
			}
			if got := result.Err(); got != nil && !strings.Contains(got.Error(), test.says) {
				t.Errorf("error says %q, want %q", got, test.says)
			}
		})
	}
}

func TestUnreadSubscribers(t *testing.T) {
	var accepted posts
	var log bytes.Buffer
	m := newManagement(t, func(_ http.ResponseWriter, r *http.Request) { accepted.add(r) })
	d := New(Options{
		Subscribers: shards{
			{subscribers("a"), func() ([]hub.Subscriber, error) { return nil, errRead }, subscribers("never")},
			{subscribers("b"), subscribers("c")},
		},
		Poster: m.newPoster(t, PosterOptions{}), Encoders: encoders, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	result, err := d.Dispatch(t.Context(), audience(2), []hub.Message{hello})
	want := hub.Result{Delivered: 3, Unread: []hub.Unread{{Shard: 0, Cause: errRead.Error()}}}
	if diff := cmp.Diff(want, result); err != nil || diff != "" {
		t.Errorf("error %v, result (-want +got):\n%s", err, diff)
	}
	got := slices.Sorted(maps.Keys(accepted.seen))
	if diff := cmp.Diff([]string{`POST a "hello"`, `POST b "hello"`, `POST c "hello"`}, got); diff != "" {
		t.Errorf("posts (-want +got):\n%s", diff)
	}
	if !strings.Contains(log.String(), errRead.Error()) || !strings.Contains(log.String(), "level=WARN") {
		t.Errorf("logged %s", &log)
	}
}

func TestBegunRead(t *testing.T) {
	var accepted posts
	m := newManagement(t, func(_ http.ResponseWriter, r *http.Request) { accepted.add(r) })
	begun := shards{
		{subscribers("a"), func() ([]hub.Subscriber, error) { return nil, errRead }},
		{subscribers("b"), subscribers("c")},
	}
	d := New(Options{
		Subscribers: shards{{subscribers("again")}, {subscribers("again")}},
		Poster:      m.newPoster(t, PosterOptions{}), Encoders: encoders,
	})
	to := audience(2)
	for shard := range begun {
		to.Reading = append(to.Reading, begun.Subscribers(t.Context(), room, shard))
	}
	result, err := d.Dispatch(t.Context(), to, []hub.Message{hello})
	want := hub.Result{Delivered: 3, Unread: []hub.Unread{{Shard: 0, Cause: errRead.Error()}}}
	if diff := cmp.Diff(want, result); err != nil || diff != "" {
		t.Errorf("error %v, result (-want +got):\n%s", err, diff)
	}
	if diff := cmp.Diff(map[string]int{`POST a "hello"`: 1, `POST b "hello"`: 1, `POST c "hello"`: 1}, accepted.seen); diff != "" {
		t.Errorf("posts (-want +got):\n%s", diff)
	}
}

func TestCancelledDispatch(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	m := newManagement(t, func(_ http.ResponseWriter, r *http.Request) {
		if connectionOf(r) == "last" {
			_, _ = io.Copy(io.Discard, r.Body)
			cancel()
			<-r.Context().Done()
		}
	})
	d := New(Options{
		Subscribers: shards{{subscribers("first", "last", "never1", "never2"), subscribers("never3")}},
		Poster:      m.newPoster(t, PosterOptions{Concurrency: 1}), Encoders: encoders,
	})
	result, err := d.Dispatch(ctx, audience(1), []hub.Message{hello})
	if diff := cmp.Diff(hub.Result{Delivered: 1, Failed: 4, Unsent: 3}, result); err != nil || diff != "" {
		t.Errorf("error %v, result (-want +got):\n%s", err, diff)
	}
}

func TestDisconnect(t *testing.T) {
	var accepted posts
	var once atomic.Bool
	m := newManagement(t, func(w http.ResponseWriter, r *http.Request) {
		accepted.add(r)
		switch connectionOf(r) {
		case "gone":
			w.WriteHeader(http.StatusGone)
		case "refused":
			w.WriteHeader(http.StatusForbidden)
		case "slow":
			w.WriteHeader(http.StatusTooManyRequests)
		case "silent":
			panic(http.ErrAbortHandler)
		case "silent once":
			if once.CompareAndSwap(false, true) {
				panic(http.ErrAbortHandler)
			}
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	})
	d := New(Options{Poster: m.newPoster(t, PosterOptions{Concurrency: 2, Attempts: 2})})
	t.Run("connections that are gone", func(t *testing.T) {
		if open, err := d.Disconnect(t.Context(), []string{"a", "gone", "b"}); err != nil || len(open) > 0 {
			t.Error(open, err)
		}
		if diff := cmp.Diff(map[string]int{"DELETE a ": 1, "DELETE gone ": 1, "DELETE b ": 1}, accepted.take()); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
	})
	t.Run("connections that cannot be closed", func(t *testing.T) {
		open, err := d.Disconnect(t.Context(), []string{"refused", "slow", "c"})
		slices.Sort(open)
		if !slices.Equal(open, []string{"refused", "slow"}) || !errors.Is(err, ErrSlow) || !strings.Contains(err.Error(), "delete connection refused: ") {
			t.Errorf("got %v, %v", open, err)
		}
		if diff := cmp.Diff(map[string]int{"DELETE refused ": 1, "DELETE slow ": 2, "DELETE c ": 1}, accepted.take()); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
	})
	t.Run("connections without an answer", func(t *testing.T) {
		open, err := d.Disconnect(t.Context(), []string{"silent", "silent once", "d"})
		if !slices.Equal(open, []string{"silent"}) || err == nil || !strings.HasPrefix(err.Error(), "delete connection silent: ") || strings.Contains(err.Error(), "once") {
			t.Errorf("got %v", err)
		}
		if diff := cmp.Diff(map[string]int{"DELETE silent ": 2, "DELETE silent once ": 2, "DELETE d ": 1}, accepted.take()); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
	})
	t.Run("a context that has ended", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		open, err := d.Disconnect(ctx, []string{"a", "b"})
		if !errors.Is(err, context.Canceled) || len(open) != 2 {
			t.Errorf("got %v, %v", open, err)
		}
		if seen := accepted.take(); seen != nil {
			t.Errorf("requests %v", seen)
		}
	})
}

// TestDispatchToSome dispatches to subscribers that the audience names: none is read.
func TestDispatchToSome(t *testing.T) {
	var accepted posts
	m := newManagement(t, func(w http.ResponseWriter, r *http.Request) {
		if accepted.add(r); connectionOf(r) == "g" {
			w.WriteHeader(http.StatusGone)
		}
	})
	d := New(Options{
		Subscribers: shards{{subscribers("read")}, {}, {}},
		Poster:      m.newPoster(t, PosterOptions{}), Encoders: map[hub.Protocol]Encoder{hub.Classic: data},
	})
	ended := func(connection, secret string, shard int) hub.Ended {
		return hub.Ended{
			Gone:     hub.Gone{Connection: connection, Channel: room, Shard: shard},
			Protocol: hub.Classic, Basis: hub.Basis{Secret: secret},
		}
	}
	to := audience(3)
	to.Rule = hub.Rule{Secret: "new"}
	to.Only = []hub.Ended{ended("a", "new", 0), ended("g", "new", 1), ended("b", "old", 2), ended("c", "new", 2), ended("d", "old", 2)}
	to.Only[3].Batch, to.Only[4].Batch = true, true
	result, err := d.Dispatch(t.Context(), to, []hub.Message{hello, {Channel: room, Data: []byte("2")}})
	if err != nil {
		t.Fatal(err)
	}
	want := hub.Result{
		Delivered: 3, Gone: []hub.Gone{{Connection: "g", Channel: room, Shard: 1}}, Ended: []hub.Ended{to.Only[2], to.Only[4]},
	}
	if diff := cmp.Diff(want, result); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{`POST a "hello"`: 1, `POST a 2`: 1, `POST g "hello"`: 1, `POST c "hello"+2`: 1}, accepted.seen); diff != "" {
		t.Errorf("posts (-want +got):\n%s", diff)
	}
}

// TestStalledConnection posts to a connection that has held up a dispatch before: once, and
// not to the end of the attempts.
func TestStalledConnection(t *testing.T) {
	var accepted posts
	m := newManagement(t, func(_ http.ResponseWriter, r *http.Request) {
		accepted.add(r)
		if connectionOf(r) != "a" {
			panic(http.ErrAbortHandler)
		}
	})
	d := New(Options{
		Subscribers: shards{{subscribers("stalled", "a")}},
		Poster:      m.newPoster(t, PosterOptions{}), Encoders: map[hub.Protocol]Encoder{hub.Classic: data},
	})
	to := audience(1)
	to.Stalled = []string{"stalled"}
	result, err := d.Dispatch(t.Context(), to, []hub.Message{hello, hello})
	if diff := cmp.Diff(hub.Result{Delivered: 2, Failed: 2, Stalled: []string{"stalled"}}, result); err != nil || diff != "" {
		t.Errorf("error %v, result (-want +got):\n%s", err, diff)
	}
	if diff := cmp.Diff(map[string]int{`POST a "hello"`: 2, `POST stalled "hello"`: 1}, accepted.take()); diff != "" {
		t.Errorf("posts (-want +got):\n%s", diff)
	}
}
