package admin

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/hub"
)

// at returns a time of a fixed day, or with a "-" of the day before.
func at(t *testing.T, clock string) time.Time {
	t.Helper()
	day := "2026-03-01 "
	if rest, before := strings.CutPrefix(clock, "-"); before {
		day, clock = "2026-02-28 ", rest
	}
	moment, err := time.Parse("2006-01-02 15:04:05", day+clock)
	if err != nil {
		t.Fatal(err)
	}
	return moment
}

func TestChartBars(t *testing.T) {
	type count struct {
		clock    string
		messages int
	}
	for _, tt := range []struct {
		name, span, now string
		counts          []count
		// want are the start times of the bars that are not empty, with their messages.
		want map[string]int
	}{
		{
			name: "an hour is sixty minutes, including the current one", span: "hour", now: "12:30:15",
			counts: []count{{"11:30:00", 1}, {"11:31:00", 2}, {"12:29:00", 4}, {"12:30:00", 8}},
			want:   map[string]int{"11:31": 2, "12:29": 4, "12:30": 8},
		},
		{
			name: "an hour crosses midnight and the end of a month", span: "hour", now: "00:05:00",
			counts: []count{{"-23:05:00", 1}, {"-23:06:00", 2}, {"-23:59:00", 4}, {"00:00:00", 8}, {"00:05:00", 16}},
			want:   map[string]int{"23:06": 2, "23:59": 4, "00:00": 8, "00:05": 16},
		},
		{
			name: "a day has quarters of an hour", span: "day", now: "12:31:00",
			counts: []count{{"-12:44:00", 1}, {"-12:45:00", 2}, {"-12:59:00", 4}, {"11:59:00", 8}, {"12:00:00", 16}, {"12:14:00", 32}, {"12:31:00", 64}},
			want:   map[string]int{"12:45": 6, "11:45": 8, "12:00": 48, "12:30": 64},
		},
		{
			name: "counts come in any order and with gaps", span: "hour", now: "12:30:00",
			counts: []count{{"12:29:00", 4}, {"12:00:00", 1}, {"12:29:00", 2}},
			want:   map[string]int{"12:00": 1, "12:29": 6},
		},
		{
			name: "a count after now is ignored", span: "hour", now: "12:30:00",
			counts: []count{{"12:31:00", 1}},
			want:   map[string]int{},
		},
		{name: "no counts", span: "day", now: "00:00:00", want: map[string]int{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var counts []hub.Counts
			for _, c := range tt.counts {
				counts = append(counts, hub.Counts{Minute: at(t, c.clock), Messages: c.messages, Deliveries: 3 * c.messages})
			}
			s := spanOf(tt.span)
			now := at(t, tt.now)
			got := make(map[string]int)
			bars := s.bars(counts, now)
			for i, b := range bars {
				if b.Deliveries != 3*b.Messages {
					t.Errorf("%v: %d messages, %d deliveries", b.Start, b.Messages, b.Deliveries)
				}
				if b.Messages > 0 {
					got[b.Start.Format("15:04")] = b.Messages
				}
				if i > 0 && !b.Start.Equal(bars[i-1].End) {
					t.Errorf("bar %d starts at %v, the previous one ends at %v", i, b.Start, bars[i-1].End)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-expected +got:\n%s", diff)
			}
			last := bars[len(bars)-1]
			if len(bars) != s.Bars || last.Start.After(now) || !last.End.After(now) {
				t.Errorf("%d bars, the last from %v to %v", len(bars), last.Start, last.End)
			}
		})
	}
	t.Run("the time zone of the clock does not matter", func(t *testing.T) {
		zone := time.FixedZone("half past", 5*3600+1800)
		if got := spanOf("day").first(at(t, "12:31:00").In(zone)); !got.Equal(at(t, "-12:45:00")) || got.Location() != time.UTC {
			t.Errorf("the first bar starts at %v", got)
		}
	})
}

func TestChartSpans(t *testing.T) {
	for _, s := range spans {
		t.Run("counts are kept longer than the last "+s.Name, func(t *testing.T) {
			if length := time.Duration(s.Bars) * s.Width; length > hub.CountRetention || spanOf(s.Name).Title != s.Title {
				t.Errorf("%v, counts are kept for %v", length, hub.CountRetention)
			}
		})
	}
	t.Run("an unknown span is the hour", func(t *testing.T) {
		if got := spanOf("year").Name; got != "hour" {
			t.Errorf("got %s", got)
		}
	})
}

func TestChartDrawing(t *testing.T) {
	s := span{Name: "hour", Bars: 4, Width: time.Minute}
	bars := s.bars([]hub.Counts{
		{Minute: at(t, "12:00:00"), Messages: 1500},
		{Minute: at(t, "12:02:00"), Messages: 1},
		{Minute: at(t, "12:03:00"), Messages: 750},
	}, at(t, "12:03:59"))

	t.Run("the height of a bar is its count, with a visible minimum", func(t *testing.T) {
		want := chart{
			Name: "messages", Title: "Messages", Total: "2,251", Top: "2,000", Middle: "1,000", Width: 960, Height: 120, Lines: []string{"0.00", "60.00", "120.00"},
			Rects: []rect{
				{X: "24.00", Y: "30.00", Width: "192.00", Height: "90.00", Title: "12:00 UTC: 1,500"},
				{X: "504.00", Y: "118.50", Width: "192.00", Height: "1.50", Title: "12:02 UTC: 1"},
				{X: "744.00", Y: "75.00", Width: "192.00", Height: "45.00", Title: "12:03 UTC: 750"},
			},
		}
		if diff := cmp.Diff(want, draw("messages", "Messages", s, bars, func(b bar) int { return b.Messages })); diff != "" {
			t.Errorf("-expected +got:\n%s", diff)
		}
	})
	t.Run("a chart without counts has no bars", func(t *testing.T) {
		want := chart{Name: "deliveries", Title: "Deliveries", Total: "0", Top: "1", Width: 960, Height: 120, Lines: []string{"0.00", "120.00"}}
		if diff := cmp.Diff(want, draw("deliveries", "Deliveries", s, bars, func(b bar) int { return b.Deliveries })); diff != "" {
			t.Errorf("-expected +got:\n%s", diff)
		}
	})
	t.Run("a bar of a quarter of an hour has a start and an end", func(t *testing.T) {
		b := bar{Start: at(t, "-23:45:00"), End: at(t, "00:00:00")}
		if got := spanOf("day").when(b); got != "Feb 28, 23:45–00:00 UTC" {
			t.Errorf("got %s", got)
		}
	})
}

func TestChartAxis(t *testing.T) {
	for n, want := range map[int]int{0: 1, 1: 1, 2: 2, 3: 4, 5: 6, 7: 8, 9: 10, 10: 10, 11: 20, 41: 60, 99: 100, 100: 100, 1001: 2000, 1 << 62: 1 << 62} {
		if got := axis(n); got != want {
			t.Errorf("axis(%d) is %d, expected %d", n, got, want)
		}
	}
}

func TestNumberGroups(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 123456: "123,456", 1234567: "1,234,567"} {
		if got := group(n); got != want {
			t.Errorf("group(%d) is %s, expected %s", n, got, want)
		}
	}
}
