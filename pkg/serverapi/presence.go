package serverapi

import (
	"context"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/protocol/classic"
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
	return classic.Result{Presence: classic.Presence(clients)}.Value(), nil
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
