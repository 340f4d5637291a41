package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/hub"
)

func TestOccupancy(t *testing.T) {
	s := newRig(t)
	ch, begin := channel("x"), s.Clock.Now()
	first := uint64(begin.UnixMilli()) //nolint:gosec // a time of today
	expect := func(o hub.Occupancy, changed, wantChanged bool, want hub.Occupancy) {
		t.Helper()
		if diff := cmp.Diff(want, o); diff != "" || changed != wantChanged {
			t.Errorf("changed %v, want %v, (-want +got):\n%s", changed, wantChanged, diff)
		}
		if stored, err := s.Occupancy(t.Context(), ch); err != nil || stored != want {
			t.Errorf("stored %+v, %v, want %+v", stored, err, want)
		}
	}
	occupy := func(wantChanged bool, want hub.Occupancy) {
		t.Helper()
		o, occupied, err := s.Occupy(t.Context(), ch, s.Clock.Now())
		if err != nil {
			t.Fatal(err)
		}
		expect(o, occupied, wantChanged, want)
	}
	vacate := func(version uint64, wantChanged bool, want hub.Occupancy) {
		t.Helper()
		o, vacated, err := s.Vacate(t.Context(), ch, hub.Occupancy{Version: version}, s.Clock.Now())
		if err != nil {
			t.Fatal(err)
		}
		expect(o, vacated, wantChanged, want)
	}
	if o, err := s.Occupancy(t.Context(), ch); err != nil || o != (hub.Occupancy{}) {
		t.Errorf("an unknown channel: %+v, %v", o, err)
	}
	vacate(0, false, hub.Occupancy{})
	occupy(true, hub.Occupancy{Occupied: true, Sequence: first + 1, Version: 1})
	occupy(false, hub.Occupancy{Occupied: true, Sequence: first + 1, Version: 2})
	vacate(1, false, hub.Occupancy{Occupied: true, Sequence: first + 1, Version: 2})
	vacate(2, true, hub.Occupancy{Sequence: first + 2, Version: 2})
	vacate(2, false, hub.Occupancy{Sequence: first + 2, Version: 2})
	s.Clock.Advance(hub.OccupancyRetention + time.Hour) // expired, and not deleted yet
	occupy(true, hub.Occupancy{Occupied: true, Sequence: first + 3, Version: 3})

	later := channel("later")
	s.Clock.Advance(time.Hour)
	o, _, err := s.Occupy(t.Context(), later, s.Clock.Now())
	if err != nil || o.Sequence <= first+1000 {
		t.Errorf("what begins later has the number %d, %v", o.Sequence, err)
	}
}

func TestHasSubscriber(t *testing.T) {
	s := newRig(t)
	ch := channel("x")
	expect := func(what string, want bool) {
		t.Helper()
		if has, err := s.HasSubscriber(t.Context(), ch, 0); err != nil || has != want {
			t.Errorf("%s: %v, %v, want %v", what, has, err, want)
		}
	}
	expect("an empty channel", false)
	// So many that they are not read in the first request.
	for n := range 20 {
		id := fmt.Sprintf("a%02d", n)
		s.enter(t, id, "u")
		if err := s.HideSubscriptions(t.Context(), map[string][]hub.Place{id: {{Channel: ch}}}); err != nil {
			t.Fatal(err)
		}
	}
	expect("connections that are being closed", false)
	s.enter(t, "z", "u")
	s.subscribe(t, "z", map[hub.Channel]int{ch: 0})
	expect("a subscriber after those", true)
	if has, err := s.HasSubscriber(t.Context(), ch, 1); err != nil || has {
		t.Errorf("another shard: %v, %v", has, err)
	}
	s.Clock.Advance(hub.MaxConnectionAge + time.Second)
	expect("subscriptions that have expired", false)
}
