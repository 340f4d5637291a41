package cent

import (
	"context"
	"encoding/json"
)

// Channels returns the channels that have subscribers, "category:channel", each
// with how many. A pattern of shell wildcards narrows them; "" is all. It reads
// the whole table of the installation: not for every request.
func (c *Client) Channels(ctx context.Context, pattern string) (map[string]int, error) {
	var result struct {
		Channels map[string]struct {
			Clients int `json:"num_clients"`
		} `json:"channels"`
	}
	err := c.call(ctx, "channels", struct {
		Pattern string `json:"pattern,omitempty"`
	}{pattern}, &result)
	if err != nil {
		return nil, err
	}
	channels := make(map[string]int, len(result.Channels))
	for name, channel := range result.Channels {
		channels[name] = channel.Clients
	}
	return channels, nil
}

// Node describes an installation, as far as the project of the key uses it.
type Node struct {
	UID     string `json:"uid"`
	Name    string `json:"name"`
	Version string `json:"version"`
	// Clients are connections, Users the users they belong to, Channels those with
	// subscribers, and Subscriptions the sum of these.
	Clients       int `json:"num_clients"`
	Users         int `json:"num_users"`
	Channels      int `json:"num_channels"`
	Subscriptions int `json:"num_subs"`
}

// Info returns the nodes of the installation, of which there is one. Like Channels
// it reads the whole table.
func (c *Client) Info(ctx context.Context) ([]Node, error) {
	var result struct {
		Nodes []Node `json:"nodes"`
	}
	if err := c.call(ctx, "info", struct{}{}, &result); err != nil {
		return nil, err
	}
	return result.Nodes, nil
}

// Member is a connection that is in a channel.
type Member struct {
	Client string `json:"client"`
	User   string `json:"user"`
	// Info is what the application attached to the connection, nil for nothing.
	Info json.RawMessage `json:"conn_info,omitempty"`
}

// Presence returns who is in a channel, by connection. It fails with
// CodeNotAvailable where the category does not have presence.
func (c *Client) Presence(ctx context.Context, channel string) (map[string]Member, error) {
	var result struct {
		Presence map[string]Member `json:"presence"`
	}
	if err := c.call(ctx, "presence", inChannel{channel}, &result); err != nil {
		return nil, err
	}
	return result.Presence, nil
}

// Occupancy is how many are in a channel: connections, and the users they belong
// to.
type Occupancy struct {
	Clients int `json:"num_clients"`
	Users   int `json:"num_users"`
}

// PresenceStats returns how many are in a channel. It fails as Presence does.
func (c *Client) PresenceStats(ctx context.Context, channel string) (Occupancy, error) {
	var result Occupancy
	if err := c.call(ctx, "presence_stats", inChannel{channel}, &result); err != nil {
		return Occupancy{}, err
	}
	return result, nil
}

type inChannel struct {
	Channel string `json:"channel"`
}
