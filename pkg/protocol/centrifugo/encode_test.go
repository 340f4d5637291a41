package centrifugo

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"centrifuge/pkg/hub"
)

// TestReply checks the bytes of replies. Those named "measured" are frames of Centrifugo 6.9.1.
func TestReply(t *testing.T) {
	messages := []hub.Message{{Data: json.RawMessage(`{"b":2}`), Position: hub.Position{Epoch: "czmifkSS", Offset: 2}, Tags: map[string]string{"t": "1"}}}
	for _, tt := range []struct {
		name  string
		reply Reply
		want  string
	}{
		{"connect, measured", Reply{ID: 1, Connect: &ConnectResult{Client: "4fdd", Version: "0.0.0 OSS", Ping: 25, Pong: true}}, `{"id":1,"connect":{"client":"4fdd","version":"0.0.0 OSS","ping":25,"pong":true}}`},
		{"subscribe, measured", Reply{ID: 2, Subscribe: &SubscribeResult{Recoverable: true, Epoch: "czmifkSS", Positioned: true}}, `{"id":2,"subscribe":{"recoverable":true,"epoch":"czmifkSS","positioned":true}}`},
		{"publish, measured", Reply{ID: 3, Publish: &PublishResult{}}, `{"id":3,"publish":{}}`},
		{"recovery, measured", Reply{ID: 2, Subscribe: &SubscribeResult{Recoverable: true, Epoch: "czmifkSS", Publications: PublicationsOf(messages), Recovered: true, Offset: 1, Positioned: true, WasRecovering: true}},
			`{"id":2,"subscribe":{"recoverable":true,"epoch":"czmifkSS","publications":[{"data":{"b":2},"offset":2,"tags":{"t":"1"}}],"recovered":true,"offset":1,"positioned":true,"was_recovering":true}}`},
		{"recovery from another epoch, measured", Reply{ID: 3, Subscribe: &SubscribeResult{Recoverable: true, Epoch: "WJESaPdk", Positioned: true, WasRecovering: true}}, `{"id":3,"subscribe":{"recoverable":true,"epoch":"WJESaPdk","positioned":true,"was_recovering":true}}`},
		{"an unrecoverable position, measured", Reply{ID: 4, Error: &ErrorUnrecoverablePosition}, `{"id":4,"error":{"code":112,"message":"unrecoverable position"}}`},
		{"an expired token, measured", Reply{ID: 1, Error: &ErrorTokenExpired}, `{"id":1,"error":{"code":109,"message":"token expired"}}`},
		{"a refused connect, measured", Reply{ID: 1, Error: refused(hub.DisconnectInvalidToken)}, `{"id":1,"error":{"code":3500,"message":"invalid token"}}`},
		{"a temporary error", Reply{ID: 1, Error: &ErrorTooManyRequests}, `{"id":1,"error":{"code":111,"message":"too many requests","temporary":true}}`},
		{"connect with everything", Reply{ID: 1, Connect: &ConnectResult{Client: "c", Version: "v", Expires: true, TTL: 540, Data: json.RawMessage(`{"a": "<&>"}`),
			Subs: map[string]*SubscribeResult{"b:x": {Recovered: true, Offset: 7}, "a:x": {}}, Ping: 7200, Pong: true, Session: "s", Node: "n", Time: 1}},
			`{"id":1,"connect":{"client":"c","version":"v","expires":true,"ttl":540,"data":{"a":"<&>"},"subs":{"a:x":{},"b:x":{"recovered":true,"offset":7}},"ping":7200,"pong":true,"session":"s","node":"n","time":1}}`},
		{"subscribe that expires, with data", Reply{ID: 2, Subscribe: &SubscribeResult{Expires: true, TTL: 60, Data: json.RawMessage(`null`)}}, `{"id":2,"subscribe":{"expires":true,"ttl":60,"data":null}}`},
		{"subscribe without a stream", Reply{ID: 2, Subscribe: &SubscribeResult{}}, `{"id":2,"subscribe":{}}`},
		{"unsubscribe", Reply{ID: 2, Unsubscribe: &UnsubscribeResult{}}, `{"id":2,"unsubscribe":{}}`},
		{"presence of nobody", Reply{ID: 2, Presence: PresenceOf(nil)}, `{"id":2,"presence":{"presence":{}}}`},
		{"presence", Reply{ID: 2, Presence: PresenceOf([]hub.Client{{Connection: "c2"}, {Connection: "c1", User: "u", Info: json.RawMessage(`{"a":1}`)}})},
			`{"id":2,"presence":{"presence":{"c1":{"user":"u","client":"c1","conn_info":{"a":1}},"c2":{"user":"","client":"c2"}}}}`},
		{"presence_stats of nobody", Reply{ID: 2, PresenceStats: &PresenceStatsResult{}}, `{"id":2,"presence_stats":{"num_clients":0,"num_users":0}}`},
		{"presence_stats", Reply{ID: 2, PresenceStats: &PresenceStatsResult{NumClients: 3, NumUsers: 2}}, `{"id":2,"presence_stats":{"num_clients":3,"num_users":2}}`},
		{"history of nothing", Reply{ID: 2, History: HistoryOf(nil, hub.Position{Epoch: "e"})}, `{"id":2,"history":{"publications":[],"epoch":"e","offset":0}}`},
		{"history", Reply{ID: 2, History: HistoryOf(messages, hub.Position{Epoch: "czmifkSS", Offset: 3})}, `{"id":2,"history":{"publications":[{"data":{"b":2},"offset":2,"tags":{"t":"1"}}],"epoch":"czmifkSS","offset":3}}`},
		{"rpc", Reply{ID: 2, RPC: &RPCResult{Data: json.RawMessage("{\n\"a\":\n1}")}}, `{"id":2,"rpc":{"data":{"a":1}}}`},
		{"rpc without data", Reply{ID: 2, RPC: &RPCResult{}}, `{"id":2,"rpc":{}}`},
		{"refresh", Reply{ID: 2, Refresh: &RefreshResult{Client: "c", Version: "v", Expires: true, TTL: 540}}, `{"id":2,"refresh":{"client":"c","version":"v","expires":true,"ttl":540}}`},
		{"sub_refresh", Reply{ID: 2, SubRefresh: &SubRefreshResult{Expires: true, TTL: 540}}, `{"id":2,"sub_refresh":{"expires":true,"ttl":540}}`},
		{"ping", Reply{ID: 2, Ping: &PingResult{}}, `{"id":2,"ping":{}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := EncodeReply(tt.reply)
			if err != nil || string(got) != tt.want {
				t.Errorf("\ngot      %s (%v)\nexpected %s", got, err, tt.want)
			}
			readByOracle(t, got)
		})
	}
}

func refused(d *hub.Disconnection) *Error {
	e := refusal(d)
	return &e
}

// rpc is a reply of this size.
func rpc(id uint32, size int) Reply {
	r := Reply{ID: id, RPC: &RPCResult{Data: json.RawMessage(`""`)}}
	empty, _ := EncodeReply(r)
	r.RPC.Data = json.RawMessage(`"` + strings.Repeat("x", size-len(empty)) + `"`)
	return r
}

func TestEncode(t *testing.T) {
	const limit = hub.DefaultMessageBytes
	encoded := func(r Reply) string {
		b, err := encode(r)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	a, b := Reply{ID: 1, Publish: &PublishResult{}}, Reply{ID: 2, Ping: &PingResult{}}
	for _, tt := range []struct {
		name    string
		replies []Reply
		want    []string
	}{
		{"no reply", nil, nil},
		{"one reply", []Reply{a}, []string{encoded(a)}},
		{"two replies", []Reply{a, b}, []string{encoded(a) + "\n" + encoded(b)}},
		{"two replies that fill a frame", []Reply{rpc(1, 1000), rpc(2, limit-1001)}, []string{encoded(rpc(1, 1000)) + "\n" + encoded(rpc(2, limit-1001))}},
		{"two replies that are a byte too large", []Reply{rpc(1, 1000), rpc(2, limit-1000)}, []string{encoded(rpc(1, 1000)), encoded(rpc(2, limit-1000))}},
		{"a reply larger than a frame, between others", []Reply{a, rpc(3, limit+1), b}, []string{encoded(a), encoded(rpc(3, limit+1)), encoded(b)}},
		{"a reply of the largest size", []Reply{rpc(3, hub.MaxMessageBytes), b}, []string{encoded(rpc(3, hub.MaxMessageBytes)), encoded(b)}},
		{"a reply that is too large", []Reply{rpc(3, hub.MaxMessageBytes+1), b}, []string{`{"id":3,"error":{"code":106,"message":"limit exceeded: the reply is 131073 bytes, at most 131072 are allowed"}}` + "\n" + encoded(b)}},
		{"a reply with data that is not JSON", []Reply{a, {ID: 3, RPC: &RPCResult{Data: json.RawMessage(`{`)}}}, []string{encoded(a) + "\n" + `{"id":3,"error":{"code":100,"message":"internal server error","temporary":true}}`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, frame := range Encode(tt.replies) {
				got = append(got, string(frame))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("frames (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEncodeReplyFails(t *testing.T) {
	if _, err := EncodeReply(rpc(1, hub.MaxMessageBytes+1)); !errors.Is(err, hub.ErrLimitExceeded) {
		t.Errorf("a reply that is too large: %v", err)
	}
	if _, err := EncodeReply(Reply{RPC: &RPCResult{Data: json.RawMessage(`{`)}}); !errors.Is(hub.Public(err), hub.ErrInternal) {
		t.Errorf("a reply with data that is not JSON: %v", err)
	}
}

// TestFramesProperties checks for objects of any size that the frames hold them in their order,
// and as many as fit.
func TestFramesProperties(t *testing.T) {
	const limit = hub.DefaultMessageBytes
	size := rapid.OneOf(rapid.IntRange(1, 200), rapid.IntRange(limit/4, limit/2), rapid.IntRange(limit-3, limit+3))
	rapid.Check(t, func(t *rapid.T) {
		var objects [][]byte
		for i, n := range rapid.SliceOfN(size, 0, 40).Draw(t, "sizes") {
			objects = append(objects, []byte(strings.Repeat(string(rune('a'+i%26)), n)))
		}
		var got []string
		room := -1 // what is left in the frame before
		for n, frame := range Frames(objects) {
			lines := strings.Split(string(frame), "\n")
			if len(frame) > limit && len(lines) > 1 {
				t.Errorf("frame %d has %d bytes and %d lines", n, len(frame), len(lines))
			}
			if len("\n")+len(lines[0]) <= room {
				t.Errorf("frame %d begins with %d bytes, which fit into the frame before", n, len(lines[0]))
			}
			room = limit - len(frame)
			got = append(got, lines...)
		}
		var want []string
		for _, o := range objects {
			want = append(want, string(o))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("lines (-objects +frames):\n%s", diff)
		}
	})
}

// TestPartial: Centrifugo's own reader does not know the member.
func TestPartial(t *testing.T) {
	got, err := EncodeReply(Reply{ID: 2, PresenceStats: &PresenceStatsResult{NumClients: 10_000, NumUsers: 2, Partial: true}})
	if want := `{"id":2,"presence_stats":{"num_clients":10000,"num_users":2,"partial":true}}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v, expected %s", got, err, want)
	}
}

func BenchmarkEncode(b *testing.B) {
	replies := make([]Reply, 34)
	replies[0] = Reply{ID: 1, Connect: &ConnectResult{Client: "L0SM9cOFvHcCIhw=", Version: "0.0.0", Ping: 7200, Pong: true}}
	for i := range replies[1:] {
		replies[i+1] = Reply{ID: uint32(i + 2), Subscribe: &SubscribeResult{Recoverable: true, Epoch: "6b02a2000123456789abcdef", Positioned: true}}
	}
	b.ReportAllocs()
	for b.Loop() {
		Encode(replies)
	}
}
