package store_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store"
)

// with is a plan that subscribes a connection to a channel, with what the subscription has of its
// own.
func with(ch hub.Channel, m hub.Membership) func(hub.Connection) (hub.Change, error) {
	return func(c hub.Connection) (hub.Change, error) {
		c.Channels = map[hub.Channel]int{ch: 0}
		return hub.Change{Connection: c, Memberships: map[hub.Channel]hub.Membership{ch: m}}, nil
	}
}

// subscriber reads the one subscriber of a channel, the zero Subscriber where there is none.
func (s *rig) subscriber(tb testing.TB, ch hub.Channel) (found hub.Subscriber) {
	tb.Helper()
	for page, err := range s.Subscribers(tb.Context(), ch, 0) {
		if err != nil {
			tb.Fatal(err)
		}
		for _, s := range page {
			found = s
		}
	}
	return found
}

// TestMemberships follows one subscription: what it has of its own stays when its connection
// changes, and is replaced when it is written whole.
func TestMemberships(t *testing.T) {
	s := newRig(t)
	ch := channel("x")
	s.open(t, "c")
	identity := hub.Connection{ID: "c", Project: "p", User: "u", Protocol: hub.Centrifugo}
	s.authenticate(t, identity)
	since := ms(s.Clock.Now())
	fails(t, s.change(t.Context(), "c", with(ch, hub.Membership{
		ID: "1", Joining: true, Since: since, Recoverable: true, JoinLeave: true, Server: true, Info: json.RawMessage(`{"n":1}`),
	})), nil)
	joining := hub.Subscriber{Connection: "c", Protocol: hub.Centrifugo, Standing: hub.Standing{
		ID: "1", Joining: true, Since: since, Recoverable: true, JoinLeave: true, Server: true,
	}}
	same(t, "joining", s.subscriber(t, ch), joining)

	mark := hub.Mark{Lease: "01234567", Era: 7}
	admission := hub.Admission{Place: hub.Place{Channel: ch}, Connection: "c", ID: "1"}
	other := admission
	other.ID = "0"
	got, ok, err := s.AdmitSubscriber(t.Context(), other, 3, mark)
	fails(t, err, nil)
	same(t, "admitted under another ID", ok, false)
	same(t, "found under another ID", got, joining)

	active := joining
	active.Joining, active.Since, active.From, active.Mark = false, time.Time{}, 3, mark
	got, ok, err = s.AdmitSubscriber(t.Context(), admission, 3, mark)
	fails(t, err, nil)
	same(t, "admitted", ok, true)
	same(t, "returned", got, active)
	same(t, "active", s.subscriber(t, ch), active)
	got, ok, err = s.AdmitSubscriber(t.Context(), admission, 4, hub.Mark{Lease: "89abcdef", Era: 8})
	fails(t, err, nil)
	same(t, "admitted again", ok, false)
	same(t, "found active", got, active)

	identity.User, identity.Batch = "v", true
	s.authenticate(t, identity)
	renewed := active
	renewed.Batch = true
	same(t, "renewed", s.subscriber(t, ch), renewed)
	for page, err := range s.Presence(t.Context(), ch, 0) {
		fails(t, err, nil)
		same(t, "presence", page, []hub.Present{{Client: hub.Client{Connection: "c", User: "v", ChannelInfo: json.RawMessage(`{"n":1}`)}}})
	}

	lost := renewed
	lost.Lost, lost.Mark = true, hub.Mark{Lease: "89abcdef", Era: 8}
	loss := hub.Lost{Gone: hub.Gone{Connection: "c", Channel: ch}, ID: "1"}
	_, ok, err = s.LoseSubscriber(t.Context(), hub.Lost{Gone: loss.Gone, ID: "2"}, lost.Mark)
	fails(t, err, nil)
	same(t, "lost under another ID", ok, false)
	got, ok, err = s.LoseSubscriber(t.Context(), loss, lost.Mark)
	fails(t, err, nil)
	same(t, "lost", ok, true)
	same(t, "returned lost", got, lost)
	same(t, "read lost", s.subscriber(t, ch), lost)
	for page, err := range s.Presence(t.Context(), ch, 0) {
		fails(t, err, nil)
		same(t, "presence of the lost", page, []hub.Present{})
	}

	ends := time.Unix(s.Clock.Now().Add(time.Minute).Unix(), 0)
	fails(t, s.change(t.Context(), "c", with(ch, hub.Membership{ID: "2", Expires: ends, Info: json.RawMessage(`{"n":2}`)})), nil)
	same(t, "replaced", s.subscriber(t, ch), hub.Subscriber{Connection: "c", Protocol: hub.Centrifugo, Batch: true, Standing: hub.Standing{ID: "2"}})
	s.Clock.Advance(time.Minute)
	same(t, "expired", s.subscriber(t, ch), hub.Subscriber{Connection: "c", Protocol: hub.Centrifugo, Batch: true, Standing: hub.Standing{ID: "2", Expired: true}})
	got, ok, err = s.ReadSubscriber(t.Context(), loss.Gone)
	fails(t, err, nil)
	same(t, "valid after it has expired", ok, false)
	same(t, "read after it has expired", got, hub.Subscriber{
		Connection: "c", Protocol: hub.Centrifugo, Batch: true, Info: json.RawMessage(`{"n":2}`), Standing: hub.Standing{ID: "2", Expired: true},
	})
	got, ok, err = s.ReadSubscriber(t.Context(), hub.Gone{Connection: "other", Channel: ch})
	fails(t, err, nil)
	same(t, "valid where there is none", ok, false)
	same(t, "read where there is none", got, hub.Subscriber{})
	_, ok, err = s.LoseSubscriber(t.Context(), hub.Lost{Gone: loss.Gone, ID: "2"}, mark)
	fails(t, err, nil)
	same(t, "lost after it has expired", ok, false)
}

