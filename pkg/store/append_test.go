package store_test

import (
	"fmt"
	"testing"
	"time"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store"
)

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
