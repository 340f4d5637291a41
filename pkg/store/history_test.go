package store_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"centrifuge/pkg/hub"
)

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
