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
			Epoch: got.Message.Position.Epoch, Wake: 1, Lease: got.Head.Lease, Era: got.Head.Era, Expires: time.Unix(s.Clock.Now().Add(st.Retention.MetaTTL+time.Second-1).Unix(), 0),
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
