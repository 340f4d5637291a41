package centrifugo

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/hub"
)

func TestDecode(t *testing.T) {
	for _, tt := range []struct {
		name  string
		frame string
		want  []Command
		fails string
		// id and method are those of the error.
		id     uint32
		method string
	}{
		{name: "connect without a request", frame: `{"id":1,"connect":{}}`, want: []Command{{ID: 1, Method: "connect", Connect: &ConnectRequest{}}}},
		{name: "connect with everything", frame: `{"connect":{"token":"t","data":{"a": 1},"subs":{"a:x":{"recover":true,"epoch":"e","offset":7},"a:y":{}},"name":"js","version":"5","headers":{"X-A":"1"},"flag":3},"id":1}`,
			want: []Command{{ID: 1, Method: "connect", Connect: &ConnectRequest{Token: "t", Data: json.RawMessage(`{"a": 1}`), Name: "js", Version: "5", Headers: map[string]string{"X-A": "1"},
				Subs: map[string]SubscribeRequest{"a:x": {Channel: "a:x", Recover: true, Since: hub.Position{Epoch: "e", Offset: 7}}, "a:y": {Channel: "a:y"}}}}}},
		{name: "subscribe with everything", frame: `{"id":2,"subscribe":{"channel":"a:x","token":"t","recover":true,"epoch":"e","offset":18446744073709551615,"data":null,"positioned":true,"recoverable":true,"join_leave":true,"delta":"fossil","flag":3}}`,
			want: []Command{{ID: 2, Method: "subscribe", Subscribe: &SubscribeRequest{Channel: "a:x", Token: "t", Recover: true, Since: hub.Position{Epoch: "e", Offset: math.MaxUint64}, Data: json.RawMessage(`null`), Positioned: true, Recoverable: true, JoinLeave: true, RejectUnrecovered: true}}}},
		{name: "subscribe that offers channel compaction", frame: `{"id":2,"subscribe":{"channel":"a:x","flag":1}}`, want: []Command{{ID: 2, Method: "subscribe", Subscribe: &SubscribeRequest{Channel: "a:x"}}}},
		{name: "subscribe with a token that is null", frame: `{"id":2,"subscribe":{"channel":"a:x","token":null,"offset":null,"recover":null}}`, want: []Command{{ID: 2, Method: "subscribe", Subscribe: &SubscribeRequest{Channel: "a:x"}}}},
		{name: "subscribe to a map", frame: `{"id":2,"subscribe":{"channel":"a:x","type":1}}`,
			want: []Command{{ID: 2, Method: "subscribe", Subscribe: &SubscribeRequest{Channel: "a:x"}, Refusal: hub.ErrNotAvailable.With("only subscriptions to streams exist: leave out type and phase")}}},
		{name: "subscribe to a phase", frame: `{"id":2,"subscribe":{"channel":"a:x","type":0,"phase":2}}`,
			want: []Command{{ID: 2, Method: "subscribe", Subscribe: &SubscribeRequest{Channel: "a:x"}, Refusal: hub.ErrNotAvailable.With("only subscriptions to streams exist: leave out type and phase")}}},
		{name: "subscribe with a filter", frame: `{"id":2,"subscribe":{"channel":"a:x","tf":{"op":"and"}}}`,
			want: []Command{{ID: 2, Method: "subscribe", Subscribe: &SubscribeRequest{Channel: "a:x"}, Refusal: hub.ErrNotAvailable.With("filters of tags do not exist: leave out tf")}}},
		{name: "unsubscribe", frame: `{"id":3,"unsubscribe":{"channel":"a:x"}}`, want: []Command{{ID: 3, Method: "unsubscribe", Unsubscribe: &UnsubscribeRequest{"a:x"}}}},
		{name: "publish", frame: `{"id":3,"publish":{"channel":"a:x","data":{"n": 1.50}}}`, want: []Command{{ID: 3, Method: "publish", Publish: &PublishRequest{"a:x", json.RawMessage(`{"n": 1.50}`)}}}},
		{name: "publish of null", frame: `{"id":3,"publish":{"channel":"a:x","data":null}}`, want: []Command{{ID: 3, Method: "publish", Publish: &PublishRequest{"a:x", json.RawMessage(`null`)}}}},
		{name: "publish without data", frame: `{"id":3,"publish":{"channel":"a:x"}}`, want: []Command{{ID: 3, Method: "publish", Publish: &PublishRequest{Channel: "a:x"}, Refusal: hub.ErrBadRequest.With("publish has no data")}}},
		{name: "publish to a map", frame: `{"id":3,"publish":{"channel":"a:x","type":1,"key":"k","removed":true}}`,
			want: []Command{{ID: 3, Method: "publish", Publish: &PublishRequest{Channel: "a:x"}, Refusal: hub.ErrNotAvailable.With("only publications to streams exist: leave out type")}}},
		{name: "publish of half of a surrogate pair", frame: `{"id":3,"publish":{"channel":"a:x","data":"\ud800"}}`, want: []Command{{ID: 3, Method: "publish", Publish: &PublishRequest{"a:x", json.RawMessage(`"\ud800"`)}}}},
		{name: "presence", frame: `{"id":3,"presence":{"channel":"a:x"}}`, want: []Command{{ID: 3, Method: "presence", Presence: &PresenceRequest{"a:x"}}}},
		{name: "presence_stats", frame: `{"id":3,"presence_stats":{"channel":"a:x"}}`, want: []Command{{ID: 3, Method: "presence_stats", PresenceStats: &PresenceStatsRequest{"a:x"}}}},
		{name: "history of the top", frame: `{"id":3,"history":{"channel":"a:x"}}`, want: []Command{{ID: 3, Method: "history", History: &HistoryRequest{Channel: "a:x"}}}},
		{name: "history of everything", frame: `{"id":3,"history":{"channel":"a:x","limit":-1,"since":{"offset":7,"epoch":"e"},"reverse":true}}`,
			want: []Command{{ID: 3, Method: "history", History: &HistoryRequest{"a:x", hub.HistoryQuery{Limit: -1, Since: &hub.Position{Epoch: "e", Offset: 7}, Reverse: true}}}}},
		{name: "history since the beginning", frame: `{"id":3,"history":{"channel":"a:x","limit":2,"since":{}}}`, want: []Command{{ID: 3, Method: "history", History: &HistoryRequest{"a:x", hub.HistoryQuery{Limit: 2, Since: &hub.Position{}}}}}},
		{name: "rpc", frame: `{"id":3,"rpc":{"method":"m","data":[1]}}`, want: []Command{{ID: 3, Method: "rpc", RPC: &RPCRequest{"m", json.RawMessage(`[1]`)}}}},
		{name: "rpc without a method", frame: `{"id":3,"rpc":{}}`, want: []Command{{ID: 3, Method: "rpc", RPC: &RPCRequest{}}}},
		{name: "send", frame: `{"send":{"data":"x"}}`, want: []Command{{Method: "send", Send: &SendRequest{json.RawMessage(`"x"`)}}}},
		{name: "refresh", frame: `{"id":3,"refresh":{"token":"t"}}`, want: []Command{{ID: 3, Method: "refresh", Refresh: &RefreshRequest{"t"}}}},
		{name: "sub_refresh", frame: `{"id":3,"sub_refresh":{"channel":"a:x","token":"t"}}`, want: []Command{{ID: 3, Method: "sub_refresh", SubRefresh: &SubRefreshRequest{"a:x", "t"}}}},
		{name: "sub_refresh without a channel", frame: `{"id":3,"sub_refresh":{"token":"t"}}`, want: []Command{{ID: 3, Method: "sub_refresh", SubRefresh: &SubRefreshRequest{"", "t"}}}},
		{name: "sub_refresh without a token", frame: `{"id":3,"sub_refresh":{"channel":"a:x"}}`, want: []Command{{ID: 3, Method: "sub_refresh", SubRefresh: &SubRefreshRequest{Channel: "a:x"}, Refusal: hub.ErrBadRequest.With("sub_refresh has no token")}}},
		{name: "sub_refresh that tracks", frame: `{"id":3,"sub_refresh":{"channel":"a:x","type":1}}`, want: []Command{{ID: 3, Method: "sub_refresh", SubRefresh: &SubRefreshRequest{Channel: "a:x"}, Refusal: hub.ErrNotAvailable.With("only subscriptions to streams exist: leave out type")}}},
		{name: "ping", frame: `{"id":3,"ping":{}}`, want: []Command{{ID: 3, Method: "ping", Ping: &PingRequest{}}}},
		{name: "a pong", frame: `{}`, want: []Command{{Method: "pong", Pong: true}}},
		{name: "a pong with an unknown key", frame: `{"x":{}}`, want: []Command{{Method: "pong", Pong: true}}},
		{name: "a null command beside another", frame: `{"id":3,"connect":null,"presence":{"channel":"a:x"}}`, want: []Command{{ID: 3, Method: "presence", Presence: &PresenceRequest{"a:x"}}}},
		{name: "unknown keys", frame: `{"id":3,"x":1,"presence":{"channel":"a:x","y":[{}]}}`, want: []Command{{ID: 3, Method: "presence", Presence: &PresenceRequest{"a:x"}}}},
		{name: "white space", frame: " { \"id\" : 3 , \"presence\":\t{ \"channel\" : \"a:x\" } } \r\n", want: []Command{{ID: 3, Method: "presence", Presence: &PresenceRequest{"a:x"}}}},
		{name: "the largest id", frame: `{"id":4294967295,"ping":{}}`, want: []Command{{ID: math.MaxUint32, Method: "ping", Ping: &PingRequest{}}}},
		{name: "two commands and a pong", frame: "{\"id\":1,\"ping\":{}}\n{}\n{\"id\":2,\"ping\":{}}\n",
			want: []Command{{ID: 1, Method: "ping", Ping: &PingRequest{}}, {Method: "pong", Pong: true}, {ID: 2, Method: "ping", Ping: &PingRequest{}}}},

		{name: "an empty frame", frame: ``, fails: "it is empty"},
		{name: "a line feed", frame: "\n", fails: "it is empty"},
		{name: "text", frame: `hello`, fails: "line 1, column 1: invalid character 'h' looking for beginning of value"},
		{name: "an array", frame: `[]`, fails: "the command is not an object"},
		{name: "null", frame: `null`, fails: "the command is not an object"},
		{name: "a number", frame: `1`, fails: "the command is not an object"},
		{name: "two objects in a line", frame: `{"id":1,"ping":{}}{}`, fails: "line 1, column 19: invalid character '{' after top-level value", id: 1, method: "ping"},
		{name: "an object that ends too early", frame: `{"id":1,"ping":{}`, fails: "line 1, column 18: it ends too early", id: 1, method: "ping"},
		{name: "a brace too many", frame: `{"id":1,"ping":{}}}`, fails: "line 1, column 19: invalid character '}' after top-level value", id: 1, method: "ping"},
		{name: "a byte that is not UTF-8", frame: "{\"id\":1,\"ping\":{\"\xff\":1}}", fails: "line 1, column 18: this byte is not UTF-8", id: 1, method: "ping"},
		{name: "a NUL", frame: "{\"id\":1,\"rpc\":{\"method\":\"\x00\"}}", fails: `line 1, column 26: invalid character '\x00' in string literal`, id: 1},
		{name: "a byte order mark", frame: "\ufeff{}", fails: "line 1, column 1: this is a byte order mark: send the text without it"},
		{name: "half of a surrogate pair in a channel", frame: `{"id":1,"presence":{"channel":"\ud800"}}`, fails: `line 1, column 32: \ud800 is half of a surrogate pair and no character`, id: 1, method: "presence"},
		{name: "half of a surrogate pair in the data of another command", frame: `{"id":1,"presence":{"channel":"a:x"},"publish":null,"rpc":{"data":"\udc00"}}`, fails: `line 1, column 68: \udc00 is half of a surrogate pair and no character`, id: 1},
		{name: "nesting that is too deep", frame: `{"id":1,"rpc":{"data":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}}`, fails: "line 1, column 10021: invalid character '[' exceeded max depth", id: 1},
		{name: "an unknown command", frame: `{"id":1,"shout":{}}`, fails: "no known command in the object", id: 1},
		{name: "a command in the wrong case", frame: `{"id":1,"Ping":{}}`, fails: "no known command in the object", id: 1},
		{name: "only an id", frame: `{"id":1}`, fails: "no known command in the object", id: 1},
		{name: "a command that is null", frame: `{"id":1,"connect":null}`, fails: "no known command in the object", id: 1},
		{name: "two commands in an object", frame: `{"id":1,"ping":{},"presence":{"channel":"a:x"}}`, fails: "more than one command in an object", id: 1},
		{name: "a command that is an array", frame: `{"id":1,"connect":[]}`, fails: "connect is not an object", id: 1, method: "connect"},
		{name: "a command that is text", frame: `{"id":1,"connect":"{}"}`, fails: "connect is not an object", id: 1, method: "connect"},
		{name: "a send that is a number", frame: `{"send":1}`, fails: "send is not an object", method: "send"},
		{name: "a command without an id", frame: `{"connect":{}}`, fails: "connect has no id", method: "connect"},
		{name: "a command with the id 0", frame: `{"id":0,"ping":{}}`, fails: "ping has no id", method: "ping"},
		{name: "a command with an id that is null", frame: `{"id":null,"ping":{}}`, fails: "ping has no id", method: "ping"},
		{name: "an id that is too large", frame: `{"id":4294967296,"ping":{}}`, fails: "id is not an integer from 0 to 4294967295", method: "ping"},
		{name: "an id that is negative", frame: `{"id":-1,"ping":{}}`, fails: "id is not an integer from 0 to 4294967295", method: "ping"},
		{name: "an id that is a fraction", frame: `{"id":1.0,"ping":{}}`, fails: "id is not an integer from 0 to 4294967295", method: "ping"},
		{name: "an id that is text", frame: `{"id":"1","ping":{}}`, fails: "id is not an integer from 0 to 4294967295", method: "ping"},
		{name: "two ids", frame: `{"id":1,"ping":{},"id":2}`, fails: `the command has the key "id" twice`, id: 1, method: "ping"},
		{name: "two channels", frame: `{"id":1,"presence":{"channel":"a:x","channel":"a:y"}}`, fails: `presence has the key "channel" twice`, id: 1, method: "presence"},
		{name: "two channels, one escaped", frame: `{"id":1,"presence":{"channel":"a:x","ch\u0061nnel":"a:y"}}`, fails: `presence has the key "channel" twice`, id: 1, method: "presence"},
		{name: "no channel", frame: `{"id":1,"subscribe":{}}`, fails: "subscribe.channel is empty", id: 1, method: "subscribe"},
		{name: "an empty channel", frame: `{"id":1,"publish":{"channel":"","data":1}}`, fails: "publish.channel is empty", id: 1, method: "publish"},
		{name: "a channel that is a number", frame: `{"id":1,"history":{"channel":1}}`, fails: "history.channel is not a string", id: 1, method: "history"},
		{name: "a flag that is text", frame: `{"id":1,"subscribe":{"channel":"a:x","recover":"true"}}`, fails: "subscribe.recover is not a boolean", id: 1, method: "subscribe"},
		{name: "an offset that is negative", frame: `{"id":1,"subscribe":{"channel":"a:x","offset":-1}}`, fails: "subscribe.offset is not an integer from 0 to 18446744073709551615", id: 1, method: "subscribe"},
		{name: "an offset that is too large", frame: `{"id":1,"subscribe":{"channel":"a:x","offset":18446744073709551616}}`, fails: "subscribe.offset is not an integer from 0 to 18446744073709551615", id: 1, method: "subscribe"},
		{name: "a delta that is an object", frame: `{"id":1,"subscribe":{"channel":"a:x","delta":{}}}`, fails: "subscribe.delta is not a string", id: 1, method: "subscribe"},
		{name: "a limit that is too large", frame: `{"id":1,"history":{"channel":"a:x","limit":2147483648}}`, fails: "history.limit is not an integer of 32 bits", id: 1, method: "history"},
		{name: "a since that is a number", frame: `{"id":1,"history":{"channel":"a:x","since":7}}`, fails: "history.since is not an object", id: 1, method: "history"},
		{name: "a since with a negative offset", frame: `{"id":1,"history":{"channel":"a:x","since":{"offset":-7}}}`, fails: "history.since.offset is not an integer from 0 to 18446744073709551615", id: 1, method: "history"},
		{name: "subs that are an array", frame: `{"id":1,"connect":{"subs":[]}}`, fails: "connect.subs is not an object", id: 1, method: "connect"},
		{name: "a sub that is null", frame: `{"id":1,"connect":{"subs":{"a:x":null}}}`, fails: `connect.subs["a:x"] is not an object`, id: 1, method: "connect"},
		{name: "a sub with a position that is text", frame: `{"id":1,"connect":{"subs":{"a:x":{"offset":"7"}}}}`, fails: `connect.subs["a:x"].offset is not an integer from 0 to 18446744073709551615`, id: 1, method: "connect"},
		{name: "a header that is a number", frame: `{"id":1,"connect":{"headers":{"a":1}}}`, fails: "connect.headers.a is not a string", id: 1, method: "connect"},
		{name: "a refresh without a token", frame: `{"id":1,"refresh":{}}`, fails: "refresh.token is empty", id: 1, method: "refresh"},
		{name: "the second of three lines", frame: "{\"id\":1,\"ping\":{}}\n{\"id\":2}\n{\"id\":3,\"ping\":{}}", want: []Command{{ID: 1, Method: "ping", Ping: &PingRequest{}}}, fails: "command 2: no known command in the object", id: 2},
		{name: "an empty line between two", frame: "{\"id\":1,\"ping\":{}}\n\n{\"id\":3,\"ping\":{}}", want: []Command{{ID: 1, Method: "ping", Ping: &PingRequest{}}}, fails: "command 2: it is empty"},
		{name: "two line feeds at the end", frame: "{\"id\":1,\"ping\":{}}\n\n", want: []Command{{ID: 1, Method: "ping", Ping: &PingRequest{}}}, fails: "command 2: it is empty"},
		{name: "an object over two lines", frame: "{\"id\":1,\n\"ping\":{}}", fails: "command 1: line 1, column 9: it ends too early", id: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Decode([]byte(tt.frame))
			if diff := cmp.Diff(append([]Command{}, tt.want...), got); diff != "" {
				t.Errorf("commands (-want +got):\n%s", diff)
			}
			if tt.fails == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			want := &FrameError{ID: tt.id, Method: tt.method, Detail: tt.fails}
			if diff := cmp.Diff(error(want), err); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeLimitsCommands(t *testing.T) {
	frame := func(n int) []byte { return []byte(strings.Repeat("{}\n", n)) }
	if got, err := Decode(frame(MaxCommands)); len(got) != MaxCommands || err != nil {
		t.Errorf("%d commands, %v", len(got), err)
	}
	got, err := Decode(frame(MaxCommands + 1))
	if want := fmt.Sprintf("bad request: %d commands in a frame, at most %d are allowed", MaxCommands+1, MaxCommands); got != nil || err == nil || err.Error() != want {
		t.Errorf("%d commands, %v", len(got), err)
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, bb := range []struct{ name, frame string }{
		{"pong", `{}`},
		{"publish", `{"id":3,"publish":{"channel":"chat:lobby","data":{"text":"hello"}}}`},
		{"connect and 33 subscribes", `{"connect":{"name":"js"},"id":1}` + strings.Repeat("\n"+`{"subscribe":{"channel":"chat:lobby","flag":1},"id":2}`, 33)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			frame := []byte(bb.frame)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Decode(frame); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