// TestOpenStream opens streams, and appends to them.
func TestOpenStream(t *testing.T) {
	s := newRig(t)
	st := streamOf("x")
	appended := appendTo(t, s.Store.Store, st, said("before it is open"), hub.AppendOptions{}) // in an epoch of its own
	top, err := s.OpenStream(t.Context(), st)
	fails(t, err, nil)
	same(t, "offset", top.Offset, uint64(0))
	again, err := s.Another(store.Options{Now: s.Clock.Now}).OpenStream(t.Context(), st)
	fails(t, err, nil)
	same(t, "top of an open stream", again, top)
	same(t, "position of what was appended before", s.announce(t, s.Store.Store, st, appended).Message.Position, hub.Position{Epoch: top.Epoch, Offset: 1})
	s.publish(t, st, "m")
	again, err = s.OpenStream(t.Context(), st)
	fails(t, err, nil)
	same(t, "top", again, hub.Position{Epoch: top.Epoch, Offset: 2})
}

// TestTooManyAdmissions announces one more than may wait.
func TestTooManyAdmissions(t *testing.T) {
	s := newRig(t)
	st := streamOf("x")
	top, err := s.OpenStream(t.Context(), st)
	fails(t, err, nil)
	for n := range hub.MaxAdmissions + 1 {
		a := hub.Admission{Place: hub.Place{Channel: st.Channel}, Connection: fmt.Sprint("c", n), ID: "1", Position: top}
		head, ok, err := s.AnnounceAdmission(t.Context(), st, a, s.lease("l"))
		if n == hub.MaxAdmissions {
			fails(t, err, hub.ErrTooManyRequests)
			break
		}
		if err != nil || !ok || len(head.Joins) != n+1 || head.Wake != uint64(n)+1 { //nolint:gosec // small
			t.Fatalf("admission %d: %d wait, wake %d, %v, error %v", n, len(head.Joins), head.Wake, ok, err)
		}
	}
}

// TestMembershipOverrides reads whether a subscription is listed and announced.
func TestMembershipOverrides(t *testing.T) {
	yes, no := true, false
	for name, m := range map[string]hub.Membership{
		"as the category says": {ID: "1"},
		"announced":            {ID: "1", Announced: &yes},
		"not announced":        {ID: "1", Announced: &no, Unlisted: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newRig(t)
			ch := channel("x")
			s.open(t, "c")
			s.authenticate(t, hub.Connection{ID: "c", Project: "p", User: "u", Protocol: hub.Centrifugo, Announced: m.Announced != nil})
			fails(t, s.change(t.Context(), "c", with(ch, m)), nil)
			found, valid, err := s.ReadSubscriber(t.Context(), hub.Gone{Connection: "c", Channel: ch})
			fails(t, err, nil)
			same(t, "valid", valid, true)
			same(t, "announced", found.Announced, m.Announced)
			same(t, "that the connection has such a subscription", s.connection(t, "c").Announced, m.Announced != nil)
			listed := 0
			for page, err := range s.Presence(t.Context(), ch, 0) {
				fails(t, err, nil)
				listed += len(page)
			}
			same(t, "that it is not listed", listed == 0, m.Unlisted)
		})
	}
}
