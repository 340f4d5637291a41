package serverapi

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/hub"
)

func TestSubscribeRequests(t *testing.T) {
	room := hub.Channel{Project: "p", Category: "room", Name: "x"}
	off, on := false, true
	long := strings.Repeat("x", hub.MaxInfoBytes)
	for _, tt := range []struct {
		name, body string
		user       string
		want       hub.SubscribeRequest
		err        string
	}{
		{name: "a user", body: `{"user":"u","channel":"room:x"}`, user: "u", want: hub.SubscribeRequest{Channel: room}},
		{name: "a client", body: `{"user":"u","channel":"room:x","client":"c"}`, user: "u", want: hub.SubscribeRequest{Channel: room, Client: "c"}},
		{name: "a session", body: `{"user":"u","channel":"room:x","session":"c"}`, user: "u", want: hub.SubscribeRequest{Channel: room, Client: "c"}},
		{name: "a client and its session", body: `{"user":"u","channel":"room:x","client":"c","session":"c"}`, user: "u", want: hub.SubscribeRequest{Channel: room, Client: "c"}},
		{name: "an anonymous client", body: `{"user":"","channel":"room:x","client":"c"}`, want: hub.SubscribeRequest{Channel: room, Client: "c"}},
		{name: "info and data", body: `{"user":"u","channel":"room:x","info":{"a":1},"data":[2]}`, user: "u",
			want: hub.SubscribeRequest{Channel: room, SubscribeOptions: hub.SubscribeOptions{Info: json.RawMessage(`{"a":1}`), Data: json.RawMessage(`[2]`)}}},
		{name: "info and data that are null", body: `{"user":"u","channel":"room:x","info":null,"data":null,"recover_since":null,"override":null}`, user: "u", want: hub.SubscribeRequest{Channel: room}},
		{name: "info and data in base64", body: `{"user":"u","channel":"room:x","info":3,"b64info":"MQ==","data":3,"b64data":"Mg=="}`, user: "u",
			want: hub.SubscribeRequest{Channel: room, SubscribeOptions: hub.SubscribeOptions{Info: json.RawMessage(`1`), Data: json.RawMessage(`2`)}}},
		{name: "a position", body: `{"user":"u","channel":"room:x","recover_since":{"offset":7,"epoch":"e"}}`, user: "u", want: hub.SubscribeRequest{Channel: room, Since: &hub.Position{Offset: 7, Epoch: "e"}}},
		{name: "a position without an offset", body: `{"user":"u","channel":"room:x","recover_since":{"epoch":"e"}}`, user: "u", want: hub.SubscribeRequest{Channel: room, Since: &hub.Position{Epoch: "e"}}},
		{name: "an end", body: `{"user":"u","channel":"room:x","expire_at":1800000000}`, user: "u", want: hub.SubscribeRequest{Channel: room, Expires: time.Unix(1_800_000_000, 0)}},
		{name: "overridden options", body: `{"user":"u","channel":"room:x","override":{"presence":{"value":false},"join_leave":{"value":true},"force_recovery":{},"force_positioning":null,"force_push_join_leave":{"value":true},"another":{}}}`, user: "u",
			want: hub.SubscribeRequest{Channel: room, SubscribeOptions: hub.SubscribeOptions{Override: hub.Override{Presence: &off, JoinLeave: &on, ForceRecovery: &off, ForcePushJoinLeave: &on}}}},
		{name: "options of gocent", body: `{"user":"u","channel":"room:x","presence":true,"join_leave":1,"position":"","recover":{}}`, user: "u", want: hub.SubscribeRequest{Channel: room}},
		{name: "info that is as long as it may be", body: `{"user":"u","channel":"room:x","info":"` + long[2:] + `"}`, user: "u",
			want: hub.SubscribeRequest{Channel: room, SubscribeOptions: hub.SubscribeOptions{Info: json.RawMessage(`"` + long[2:] + `"`)}}},

		{name: "nobody", body: `{"channel":"room:x"}`, err: "bad request: user is required"},
		{name: "a client and another session", body: `{"user":"u","channel":"room:x","client":"c","session":"d"}`, err: "bad request: client and session differ: the session of a client is its id: leave out one of them"},
		{name: "no channel", body: `{"user":"u"}`, err: "bad request: channel is required"},
		{name: "a channel that is a number", body: `{"user":"u","channel":1}`, err: "bad request: channel is not a string"},
		{name: "info that is too long", body: `{"user":"u","channel":"room:x","info":"` + long + `"}`, err: "limit exceeded: info is 1026 bytes, at most 1024 are allowed"},
		{name: "info that is not base64", body: `{"user":"u","channel":"room:x","b64info":"%"}`, err: "bad request: b64info is not base64: use the standard alphabet, with padding"},
		{name: "data that is not JSON", body: `{"user":"u","channel":"room:x","b64data":"AA=="}`, err: "bad request: b64data does not hold JSON: only JSON can be sent: line 1, column 1: invalid character '\\x00' looking for beginning of value"},
		{name: "a position that is a number", body: `{"user":"u","channel":"room:x","recover_since":7}`, err: "bad request: recover_since is not an object"},
		{name: "an end before 1970", body: `{"user":"u","channel":"room:x","expire_at":-1}`, err: "bad request: expire_at is negative"},
		{name: "an end that is a text", body: `{"user":"u","channel":"room:x","expire_at":"tomorrow"}`, err: "bad request: expire_at is not a whole number"},
		{name: "an option without a value", body: `{"user":"u","channel":"room:x","override":{"presence":true}}`, err: `bad request: override is not an object such as {"presence": {"value": true}}`},
		{name: "an unknown key", body: `{"user":"u","chanel":"room:x"}`, err: `bad request: unknown field "chanel": did you mean channel?`},
		{name: "another unknown key", body: `{"topic":"room:x"}`, err: `bad request: unknown field "topic": there are b64data, b64info, channel, client, data, expire_at, info, override, recover_since, session, user`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			user, got, err := subscribeRequest(&hub.Project{ID: "p"}, []byte(tt.body))
			if text := explain(err); text != tt.err {
				t.Fatalf("error %q, expected %q", text, tt.err)
			}
			if diff := cmp.Diff(tt.want, got); err == nil && (diff != "" || user != tt.user) {
				t.Errorf("user %q, expected %q (-want +got):\n%s", user, tt.user, diff)
			}
		})
	}
}

