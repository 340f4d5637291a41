package cent

import (
	"context"
	"encoding/json"
	"time"
)

// Position is a place in the stream of a channel: that of the publication at Offset, or
// with Offset 0 the place before the first one.
type Position struct {
	Offset uint64 `json:"offset"`
	Epoch  string `json:"epoch"`
}

// Publication is a message in a stream.
type Publication struct {
	Data json.RawMessage `json:"data"`
	// Info is the client that published the message, nil where an application did.
	Info   *Publisher        `json:"info,omitempty"`
	Offset uint64            `json:"offset"`
	Tags   map[string]string `json:"tags,omitempty"`
	// EventID identifies the message.
	EventID string `json:"event_id"`
	// Milliseconds is when it was published, since 1970.
	Milliseconds int64 `json:"time"`
}

// Time is when the message was published.
func (p Publication) Time() time.Time { return time.UnixMilli(p.Milliseconds) }

// Publisher is the client that published a message.
type Publisher struct {
	User        string          `json:"user"`
	Client      string          `json:"client"`
	Info        json.RawMessage `json:"conn_info,omitempty"`
	ChannelInfo json.RawMessage `json:"chan_info,omitempty"`
}

// HistoryOptions select publications.
type HistoryOptions struct {
	// Since is a position that they follow, or precede with Reverse; nil for all.
	Since *Position
	// Limit is how many are returned at most: 0 for none, negative for as many as Centrifuge
	// allows, which is 300.
	Limit int
	// Reverse returns the newest first.
	Reverse bool
}

// History returns publications of a channel whose category keeps history, and the position of
// the newest one. A refusal is an *Error: CodeCategoryNotFound, CodeBadRequest,
// CodeNotAvailable where the category keeps none, CodeUnrecoverablePosition where the epoch of
// Since is not that of the stream.
func (c *Client) History(ctx context.Context, channel string, o HistoryOptions) ([]Publication, Position, error) {
	var result struct {
		Publications []Publication `json:"publications"`
		Position
	}
	err := c.call(ctx, "history", struct {
		Channel string    `json:"channel"`
		Since   *Position `json:"since,omitempty"`
		Limit   int       `json:"limit"`
		Reverse bool      `json:"reverse,omitempty"`
	}{channel, o.Since, o.Limit, o.Reverse}, &result)
	return result.Publications, result.Position, err
}

// RemoveHistory makes history return nothing of what a channel holds now. Offsets go on.
func (c *Client) RemoveHistory(ctx context.Context, channel string) error {
	return c.call(ctx, "history_remove", struct {
		Channel string `json:"channel"`
	}{channel}, &struct{}{})
}
