package admin

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"centrifuge/pkg/hub"
)

// span is a stretch of time up to now, in bars.
type span struct {
	// Name is what the address calls it; Stretch comes after "in the".
	Name, Title, Stretch string
	Bars                 int
	Width                time.Duration
	// Ticks are what is written below, evenly spread from the oldest bar to now.
	Ticks []string
}

// The spans of the chart, the first of which is the default.
var spans = []span{
	{Name: "hour", Title: "Last hour", Stretch: "last hour", Bars: 60, Width: time.Minute, Ticks: []string{"1 h ago", "45 min", "30 min", "15 min", "now"}},
	{Name: "day", Title: "Last day", Stretch: "last day", Bars: 96, Width: 15 * time.Minute, Ticks: []string{"24 h ago", "18 h", "12 h", "6 h", "now"}},
}

// spanOf finds a span by its name; the default answers to any other.
func spanOf(name string) span {
	for _, s := range spans {
		if s.Name == name {
			return s
		}
	}
	return spans[0]
}

// first is when the oldest bar begins. The newest holds now; bars begin at whole
// multiples of their width.
func (s span) first(now time.Time) time.Time {
	return now.UTC().Truncate(s.Width).Add(-time.Duration(s.Bars-1) * s.Width)
}

// bar is what was counted in one stretch of a span.
type bar struct {
	Start, End           time.Time
	Messages, Deliveries int
}

// bars adds counts up, in any order and with gaps, to the bars of the span that
// ends at now. What was counted before it, or after now's bar by a clock that is
// ahead, is not in it.
func (s span) bars(counts []hub.Counts, now time.Time) []bar {
	first := s.first(now)
	bars := make([]bar, s.Bars)
	for i := range bars {
		bars[i].Start = first.Add(time.Duration(i) * s.Width)
		bars[i].End = bars[i].Start.Add(s.Width)
	}
	for _, c := range counts {
		since := c.Minute.Sub(first)
		if since < 0 {
			continue
		}
		if i := int(since / s.Width); i < len(bars) {
			bars[i].Messages += c.Messages
			bars[i].Deliveries += c.Deliveries
		}
	}
	return bars
}

// The plot of a chart in the units of its SVG, which is stretched to the width of
// the page: labels are beside it, where they keep their form.
const (
	plotWidth  = 960
	plotHeight = 120
	// gapShare is how much of a bar's place stays empty.
	gapShare = 0.2
)

// chart is one quantity over a span, as the page draws it.
type chart struct {
	Name, Title string
	Total       string
	// Top and Middle label the upper end and the middle of the vertical axis; Middle
	// is "" where it would not be a whole number.
	Top, Middle   string
	Width, Height int
	// Lines are where the grid has one.
	Lines []string
	Rects []rect
}

// rect is a bar of the plot. Strings are coordinates.
type rect struct {
	X, Y, Width, Height string
	Title               string
}

// draw makes the chart of one quantity. Bars of nothing are left out.
func draw(name, title string, s span, bars []bar, of func(bar) int) chart {
	total, largest := 0, 0
	for _, b := range bars {
		total += of(b)
		largest = max(largest, of(b))
	}
	top := axis(largest)
	c := chart{Name: name, Title: title, Total: group(total), Top: group(top), Width: plotWidth, Height: plotHeight,
		Lines: []string{coordinate(0), coordinate(plotHeight)}}
	if top%2 == 0 {
		c.Middle = group(top / 2)
		c.Lines = slices.Insert(c.Lines, 1, coordinate(plotHeight/2))
	}
	place := float64(plotWidth) / float64(len(bars))
	for i, b := range bars {
		n := of(b)
		if n <= 0 {
			continue
		}
		// One message among a million is seen, too.
		height := max(float64(n)/float64(top)*plotHeight, 1.5)
		c.Rects = append(c.Rects, rect{
			X: coordinate((float64(i) + gapShare/2) * place), Y: coordinate(plotHeight - height),
			Width: coordinate((1 - gapShare) * place), Height: coordinate(height),
			Title: fmt.Sprintf("%s: %s", s.when(b), group(n)),
		})
	}
	return c
}

// axis is the number at which a vertical axis ends: the smallest of 1, 2, 4, 6, 8
// and 10 times a power of ten that is not below n.
func axis(n int) int {
	for power := 1; power <= math.MaxInt/10; power *= 10 {
		for _, step := range []int{1, 2, 4, 6, 8} {
			if n <= step*power {
				return step * power
			}
		}
	}
	return n
}

// when is the stretch of a bar for people, in UTC as AWS's own graphs are.
func (s span) when(b bar) string {
	if s.Width == time.Minute {
		return b.Start.Format("15:04 UTC")
	}
	return b.Start.Format("Jan 2, 15:04–") + b.End.Format("15:04 UTC")
}

func coordinate(f float64) string { return strconv.FormatFloat(f, 'f', 2, 64) }

// group writes a number with a comma between groups of three digits.
func group(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
