package serverapi

import (
	"context"
	"encoding/json"

	"centrifuge/pkg/hub"
)

// channelOf decodes the params of a method for one channel.
func channelOf(p *hub.Project, body []byte) (hub.Channel, error) {
	var q struct {
		Channel string `json:"channel"`
	}
	if err := decode(body, &q); err != nil {
		return hub.Channel{}, err
	}
	return hub.ParseChannel(p.ID, q.Channel)
}

// client is a client in a channel, or one that published a message, as Centrifugo's server API renders it.
type client struct {
	Client      string          `json:"client"`
	User        string          `json:"user"`
	Info        json.RawMessage `json:"conn_info,omitempty"`
	ChannelInfo json.RawMessage `json:"chan_info,omitempty"`
}

func clientOf(c hub.Client) client { return client{c.Connection, c.User, c.Info, c.ChannelInfo} }

// presence lists the clients in a channel, by connection.
func (a *api) presence(ctx context.Context, p *hub.Project, body []byte) (any, error) {
	ch, err := channelOf(p, body)
	if err != nil {
		return nil, err
	}
	clients, err := a.Hub.Presence(ctx, p, ch)
	if err != nil {
		return nil, err
	}
	present := make(map[string]client, len(clients))
	for _, c := range clients {
		present[c.Connection] = clientOf(c)
	}
	return map[string]any{"presence": present}, nil
}

// presenceStats counts the clients in a channel. Centrifugo has no partial.
func (a *api) presenceStats(ctx context.Context, p *hub.Project, body []byte) (any, error) {
	ch, err := channelOf(p, body)
	if err != nil {
		return nil, err
	}
	stats, err := a.Hub.PresenceStats(ctx, p, ch)
	if err != nil {
		return nil, err
	}
	return struct {
		Clients int  `json:"num_clients"`
		Users   int  `json:"num_users"`
		Partial bool `json:"partial,omitempty"`
	}{stats.Clients, stats.Users, stats.Partial}, nil
}
