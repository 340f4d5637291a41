package store_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store"
)

func counts(minute time.Time, messages, deliveries int) hub.Counts {
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
		name  string
		given []count
		want  []hub.Counts
	}{
		{"first message", []count{{at(0), 1, 10}}, []hub.Counts{counts(minute, 1, 10)}},
		{"second message within a second", []count{{at(0), 1, 10}, {at(0.9), 1, 5}}, []hub.Counts{counts(minute, 1, 10)}},
		{"third message after a second", []count{{at(0), 1, 10}, {at(0.5), 1, 5}, {at(0.9), 1, 5}, {at(1), 1, 1}}, []hub.Counts{counts(minute, 4, 21)}},
		{"next minute", []count{{at(59.5), 1, 1}, {at(59.9), 1, 1}, {at(61), 1, 1}}, []hub.Counts{counts(minute, 1, 1), counts(minute.Add(time.Minute), 2, 2)}},
		{"minute without messages", []count{{at(0), 1, 1}, {at(120), 1, 1}}, []hub.Counts{counts(minute, 1, 1), counts(minute.Add(2*time.Minute), 1, 1)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newRig(t)
			s.Clock.Advance(minute.Sub(s.Clock.Now()))
			for _, c := range tt.given {
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

func TestCountedFilter(t *testing.T) {
	s := newRig(t)
	now := s.Clock.Now().UTC().Truncate(time.Minute)
	for _, project := range []string{"p", "p#", "q"} {
		counting := s.Another(store.Options{})
		for hours := range 30 {
			if err := counting.Count(t.Context(), project, now.Add(time.Duration(hours-29)*time.Hour), 1, hours); err != nil {
				t.Fatal(err)
			}
		}
	}
	got, err := s.Counted(t.Context(), "p", now.Add(-2*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "last two hours", got, []hub.Counts{counts(now.Add(-2*time.Hour), 1, 27), counts(now.Add(-time.Hour), 1, 28), counts(now, 1, 29)})
	got, err = s.Counted(t.Context(), "p", now.Add(-100*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "hours kept", len(got), 26)
}

func TestCountAfterError(t *testing.T) {
	s := newRig(t)
	now := s.Clock.Now()
	// The end of the context ends the SDK's retries, which wait for seconds.
	ctx, cancel := context.WithCancel(t.Context())
	s.Requests.Intercept = func(string, *http.Request) (*http.Response, error) { cancel(); return nil, ctx.Err() }
	if err := s.Count(ctx, "p", now, 1, 10); err == nil {
		t.Fatal("no error")
	}
	s.Requests.Intercept = nil
	if err := s.Count(t.Context(), "p", now.Add(time.Second), 1, 1); err != nil {
		t.Fatal(err)
	}
	got, err := s.Counted(t.Context(), "p", now)
	if err != nil || len(got) == 0 {
		t.Fatalf("%v, error %v", got, err)
	}
	same(t, "messages and deliveries", []int{got[len(got)-1].Messages, got[len(got)-1].Deliveries}, []int{2, 11})
}

func TestCountConcurrently(t *testing.T) {
	s := newRig(t)
	now := s.Clock.Now()
	var g sync.WaitGroup
	for range 10 {
		g.Go(func() {
			if err := s.Another(store.Options{}).Count(t.Context(), "p", now, 1, 3); err != nil {
				t.Error(err)
			}
		})
	}
	g.Wait()
	got, err := s.Counted(t.Context(), "p", now)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "counts", got, []hub.Counts{counts(now.UTC().Truncate(time.Minute), 10, 30)})
}

func TestTally(t *testing.T) {
	s := newRig(t)
	until := s.Clock.Now().Add(time.Hour)
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
