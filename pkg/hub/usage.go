package hub

import (
	"context"
	"path"
	"strings"
	"time"
)

// Usage counts what a project uses at one moment.
type Usage struct {
	// Clients are authenticated connections.
	Clients int
	// Users counts the connections of each named user.
	Users map[string]int
	// Subscribers counts the subscriptions of each channel that has any.
	Subscribers map[Channel]int
	// Partial is set where a Bound ended the reading: the counts are too low.
	Partial bool
}

// Bound limits how much of the table is read. A limit of 0 is none.
type Bound struct {
	// Items is the number of items that are read, of all projects and kinds. A few more
	// may be read.
	Items int
	// Time is the duration of the reading.
	Time time.Duration
}

// Usages counts what a project uses. It is for operators: it reads the whole table.
type Usages interface {
	// Usage counts what has not expired. It fails when ctx ends before everything
	// within the bound was read. Only a bound makes the result partial.
	Usage(ctx context.Context, project string, within Bound) (Usage, error)
}

// Usage counts the connections of a project, and the subscriptions of the channels
// whose "category:name" matches pattern: shell wildcards as in path.Match, but "*"
// crosses slashes too; "" matches all. It reads the whole table. It fails with
// ErrBadRequest for a malformed pattern.
func (h *Hub) Usage(ctx context.Context, p *Project, pattern string) (Usage, error) {
	return h.UsageWithin(ctx, p, pattern, Bound{})
}

// UsageWithin is Usage of the part of the table that is read within the bound.
func (h *Hub) UsageWithin(ctx context.Context, p *Project, pattern string, within Bound) (Usage, error) {
	matches, err := glob(pattern)
	if err != nil {
		return Usage{}, err
	}
	usage, err := h.store.Usage(ctx, p.ID, within)
	if err != nil {
		return Usage{}, err
	}
	for ch := range usage.Subscribers {
		// The feed is no channel of a client, and a former incarnation no channel any more.
		if ch.inFeed() || ch != p.Locate(ch) || !matches(ch.String()) {
			delete(usage.Subscribers, ch)
		}
	}
	return usage, nil
}

// glob compiles a pattern.
func glob(pattern string) (func(string) bool, error) {
	if pattern == "" {
		return func(string) bool { return true }, nil
	}
	// path.Match stops "*" at a slash; channel names have no hierarchy.
	flat := func(s string) string { return strings.ReplaceAll(s, "/", "\x00") }
	if _, err := path.Match(flat(pattern), ""); err != nil || len(pattern) > MaxNameBytes {
		return nil, ErrBadRequest.With("pattern is not a shell pattern of at most 255 bytes")
	}
	return func(s string) bool {
		ok, _ := path.Match(flat(pattern), flat(s))
		return ok
	}, nil
}
