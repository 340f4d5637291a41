package admin

import (
	"net/http"
	"slices"
	"time"

	"centrifuge/pkg/hub"
)

// chartData is the data of chart.html and of the template "chart".
type chartData struct {
	Spans  []span
	Span   span
	Charts []chart
	// Rows are the bars that are not empty, newest first.
	Rows []chartRow
	// At is the time of the counts.
	At time.Time
}

type chartRow struct{ When, Messages, Deliveries string }

// chartPage handles GET /admin/projects/{project}/chart?span=hour|day. With ?part it
// renders only the chart, which a script inserts into a page.
func (s *site) chartPage(w http.ResponseWriter, r *http.Request) {
	p, ok := s.project(w, r)
	if !ok {
		return
	}
	span, now := spanOf(r.URL.Query().Get("span")), s.Now()
	counts, err := s.Hub.Counted(r.Context(), p, span.first(now))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	d := newChartData(span, counts, now)
	if r.URL.Query().Has("part") {
		s.execute(w, r, http.StatusOK, "chart.html", "chart", d)
		return
	}
	s.render(w, r, http.StatusOK, "chart.html", d)
}

func newChartData(s span, counts []hub.Counts, now time.Time) chartData {
	bars := s.bars(counts, now)
	d := chartData{Spans: spans, Span: s, At: now.UTC(), Charts: []chart{
		draw("messages", "Messages", s, bars, func(b bar) int { return b.Messages }),
		draw("deliveries", "Deliveries", s, bars, func(b bar) int { return b.Deliveries }),
	}}
	for _, b := range slices.Backward(bars) {
		if b.Messages > 0 || b.Deliveries > 0 {
			d.Rows = append(d.Rows, chartRow{s.when(b), group(b.Messages), group(b.Deliveries)})
		}
	}
	return d
}
