package centrifugo

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"testing"
	"unicode"

	"github.com/centrifugal/protocol"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"centrifuge/pkg/hub"
)

// The oracle is the decoder and encoder that Centrifugo and its Go client use.

// readByOracle checks that the oracle reads an encoded reply or push without losing anything but
// the epoch of a publication, which it does not know yet.
func readByOracle(t *testing.T, encoded []byte) {
	t.Helper()
	reply, err := protocol.NewJSONReplyDecoder(encoded).Decode()
	if err != nil {
		t.Fatalf("%s: %v", encoded, err)
	}
	again, err := protocol.NewJSONReplyEncoder().Encode(reply)
	if err != nil {
		t.Fatalf("%s: %v", encoded, err)
	}
	var want, got any
	if err := json.Unmarshal(encoded, &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(again, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(withoutEpoch(want), got); diff != "" {
		t.Errorf("the oracle reads another reply (-encoded +read):\n%s", diff)
	}
}

// withoutEpoch removes the epoch of the publication in a push.
func withoutEpoch(reply any) any {
	object, _ := reply.(map[string]any)
	push, _ := object["push"].(map[string]any)
	if pub, ok := push["pub"].(map[string]any); ok {
		delete(pub, "epoch")
	}
	return reply
}

// fromOracle is a command of the oracle as this package has it, without Refusal. Pong is true for
// one without id and request.
func fromOracle(c *protocol.Command) Command {
	data := func(r protocol.Raw) json.RawMessage { return json.RawMessage(r) }
	subscribe := func(channel string, r *protocol.SubscribeRequest) SubscribeRequest {
		return SubscribeRequest{
			Channel: channel, Token: r.Token, Recover: r.Recover, Since: hub.Position{Epoch: r.Epoch, Offset: r.Offset}, Data: data(r.Data),
			Positioned: r.Positioned, Recoverable: r.Recoverable, JoinLeave: r.JoinLeave, RejectUnrecovered: r.Flag&rejectUnrecovered != 0,
		}
	}
	got := Command{ID: c.Id}
	switch {
	case c.Connect != nil:
		r := c.Connect
		got.Method, got.Connect = "connect", &ConnectRequest{Token: r.Token, Data: data(r.Data), Name: r.Name, Version: r.Version, Headers: r.Headers}
		if r.Subs != nil {
			got.Connect.Subs = make(map[string]SubscribeRequest)
		}
		for channel, sub := range r.Subs {
			got.Connect.Subs[channel] = subscribe(channel, sub)
		}
	case c.Subscribe != nil:
		r := subscribe(c.Subscribe.Channel, c.Subscribe)
		got.Method, got.Subscribe = "subscribe", &r
	case c.Unsubscribe != nil:
		got.Method, got.Unsubscribe = "unsubscribe", &UnsubscribeRequest{c.Unsubscribe.Channel}
	case c.Publish != nil:
		got.Method, got.Publish = "publish", &PublishRequest{c.Publish.Channel, data(c.Publish.Data)}
	case c.Presence != nil:
		got.Method, got.Presence = "presence", &PresenceRequest{c.Presence.Channel}
	case c.PresenceStats != nil:
		got.Method, got.PresenceStats = "presence_stats", &PresenceStatsRequest{c.PresenceStats.Channel}
	case c.History != nil:
		got.Method, got.History = "history", &HistoryRequest{c.History.Channel, hub.HistoryQuery{Limit: int(c.History.Limit), Reverse: c.History.Reverse}}
		if s := c.History.Since; s != nil {
			got.History.Query.Since = &hub.Position{Epoch: s.Epoch, Offset: s.Offset}
		}
	case c.Rpc != nil:
		got.Method, got.RPC = "rpc", &RPCRequest{c.Rpc.Method, data(c.Rpc.Data)}
	case c.Send != nil:
		got.Method, got.Send = "send", &SendRequest{data(c.Send.Data)}
	case c.Refresh != nil:
		got.Method, got.Refresh = "refresh", &RefreshRequest{c.Refresh.Token}
	case c.SubRefresh != nil:
		got.Method, got.SubRefresh = "sub_refresh", &SubRefreshRequest{c.SubRefresh.Channel, c.SubRefresh.Token}
	case c.Ping != nil:
		got.Method, got.Ping = "ping", &PingRequest{}
	default:
		got.Method, got.Pong = "pong", true
	}
	return got
}

// diffCommands compares commands without Refusal, which the oracle does not have.
func diffCommands(want, got []Command) string {
	return cmp.Diff(want, got, cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Refusal" }, cmp.Ignore()))
}

// TestDecodeOfOracle checks that commands that the oracle has encoded are decoded to the same.
func TestDecodeOfOracle(t *testing.T) {
	text := rapid.StringN(0, 20, -1)
	channel := rapid.StringN(1, 20, -1)
	data := rapid.SampledFrom([]string{"", "null", "1", `"é"`, `{"a":[{},"\ud800",1e400]}`})
	raw := func(t *rapid.T) protocol.Raw {
		if d := data.Draw(t, "data"); d != "" {
			return protocol.Raw(d)
		}
		return nil
	}
	subscribe := func(t *rapid.T, channel string) *protocol.SubscribeRequest {
		return &protocol.SubscribeRequest{
			Channel: channel, Token: text.Draw(t, "token"), Recover: rapid.Bool().Draw(t, "recover"), Epoch: text.Draw(t, "epoch"), Offset: rapid.Uint64().Draw(t, "offset"),
			Data: raw(t), Positioned: rapid.Bool().Draw(t, "positioned"), Recoverable: rapid.Bool().Draw(t, "recoverable"), JoinLeave: rapid.Bool().Draw(t, "join_leave"),
			Delta: rapid.SampledFrom([]string{"", "fossil"}).Draw(t, "delta"), Flag: rapid.Int64().Draw(t, "flag"),
		}
	}
	kinds := []func(*rapid.T, *protocol.Command){
		func(t *rapid.T, c *protocol.Command) {
			c.Connect = &protocol.ConnectRequest{Token: text.Draw(t, "token"), Data: raw(t), Name: text.Draw(t, "name"), Version: text.Draw(t, "version"), Flag: rapid.Int64().Draw(t, "flag")}
			if headers := rapid.MapOfN(text, text, 0, 3).Draw(t, "headers"); len(headers) > 0 {
				c.Connect.Headers = headers
			}
			for _, ch := range rapid.SliceOfN(channel, 0, 3).Draw(t, "subs") {
				if c.Connect.Subs == nil {
					c.Connect.Subs = make(map[string]*protocol.SubscribeRequest)
				}
				c.Connect.Subs[ch] = &protocol.SubscribeRequest{Recover: true, Epoch: text.Draw(t, "epoch"), Offset: rapid.Uint64().Draw(t, "offset")}
			}
		},
		func(t *rapid.T, c *protocol.Command) { c.Subscribe = subscribe(t, channel.Draw(t, "channel")) },
		func(t *rapid.T, c *protocol.Command) {
			c.Unsubscribe = &protocol.UnsubscribeRequest{Channel: channel.Draw(t, "channel")}
		},
		func(t *rapid.T, c *protocol.Command) {
			c.Publish = &protocol.PublishRequest{Channel: channel.Draw(t, "channel"), Data: raw(t)}
		},
		func(t *rapid.T, c *protocol.Command) {
			c.Presence = &protocol.PresenceRequest{Channel: channel.Draw(t, "channel")}
		},
		func(t *rapid.T, c *protocol.Command) {
			c.PresenceStats = &protocol.PresenceStatsRequest{Channel: channel.Draw(t, "channel")}
		},
		func(t *rapid.T, c *protocol.Command) {
			c.History = &protocol.HistoryRequest{Channel: channel.Draw(t, "channel"), Limit: rapid.Int32().Draw(t, "limit"), Reverse: rapid.Bool().Draw(t, "reverse")}
			if rapid.Bool().Draw(t, "has since") {
				c.History.Since = &protocol.StreamPosition{Offset: rapid.Uint64().Draw(t, "offset"), Epoch: text.Draw(t, "epoch")}
			}
		},
		func(t *rapid.T, c *protocol.Command) {
			c.Rpc = &protocol.RPCRequest{Method: text.Draw(t, "method"), Data: raw(t)}
		},
		func(t *rapid.T, c *protocol.Command) { c.Id, c.Send = 0, &protocol.SendRequest{Data: raw(t)} },
		func(t *rapid.T, c *protocol.Command) {
			c.Refresh = &protocol.RefreshRequest{Token: channel.Draw(t, "token")}
		},
		func(t *rapid.T, c *protocol.Command) {
			c.SubRefresh = &protocol.SubRefreshRequest{Channel: channel.Draw(t, "channel"), Token: text.Draw(t, "token")}
		},
		func(_ *rapid.T, c *protocol.Command) { c.Ping = &protocol.PingRequest{} },
		func(_ *rapid.T, c *protocol.Command) { c.Id = 0 },
	}
	encoder := protocol.NewJSONCommandEncoder()
	rapid.Check(t, func(t *rapid.T) {
		var lines [][]byte
		var want []Command
		for range rapid.IntRange(1, 5).Draw(t, "commands") {
			c := &protocol.Command{Id: rapid.Uint32Min(1).Draw(t, "id")}
			kinds[rapid.IntRange(0, len(kinds)-1).Draw(t, "kind")](t, c)
			line, err := encoder.Encode(c)
			if err != nil {
				t.Fatal(err)
			}
			lines, want = append(lines, bytes.TrimSuffix(line, []byte("\n"))), append(want, fromOracle(c))
		}
		frame := bytes.Join(lines, []byte("\n"))
		got, err := Decode(frame)
		if err != nil {
			t.Fatalf("%s: %v", frame, err)
		}
		if diff := diffCommands(want, got); diff != "" {
			t.Errorf("%s (-encoded +decoded):\n%s", frame, diff)
		}
	})
}

// FuzzDecode checks that the decoder never crashes, and that the oracle accepts what it accepts,
// and reads the same commands.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		``, "\n", `{}`, `null`, `[]`, `{"id":1}`, "{\"connect\":{\"name\":\"js\"},\"id\":1}\n{\"subscribe\":{\"channel\":\"a:x\",\"flag\":1},\"id\":2}\n",
		`{"id":1,"connect":{"token":"t","data":null,"subs":{"a:x":{"recover":true,"epoch":"e","offset":7}},"name":"n","version":"v","headers":{"a":"b"},"flag":1}}`,
		`{"id":1,"subscribe":{"channel":"a:x","token":"t","recover":true,"epoch":"e","offset":7,"data":{},"positioned":true,"recoverable":true,"join_leave":true,"delta":"fossil","tf":{},"flag":2,"type":1}}`,
		`{"id":1,"history":{"channel":"a:x","limit":-1,"since":{"offset":7,"epoch":"e"},"reverse":true}}`,
		`{"id":1,"publish":{"channel":"a:x","data":"\ud800"}}`, `{"send":{"data":[1e400]}}`, `{"id":4294967296,"ping":{}}`,
		`{"id":1,"rpc":{"method":"\u0000","data":{"a":1,"a":2}}}`, `{"id":1,"refresh":{"token":"t"}}`, `{"id":1,"sub_refresh":{"channel":"a:x","token":"t"}}`,
		`{"id":1,"presence":null,"presence_stats":{"channel":"é"}}`, `{"id":1,"unsubscribe":{"Channel":"a","channel":"b"}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		commands, err := Decode(frame)
		var wrong *FrameError
		if err != nil && (!errors.As(err, &wrong) || wrong.Detail == "") {
			t.Fatalf("%q: %v", frame, err)
		}
		// The oracle finds keys in any case.
		if err != nil || bytes.ContainsFunc(frame, func(r rune) bool { return r == '\\' || r > unicode.MaxASCII || unicode.IsUpper(r) }) {
			return
		}
		oracle := protocol.NewJSONCommandDecoder(bytes.Clone(frame))
		var want []Command
		for err == nil {
			var c *protocol.Command
			if c, err = oracle.Decode(); err != nil && !errors.Is(err, io.EOF) {
				t.Fatalf("%q is accepted, the oracle says %v", frame, err)
			}
			want = append(want, fromOracle(c))
		}
		if diff := diffCommands(want, commands); diff != "" {
			t.Errorf("%q (-oracle +decoded):\n%s", frame, diff)
		}
	})
}
