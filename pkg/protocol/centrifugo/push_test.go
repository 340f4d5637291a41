package centrifugo

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/hub"
)

// TestPush checks the bytes of pushes. Those named "measured" are frames of Centrifugo 6.9.1.
func TestPush(t *testing.T) {
	recovery, test := hub.Channel{Project: "p", Category: "recovery", Name: "x"}, hub.Channel{Project: "p", Category: "test", Name: "x"}
	message := func(m hub.Message) func() ([]byte, error) { return func() ([]byte, error) { return Push(m) } }
	known := func(b []byte) func() ([]byte, error) { return func() ([]byte, error) { return b, nil } }
	for _, tt := range []struct {
		name string
		push func() ([]byte, error)
		want string
	}{
		{"pub of a client in a stream, measured", message(hub.Message{ID: "1", Channel: recovery, ProjectName: "P", CategoryID: "c", Data: json.RawMessage(`{"a":1}`), Client: hub.Client{Connection: "4fdd"}, Position: hub.Position{Epoch: "czmifkSS", Offset: 1}}),
			`{"push":{"channel":"recovery:x","pub":{"data":{"a":1},"info":{"user":"","client":"4fdd"},"offset":1,"epoch":"czmifkSS"}}}`},
		{"pub of an application, without a stream", message(hub.Message{Channel: test, Data: json.RawMessage(`"<&>"`)}), `{"push":{"channel":"test:x","pub":{"data":"<&>"}}}`},
		{"pub of null", message(hub.Message{Channel: test, Data: json.RawMessage(`null`)}), `{"push":{"channel":"test:x","pub":{"data":null}}}`},
		{"pub with everything", message(hub.Message{Channel: test, Data: json.RawMessage(`[1]`), Client: hub.Client{Connection: "c", User: "u", Info: json.RawMessage(`{"n": 1}`)}, Position: hub.Position{Epoch: "e", Offset: math.MaxUint64}, Tags: map[string]string{"b": "2", "a": ""}}),
			`{"push":{"channel":"test:x","pub":{"data":[1],"info":{"user":"u","client":"c","conn_info":{"n":1}},"offset":18446744073709551615,"tags":{"a":"","b":"2"},"epoch":"e"}}}`},
		{"join", message(hub.Message{Channel: test, Event: hub.Join, Client: hub.Client{Connection: "c", User: "u", Info: json.RawMessage(`[1]`)}}), `{"push":{"channel":"test:x","join":{"info":{"user":"u","client":"c","conn_info":[1]}}}}`},
		{"leave", message(hub.Message{Channel: test, Event: hub.Leave, Client: hub.Client{Connection: "c"}}), `{"push":{"channel":"test:x","leave":{"info":{"user":"","client":"c"}}}}`},
		{"unsubscribe, measured", known(PushUnsubscribe("test", hub.UnsubscribedByServer)), `{"push":{"channel":"test","unsubscribe":{"code":2000,"reason":"server unsubscribe"}}}`},
		{"subscribe, measured", func() ([]byte, error) {
			return PushSubscribe("recovery:s", Subscribe{Recoverable: true, Epoch: "czxUIgwI", Positioned: true, Data: json.RawMessage(`{"w":1}`)})
		}, `{"push":{"channel":"recovery:s","subscribe":{"recoverable":true,"epoch":"czxUIgwI","positioned":true,"data":{"w":1}}}}`},
		{"subscribe without a stream", func() ([]byte, error) { return PushSubscribe("test", Subscribe{}) }, `{"push":{"channel":"test","subscribe":{}}}`},
		{"message", func() ([]byte, error) { return PushMessage(json.RawMessage(`{"a":1}`)) }, `{"push":{"message":{"data":{"a":1}}}}`},
		{"disconnect", known(PushDisconnect(&hub.Disconnection{Code: 4501, Reason: "banned"})), `{"push":{"disconnect":{"code":4501,"reason":"banned"}}}`},
		{"refresh", known(PushRefresh(Refresh{Expires: true, TTL: 60})), `{"push":{"refresh":{"expires":true,"ttl":60}}}`},
		{"refresh without an end", known(PushRefresh(Refresh{})), `{"push":{"refresh":{}}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.push()
			if err != nil || string(got) != tt.want {
				t.Errorf("\ngot      %s (%v)\nexpected %s", got, err, tt.want)
			}
			readByOracle(t, got)
		})
	}
}

// TestUnsubscribeCode0 checks that the code is there even if it is 0, unlike in Centrifugo: the
// Python client fails without it.
func TestUnsubscribeCode0(t *testing.T) {
	const want = `{"push":{"channel":"test","unsubscribe":{"code":0,"reason":"client unsubscribed"}}}`
	if got := string(PushUnsubscribe("test", hub.Unsubscription{Reason: "client unsubscribed"})); got != want {
		t.Errorf("got %s, expected %s", got, want)
	}
}

func TestPushFails(t *testing.T) {
	bad := json.RawMessage(`{`)
	for name, push := range map[string]func() error{
		"Push": func() error { _, err := Push(hub.Message{Data: bad}); return err },
		"Pushes": func() error {
			_, err := Pushes([]hub.Message{{Data: json.RawMessage(`1`)}, {Data: bad}}, true)
			return err
		},
		"PushMessage":   func() error { _, err := PushMessage(bad); return err },
		"PushSubscribe": func() error { _, err := PushSubscribe("a:x", Subscribe{Data: bad}); return err },
	} {
		if push() == nil {
			t.Errorf("%s accepts data that is not JSON", name)
		}
	}
}

// lobby is a message with data in the channel chat:lobby.
func lobby(data string) hub.Message {
	return hub.Message{Channel: hub.Channel{Category: "chat", Name: "lobby"}, Data: json.RawMessage(data)}
}

func TestPushes(t *testing.T) {
	push := func(data string) string { return `{"push":{"channel":"chat:lobby","pub":{"data":` + data + `}}}` }
	// padded is the data that makes a push of this size.
	padded := func(size int) string { return `"` + strings.Repeat("x", size-len(push(`""`))) + `"` }
	const limit = hub.DefaultMessageBytes
	for _, tt := range []struct {
		name string
		data []string
		want []string
	}{
		{"no message", nil, nil},
		{"one message", []string{`1`}, []string{push(`1`)}},
		{"three messages", []string{`1`, `{}`, `"é"`}, []string{push(`1`) + "\n" + push(`{}`) + "\n" + push(`"é"`)}},
		{"two messages that fill a frame", []string{padded(1000), padded(limit - 1001)}, []string{push(padded(1000)) + "\n" + push(padded(limit-1001))}},
		{"two messages that are a byte too large", []string{padded(1000), padded(limit - 1000)}, []string{push(padded(1000)), push(padded(limit - 1000))}},
		{"a message larger than a frame, between others", []string{`1`, `2`, padded(limit + 1), `3`}, []string{push(`1`) + "\n" + push(`2`), push(padded(limit + 1)), push(`3`)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var messages []hub.Message
			for _, data := range tt.data {
				messages = append(messages, lobby(data))
			}
			for _, batch := range []bool{false, true} {
				frames, err := Pushes(messages, batch)
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, frame := range frames {
					got = append(got, string(frame))
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("frames with batch %v (-want +got):\n%s", batch, diff)
				}
			}
		})
	}
}

func BenchmarkPush(b *testing.B) {
	m := lobby(`{"text":"hello"}`)
	m.Client = hub.Client{Connection: "L0SM9cOFvHcCIhw=", User: "alice"}
	m.Position = hub.Position{Epoch: "6b02a2000123456789abcdef", Offset: 41}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Push(m); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPushes(b *testing.B) {
	messages := make([]hub.Message, 256)
	for i := range messages {
		messages[i] = lobby(`{"text":"hello"}`)
		messages[i].Position = hub.Position{Epoch: "6b02a2000123456789abcdef", Offset: uint64(i + 1)}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Pushes(messages, false); err != nil {
			b.Fatal(err)
		}
	}
}
