package store_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"centrifuge/pkg/hub"
)

// ms is a time as a head returns it.
func ms(t time.Time) time.Time { return time.UnixMilli(t.UnixMilli()) }

// TestHeadChanges makes each change of a head in each state: it changes what it says, and
// nothing where its condition fails.
func TestHeadChanges(t *testing.T) {
	s := newRig(t)
	st := streamOf("x")
	now := s.Clock.Now()
	inline := hub.Lease{ID: "inline", Until: ms(now.Add(10 * time.Second))}
	durable := hub.Lease{ID: "durable", Durable: true, Request: "r1", Until: ms(now.Add(10 * time.Second))}
	over := func(l hub.Lease) hub.Lease {
		l.ID, l.Until = l.ID+" over", ms(now.Add(-hub.LeaseSlack))
		return l
	}
	almost := hub.Lease{ID: "almost over", Until: ms(now.Add(time.Millisecond - hub.LeaseSlack))}
	grantedTo := func(request string) hub.Lease {
		return hub.Lease{ID: "for inline", Durable: true, Request: request, Granted: true, Until: ms(now.Add(hub.GrantTime))}
	}
	turn := hub.Turn{Request: "r2", Until: ms(now.Add(10 * time.Second))}
	turnOver := hub.Turn{Request: "r3", Until: ms(now.Add(-hub.LeaseSlack))}
	waiting := hub.Admission{Place: hub.Place{Channel: st.Channel, Shard: 2}, Connection: "Lc-1=", ID: "7", Position: hub.Position{Offset: 4}}
	joins := hub.Admission{Place: hub.Place{Channel: st.Channel}, Connection: "Lc-2=", ID: "a#b", Position: hub.Position{Epoch: "e", Offset: 5}}
	joined := joins
	joined.Position.Epoch = ""
	states := map[string]hub.Head{
		"absent":                  {},
		"free":                    {},
		"free with a turn":        {Next: turn},
		"inline":                  {Lease: inline},
		"inline with a turn":      {Lease: inline, Next: turn},
		"inline with an old turn": {Lease: inline, Next: turnOver},
		"inline over":             {Lease: over(inline), Next: turn},
		"inline almost over":      {Lease: almost},
		"durable":                 {Lease: durable},
		"durable over":            {Lease: over(durable)},
		"granted":                 {Lease: grantedTo("r2"), Batch: 8},
		"granted to another one":  {Lease: grantedTo("r9")},
		"inline with admissions":  {Lease: inline, Era: 5, Changed: 3, Joins: []hub.Admission{waiting}},
	}
	inlines := []string{"inline", "inline with a turn", "inline with an old turn", "inline with admissions"}
	mine := hub.Lease{ID: "mine", Until: ms(now.Add(hub.LeaseTime))}
	mineDurable := hub.Lease{ID: "mine", Durable: true, Request: "r2", Until: ms(now.Add(hub.LeaseTime))}
	prolonged := hub.Turn{Request: "r2", Until: ms(now.Add(20 * time.Second))}
	until := ms(now.Add(15 * time.Second))
	for _, c := range []struct {
		name string
		do   func(state hub.Head) (hub.Head, bool, error)
		// changes are the states in which the condition holds, and change what it does then.
		changes []string
		change  func(*hub.Head)
	}{
		{"take an inline lease", func(hub.Head) (hub.Head, bool, error) { return s.TakeLease(t.Context(), st, mine) },
			[]string{"free", "free with a turn"}, func(h *hub.Head) { h.Lease = mine }},
		{"take over an inline lease", func(hub.Head) (hub.Head, bool, error) { return s.TakeOver(t.Context(), st, mine, "inline over", 0) },
			[]string{"inline over"}, func(h *hub.Head) { h.Lease = mine }},
		{"take over a durable lease in another era", func(hub.Head) (hub.Head, bool, error) {
			return s.TakeOver(t.Context(), st, mineDurable, "durable over", 9)
		}, []string{"durable over"}, func(h *hub.Head) { h.Lease, h.Next, h.Era = mineDurable, hub.Turn{}, 9 }},
		{"take over a lease that has not expired", func(hub.Head) (hub.Head, bool, error) { return s.TakeOver(t.Context(), st, mine, "inline", 9) }, nil, nil},
		{"announce an admission", func(hub.Head) (hub.Head, bool, error) { return s.AnnounceAdmission(t.Context(), st, joins, mine) },
			slices.DeleteFunc(slices.Collect(maps.Keys(states)), func(state string) bool { return state == "absent" }), func(h *hub.Head) {
				h.Joins = append(slices.Clone(h.Joins), joined)
				h.Wake++
				if h.Lease.ID == "" {
					h.Lease = mine
				}
			}},
		{"announce an admission to another epoch", func(hub.Head) (hub.Head, bool, error) {
			other := joins
			other.Position.Epoch = "f"
			return s.AnnounceAdmission(t.Context(), st, other, mine)
		}, nil, nil},
		{"renew a lease after an admission and a loss", func(hub.Head) (hub.Head, bool, error) {
			return s.RenewLease(t.Context(), st, hub.Progress{Lease: "inline", Done: 7, Admitted: []hub.Admission{waiting}, Lost: true}, until)
		}, inlines, func(h *hub.Head) { h.Done, h.Lease.Until, h.Joins, h.Changed = 7, until, nil, 8 }},
		{"drop a lease after a batch of which some may have been posted", func(hub.Head) (hub.Head, bool, error) {
			return s.DropLease(t.Context(), st, hub.Progress{Lease: "inline", Done: 7, Era: 9}, hub.Turn{})
		}, inlines, func(h *hub.Head) { h.Done, h.Lease, h.Era = 7, hub.Lease{}, 9 }},
		{"take a durable lease", func(hub.Head) (hub.Head, bool, error) { return s.TakeLease(t.Context(), st, mineDurable) },
			[]string{"free", "free with a turn", "granted"}, func(h *hub.Head) { h.Lease, h.Next = mineDurable, hub.Turn{} }},
		{"take a turn", func(hub.Head) (hub.Head, bool, error) { return s.TakeTurn(t.Context(), st, prolonged) },
			[]string{"inline", "inline with a turn", "inline with an old turn", "inline over", "inline almost over", "inline with admissions"}, func(h *hub.Head) { h.Next = prolonged }},
		{"take a turn that another one has", func(hub.Head) (hub.Head, bool, error) {
			return s.TakeTurn(t.Context(), st, hub.Turn{Request: "r4", Until: prolonged.Until})
		}, []string{"inline", "inline with an old turn", "inline almost over", "inline with admissions"}, func(h *hub.Head) { h.Next = hub.Turn{Request: "r4", Until: prolonged.Until} }},
		{"renew an inline lease", func(hub.Head) (hub.Head, bool, error) {
			return s.RenewLease(t.Context(), st, hub.Progress{Lease: "inline", Done: 7}, until)
		}, inlines, func(h *hub.Head) { h.Done, h.Lease.Until = 7, until }},
		{"renew a durable lease", func(hub.Head) (hub.Head, bool, error) {
			return s.RenewLease(t.Context(), st, hub.Progress{Lease: "durable", Done: 7}, until)
		}, []string{"durable"}, func(h *hub.Head) { h.Done, h.Lease.Until = 7, until }},
		{"renew a lease that is over but not taken", func(hub.Head) (hub.Head, bool, error) {
			return s.RenewLease(t.Context(), st, hub.Progress{Lease: "inline over", Done: 7}, until)
		}, []string{"inline over"}, func(h *hub.Head) { h.Done, h.Lease.Until = 7, until }},
		{"release at the wake that was read", func(h hub.Head) (hub.Head, bool, error) {
			return s.ReleaseLease(t.Context(), st, hub.Progress{Lease: "inline", Done: 7}, h.Wake)
		}, inlines, func(h *hub.Head) { h.Done, h.Lease = 7, hub.Lease{} }},
		{"release after an announcement", func(h hub.Head) (hub.Head, bool, error) {
			return s.ReleaseLease(t.Context(), st, hub.Progress{Lease: "inline", Done: 7}, h.Wake-1)
		}, nil, nil},
		{"release a lease that was lost", func(h hub.Head) (hub.Head, bool, error) {
			return s.ReleaseLease(t.Context(), st, hub.Progress{Lease: "lost", Done: 7}, h.Wake)
		}, nil, nil},
		{"drop a lease", func(hub.Head) (hub.Head, bool, error) {
			return s.DropLease(t.Context(), st, hub.Progress{Lease: "durable", Done: 7}, hub.Turn{})
		}, []string{"durable"}, func(h *hub.Head) { h.Done, h.Lease = 7, hub.Lease{} }},
		{"drop a lease for who is next, after a batch that failed", func(hub.Head) (hub.Head, bool, error) {
			return s.DropLease(t.Context(), st, hub.Progress{Lease: "inline", Done: 7, Batch: 4}, hub.Turn{Request: "r2"})
		}, inlines, func(h *hub.Head) {
			h.Done, h.Lease, h.Next, h.Batch = 7, grantedTo("r2"), hub.Turn{}, 4
		}},
		{"drop a lease that was lost", func(hub.Head) (hub.Head, bool, error) {
			return s.DropLease(t.Context(), st, hub.Progress{Lease: "lost", Done: 7}, hub.Turn{})
		}, nil, nil},
	} {
		for name, state := range states {
			t.Run(c.name+" where it is "+name, func(t *testing.T) {
				before := hub.Head{}
				if name == "absent" {
					s.deleteRaw(t, "H#p#chat#x", "~")
				} else {
					before = state
					before.Epoch, before.Wake, before.Done, before.Removed = "e", 3, 5, 2
					before.Expires = time.Unix(now.Add(time.Hour).Unix(), 0)
					s.putHead(t, st, before)
				}
				want, changes := before, false
				for _, in := range c.changes {
					changes = changes || in == name
				}
				if changes {
					c.change(&want)
					want.Expires = time.Unix(now.Add(st.Retention.MetaTTL+time.Second-1).Unix(), 0)
				}
				s.Requests.Sent()
				got, ok, err := c.do(before)
				same(t, "requests", s.Requests.Sent(), "1 UpdateItem")
				fails(t, err, nil)
				same(t, "changed", ok, changes)
				same(t, "returned head", got, want)
				stored, err := s.StreamHead(t.Context(), st)
				fails(t, err, nil)
				same(t, "stored head", stored, want)
			})
		}
	}
}

