package serverapi

import (
	"context"
	"encoding/json"
	"math"

	"centrifuge/pkg/hub"
)

// position is a place in a stream.
type position struct {
	Offset uint64 `json:"offset"`
	Epoch  string `json:"epoch"`
}

// publication is a message in a stream, as Centrifugo's server API renders it. EventID and
// Time, in milliseconds since 1970, are additional.
type publication struct {
	Data    json.RawMessage   `json:"data"`
	Info    *client           `json:"info,omitempty"`
	Offset  uint64            `json:"offset"`
	Tags    map[string]string `json:"tags,omitempty"`
	EventID string            `json:"event_id"`
	Time    int64             `json:"time"`
}

// history returns publications of a channel, and the top of its stream.
func (a *api) history(ctx context.Context, p *hub.Project, body []byte) (any, error) {
	var q struct {
		Channel string    `json:"channel"`
		Limit   float64   `json:"limit"`
		Since   *position `json:"since"`
		Reverse bool      `json:"reverse"`
	}
	if err := decode(body, &q); err != nil {
		return nil, err
	}
	if q.Limit != math.Trunc(q.Limit) || math.Abs(q.Limit) > math.MaxInt32 {
		return nil, hub.ErrBadRequest.With("limit is not a whole number")
	}
	ch, err := hub.ParseChannel(p.ID, q.Channel)
	if err != nil {
		return nil, err
	}
	query := hub.HistoryQuery{Limit: int(q.Limit), Reverse: q.Reverse}
	if q.Since != nil {
		query.Since = &hub.Position{Offset: q.Since.Offset, Epoch: q.Since.Epoch}
	}
	messages, top, err := a.Hub.History(ctx, p, ch, query)
	if err != nil {
		return nil, err
	}
	publications := make([]publication, len(messages))
	for i, m := range messages {
		publications[i] = publication{Data: m.Data, Offset: m.Position.Offset, Tags: m.Tags, EventID: m.ID, Time: m.Time.UnixMilli()}
		if m.Client.Connection != "" {
			publisher := clientOf(m.Client)
			publications[i].Info = &publisher
		}
	}
	return struct {
		Publications []publication `json:"publications"`
		position
	}{publications, position{top.Offset, top.Epoch}}, nil
}

// historyRemove makes history return nothing of what a stream holds now.
func (a *api) historyRemove(ctx context.Context, p *hub.Project, body []byte) (any, error) {
	ch, err := channelOf(p, body)
	if err != nil {
		return nil, err
	}
	return empty{}, a.Hub.RemoveHistory(ctx, p, ch)
}