func TestRefreshRequests(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		user       string
		want       hub.RefreshRequest
		err        string
	}{
		{name: "a user", body: `{"user":"u"}`, user: "u"},
		{name: "an end", body: `{"user":"u","expire_at":1800000000}`, user: "u", want: hub.RefreshRequest{Expires: time.Unix(1_800_000_000, 0)}},
		{name: "an end now", body: `{"user":"u","expired":true,"client":"c"}`, user: "u", want: hub.RefreshRequest{Client: "c", Expired: true}},
		{name: "an anonymous client", body: `{"client":"c","info":{"a":1}}`, want: hub.RefreshRequest{Client: "c", Info: json.RawMessage(`{"a":1}`)}},
		{name: "nobody", body: `{"expired":true}`, err: "bad request: user is required"},
		{name: "an end before 1970", body: `{"user":"u","expire_at":-1}`, err: "bad request: expire_at is negative"},
		{name: "info that is too long", body: `{"user":"u","info":"` + strings.Repeat("x", hub.MaxInfoBytes) + `"}`, err: "limit exceeded: info is 1026 bytes, at most 1024 are allowed"},
		{name: "what is not a truth value", body: `{"user":"u","expired":1}`, err: "bad request: expired is not true or false"},
		{name: "an unknown key", body: `{"user":"u","expires":1}`, err: `bad request: unknown field "expires": did you mean expired?`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			user, got, err := refreshRequest([]byte(tt.body))
			if text := explain(err); text != tt.err {
				t.Fatalf("error %q, expected %q", text, tt.err)
			}
			if diff := cmp.Diff(tt.want, got); err == nil && (diff != "" || user != tt.user) {
				t.Errorf("user %q, expected %q (-want +got):\n%s", user, tt.user, diff)
			}
		})
	}
}

// explain is the text of an error that callers see, "" for none.
func explain(err error) string {
	if err == nil {
		return ""
	}
	return hub.Public(err).Text()
}
