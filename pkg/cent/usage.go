package cent

import (
	"context"
	"encoding/json"
	"fmt"

	"centrifuge/pkg/hub"
)

// Channels returns the number of subscribers of each channel that has any. The keys
// are "category:channel". The pattern has shell wildcards; "" means all channels.
// It makes one call for every 3,000 channels. Centrifuge reads its whole table for each: do
// not call it for each request.
func (c *Client) Channels(ctx context.Context, pattern string) (map[string]int, error) {
	channels := make(map[string]int)
	for cursor := ""; ; {
		next, err := c.channelPage(ctx, pattern, cursor, channels)
		switch {
		case err != nil:
			return nil, err
		case next == "":
			return channels, nil
		case next == cursor:
			return nil, fmt.Errorf("channels: %w", errNotCentrifuge)
		}
		cursor = next
	}
}

// channelPage adds a page to channels, and returns the cursor of the next one; "" for none.
func (c *Client) channelPage(ctx context.Context, pattern, cursor string, channels map[string]int) (next string, err error) {
	var result struct {
		Channels map[string]struct {
			Clients int `json:"num_clients"`
		} `json:"channels"`
		Cursor string `json:"cursor"`
	}
	err = c.call(ctx, "channels", struct {
		Pattern string `json:"pattern,omitempty"`
		Limit   int    `json:"limit"`
		Cursor  string `json:"cursor,omitempty"`
	}{pattern, hub.MaxChannelPage, cursor}, &result)
	for name, channel := range result.Channels {
		channels[name] = channel.Clients
	}
	return result.Cursor, err
}

// Node describes the use of an installation by the project of the key.
type Node struct {
	UID     string `json:"uid"`
	Name    string `json:"name"`
	Version string `json:"version"`
	// Clients is the number of connections.
	Clients int `json:"num_clients"`
	Users   int `json:"num_users"`
	// Channels is the number of channels that have subscribers.
	Channels      int `json:"num_channels"`
	Subscriptions int `json:"num_subs"`
}

// Info returns the nodes of the installation: always one. Like Channels it reads the
// whole table.
func (c *Client) Info(ctx context.Context) ([]Node, error) {
	var result struct {
		Nodes []Node `json:"nodes"`
	}
	if err := c.call(ctx, "info", struct{}{}, &result); err != nil {
		return nil, err
	}
	return result.Nodes, nil
}

// Member is a subscribed connection.
type Member struct {
	Client string `json:"client"`
	User   string `json:"user"`
	// Info is the connection info of the application, or nil.
	Info json.RawMessage `json:"conn_info,omitempty"`
	// ChannelInfo is the info of the subscription, or nil.
	ChannelInfo json.RawMessage `json:"chan_info,omitempty"`
}

// Presence returns the members of a channel by connection. It fails with
// CodeNotAvailable for a category without presence.
func (c *Client) Presence(ctx context.Context, channel string) (map[string]Member, error) {
	var result struct {
		Presence map[string]Member `json:"presence"`
	}
	if err := c.call(ctx, "presence", inChannel{channel}, &result); err != nil {
		return nil, err
	}
	return result.Presence, nil
}

// PresenceStats counts the members of a channel.
type PresenceStats struct {
	// Clients is the number of connections.
	Clients int `json:"num_clients"`
	Users   int `json:"num_users"`
	// Partial is set where the channel has more members than are counted.
	Partial bool `json:"partial,omitempty"`
}

// PresenceStats returns the number of members of a channel. It fails as Presence
// does.
func (c *Client) PresenceStats(ctx context.Context, channel string) (PresenceStats, error) {
	var result PresenceStats
	if err := c.call(ctx, "presence_stats", inChannel{channel}, &result); err != nil {
		return PresenceStats{}, err
	}
	return result, nil
}

type inChannel struct {
	Channel string `json:"channel"`
}
