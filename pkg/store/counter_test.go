package store

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"centrifuge/pkg/hub"
)

func in(minute time.Time, messages, deliveries int) hub.Counts {
	return hub.Counts{Minute: minute, Messages: messages, Deliveries: deliveries}
}

func TestCount(t *testing.T) {
	minute := time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC)
	at := func(seconds float64) time.Time { return minute.Add(time.Duration(seconds * float64(time.Second))) }
	type count struct {
		at                   time.Time
		messages, deliveries int
	}
	for _, tt := range []struct {
		name   string
		counts []count
		want   []hub.Counts
	}{
		{"one is written at once", []count{{at(0), 1, 10}}, []hub.Counts{in(minute, 1, 10)}},
		{"what comes within a second is held back", []count{{at(0), 1, 10}, {at(0.9), 1, 5}}, []hub.Counts{in(minute, 1, 10)}},
		{"and written with the next", []count{{at(0), 1, 10}, {at(0.5), 1, 5}, {at(0.9), 1, 5}, {at(1), 1, 1}}, []hub.Counts{in(minute, 4, 21)}},
		{"to whose minute it is added", []count{{at(59.5), 1, 1}, {at(59.9), 1, 1}, {at(61), 1, 1}}, []hub.Counts{in(minute, 1, 1), in(minute.Add(time.Minute), 2, 2)}},
		{"a minute in which nothing was sent is left out", []count{{at(0), 1, 1}, {at(120), 1, 1}}, []hub.Counts{in(minute, 1, 1), in(minute.Add(2*time.Minute), 1, 1)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t)
			s.clock.now = minute
			for _, c := range tt.counts {
				if err := s.Count(t.Context(), "p", c.at, c.messages, c.deliveries); err != nil {
					t.Fatal(err)
				}
			}
			got, err := s.Counted(t.Context(), "p", minute)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "counts", got, tt.want)
		})
	}
}

func TestCountedIsOfOneProjectAndItsTime(t *testing.T) {
	s := newStage(t)
	now := s.clock.Now().UTC().Truncate(time.Minute)
	for _, project := range []string{"p", "p#", "q"} {
		for hours := range 30 {
			if err := s.Count(t.Context(), project, now.Add(time.Duration(hours-29)*time.Hour), 1, hours); err != nil {
				t.Fatal(err)
			}
			s.counts.pending = make(map[string]pending) // the clock goes backwards for the next project
		}
	}
	got, err := s.Counted(t.Context(), "p", now.Add(-2*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the last two hours", got, []hub.Counts{in(now.Add(-2*time.Hour), 1, 27), in(now.Add(-time.Hour), 1, 28), in(now, 1, 29)})
	got, err = s.Counted(t.Context(), "p", now.Add(-100*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "how many hours are kept", len(got), 26)
}

func TestWhatCouldNotBeCountedIsCountedLater(t *testing.T) {
	s := newStage(t)
	now := s.clock.Now()
	// The SDK's own attempts wait seconds; this context ends them.
	ctx, cancel := context.WithCancel(t.Context())
	s.wire.tamper = func(string, *http.Request) (*http.Response, error) { cancel(); return nil, ctx.Err() }
	if err := s.Count(ctx, "p", now, 1, 10); err == nil {
		t.Fatal("no error")
	}
	s.wire.tamper = nil
	if err := s.Count(t.Context(), "p", now.Add(time.Second), 1, 1); err != nil {
		t.Fatal(err)
	}
	got, err := s.Counted(t.Context(), "p", now)
	if err != nil || len(got) == 0 {
		t.Fatalf("%v, error %v", got, err)
	}
	same(t, "messages and deliveries", []int{got[len(got)-1].Messages, got[len(got)-1].Deliveries}, []int{2, 11})
}

func TestStoresCountTogether(t *testing.T) {
	s := newStage(t)
	now := s.clock.Now()
	var g sync.WaitGroup
	for range 10 {
		g.Go(func() {
			if err := s.another(Options{}).Count(t.Context(), "p", now, 1, 3); err != nil {
				t.Error(err)
			}
		})
	}
	g.Wait()
	got, err := s.Counted(t.Context(), "p", now)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "counts", got, []hub.Counts{in(now.UTC().Truncate(time.Minute), 10, 30)})
}

func TestTally(t *testing.T) {
	s := newStage(t)
	until := s.clock.Now().Add(time.Hour)
	for _, step := range []struct {
		name     string
		by, want int
	}{{"a", 1, 1}, {"a", 2, 3}, {"b", 5, 5}, {"a", 0, 3}, {"c", 0, 0}, {"a#", 1, 1}} {
		got, err := s.Tally(t.Context(), step.name, step.by, until)
		if err != nil {
			t.Fatal(err)
		}
		same(t, step.name, got, step.want)
	}
}
