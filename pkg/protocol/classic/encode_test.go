package classic

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"centrifuge/pkg/hub"
)

func TestReply(t *testing.T) {
	named := Envelope{ID: text("7"), Method: "subscribe"}
	for _, tt := range []struct {
		name   string
		to     Envelope
		result Result
		err    error
		want   string
	}{
		{name: "success", to: named, want: `{"ack":true,"id":"7","method":"subscribe","result":true,"error":null}`},
		{name: "success without an id", to: Envelope{Method: "auth"}, want: `{"ack":true,"id":null,"method":"auth","result":true,"error":null}`},
		{name: "refused channels, each once", to: named, result: Result{Refused: []hub.Refusal{{Channel: hub.Channel{Category: "a", Name: "x"}, Reason: hub.ErrChannelDenied}, {Channel: hub.Channel{Category: "a", Name: "x"}, Reason: hub.ErrChannelDenied}}}, want: `{"ack":true,"id":"7","method":"subscribe","result":true,"error":null,"refused":{"a":["x"]},"reasons":{"a":{"x":{"code":405,"error":"channel permission denied","detail":"` + hub.ErrChannelDenied.Help + `"}}}}`},
		{name: "refused channels of two categories", to: named, result: Result{Refused: []hub.Refusal{
			{Channel: hub.Channel{Category: "b", Name: "y"}, Reason: hub.ErrCategoryDenied.WithHelp("create it")},
			{Channel: hub.Channel{Category: "a", Name: "x"}, Reason: hub.ErrChannelDenied.WithHelp("grant it")},
			{Channel: hub.Channel{Category: "a", Name: "w"}, Reason: hub.ErrChannelDenied.WithHelp("grant it")},
		}}, want: `{"ack":true,"id":"7","method":"subscribe","result":true,"error":null,"refused":{"a":["x","w"],"b":["y"]},"reasons":{` +
			`"a":{"w":{"code":405,"error":"channel permission denied","detail":"grant it"},"x":{"code":405,"error":"channel permission denied","detail":"grant it"}},` +
			`"b":{"y":{"code":403,"error":"category does not exist or permission denied","detail":"create it"}}}}`},
		{name: "refused channels without reasons", to: named, result: Result{Refused: []hub.Refusal{{Channel: hub.Channel{Category: "a", Name: "x"}}}}, want: `{"ack":true,"id":"7","method":"subscribe","result":true,"error":null,"refused":{"a":["x"]}}`},
		{name: "presence", to: named, result: Result{Presence: Presence([]hub.Client{{Connection: "c1", User: "u", Info: json.RawMessage(`{"a":1}`)}, {Connection: "c2"}})},
			want: `{"ack":true,"id":"7","method":"subscribe","result":{"presence":{"c1":{"client":"c1","user":"u","conn_info":{"a":1}},"c2":{"client":"c2","user":""}}},"error":null}`},
		{name: "presence of an empty channel", to: named, result: Result{Presence: Presence(nil)}, want: `{"ack":true,"id":"7","method":"subscribe","result":{"presence":{}},"error":null}`},
		{name: "an error with a result", to: named, result: Result{Presence: Presence(nil)}, err: hub.ErrNotAvailable, want: `{"ack":true,"id":"7","method":"subscribe","result":null,"error":"not available","code":108,"detail":"turn on the option of the category"}`},
		{name: "an error", to: named, err: hub.ErrOneWay, want: `{"ack":true,"id":"7","method":"subscribe","result":null,"error":"one-way category","code":404,"detail":"publish through the application, or set its option bidirectional"}`},
		{name: "an error with a detail", to: named, err: hub.ErrLimitExceeded.With("too much"), want: `{"ack":true,"id":"7","method":"subscribe","result":null,"error":"limit exceeded: too much","code":106,"detail":"too much"}`},
		{name: "an error with a detail and a help", to: named, err: hub.ErrLimitExceeded.With("too much").WithHelp("send less"), want: `{"ack":true,"id":"7","method":"subscribe","result":null,"error":"limit exceeded: too much","code":106,"detail":"too much: send less"}`},
		{name: "unauthorized, without id and method", to: named, err: hub.ErrUnauthorized, want: `{"ack":true,"id":null,"method":null,"result":null,"error":"unauthorized","code":101,"detail":"send auth first, and wait for its reply"}`},
		{name: "an internal error", to: named, err: errors.New("table centrifuge-7 is missing"), want: `{"ack":true,"id":"7","method":"subscribe","result":null,"error":"internal server error","code":100,"detail":"repeat later; the log of the service has the cause"}`},
		{name: "an unknown method", to: Envelope{Method: "x"}, err: UnknownMethod("x"), want: `{"ack":true,"id":null,"method":"x","result":null,"error":"unknown method x","code":104,"detail":"the methods are auth, subscribe, unsubscribe, broadcast and presence"}`},
		{name: "an id without a method", to: Envelope{ID: text("7")}, err: invalid("method is required"), want: `{"ack":true,"id":"7","method":null,"result":null,"error":"method is required","code":107,"detail":"a command is {\"id\": \"1\", \"method\": \"…\", \"params\": {…}}"}`},
		{name: "characters of HTML", to: Envelope{ID: text("<&>"), Method: "auth"}, want: `{"ack":true,"id":"<&>","method":"auth","result":true,"error":null}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := Reply(tt.to, tt.result, tt.err)
			if string(got) != tt.want {
				t.Errorf("\ngot      %s\nexpected %s", got, tt.want)
			}
			validate(t, "reply", got)
		})
	}
}

func TestPush(t *testing.T) {
	const head = `{"project_id":"p","project":"P","category_id":"507f191e810c19729de860ea","category":"chat","event_id":"507f1f77bcf86cd799439011","channel":"a \"b\"",`
	for _, tt := range []struct {
		name string
		m    hub.Message
		want string
	}{
		{"data", hub.Message{Data: json.RawMessage(`{"html":"<b>"}`)}, `"data":{"html":"<b>"}}`},
		{"data that is null", hub.Message{Data: json.RawMessage(`null`)}, `"data":null}`},
		{"a named client that joined", hub.Message{Event: hub.Join, Client: hub.Client{Connection: "c", User: "u", Info: json.RawMessage(`[1]`)}},
			`"event":"join","client":{"client":"c","user":"u","conn_info":[1]}}`},
		{"an anonymous client that left", hub.Message{Event: hub.Leave, Client: hub.Client{Connection: "c"}}, `"event":"leave","client":{"client":"c","user":""}}`},
		{"a publication of a stream", hub.Message{Data: json.RawMessage(`{}`), Position: hub.Position{Epoch: "6b02b29b0123456789abcdef", Offset: 1}},
			`"data":{},"offset":1,"epoch":"6b02b29b0123456789abcdef"}`},
		{"the greatest offset", hub.Message{Data: json.RawMessage(`{}`), Position: hub.Position{Epoch: "e", Offset: math.MaxUint64}},
			`"data":{},"offset":18446744073709551615,"epoch":"e"}`},
		{"tags without a stream", hub.Message{Data: json.RawMessage(`1`), Tags: map[string]string{"kind": "<goal>", "a": ""}},
			`"data":1,"tags":{"a":"","kind":"<goal>"}}`},
		{"tags in a stream", hub.Message{Data: json.RawMessage(`1`), Tags: map[string]string{"kind": "goal"}, Position: hub.Position{Epoch: "e", Offset: 7}},
			`"data":1,"offset":7,"epoch":"e","tags":{"kind":"goal"}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := tt.m
			m.ID, m.Channel = "507f1f77bcf86cd799439011", hub.Channel{Project: "p", Category: "chat", Name: `a "b"`}
			m.ProjectName, m.CategoryID = "P", "507f191e810c19729de860ea"
			got, err := Push(m)
			if err != nil || string(got) != head+tt.want {
				t.Errorf("\ngot      %s (%v)\nexpected %s", got, err, head+tt.want)
			}
			validate(t, "push", got)
			// A message may go to another Lambda before it is encoded.
			var copied hub.Message
			if err := json.Unmarshal(encode(m), &copied); err != nil {
				t.Fatal(err)
			}
			if again, err := Push(copied); err != nil || string(again) != string(got) {
				t.Errorf("\nencoded %s\na copy  %s (%v)", got, again, err)
			}
		})
	}
}

