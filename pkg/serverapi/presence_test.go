package serverapi

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"centrifuge/pkg/hub"
)

// inhabited is a store with one client, which is in every channel and has published a message in
// it.
type inhabited struct{ broken }

var inhabitant = hub.Client{Connection: "c", User: "ann", Info: json.RawMessage(`{"name":"Ann"}`), ChannelInfo: json.RawMessage(`{"role":"owner"}`)}

func (inhabited) ProjectByAPIKeyHash(context.Context, string) (*hub.Project, error) {
	p := *project
	p.Categories = map[string]hub.Category{"room": {Name: "room", CategoryOptions: hub.CategoryOptions{
		Presence: true, Shards: 1, HistorySize: 1, HistoryTTL: hub.Duration(time.Minute),
	}}}
	return &p, nil
}

func (inhabited) Presence(context.Context, hub.Channel, int) iter.Seq2[[]hub.Present, error] {
	return func(yield func([]hub.Present, error) bool) { yield([]hub.Present{{Client: inhabitant}}, nil) }
}

func (inhabited) History(context.Context, hub.Stream, hub.HistoryQuery) ([]hub.Message, hub.Position, error) {
	at := hub.Position{Offset: 1, Epoch: "e"}
	return []hub.Message{{ID: "m", Client: inhabitant, Data: json.RawMessage(`1`), Position: at, Time: time.UnixMilli(1)}}, at, nil
}

// TestInfosOfClients reads the infos of a connection and of its subscription.
func TestInfosOfClients(t *testing.T) {
	h := newHandler(t, inhabited{})
	const client = `{"client":"c","user":"ann","conn_info":{"name":"Ann"},"chan_info":{"role":"owner"}}`
	for method, want := range map[string]string{
		"presence": `{"result":{"presence":{"c":` + client + `}}}`,
		"history":  `{"result":{"publications":[{"data":1,"info":` + client + `,"offset":1,"event_id":"m","time":1}],"offset":1,"epoch":"e"}}`,
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/"+method, strings.NewReader(`{"channel":"room:x"}`))
		r.Header.Set("X-API-Key", "key")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if got := strings.TrimSpace(w.Body.String()); got != want {
			t.Errorf("%s: got\n%s\nexpected\n%s", method, got, want)
		}
	}
}