// putHead writes a head without the store.
func (s *rig) putHead(tb testing.TB, st hub.Stream, h hub.Head) {
	tb.Helper()
	i := record{
		"epoch": str(h.Epoch), "wake": num(int64(h.Wake)), "done": num(int64(h.Done)), "removed": num(int64(h.Removed)), "exp": num(h.Expires.Unix()),
	}
	if h.Lease.ID != "" {
		lease := record{"id": str(h.Lease.ID), "durable": boolean(h.Lease.Durable), "request": str(h.Lease.Request), "until": num(h.Lease.Until.UnixMilli())}
		if h.Lease.Granted {
			lease["granted"] = boolean(true)
		}
		i["lease"] = object(lease)
	}
	if h.Era > 0 {
		i["era"], i["changed"] = num(int64(h.Era)), num(int64(h.Changed))
	}
	if len(h.Joins) > 0 {
		set := &types.AttributeValueMemberSS{}
		for _, a := range h.Joins {
			set.Value = append(set.Value, fmt.Sprintf("%d#%d#%s#%s", a.Position.Offset, a.Shard, a.ID, a.Connection))
		}
		i["joins"] = set
	}
	if h.Batch > 0 {
		i["batch"] = num(int64(h.Batch))
	}
	if h.Next.Request != "" {
		i["next"] = object(record{"request": str(h.Next.Request), "until": num(h.Next.Until.UnixMilli())})
	}
	s.putRaw(tb, "H#p#chat#"+st.Channel.Name, "~", i)
}

