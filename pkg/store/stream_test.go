package store_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store"
)

// streamOf is the stream of a channel of the tests' usual project and category.
func streamOf(name string) hub.Stream {
	return hub.Stream{
		Channel: channel(name), ProjectName: "P", CategoryID: "c1",
		Retention: hub.Retention{Size: 100, TTL: time.Hour, MetaTTL: 720 * time.Hour},
	}
}

// said is a message with an id and data of its own.
func said(id string) hub.Message {
	return hub.Message{ID: id, Data: json.RawMessage(fmt.Sprintf("%q", id))}
}

// lease is an inline lease.
func (s *rig) lease(id string) hub.Lease {
	return hub.Lease{ID: id, Until: time.UnixMilli(s.Clock.Now().Add(hub.LeaseTime).UnixMilli())}
}

// appendTo appends a message.
func appendTo(tb testing.TB, s *store.Store, st hub.Stream, m hub.Message, o hub.AppendOptions) hub.Appended {
	tb.Helper()
	a, err := s.Append(tb.Context(), st, m, o)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

// announce announces a message with a lease that ends at once.
func (s *rig) announce(tb testing.TB, by *store.Store, st hub.Stream, a hub.Appended) hub.Announced {
	tb.Helper()
	announced, err := by.Announce(tb.Context(), st, a, s.lease(hub.NewID(s.Clock.Now())))
	if err != nil {
		tb.Fatal(err)
	}
	at := announced.Message.Position.Offset
	if _, ok, err := by.DropLease(tb.Context(), st, hub.Progress{Lease: announced.Head.Lease.ID, Done: max(at, announced.Head.Done)}, hub.Turn{}); !ok || err != nil {
		tb.Fatalf("drop lease: %v, %v", ok, err)
	}
	return announced
}

// publish appends and announces messages with these ids, and returns their positions.
func (s *rig) publish(tb testing.TB, st hub.Stream, ids ...string) (positions []hub.Position) {
	tb.Helper()
	for _, id := range ids {
		announced := s.announce(tb, s.Store.Store, st, appendTo(tb, s.Store.Store, st, said(id), hub.AppendOptions{}))
		positions = append(positions, announced.Message.Position)
	}
	return positions
}

func numbered(n int) (ids []string) {
	for i := range n {
		ids = append(ids, fmt.Sprint("m", i+1))
	}
	return ids
}

// ids are those of messages in their order.
func ids(messages []hub.Message) (all []string) {
	for _, m := range messages {
		all = append(all, m.ID)
	}
	return all
}

// stream are the publications of an epoch. It checks that their offsets have no gaps.
func (s *rig) stream(tb testing.TB, st hub.Stream, epoch string) []hub.Message {
	tb.Helper()
	all, err := s.Publications(tb.Context(), st, epoch, 0, 1_000_000)
	if err != nil {
		tb.Fatal(err)
	}
	for n, m := range all {
		same(tb, "position", m.Position, hub.Position{Epoch: epoch, Offset: uint64(n + 1)})
	}
	return all
}

// another is a store of another process, which remembers nothing.
func (s *rig) another() *store.Store { return s.Another(store.Options{CacheFor: -1}) }

func TestPublicationRoundTrip(t *testing.T) {
	s := newRig(t)
	st := streamOf("x")
	full := hub.Message{
		ID: "6921d2fb0123456789abcdef", Channel: channel("ignored"), Data: json.RawMessage(`{"n":1.50,"ключ":"\ud800"}`),
		Client: hub.Client{Connection: "L0SM9cOFvHcCIhw=", User: "u#", Info: json.RawMessage(`["info"]`)},
		Tags:   map[string]string{"kind": "goal", "empty": ""},
	}
	bare := hub.Message{ID: "m2", Data: json.RawMessage(`null`)}
	var want []hub.Message
	for n, m := range []hub.Message{full, bare} {
		a := s.announce(t, s.Store.Store, st, appendTo(t, s.Store.Store, st, m, hub.AppendOptions{}))
		m.Channel, m.ProjectName, m.CategoryID = st.Channel, "P", "c1"
		m.Position = hub.Position{Epoch: a.Message.Position.Epoch, Offset: uint64(n + 1)}
		m.Time = s.Clock.Now().Truncate(time.Millisecond).UTC()
		same(t, "message", a.Message, m)
		want = append(want, m)
		s.Clock.Advance(time.Second)
	}
	epoch := want[0].Position.Epoch
	same(t, "length of the epoch", len(epoch), 24)
	same(t, "publications", s.stream(t, st, epoch), want)
	got, top, err := s.History(t.Context(), st, hub.HistoryQuery{Limit: -1})
	fails(t, err, nil)
	same(t, "history", got, want)
	same(t, "top", top, hub.Position{Epoch: epoch, Offset: 2})
}

func TestAppendAgainstOthers(t *testing.T) {
	t.Run("another process has appended", func(t *testing.T) {
		s := newRig(t)
		st, other := streamOf("x"), s.another()
		first := s.publish(t, st, "m1")[0]
		for _, n := range []int{2, 3, 4, 5, 6, 7, 8} {
			a := appendTo(t, other, st, said(fmt.Sprint("m", n)), hub.AppendOptions{})
			same(t, "position", a.Message.Position, hub.Position{Epoch: first.Epoch, Offset: uint64(n)})
		}
		s.Requests.Sent()
		// It knows of 1, tries 2 to 5, and reads the top.
		a := appendTo(t, s.Store.Store, st, said("m9"), hub.AppendOptions{})
		same(t, "requests", s.Requests.Sent(), "5 PutItem, 1 Query")
		same(t, "position", a.Message.Position, hub.Position{Epoch: first.Epoch, Offset: 9})
		same(t, "stream", ids(s.stream(t, st, first.Epoch)), numbered(9))
	})

	t.Run("publications that were never announced keep their offsets", func(t *testing.T) {
		s := newRig(t)
		st := streamOf("x")
		first := s.publish(t, st, "m1")[0]
		appendTo(t, s.another(), st, said("lost"), hub.AppendOptions{})
		a := s.announce(t, s.Store.Store, st, appendTo(t, s.another(), st, said("m3"), hub.AppendOptions{}))
		same(t, "position", a.Message.Position, hub.Position{Epoch: first.Epoch, Offset: 3})
		same(t, "stream", ids(s.stream(t, st, first.Epoch)), []string{"m1", "lost", "m3"})
	})

	t.Run("dispatched publications that were deleted keep their offsets", func(t *testing.T) {
		s := newRig(t)
		st := streamOf("x")
		epoch := s.publish(t, st, numbered(3)...)[0].Epoch
		for _, n := range []int{3, 2, 1} {
			s.deleteRaw(t, "H#p#chat#x", fmt.Sprintf("%s#%020d", epoch, n))
			_, top, err := s.History(t.Context(), st, hub.HistoryQuery{})
			fails(t, err, nil)
			same(t, "top", top, hub.Position{Epoch: epoch, Offset: 3})
		}
		a := appendTo(t, s.another(), st, said("m4"), hub.AppendOptions{})
		same(t, "position", a.Message.Position, hub.Position{Epoch: epoch, Offset: 4})
	})

	t.Run("what is remembered for an hour", func(t *testing.T) {
		s := newRig(t)
		st := streamOf("x")
		s.publish(t, st, "m1")
		s.Clock.Advance(time.Hour - time.Second)
		s.Requests.Sent()
		appendTo(t, s.Store.Store, st, said("m2"), hub.AppendOptions{})
		same(t, "requests within the hour", s.Requests.Sent(), "1 PutItem")
		s.Clock.Advance(time.Hour)
		appendTo(t, s.Store.Store, st, said("m3"), hub.AppendOptions{})
		same(t, "requests after an hour", s.Requests.Sent(), "1 PutItem, 1 Query")
	})

	t.Run("category that was created again", func(t *testing.T) {
		s := newRig(t)
		st := streamOf("x")
		s.publish(t, st, "m1", "m2")
		again := st
		again.Channel.Incarnation = "89abcdef"
		same(t, "offset", s.publish(t, again, "m1")[0].Offset, uint64(1))
		got, top, err := s.History(t.Context(), again, hub.HistoryQuery{Limit: -1})
		fails(t, err, nil)
		same(t, "history", ids(got), []string{"m1"})
		same(t, "top", top.Offset, uint64(1))
	})
}

// TestEpochs lets several publishers draw epochs: the first announcement decides.
func TestEpochs(t *testing.T) {
	t.Run("two first publishers", func(t *testing.T) {
		s := newRig(t)
		st, other := streamOf("x"), s.another()
		mine := appendTo(t, s.Store.Store, st, said("mine"), hub.AppendOptions{})
		theirs := appendTo(t, other, st, said("theirs"), hub.AppendOptions{})
		same(t, "new", []bool{mine.New, theirs.New}, []bool{true, true})
		won := s.announce(t, other, st, theirs)
		same(t, "winner has moved", won.Moved, false)
		got := s.announce(t, s.Store.Store, st, mine)
		same(t, "loser has moved", got.Moved, true)
		same(t, "position", got.Message.Position, hub.Position{Epoch: theirs.Message.Position.Epoch, Offset: 2})
		same(t, "stream", ids(s.stream(t, st, theirs.Message.Position.Epoch)), []string{"theirs", "mine"})
		same(t, "publications of the lost epoch", len(s.stream(t, st, mine.Message.Position.Epoch)), 0)
	})

	t.Run("first publisher that dies before it announces", func(t *testing.T) {
		s := newRig(t)
		st := streamOf("x")
		dead := appendTo(t, s.another(), st, said("dead"), hub.AppendOptions{})
		_, top, err := s.History(t.Context(), st, hub.HistoryQuery{Limit: -1})
		fails(t, err, nil)
		same(t, "top", top, hub.Position{})
		first := s.publish(t, st, "m1")[0]
		same(t, "offset", first.Offset, uint64(1))
		if first.Epoch == dead.Message.Position.Epoch {
			t.Error("the epoch of the dead publisher goes on")
		}
		// Its publication may sort after those of the stream.
		s.putRaw(t, "H#p#chat#x", "ffffffffffffffffffffffff#00000000000000000007", record{"exp": num(s.Clock.Now().Add(time.Hour).Unix())})
		a := appendTo(t, s.another(), st, said("m2"), hub.AppendOptions{})
		same(t, "position", a.Message.Position, hub.Position{Epoch: first.Epoch, Offset: 2})
		got, top, err := s.History(t.Context(), st, hub.HistoryQuery{Limit: -1})
		fails(t, err, nil)
		same(t, "history", ids(got), []string{"m1", "m2"})
		same(t, "top with a publication of another epoch", top, a.Message.Position)
	})

	t.Run("stream that has expired", func(t *testing.T) {
		s := newRig(t)
		st := streamOf("x")
		old := s.publish(t, st, numbered(3)...)[2]
		fails(t, s.RemoveHistory(t.Context(), st), nil)
		s.Clock.Advance(st.Retention.MetaTTL + time.Second)
		_, top, err := s.History(t.Context(), st, hub.HistoryQuery{Limit: -1})
		fails(t, err, nil)
		same(t, "top", top, hub.Position{})
		_, _, err = s.History(t.Context(), st, hub.HistoryQuery{Since: &old})
		fails(t, err, hub.ErrUnrecoverablePosition)
		h, err := s.StreamHead(t.Context(), st)
		fails(t, err, nil)
		same(t, "head", h, hub.Head{})
		got := s.announce(t, s.Store.Store, st, appendTo(t, s.Store.Store, st, said("m4"), hub.AppendOptions{}))
		same(t, "offset", got.Message.Position.Offset, uint64(1))
		same(t, "head of the next epoch", got.Head, hub.Head{
			Epoch: got.Message.Position.Epoch, Wake: 1, Lease: got.Head.Lease, Expires: time.Unix(s.Clock.Now().Add(st.Retention.MetaTTL+time.Second-1).Unix(), 0),
		})
		if got.Message.Position.Epoch == old.Epoch {
			t.Error("the epoch is the old one")
		}
	})

	t.Run("stream that expires between append and announcement", func(t *testing.T) {
		s := newRig(t)
		st := streamOf("x")
		first := s.publish(t, st, "m1")[0]
		s.Clock.Advance(st.Retention.MetaTTL - 2*time.Second)
		a := appendTo(t, s.Store.Store, st, said("m2"), hub.AppendOptions{})
		other := appendTo(t, s.another(), st, said("m3"), hub.AppendOptions{})
		s.Clock.Advance(4 * time.Second)
		drawn := appendTo(t, s.another(), st, said("m4"), hub.AppendOptions{})
		same(t, "new", drawn.New, true)
		same(t, "position", s.announce(t, s.Store.Store, st, a).Message.Position, hub.Position{Epoch: first.Epoch, Offset: 2})
		same(t, "position", s.announce(t, s.Store.Store, st, drawn).Message.Position, hub.Position{Epoch: first.Epoch, Offset: 4})
		same(t, "position", s.announce(t, s.Store.Store, st, other).Message.Position, hub.Position{Epoch: first.Epoch, Offset: 3})
		same(t, "stream", ids(s.stream(t, st, first.Epoch)), numbered(4))
	})

	t.Run("stream that is replaced between append and announcement", func(t *testing.T) {
		s := newRig(t)
		st := streamOf("x")
		old := s.publish(t, st, "m1")[0]
		s.Clock.Advance(st.Retention.MetaTTL - 2*time.Second)
		a := appendTo(t, s.Store.Store, st, said("m2"), hub.AppendOptions{})
		s.Clock.Advance(4 * time.Second)
		next := s.announce(t, s.Store.Store, st, appendTo(t, s.another(), st, said("m3"), hub.AppendOptions{})).Message.Position
		got := s.announce(t, s.Store.Store, st, a)
		same(t, "position", got.Message.Position, hub.Position{Epoch: next.Epoch, Offset: 2})
		same(t, "old stream", ids(s.stream(t, st, old.Epoch)), []string{"m1"})
	})
}

// ahead makes a stream with a publication at this offset, of which only the first one was
// dispatched.
func (s *rig) ahead(tb testing.TB, st hub.Stream, offset int) hub.Position {
	tb.Helper()
	first := s.publish(tb, st, "m1")[0]
	s.putRaw(tb, "H#p#chat#"+st.Channel.Name, fmt.Sprintf("%s#%020d", first.Epoch, offset), record{"m": str("far"), "exp": num(s.Clock.Now().Add(time.Hour).Unix())})
	return hub.Position{Epoch: first.Epoch, Offset: uint64(offset)}
}

func TestAppendTooFarAhead(t *testing.T) {
	s := newRig(t)
	st := streamOf("x")
	at := s.ahead(t, st, hub.MaxAhead) // of which 999 are not dispatched
	by := s.another()
	a := appendTo(t, by, st, said("last"), hub.AppendOptions{})
	same(t, "offset of the last one", a.Message.Position.Offset, uint64(hub.MaxAhead+1))
	for name, o := range map[string]hub.AppendOptions{"plain": {}, "key": {IdempotencyKey: "k"}, "version": {Version: 1}} {
		for _, by := range []*store.Store{by, s.another()} {
			s.Requests.Sent()
			_, err := by.Append(t.Context(), st, said("refused"), o)
			fails(t, err, hub.ErrTooManyRequests)
			same(t, "requests of "+name, s.Requests.Sent(), "1 Query")
			same(t, "error", hub.Public(err).Text(), "too many requests: 1000 messages of the channel wait for their dispatch: publish slower, and repeat after a moment")
		}
	}
	_, top, err := s.History(t.Context(), st, hub.HistoryQuery{})
	fails(t, err, nil)
	same(t, "top", top, a.Message.Position)
	// The dispatcher goes on.
	if _, ok, err := s.TakeLease(t.Context(), st, s.lease("l")); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if _, ok, err := s.DropLease(t.Context(), st, hub.Progress{Lease: "l", Done: at.Offset}, hub.Turn{}); !ok || err != nil {
		t.Fatal(ok, err)
	}
	a = appendTo(t, by, st, said("next"), hub.AppendOptions{IdempotencyKey: "k"})
	same(t, "offset after the dispatch", a.Message.Position.Offset, uint64(hub.MaxAhead+2))
	same(t, "repeated", a.Repeated, false)
}

func TestAppendIdempotency(t *testing.T) {
	keyed := hub.AppendOptions{IdempotencyKey: "k"}
	t.Run("repeat", func(t *testing.T) {
		s := newRig(t)
		st := streamOf("x")
		s.publish(t, st, "m1")
		first := appendTo(t, s.Store.Store, st, said("m2"), keyed)
		s.publish(t, st, "m3")
		// The first publisher has died: whoever repeats announces.
		for _, by := range []*store.Store{s.Store.Store, s.another()} {
			a := appendTo(t, by, st, said("repeat"), keyed)
			want := first.Message
			want.Data, want.Time = said("repeat").Data, time.Time{}
			same(t, "repeat", a, hub.Appended{Message: want, Pending: true, Repeated: true, Options: keyed})
			announced := s.announce(t, by, st, a)
			same(t, "announced", announced.Message.Position, first.Message.Position)
			same(t, "moved", announced.Moved, false)
		}
		same(t, "stream", ids(s.stream(t, st, first.Message.Position.Epoch)), numbered(3))
		other := appendTo(t, s.Store.Store, st, said("m4"), hub.AppendOptions{IdempotencyKey: "k2"})
		same(t, "offset of another key", other.Message.Position.Offset, uint64(4))
		s.Clock.Advance(hub.IdempotencyWindow + time.Second)
		again := appendTo(t, s.Store.Store, st, said("m5"), keyed)
		same(t, "offset after the window", again.Message.Position.Offset, uint64(5))
		same(t, "repeated after the window", again.Repeated, false)
	})

	t.Run("repeat of a publication whose epoch has lost", func(t *testing.T) {
		s := newRig(t)
		st := streamOf("x")
		lost := appendTo(t, s.another(), st, said("mine"), keyed)
		won := s.announce(t, s.Store.Store, st, appendTo(t, s.another(), st, said("theirs"), hub.AppendOptions{})).Message.Position
		var positions []hub.Position
		var all []hub.Appended
		for range 3 { // before any of them announces
			a := appendTo(t, s.another(), st, said("mine again"), keyed)
			same(t, "position of the repeat", a.Message.Position, lost.Message.Position)
			all = append(all, a)
		}
		for _, a := range all {
			announced := s.announce(t, s.another(), st, a)
			same(t, "id", announced.Message.ID, "mine")
			positions = append(positions, announced.Message.Position)
		}
		want := hub.Position{Epoch: won.Epoch, Offset: 2}
		same(t, "positions", positions, []hub.Position{want, want, want})
		same(t, "position of the first publisher", s.announce(t, s.another(), st, lost).Message.Position, want)
		same(t, "stream", ids(s.stream(t, st, won.Epoch)), []string{"theirs", "mine"})
		same(t, "lost stream", len(s.stream(t, st, lost.Message.Position.Epoch)), 0)
		same(t, "position of a later repeat", appendTo(t, s.another(), st, said("late"), keyed).Message.Position, want)
	})

	t.Run("repeat of a first publication that was not announced", func(t *testing.T) {
		s := newRig(t)
		st := streamOf("x")
		first := appendTo(t, s.another(), st, said("m1"), keyed)
		repeat := appendTo(t, s.another(), st, said("m1 again"), keyed)
		same(t, "new", repeat.New, true)
		for name, a := range map[string]hub.Appended{"repeat": repeat, "first": first} {
			announced := s.announce(t, s.another(), st, a)
			same(t, "moved by the "+name, announced.Moved, false)
			same(t, "position of the "+name, announced.Message.Position, first.Message.Position)
		}
		same(t, "stream", ids(s.stream(t, st, first.Message.Position.Epoch)), []string{"m1"})
	})

	t.Run("key of a direct publish", func(t *testing.T) {
		s := newRig(t)
		st := streamOf("x")
		if _, err := s.Claim(t.Context(), st.Channel, "k", "direct", s.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		_, err := s.Append(t.Context(), st, said("m1"), keyed)
		fails(t, err, hub.ErrConflict)
		// It was released, or its publisher has died: the id stays.
		fails(t, s.Release(t.Context(), st.Channel, "k"), nil)
		a := appendTo(t, s.Store.Store, st, said("m2"), keyed)
		same(t, "id", a.Message.ID, "direct")
		same(t, "repeated", a.Repeated, false)
		s.announce(t, s.Store.Store, st, a)

		claim := hub.Claim{Settled: &hub.Result{Delivered: 7}, Message: "direct2"}
		fails(t, s.Settle(t.Context(), st.Channel, "k2", claim, s.Clock.Now()), nil)
		other := hub.AppendOptions{IdempotencyKey: "k2"}
		a = appendTo(t, s.Store.Store, st, said("m3"), other)
		want := said("direct2")
		want.Data, want.Channel, want.ProjectName, want.CategoryID = said("m3").Data, st.Channel, "P", "c1"
		same(t, "settled direct publish", a, hub.Appended{Message: want, Repeated: true, Direct: &hub.Result{Delivered: 7}, Options: other})
	})

	t.Run("key that a direct publish repeats", func(t *testing.T) {
		s := newRig(t)
		st := streamOf("x")
		s.announce(t, s.Store.Store, st, appendTo(t, s.Store.Store, st, said("m1"), keyed))
		got, err := s.Claim(t.Context(), st.Channel, "k", "direct", s.Clock.Now())
		fails(t, err, nil)
		same(t, "claim", got, hub.Claim{Settled: &hub.Result{}, Message: "m1"})
		s.Clock.Advance(hub.IdempotencyWindow + time.Second)
		got, err = s.Claim(t.Context(), st.Channel, "k", "direct", s.Clock.Now())
		fails(t, err, nil)
		same(t, "claim after the window", got, hub.Claim{Message: "direct"})
		_, err = s.Append(t.Context(), st, said("m2"), keyed)
		fails(t, err, hub.ErrConflict)
	})
}

// TestAppendVersion follows Centrifugo: an epoch that is not the remembered one makes every
// version the greater.
func TestAppendVersion(t *testing.T) {
	s := newRig(t)
	st := streamOf("x")
	epoch := ""
	for n, step := range []struct {
		version      uint64
		versionEpoch string
		offset       uint64
		skipped      bool
	}{
		{2, "", 1, false}, {2, "", 1, true}, {1, "", 1, true}, {3, "", 2, false}, {0, "", 3, false},
		{3, "", 3, true}, {1, "a", 4, false}, {1, "a", 4, true}, {2, "a", 5, false}, {1, "", 5, true}, {1, "b", 6, false}, {1 << 63, "b", 7, false},
	} {
		o := hub.AppendOptions{Version: step.version, VersionEpoch: step.versionEpoch}
		a := appendTo(t, s.Store.Store, st, said(fmt.Sprint("m", n)), o)
		if n == 0 {
			epoch = a.Message.Position.Epoch
		}
		same(t, fmt.Sprint("position of step ", n), a.Message.Position, hub.Position{Epoch: epoch, Offset: step.offset})
		same(t, fmt.Sprint("skipped in step ", n), a.Skipped, step.skipped)
		same(t, fmt.Sprint("pending in step ", n), a.Pending, !step.skipped)
		if a.Pending {
			s.announce(t, s.Store.Store, st, a)
		}
	}

	t.Run("version whose publisher has died", func(t *testing.T) {
		st := streamOf("dead")
		dead := appendTo(t, s.another(), st, said("m1"), hub.AppendOptions{Version: 5})
		same(t, "new", dead.New, false) // the transaction has created the head
		a := appendTo(t, s.another(), st, said("again"), hub.AppendOptions{Version: 5})
		same(t, "skipped", a.Skipped, true)
		same(t, "pending", a.Pending, true)
		same(t, "position", s.announce(t, s.another(), st, a).Message.Position, dead.Message.Position)
		a = appendTo(t, s.another(), st, said("third"), hub.AppendOptions{Version: 5})
		same(t, "pending after the dispatch", a.Pending, false)
	})

	t.Run("version that begins a stream twice", func(t *testing.T) {
		st := streamOf("twice")
		plain := appendTo(t, s.another(), st, said("plain"), hub.AppendOptions{})
		first := appendTo(t, s.another(), st, said("m1"), hub.AppendOptions{Version: 1, IdempotencyKey: "k"})
		same(t, "position", s.announce(t, s.another(), st, plain).Message.Position, hub.Position{Epoch: first.Message.Position.Epoch, Offset: 2})
		a := appendTo(t, s.another(), st, said("m1"), hub.AppendOptions{Version: 1, IdempotencyKey: "k"})
		same(t, "repeated", a.Repeated, true)
		same(t, "position of the repeat", a.Message.Position, first.Message.Position)
		a = appendTo(t, s.another(), st, said("m1"), hub.AppendOptions{Version: 1, IdempotencyKey: "k2"})
		same(t, "skipped", a.Skipped, true)
		a = appendTo(t, s.another(), st, said("m2"), hub.AppendOptions{Version: 2, IdempotencyKey: "k2"})
		same(t, "offset after a skip under the same key", a.Message.Position.Offset, uint64(3))
	})

	t.Run("version of a stream that has expired", func(t *testing.T) {
		st := streamOf("old")
		s.announce(t, s.Store.Store, st, appendTo(t, s.Store.Store, st, said("m1"), hub.AppendOptions{Version: 5}))
		s.Clock.Advance(st.Retention.MetaTTL + time.Second)
		a := appendTo(t, s.Store.Store, st, said("m2"), hub.AppendOptions{Version: 1})
		same(t, "offset", a.Message.Position.Offset, uint64(1))
		same(t, "skipped", a.Skipped, false)
	})
}

func TestHistory(t *testing.T) {
	s := newRig(t)
	st := streamOf("x")
	epoch := s.publish(t, st, numbered(10)...)[0].Epoch
	since := func(epoch string, offset uint64) *hub.Position { return &hub.Position{Epoch: epoch, Offset: offset} }
	for _, c := range []struct {
		name string
		size int
		q    hub.HistoryQuery
		want string
		err  error
	}{
		{"top only", 100, hub.HistoryQuery{}, "", nil},
		{"all", 100, hub.HistoryQuery{Limit: -1}, "m1 m2 m3 m4 m5 m6 m7 m8 m9 m10", nil},
		{"oldest", 100, hub.HistoryQuery{Limit: 2}, "m1 m2", nil},
		{"newest", 100, hub.HistoryQuery{Limit: 2, Reverse: true}, "m10 m9", nil},
		{"since", 100, hub.HistoryQuery{Since: since(epoch, 7), Limit: -1}, "m8 m9 m10", nil},
		{"since without an epoch", 100, hub.HistoryQuery{Since: since("", 7), Limit: -1}, "m8 m9 m10", nil},
		{"since with a limit", 100, hub.HistoryQuery{Since: since(epoch, 3), Limit: 2}, "m4 m5", nil},
		{"before, in reverse", 100, hub.HistoryQuery{Since: since(epoch, 3), Limit: -1, Reverse: true}, "m2 m1", nil},
		{"before the first", 100, hub.HistoryQuery{Since: since(epoch, 1), Limit: -1, Reverse: true}, "", nil},
		{"before the beginning", 100, hub.HistoryQuery{Since: since(epoch, 0), Limit: -1, Reverse: true}, "", nil},
		{"since the top", 100, hub.HistoryQuery{Since: since(epoch, 10), Limit: -1}, "", nil},
		{"since beyond the top", 100, hub.HistoryQuery{Since: since(epoch, 1<<64-1), Limit: -1}, "", nil},
		{"before a position beyond the top", 100, hub.HistoryQuery{Since: since(epoch, 1<<64-1), Limit: 1, Reverse: true}, "m10", nil},
		{"since of another epoch", 100, hub.HistoryQuery{Since: since("other", 7)}, "", hub.ErrUnrecoverablePosition},
		{"size", 3, hub.HistoryQuery{Limit: -1}, "m8 m9 m10", nil},
		{"size in reverse", 3, hub.HistoryQuery{Limit: -1, Reverse: true}, "m10 m9 m8", nil},
		{"since before the window", 3, hub.HistoryQuery{Since: since(epoch, 5), Limit: -1}, "m8 m9 m10", nil},
		{"before the window, in reverse", 3, hub.HistoryQuery{Since: since(epoch, 5), Limit: -1, Reverse: true}, "", nil},
		{"size of the stream", 10, hub.HistoryQuery{Limit: 1}, "m1", nil},
		{"no history", 0, hub.HistoryQuery{Limit: -1}, "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			st := st
			st.Retention.Size = c.size
			got, top, err := s.History(t.Context(), st, c.q)
			fails(t, err, c.err)
			same(t, "history", strings.Join(ids(got), " "), c.want)
			if c.err == nil {
				same(t, "top", top, hub.Position{Epoch: epoch, Offset: 10})
			}
		})
	}

	t.Run("stream that does not exist", func(t *testing.T) {
		for _, q := range []hub.HistoryQuery{{Limit: -1}, {Limit: -1, Since: since("", 0)}, {Limit: -1, Since: since("", 5), Reverse: true}} {
			got, top, err := s.History(t.Context(), streamOf("absent"), q)
			fails(t, err, nil)
			same(t, "history", len(got), 0)
			same(t, "top", top, hub.Position{})
		}
		_, _, err := s.History(t.Context(), streamOf("absent"), hub.HistoryQuery{Since: since(epoch, 0)})
		fails(t, err, hub.ErrUnrecoverablePosition)
	})
}

func TestHistoryExpiry(t *testing.T) {
	s := newRig(t)
	st := streamOf("x")
	history := func(limit int, reverse bool) string {
		t.Helper()
		got, _, err := s.History(t.Context(), st, hub.HistoryQuery{Limit: limit, Reverse: reverse})
		fails(t, err, nil)
		return strings.Join(ids(got), " ")
	}
	for _, id := range numbered(6) {
		s.publish(t, st, id)
		s.Clock.Advance(10 * time.Minute)
	}
	same(t, "at the end of the first", history(-1, false), "m2 m3 m4 m5 m6")
	same(t, "oldest one", history(1, false), "m2")
	same(t, "in reverse", history(-1, true), "m6 m5 m4 m3 m2")
	st.Retention.TTL = 25 * time.Minute
	same(t, "with a shorter time", history(-1, false), "m5 m6")
	st.Retention.TTL = 30 * 24 * time.Hour
	same(t, "with a longer time", history(-1, false), "m1 m2 m3 m4 m5 m6")
	// The six hours of an item that was written with the shorter time are over: DynamoDB deletes
	// such items in any order.
	s.Clock.Advance(5*time.Hour + 15*time.Minute)
	same(t, "with items that have expired", history(-1, false), "m3 m4 m5 m6")
	same(t, "with items that have expired, in reverse", history(-1, true), "m6 m5 m4 m3")
	epoch := s.publish(t, st, "m7")[0].Epoch
	s.deleteRaw(t, "H#p#chat#x", fmt.Sprintf("%s#%020d", epoch, 4))
	same(t, "with an item that was deleted", history(-1, false), "m5 m6 m7")
	same(t, "with an item that was deleted, in reverse", history(-1, true), "m7 m6 m5")
	got, err := s.Publications(t.Context(), st, epoch, 0, 100)
	fails(t, err, nil)
	same(t, "what a dispatcher reads", strings.Join(ids(got), " "), "m1 m2 m3 m5 m6 m7")
}

func TestHistoryRemove(t *testing.T) {
	s := newRig(t)
	st := streamOf("x")
	fails(t, s.RemoveHistory(t.Context(), st), nil)
	epoch := s.publish(t, st, numbered(3)...)[0].Epoch
	for range 2 {
		fails(t, s.RemoveHistory(t.Context(), st), nil)
		got, top, err := s.History(t.Context(), st, hub.HistoryQuery{Limit: -1})
		fails(t, err, nil)
		same(t, "history", len(got), 0)
		same(t, "top", top, hub.Position{Epoch: epoch, Offset: 3})
		got, _, err = s.History(t.Context(), st, hub.HistoryQuery{Limit: -1, Since: &hub.Position{Epoch: epoch, Offset: 1}})
		fails(t, err, nil)
		_, recovered := hub.Recover(hub.Position{Epoch: epoch, Offset: 1}, top, got)
		same(t, "recovered", recovered, false)
	}
	s.publish(t, st, "m4")
	got, _, err := s.History(t.Context(), st, hub.HistoryQuery{Limit: -1, Reverse: true})
	fails(t, err, nil)
	same(t, "history of what follows", ids(got), []string{"m4"})
	same(t, "what a dispatcher reads", ids(s.stream(t, st, epoch)), numbered(4))
}

func TestHistoryLimits(t *testing.T) {
	s := newRig(t)
	st := streamOf("x")
	st.Retention.Size = 1000
	// 350 publications of 20 KB are more than a history returns, and many megabytes.
	big := hub.Message{Data: json.RawMessage(`"` + strings.Repeat("x", 20<<10-2) + `"`)}
	epoch := ""
	for n := range 350 {
		m := said(fmt.Sprint("m", n+1))
		if n >= 100 {
			m.Data = big.Data
		}
		a := appendTo(t, s.Store.Store, st, m, hub.AppendOptions{})
		if n == 0 {
			epoch = s.announce(t, s.Store.Store, st, a).Message.Position.Epoch
		}
	}
	for _, c := range []struct {
		limit       int
		reverse     bool
		first, last uint64
	}{
		// 100 small ones and 204 of 20 KB would be within the bytes.
		{-1, false, 1, 300}, {1000, false, 1, 300}, {301, false, 1, 300}, {299, false, 1, 299},
		{-1, true, 350, 147}, {60, true, 350, 291},
	} {
		got, top, err := s.History(t.Context(), st, hub.HistoryQuery{Limit: c.limit, Reverse: c.reverse})
		fails(t, err, nil)
		same(t, "top", top, hub.Position{Epoch: epoch, Offset: 350})
		if len(got) == 0 {
			t.Fatal("no publications")
		}
		same(t, fmt.Sprint("first and last of ", c), []uint64{got[0].Position.Offset, got[len(got)-1].Position.Offset}, []uint64{c.first, c.last})
	}
	for _, c := range []struct {
		after uint64
		limit int
		want  int
	}{{0, 1000, 350}, {0, 100, 100}, {100, 200, 200}, {349, 10, 1}, {350, 10, 0}, {1<<64 - 1, 10, 0}, {0, 0, 0}} {
		got, err := s.Publications(t.Context(), st, epoch, c.after, c.limit)
		fails(t, err, nil)
		same(t, fmt.Sprint("publications of ", c), len(got), c.want)
		for n, m := range got {
			same(t, "offset", m.Position.Offset, c.after+uint64(n)+1)
		}
	}
}

// TestStreamsAmongOthers checks that what scans the table does not count streams.
func TestStreamsAmongOthers(t *testing.T) {
	s := newRig(t)
	s.putProject(t, &hub.Project{ID: "p", Name: "n", Secret: "s", Categories: map[string]hub.Category{"chat": {Name: "chat"}}})
	s.enter(t, "c", "u")
	s.subscribe(t, "c", channelsNamed(1, "x"))
	s.publish(t, streamOf("x0"), numbered(3)...)
	s.publish(t, streamOf("y"), numbered(3)...)
	usage, err := s.Usage(t.Context(), "p", hub.Bound{}, all)
	fails(t, err, nil)
	same(t, "usage", usage, hub.Usage{Clients: 1, Users: map[string]int{"u": 1}, Subscribers: map[hub.Channel]int{channel("x0"): 1}})
	page, err := s.Channels(t.Context(), "p", "", 10, all)
	fails(t, err, nil)
	same(t, "channels", page.Subscribers, map[hub.Channel]int{channel("x0"): 1})
	projects, err := s.ListProjects(t.Context())
	fails(t, err, nil)
	same(t, "projects", len(projects), 1)
	same(t, "subscribers", s.subscribers(t, channel("x0"), 0), []string{"c"})
}

// TestStreamOfAnotherVersion checks that attributes of a later version stay, and that those
// that an earlier one did not write have defaults.
func TestStreamOfAnotherVersion(t *testing.T) {
	s := newRig(t)
	st := streamOf("x")
	epoch := "6921d2fb89abcdef01234567"
	s.putRaw(t, "H#p#chat#x", "~", record{"epoch": str(epoch), "exp": num(s.Clock.Now().Add(time.Hour).Unix()), "later": str("kept")})
	s.putRaw(t, "H#p#chat#x", epoch+"#00000000000000000001", record{"later": str("kept")})
	h, err := s.StreamHead(t.Context(), st)
	fails(t, err, nil)
	same(t, "head", h, hub.Head{Epoch: epoch, Expires: h.Expires})
	same(t, "position", s.publish(t, st, "m2")[0], hub.Position{Epoch: epoch, Offset: 2})
	appendTo(t, s.Store.Store, st, said("m3"), hub.AppendOptions{Version: 1})
	fails(t, s.RemoveHistory(t.Context(), st), nil)
	if head := s.dump(t)["H#p#chat#x ~ "]; !strings.Contains(head, `"later":{"Value":"kept"}`) {
		t.Errorf("head: %s", head)
	}
	same(t, "first publication", s.stream(t, st, epoch)[0], hub.Message{
		Channel: st.Channel, ProjectName: "P", CategoryID: "c1", Position: hub.Position{Epoch: epoch, Offset: 1}, Time: time.UnixMilli(0).UTC(),
	})
	s.putRaw(t, "H#p#chat#x", epoch+"#1", record{})
	if _, err := s.Publications(t.Context(), st, epoch, 0, 10); err == nil || !strings.Contains(err.Error(), "the offset has 1 digits, want 20") {
		t.Errorf("publication with an invalid key: %v", err)
	}
}
