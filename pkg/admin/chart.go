package admin

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"centrifuge/pkg/hub"
)

// span is a period that ends now, in bars.
type span struct {
	// Name is its value in a URL.
	Name, Title string
	Bars        int
	Width       time.Duration
	// Ticks are the labels of the time axis, evenly spaced from the oldest bar to now.
	Ticks []string
}

// spans are the spans of the chart. The first one is the default.
var spans = []span{
	{Name: "hour", Title: "Last hour", Bars: 60, Width: time.Minute, Ticks: []string{"1 h ago", "45 min", "30 min", "15 min", "now"}},
	{Name: "day", Title: "Last day", Bars: 96, Width: 15 * time.Minute, Ticks: []string{"24 h ago", "18 h", "12 h", "6 h", "now"}},
}

// spanOf returns the span of this name, or the default.
func spanOf(name string) span {
	for _, s := range spans {
		if s.Name == name {
			return s
		}
	}
	return spans[0]
}

// first is the start of the oldest bar. The newest bar contains now. Bars start at
// whole multiples of their width.
func (s span) first(now time.Time) time.Time {
	return now.UTC().Truncate(s.Width).Add(-time.Duration(s.Bars-1) * s.Width)
}

// bar is the traffic in one part of a span.
type bar struct {
	Start, End           time.Time
	Messages, Deliveries int
}

// bars adds up counts into the bars of the span that ends now. Counts come in any order
// and with gaps. Counts before the span are ignored, and so are counts after it, made by
// a clock that is ahead.
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

// The size of a plot in the units of its SVG. The SVG is stretched to the width of the
// page, so labels are outside of it.
const (
	plotWidth  = 960
	plotHeight = 120
	// gapShare is the part of a bar's width that stays empty.
	gapShare = 0.2
)

// chart is the drawing of one quantity over a span.
type chart struct {
	Name, Title string
	Total       string
	// Top and Middle label the top and the middle of the vertical axis. Middle is ""
	// where it would not be a whole number.
	Top, Middle   string
	Width, Height int
	// Lines are the vertical positions of the grid lines.
	Lines []string
	Rects []rect
}

// rect is a bar of the plot. Strings are coordinates.
type rect struct {
	X, Y, Width, Height string
	Title               string
}

// draw makes the chart of one quantity. It leaves out empty bars.
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
		// A single message among a million must be visible.
		height := max(float64(n)/float64(top)*plotHeight, 1.5)
		c.Rects = append(c.Rects, rect{
			X: coordinate((float64(i) + gapShare/2) * place), Y: coordinate(plotHeight - height),
			Width: coordinate((1 - gapShare) * place), Height: coordinate(height),
			Title: fmt.Sprintf("%s: %s", s.when(b), group(n)),
		})
	}
	return c
}

// axis is the top of a vertical axis for n: the smallest number not below n that is 1,
// 2, 4, 6 or 8 times a power of ten.
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

// when is the time of a bar for people, in UTC as in AWS's own graphs.
func (s span) when(b bar) string {
	if s.Width == time.Minute {
		return b.Start.Format("15:04 UTC")
	}
	return b.Start.Format("Jan 2, 15:04–") + b.End.Format("15:04 UTC")
}

func coordinate(f float64) string { return strconv.FormatFloat(f, 'f', 2, 64) }

// group formats a number with a comma between groups of three digits.
func group(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