func TestAnnounce(t *testing.T) {
	s := newRig(t)
	now := s.Clock.Now()
	mine := s.lease("mine")
	for _, c := range []struct {
		name   string
		before hub.Head
		want   hub.Lease
	}{
		{"no lease", hub.Head{}, mine},
		{"no lease with a dispatcher that waits", hub.Head{Next: hub.Turn{Request: "r", Until: ms(now.Add(time.Second))}}, mine},
		{"inline lease", hub.Head{Lease: hub.Lease{ID: "l", Until: ms(now)}}, hub.Lease{ID: "l", Until: ms(now)}},
		{"durable lease", hub.Head{Lease: hub.Lease{ID: "l", Durable: true, Request: "r", Until: ms(now)}}, hub.Lease{ID: "l", Durable: true, Request: "r", Until: ms(now)}},
		{"lease that has expired", hub.Head{Lease: hub.Lease{ID: "l", Until: ms(now.Add(-time.Hour))}}, hub.Lease{ID: "l", Until: ms(now.Add(-time.Hour))}},
	} {
		t.Run(c.name, func(t *testing.T) {
			st := streamOf(c.name)
			head := c.before
			head.Epoch, head.Wake, head.Done, head.Expires = "e", 3, 5, time.Unix(now.Add(time.Hour).Unix(), 0)
			s.putHead(t, st, head)
			a := appendTo(t, s.Store.Store, st, said("m"), hub.AppendOptions{})
			same(t, "position", a.Message.Position, hub.Position{Epoch: "e", Offset: 6})
			s.Requests.Sent()
			got, err := s.Announce(t.Context(), st, a, mine)
			fails(t, err, nil)
			same(t, "requests", s.Requests.Sent(), "1 UpdateItem")
			head.Wake, head.Lease, head.Expires = 4, c.want, time.Unix(now.Add(st.Retention.MetaTTL+time.Second-1).Unix(), 0)
			same(t, "announced", got, hub.Announced{Message: a.Message, Head: head})
		})
	}
}

// TestOneHolder lets many take the lease of a stream concurrently.
func TestOneHolder(t *testing.T) {
	s := newRig(t)
	st := streamOf("x")
	s.publish(t, st, "m1")
	var all []func() error
	held := make([]bool, 10)
	for n := range held {
		all = append(all, func() error {
			h, ok, err := s.TakeLease(t.Context(), st, s.lease(fmt.Sprint("l", n)))
			if held[n] = ok; ok != (h.Lease.ID == fmt.Sprint("l", n)) {
				return fmt.Errorf("taken is %v, and the lease is that of %s", ok, h.Lease.ID)
			}
			return err
		})
	}
	concurrently(t, all...)
	holders := 0
	for _, is := range held {
		if is {
			holders++
		}
	}
	same(t, "holders", holders, 1)
}
