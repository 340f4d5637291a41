package hub

import (
	"context"
	"fmt"
	"path"
	"strings"
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
}

// ChannelPage is a part of the channels that have subscribers, in the order of the bytes
// of "category:name".
type ChannelPage struct {
	// Subscribers counts the subscriptions of each channel.
	Subscribers map[Channel]int
	// More reports whether further channels follow.
	More bool
}

// Usages counts what a project uses. It is for operators: each call reads the whole table.
// It counts what has not expired. It fails when ctx ends before everything was read, and
// never returns counts of a part of the table.
type Usages interface {
	// Usage counts connections, users and channels. It fails with ErrLimitExceeded for more
	// than MaxUsage users and channels.
	Usage(ctx context.Context, project string) (Usage, error)
	// Channels returns the first channels after "category:name" that match, at most limit.
	// "" is before all. It holds a multiple of limit in memory, however many there are.
	// matches may be called concurrently.
	Channels(ctx context.Context, project, after string, limit int, matches func(Channel) bool) (ChannelPage, error)
}

// Usage counts the connections of a project, and the subscriptions of the channels
// whose "category:name" matches pattern: shell wildcards as in path.Match, but "*"
// crosses slashes too; "" matches all. It reads the whole table. It fails with
// ErrBadRequest for a malformed pattern, and with ErrLimitExceeded for more than MaxUsage
// users and channels, whatever the pattern.
func (h *Hub) Usage(ctx context.Context, p *Project, pattern string) (Usage, error) {
	matches, err := glob(pattern)
	if err != nil {
		return Usage{}, err
	}
	usage, err := h.store.Usage(ctx, p.ID)
	if err != nil {
		return Usage{}, err
	}
	usage = withoutFeed(usage, p.ID)
	for ch := range usage.Subscribers {
		if !matches(ch.String()) {
			delete(usage.Subscribers, ch)
		}
	}
	return usage, nil
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
	feed := Feed(p.ID)
	return h.store.Channels(ctx, p.ID, after, limit, func(ch Channel) bool { return ch != feed && matches(ch.String()) })
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
