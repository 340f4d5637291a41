package hub_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store/storetest"
)

// promise writes pings that expire in two hours.
func (r *rig) promise(t *testing.T, pings ...hub.Ping) {
	t.Helper()
	var g errgroup.Group
	g.SetLimit(16)
	for _, p := range pings {
		g.Go(func() error { return r.store.PutPing(t.Context(), p, r.now.Add(2*time.Hour)) })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

// pings are the pings in the table, by connection.
func (r *rig) pings(t *testing.T) map[string]hub.Ping {
	t.Helper()
	all := make(map[string]hub.Ping)
	for minutes := 1; minutes <= 8; minutes++ {
		for number := range 4 * minutes {
			for page, err := range r.store.Pings(t.Context(), hub.PingSlot{Minutes: minutes, Number: number}) {
				if err != nil {
					t.Fatal(err)
				}
				for _, p := range page {
					all[p.Connection] = p
				}
			}
		}
	}
	return all
}

// none is the hand of a sweep that has one batch.
func none(_ context.Context, pings []hub.Ping) error {
	return fmt.Errorf("%d pings are handed over", len(pings))
}

// TestPingsAreDue lets the clock run for half an hour: each connection gets its pings at equal
// distances.
func TestPingsAreDue(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	var all []hub.Ping
	for n := range 160 {
		all = append(all, hub.Ping{Connection: fmt.Sprintf("L%04dcOFvHcCIhw=", n*7919), Minutes: 1 + n%8})
	}
	r.promise(t, all...)
	at := make(map[string][]int) // the minutes of the pings, by connection
	for minute := range 30 {
		r.store.Requests.Sent()
		r.pinged = nil
		if err := r.SendDuePings(t.Context(), r.now, none); err != nil {
			t.Fatal(err)
		}
		if got := r.store.Requests.Sent(); got != "32 Query" {
			t.Errorf("minute %d costs %s, want 32 Query", minute, got)
		}
		for _, c := range r.pinged {
			at[c] = append(at[c], minute)
		}
		r.now = r.now.Add(time.Minute)
	}
	inFirst := 0
	for _, p := range all {
		var want []int
		if len(at[p.Connection]) > 0 {
			for minute := at[p.Connection][0]; minute < 30; minute += p.Minutes {
				want = append(want, minute)
			}
		}
		if len(want) == 0 || want[0] >= p.Minutes {
			t.Errorf("%s gets its first ping of %d minutes in minute %v", p.Connection, p.Minutes, want)
		}
		if d := cmp.Diff(want, at[p.Connection]); d != "" {
			t.Errorf("minutes of the pings of %+v (-want +got):\n%s", p, d)
		}
		if p.Minutes == 8 && len(want) > 0 && want[0] == 0 {
			inFirst++
		}
	}
	if inFirst == 0 || inFirst == 20 {
		t.Errorf("%d of 20 connections with eight minutes have the same minute", inFirst)
	}
}

// TestPingBatches sends more pings than one invocation does.
func TestPingBatches(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	var all []hub.Ping
	var connections []string
	for n := range 2001 {
		all = append(all, hub.Ping{Connection: fmt.Sprintf("c%04d", n), Minutes: 1})
		connections = append(connections, all[n].Connection)
	}
	r.promise(t, all...)
	var batches []int
	if err := r.SendDuePings(t.Context(), r.now, func(ctx context.Context, pings []hub.Ping) error {
		batches = append(batches, len(pings))
		return r.SendPings(ctx, r.now, pings)
	}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(r.pinged)
	if d := cmp.Diff(connections, r.pinged); d != "" || !slices.Equal(batches, []int{2000}) {
		t.Errorf("batches %v (-want +got):\n%s", batches, d)
	}

	// A batch that cannot be handed over stops neither the others nor the rest, and is reported.
	r.pinged = nil
	refused := errors.New("throttled")
	err := r.SendDuePings(t.Context(), r.now, func(context.Context, []hub.Ping) error { return refused })
	if !errors.Is(err, refused) || len(r.pinged) != 1 {
		t.Errorf("error %v, want %v; %d pings sent, want 1", err, refused, len(r.pinged))
	}
}

// TestPingSweepEnds has connections in every state when their ping is due.
func TestPingSweepEnds(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	r.now = time.Unix(1_800_000_000, 0)
	p, err := r.store.ReadProject(t.Context(), projectID)
	if err != nil {
		t.Fatal(err)
	}
	enter := func(id string, ends, told time.Time) {
		t.Helper()
		err := storetest.Enter(t.Context(), r.store.Store, hub.Connection{
			ID: id, Expires: r.now.Add(time.Hour), Project: projectID, Protocol: hub.Centrifugo, PingMinutes: 1, TokenExpires: ends,
			Channels: map[hub.Channel]int{p.Locate(in("room:x")[0]): 0},
		})
		if err != nil {
			t.Fatal(err)
		}
		r.promise(t, hub.Ping{Connection: id, Minutes: 1, Ends: told})
	}
	ago := func(d time.Duration) time.Time { return r.now.Add(-d) }
	enter("without an end", time.Time{}, time.Time{})
	enter("ends later", r.now.Add(time.Hour), r.now.Add(time.Hour))
	enter("has just ended", ago(24*time.Second), ago(24*time.Second))
	enter("ended", ago(25*time.Second), ago(25*time.Second))
	enter("renewed", r.now.Add(time.Hour), ago(25*time.Second))
	enter("renewed without an end", time.Time{}, ago(time.Hour))
	enter("gone", time.Time{}, time.Time{})
	r.promise(t, hub.Ping{Connection: "removed", Minutes: 1}, hub.Ping{Connection: "removed and ended", Minutes: 1, Ends: ago(time.Hour)})
	r.gone = []string{"gone", "removed"}
	r.store.Requests.Sent()
	sweep := func() {
		t.Helper()
		r.pinged = nil
		if err := r.SendDuePings(t.Context(), r.now, none); err != nil {
			t.Fatal(err)
		}
		slices.Sort(r.pinged)
	}
	open := []string{"ends later", "has just ended", "renewed", "renewed without an end", "without an end"}
	sweep()
	if d := cmp.Diff(open, r.pinged); d != "" {
		t.Errorf("pings (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"ended"}, r.disconnected); d != "" {
		t.Errorf("disconnected (-want +got):\n%s", d)
	}
	for _, id := range []string{"ended", "gone"} {
		if _, err := r.store.Connection(t.Context(), id); !errors.Is(err, hub.ErrConnectionNotFound) {
			t.Errorf("%s: error %v, want %v", id, err, hub.ErrConnectionNotFound)
		}
		if !slices.ContainsFunc(r.announced, func(line string) bool { return strings.HasPrefix(line, "leave room:x "+id+" to ") }) {
			t.Errorf("the leave of %s is not among %q", id, r.announced)
		}
	}
	want := map[string]hub.Ping{}
	for id, ends := range map[string]time.Time{
		"without an end": {}, "ends later": r.now.Add(time.Hour), "has just ended": ago(24 * time.Second), "renewed": r.now.Add(time.Hour), "renewed without an end": {},
	} {
		want[id] = hub.Ping{Connection: id, Minutes: 1, Ends: ends}
	}
	if d := cmp.Diff(want, r.pings(t)); d != "" {
		t.Errorf("pings afterwards (-want +got):\n%s", d)
	}

	// What was found is not found again.
	r.disconnected = nil
	r.store.Requests.Sent()
	sweep()
	if d := cmp.Diff(open, r.pinged); d != "" || r.disconnected != nil {
		t.Errorf("disconnected %v, pings (-want +got):\n%s", r.disconnected, d)
	}
	if got := r.store.Requests.Sent(); got != "32 Query" {
		t.Errorf("the second sweep costs %s, want 32 Query", got)
	}
}

func TestPingsThatFail(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	r.promise(t, hub.Ping{Connection: "c1", Minutes: 1})
	r.failure = errors.New("no answer")
	if err := r.SendDuePings(t.Context(), r.now, none); !errors.Is(err, r.failure) {
		t.Errorf("error %v, want %v", err, r.failure)
	}
	r.failure, r.pinged = nil, nil
	r.store.Requests.Sent()
	if err := r.SendDuePings(t.Context(), r.now.Add(-2*time.Minute-1), none); err != nil || r.store.Requests.Sent() != "" || r.pinged != nil {
		t.Errorf("late pings: error %v, sent to %v", err, r.pinged)
	}
	if err := r.SendPings(t.Context(), r.now.Add(-2*time.Minute-1), []hub.Ping{{Connection: "c1", Minutes: 1}}); err != nil || r.pinged != nil {
		t.Errorf("late batch: error %v, sent to %v", err, r.pinged)
	}
}

func TestSupports(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{}) // of a deployment without pings
	every := func(d time.Duration) hub.ProjectOptions { return hub.ProjectOptions{PingInterval: hub.Duration(d)} }
	for name, c := range map[string]struct {
		set, inForce hub.ProjectOptions
		refused      bool
	}{
		"a ping interval":                      {every(time.Minute), every(0), true},
		"another ping interval":                {every(time.Minute), every(2 * time.Minute), true},
		"the ping interval that it has":        {every(time.Minute), every(time.Minute), false},
		"no ping interval":                     {every(0), every(time.Minute), false},
		"other options of one without any":     {hub.ProjectOptions{Insecure: true}, every(0), false},
		"other options of one that has pinged": {hub.ProjectOptions{Insecure: true}, every(time.Minute), false},
	} {
		if err := r.Supports(c.set, c.inForce); errors.Is(err, hub.ErrBadRequest) != c.refused || err != nil && !strings.Contains(err.Error(), "PINGS=true") {
			t.Errorf("%s: error %v, refused %v", name, err, c.refused)
		}
	}
}
