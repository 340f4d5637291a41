package eventbus

import (
	"bytes"
	"encoding/json"

	"centrifuge/pkg/hub"
)

// hookDetail is the detail of an event that is no message. Its fields have the names of those of a
// message, which has no "event".
type hookDetail struct {
	ProjectID  string  `json:"project_id"`
	Project    string  `json:"project"`
	CategoryID string  `json:"category_id,omitempty"`
	Category   *string `json:"category,omitempty"`
	EventID    string  `json:"event_id"`
	Channel    string  `json:"channel,omitempty"`
	Event      string  `json:"event"`
	// Time is in milliseconds since 1970.
	Time     int64   `json:"time"`
	Client   *client `json:"client,omitempty"`
	Code     *int    `json:"code,omitempty"`
	Reason   string  `json:"reason,omitempty"`
	Sequence uint64  `json:"sequence,omitempty"`
}

type client struct {
	Client string          `json:"client"`
	User   string          `json:"user"`
	Info   json.RawMessage `json:"conn_info,omitempty"`
}

// encodeDetail leaves out what the type of an event does not have, and the code of a disconnect
// that is not known.
func encodeDetail(e hub.HookEvent) ([]byte, error) {
	d := hookDetail{
		ProjectID: e.Project, Project: e.ProjectName, CategoryID: e.CategoryID, EventID: e.ID, Channel: e.Channel.Name,
		Event: string(e.Type), Time: e.Time.UnixMilli(), Reason: e.Reason, Sequence: e.Sequence,
	}
	switch e.Type {
	case hub.DisconnectHook:
		if e.Code != 0 {
			d.Code = &e.Code
		}
	case hub.UnsubscribeHook:
		d.Category, d.Code = &e.Channel.Category, &e.Code
	case hub.OccupiedHook, hub.VacatedHook:
		d.Category = &e.Channel.Category
	}
	if e.Client.Connection != "" {
		d.Client = &client{e.Client.Connection, e.Client.User, e.Client.Info}
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(d)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}
