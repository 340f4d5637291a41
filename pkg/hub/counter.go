package hub

import (
	"context"
	"time"
)

// CountRetention is how long counts are kept.
const CountRetention = 26 * time.Hour

// Counts are the counts of a project in one minute.
type Counts struct {
	// Minute is when the minute began, in UTC.
	Minute time.Time
	// Messages counts those published or broadcast. Deliveries counts posts to
	// connections, including those of the feed: a frame with several messages is one.
	Messages, Deliveries int
}

// Counters count what projects send, for charts.
type Counters interface {
	// Count adds to the counts of a project in the minute of at. An implementation may
	// collect counts and write them later; its contract says how many may be lost. At
	// most one request.
	Count(ctx context.Context, project string, at time.Time, messages, deliveries int) error
	// Counted returns the counts of a project from the minute of since on, oldest
	// first, without the minutes in which nothing was sent.
	Counted(ctx context.Context, project string, since time.Time) ([]Counts, error)
}

// Counted returns what a project sent since a time, at most CountRetention ago, by
// minutes.
func (h *Hub) Counted(ctx context.Context, p *Project, since time.Time) ([]Counts, error) {
	return h.store.Counted(ctx, p.ID, since)
}
