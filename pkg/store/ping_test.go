package store_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"centrifuge/pkg/hub"
)

// pingsOf are the pings of some connections in their slots, sorted by connection.
func (s *rig) pingsOf(tb testing.TB, pings ...hub.Ping) (all []hub.Ping) {
	tb.Helper()
	slots := make(map[hub.PingSlot]bool)
	for _, p := range pings {
		slots[p.Slot()] = true
	}
	for slot := range slots {
		for page, err := range s.Pings(tb.Context(), slot) {
			if err != nil {
				tb.Fatal(err)
			}
			all = append(all, page...)
		}
	}
	slices.SortFunc(all, func(a, b hub.Ping) int { return cmp.Compare(a.Connection, b.Connection) })
	return all
}

func TestPings(t *testing.T) {
	s := newRig(t)
	now := s.Clock.Now()
	ends := time.Unix(now.Unix()+60, 0)
	a, b, c := hub.Ping{Connection: "a=", Minutes: 1}, hub.Ping{Connection: "b=", Minutes: 9, Ends: ends}, hub.Ping{Connection: "c=", Minutes: 9}
	for p, expires := range map[hub.Ping]time.Time{a: now.Add(time.Hour), b: now.Add(time.Hour), c: now.Add(time.Minute)} {
		if err := s.PutPing(t.Context(), p, expires); err != nil {
			t.Fatal(err)
		}
	}
	same(t, "pings", s.pingsOf(t, a, b, c), []hub.Ping{a, b, c})
	s.Clock.Advance(time.Minute)
	same(t, "pings after one has expired", s.pingsOf(t, a, b, c), []hub.Ping{a, b})
	b.Ends = ends.Add(time.Hour)
	if err := s.PutPing(t.Context(), b, now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	same(t, "pings after one was written again", s.pingsOf(t, a, b, c), []hub.Ping{a, b})
	if err := s.RemovePings(t.Context(), []hub.Ping{a, c, {Connection: "absent", Minutes: 1}}); err != nil {
		t.Fatal(err)
	}
	same(t, "pings after a removal", s.pingsOf(t, a, b, c), []hub.Ping{b})
}

// TestPingEndsWithItsConnection closes connections that get pings, and others.
func TestPingEndsWithItsConnection(t *testing.T) {
	s := newRig(t)
	var pings []hub.Ping
	for minutes := range 10 {
		p := hub.Ping{Connection: fmt.Sprint("c", minutes), Minutes: minutes}
		s.open(t, p.Connection)
		s.authenticate(t, hub.Connection{ID: p.Connection, Project: "p", Protocol: hub.Centrifugo, PingMinutes: minutes})
		same(t, "minutes", s.connection(t, p.Connection).PingMinutes, minutes)
		if minutes == 0 {
			continue
		}
		pings = append(pings, p)
		if err := s.PutPing(t.Context(), p, s.Clock.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"c0", "c1", "c9"} {
		if err := s.end(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	same(t, "pings", s.pingsOf(t, pings...), pings[1:8])
}
