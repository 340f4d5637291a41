package hub

import (
	"context"
	"time"
)

// CountedFor is how long counts are kept.
const CountedFor = 26 * time.Hour

// Counts is what a project sent within a minute.
type Counts struct {
	// Minute is when the minute began, in UTC.
	Minute time.Time
	// Messages were published or broadcast, Deliveries posted to connections, those
	// of the Feed among them.
	Messages, Deliveries int
}

// Counters count what projects send, for charts.
type Counters interface {
	// Count adds to the counts of a project in the minute of at. Implementations may
	// gather counts and write them later; how many may get lost by that is part of
	// their contract. At most one request.
	Count(ctx context.Context, project string, at time.Time, messages, deliveries int) error
	// Counted returns the counts of a project from the minute of since on, oldest
	// first, without the minutes in which nothing was sent.
	Counted(ctx context.Context, project string, since time.Time) ([]Counts, error)
}

// Counted returns what a project sent since a time, at most CountedFor ago, by
// minutes.
func (h *Hub) Counted(ctx context.Context, p *Project, since time.Time) ([]Counts, error) {
	return h.Counters.Counted(ctx, p.ID, since)
}
