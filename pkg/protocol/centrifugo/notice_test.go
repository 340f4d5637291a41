package centrifugo

import (
	"encoding/json"
	"testing"

	"centrifuge/pkg/hub"
)

func TestNotice(t *testing.T) {
	ch := hub.Channel{Category: "chat", Name: "$lobby"}
	for _, tt := range []struct {
		name   string
		notice hub.Notice
		want   string
	}{
		{"unsubscribed", hub.Notice{Kind: hub.Unsubscribed, Channel: ch, Code: 2500, Reason: "insufficient state"},
			`{"push":{"channel":"$chat:lobby","unsubscribe":{"code":2500,"reason":"insufficient state"}}}`},
		{"disconnected", hub.Notice{Kind: hub.Disconnected, Code: 4501, Reason: "kicked"},
			`{"push":{"disconnect":{"code":4501,"reason":"kicked"}}}`},
		{"subscribed", hub.Notice{Kind: hub.SubscribedTo, Channel: ch, Data: json.RawMessage(`{"w":1}`)},
			`{"push":{"channel":"$chat:lobby","subscribe":{"data":{"w":1}}}}`},
		{"subscribed at a position", hub.Notice{Kind: hub.SubscribedTo, Channel: ch, Recoverable: true, Position: hub.Position{Epoch: "e", Offset: 7}},
			`{"push":{"channel":"$chat:lobby","subscribe":{"recoverable":true,"epoch":"e","offset":7,"positioned":true}}}`},
		{"sent", hub.Notice{Kind: hub.Sent, Data: json.RawMessage(`[1]`)}, `{"push":{"message":{"data":[1]}}}`},
		{"pinged", hub.Notice{Kind: hub.Pinged}, `{}`},
		{"refreshed, without an end", hub.Notice{Kind: hub.Refreshed}, `{"push":{"refresh":{}}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := Notice(tt.notice); err != nil || string(got) != tt.want {
				t.Errorf("got %s, %v, want %s", got, err, tt.want)
			}
		})
	}
	if frame, err := Notice(hub.Notice{Kind: "unknown"}); err == nil {
		t.Errorf("an unknown kind: got %s", frame)
	}
}
