package serverapi

import (
	"context"
	"encoding/json"

	"centrifuge/pkg/hub"
)

// inChannel decodes the params of a method that is about one channel.
func inChannel(p *hub.Project, body []byte) (hub.Channel, error) {
	var q struct {
		Channel string `json:"channel"`
	}
	if err := decode(body, &q); err != nil {
		return hub.Channel{}, err
	}
	return hub.ParseChannel(p.ID, q.Channel)
}

// presence lists who is in a channel, by connection.
func (a *api) presence(ctx context.Context, p *hub.Project, body []byte) (any, error) {
	ch, err := inChannel(p, body)
	if err != nil {
		return nil, err
	}
	clients, err := a.Hub.Presence(ctx, p, ch)
	if err != nil {
		return nil, err
	}
	type client struct {
		Client string          `json:"client"`
		User   string          `json:"user"`
		Info   json.RawMessage `json:"conn_info,omitempty"`
	}
	result := struct {
		Presence map[string]client `json:"presence"`
	}{make(map[string]client, len(clients))}
	for _, c := range clients {
		result.Presence[c.Connection] = client{c.Connection, c.User, c.Info}
	}
	return result, nil
}

// presenceStats counts who is in a channel.
func (a *api) presenceStats(ctx context.Context, p *hub.Project, body []byte) (any, error) {
	ch, err := inChannel(p, body)
	if err != nil {
		return nil, err
	}
	stats, err := a.Hub.PresenceStats(ctx, p, ch)
	if err != nil {
		return nil, err
	}
	return struct {
		Clients int `json:"num_clients"`
		Users   int `json:"num_users"`
	}{stats.Clients, stats.Users}, nil
}
