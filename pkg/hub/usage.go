package hub

import (
	"context"
	"fmt"
	"path"
	"strings"
	"time"
)

// The limits of what is read of a project's usage.
const (
	// MaxUsage is how many users and channels Usage tells apart, in memory.
	MaxUsage = 200_000
	// MaxChannelPage is how many channels Channels lists. With the longest names and JSON's
	// escapes they fit in the 6 MB that a Lambda may return.
	MaxChannelPage = 3000
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

// ChannelPage is a part of the channels that have subscribers, in the order of the bytes
// of "category:name".
type ChannelPage struct {
	// Subscribers counts the subscriptions of each channel.
	Subscribers map[Channel]int
	// More reports whether further channels follow.
	More bool
}

// Counted decides which subscriptions count, by their channel and by what their right rests
// on, and which connections, for the zero Channel. It is not called concurrently.
type Counted func(Channel, Basis) bool

// Usages counts what a project uses. It is for operators: each call reads the whole table.
// It counts what has not expired. It fails when ctx ends before everything was read, and
// never returns counts of a part of the table.
type Usages interface {
	// Usage counts connections, users and channels, within a bound: only a bound makes the
	// result partial. It fails with ErrLimitExceeded for more than MaxUsage users and
	// channels.
	Usage(ctx context.Context, project string, within Bound, counts Counted) (Usage, error)
	// Channels returns the first channels after "category:name" that count, at most limit.
	// "" is before all. It holds a multiple of limit in memory, however many there are.
	Channels(ctx context.Context, project, after string, limit int, counts Counted) (ChannelPage, error)
}

// Usage counts the connections of a project, and the subscriptions of the channels
// whose "category:name" matches pattern: shell wildcards as in path.Match, but "*"
// crosses slashes too; "" matches all. It reads the whole table. It fails with
// ErrBadRequest for a malformed pattern, and with ErrLimitExceeded for more than MaxUsage
// users and channels, whatever the pattern.
func (h *Hub) Usage(ctx context.Context, p *Project, pattern string) (Usage, error) {
	return h.UsageWithin(ctx, p, pattern, Bound{})
}

// UsageWithin is Usage of the part of the table that is read within the bound.
func (h *Hub) UsageWithin(ctx context.Context, p *Project, pattern string, within Bound) (Usage, error) {
	matches, err := glob(pattern)
	if err != nil {
		return Usage{}, err
	}
	return h.store.Usage(ctx, p.ID, within, p.counted(matches))
}

// counted counts connections that the project admits, and subscriptions whose right has not
// ended, in channels whose "category:name" matches. The feed is no channel of a client, and
// a former incarnation no channel any more.
func (p *Project) counted(matches func(string) bool) Counted {
	rule := p.rule()
	return func(ch Channel, b Basis) bool {
		switch {
		case ch == Channel{}:
			return rule.Admits(b)
		case ch.inFeed() || ch != p.Locate(ch) || !matches(ch.String()):
			return false
		}
		return rule.requiring(p.confirms(ch)).Admits(b)
	}
}

// Channels returns the channels that have subscribers and match a pattern, as in Usage:
// the first after "category:name", or of all where after is "". limit is from 1 to
// MaxChannelPage. It reads the whole table for each page. It fails with ErrBadRequest for a
// malformed pattern, and for a limit out of range.
func (h *Hub) Channels(ctx context.Context, p *Project, pattern, after string, limit int) (ChannelPage, error) {
	matches, err := glob(pattern)
	if err != nil {
		return ChannelPage{}, err
	}
	if limit < 1 || limit > MaxChannelPage {
		return ChannelPage{}, ErrBadRequest.With(fmt.Sprintf("limit is not from 1 to %d", MaxChannelPage))
	}
	return h.store.Channels(ctx, p.ID, after, limit, p.counted(matches))
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
