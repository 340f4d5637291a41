package store_test

import (
	"encoding/json"
	"testing"
	"time"

	"centrifuge/pkg/hub"
)

func TestPublicationRoundTrip(t *testing.T) {
	s := newRig(t)
	st := streamOf("x")
	full := hub.Message{
		ID: "6921d2fb0123456789abcdef", Channel: channel("ignored"), Data: json.RawMessage(`{"n":1.50,"ключ":"\ud800"}`),
		Client: hub.Client{Connection: "L0SM9cOFvHcCIhw=", User: "u#", Info: json.RawMessage(`["info"]`), ChannelInfo: json.RawMessage(`{"role":1}`)},
		Tags:   map[string]string{"kind": "goal", "empty": ""},
	}
	bare := hub.Message{ID: "m2", Data: json.RawMessage(`null`)}
	var want []hub.Message
	for n, m := range []hub.Message{full, bare} {
		a := s.announce(t, s.Store.Store, st, appendTo(t, s.Store.Store, st, m, hub.AppendOptions{}))
		m.Channel, m.ProjectName, m.CategoryID = st.Channel, "P", "c1"
		m.Position = hub.Position{Epoch: a.Message.Position.Epoch, Offset: uint64(n + 1)}
		m.Time = s.Clock.Now().Truncate(time.Millisecond).UTC()
		same(t, "message", a.Message, m)
		want = append(want, m)
		s.Clock.Advance(time.Second)
	}
	epoch := want[0].Position.Epoch
	same(t, "length of the epoch", len(epoch), 24)
	same(t, "publications", s.stream(t, st, epoch), want)
	got, top, err := s.History(t.Context(), st, hub.HistoryQuery{Limit: -1})
	fails(t, err, nil)
	same(t, "history", got, want)
	same(t, "top", top, hub.Position{Epoch: epoch, Offset: 2})
}