// push is the encoding of numbered with data.
func push(n int, data string) string {
	return fmt.Sprintf(`{"project_id":"","project":"","category_id":"","category":"","event_id":"%024x","channel":"","data":%s}`, n, data)
}

// numbered are messages with these data.
func numbered(data ...string) (messages []hub.Message) {
	for n, d := range data {
		messages = append(messages, hub.Message{ID: fmt.Sprintf("%024x", n), Data: json.RawMessage(d)})
	}
	return messages
}

func TestPushes(t *testing.T) {
	// padded is the data that makes a push of this size.
	padded := func(size int) string {
		return `"` + strings.Repeat("x", size-len(push(0, `""`))) + `"`
	}
	const limit = hub.DefaultMessageBytes
	for _, tt := range []struct {
		name  string
		data  []string
		batch bool
		want  []string
	}{
		{"no message", nil, false, nil},
		{"no message, in a batch", nil, true, nil},
		{"one message", []string{`1`}, false, []string{push(0, `1`)}},
		{"one message, in a batch", []string{`1`}, true, []string{push(0, `1`)}},
		{"three messages", []string{`1`, `{}`, `"é"`}, false, []string{push(0, `1`), push(1, `{}`), push(2, `"é"`)}},
		{"three messages, in a batch", []string{`1`, `{}`, `"é"`}, true, []string{"[" + push(0, `1`) + "," + push(1, `{}`) + "," + push(2, `"é"`) + "]"}},
		{"two messages that fill a frame", []string{padded(1000), padded(limit - 1003)}, true,
			[]string{"[" + push(0, padded(1000)) + "," + push(1, padded(limit-1003)) + "]"}},
		{"two messages that are a byte too large", []string{padded(1000), padded(limit - 1002)}, true,
			[]string{push(0, padded(1000)), push(1, padded(limit-1002))}},
		{"a message that fills a frame, between others", []string{`1`, padded(limit), `2`, `3`}, true,
			[]string{push(0, `1`), push(1, padded(limit)), "[" + push(2, `2`) + "," + push(3, `3`) + "]"}},
		{"a message larger than a frame, between others", []string{`1`, `2`, padded(limit + 1), `3`}, true,
			[]string{"[" + push(0, `1`) + "," + push(1, `2`) + "]", push(2, padded(limit+1)), push(3, `3`)}},
		{"a message larger than a frame, first", []string{padded(2 * limit), `1`}, true, []string{push(0, padded(2*limit)), push(1, `1`)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			frames, err := Pushes(numbered(tt.data...), tt.batch)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, frame := range frames {
				got = append(got, string(frame))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("frames (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPushesProperties checks for messages of any size that the frames of a batch hold the
// pushes in their order, and as many as fit.
func TestPushesProperties(t *testing.T) {
	const limit = hub.DefaultMessageBytes
	size := rapid.OneOf(rapid.IntRange(2, 200), rapid.IntRange(limit/4, limit/2), rapid.IntRange(limit-300, limit+300))
	rapid.Check(t, func(t *rapid.T) {
		var data []string
		for _, n := range rapid.SliceOfN(size, 0, 40).Draw(t, "sizes") {
			data = append(data, `"`+strings.Repeat("x", n)+`"`)
		}
		messages := numbered(data...)
		singles, err := Pushes(messages, false)
		if err != nil {
			t.Fatal(err)
		}
		frames, err := Pushes(messages, true)
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		room := 0 // what is left in the frame before
		for n, frame := range frames {
			schema, pushes := "push", []json.RawMessage{frame}
			if frame[0] == '[' {
				schema, pushes = "batch", nil
				if err := json.Unmarshal(frame, &pushes); err != nil {
					t.Fatal(err)
				}
				if len(frame) > limit {
					t.Errorf("frame %d has %d bytes and %d pushes", n, len(frame), len(pushes))
				}
			}
			if err := check(schema, frame); err != nil {
				t.Errorf("frame %d: %v", n, err)
			}
			if n > 0 && len(pushes[0]) <= room {
				t.Errorf("frame %d begins with %d bytes, which fit into the frame before", n, len(pushes[0]))
			}
			room = limit - len(frame) - len(",")
			if len(pushes) == 1 {
				room -= len("[]")
			}
			for _, p := range pushes {
				all = append(all, string(p))
			}
		}
		var want []string
		for _, single := range singles {
			want = append(want, string(single))
		}
		if diff := cmp.Diff(want, all); diff != "" {
			t.Errorf("pushes (-single +batch):\n%s", diff)
		}
	})
}

func BenchmarkPush(b *testing.B) {
	m := hub.Message{ID: "507f1f77bcf86cd799439011", Channel: hub.Channel{Project: "p", Category: "chat", Name: "lobby"}, Data: json.RawMessage(`{"text":"hello"}`)}
	for b.Loop() {
		if _, err := Push(m); err != nil {
			b.Fatal(err)
		}
	}
}
