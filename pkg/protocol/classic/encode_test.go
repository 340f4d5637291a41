package classic

import (
	"encoding/json"
	"errors"
	"testing"

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

func BenchmarkPush(b *testing.B) {
	m := hub.Message{ID: "507f1f77bcf86cd799439011", Channel: hub.Channel{Project: "p", Category: "chat", Name: "lobby"}, Data: json.RawMessage(`{"text":"hello"}`)}
	for b.Loop() {
		if _, err := Push(m); err != nil {
			b.Fatal(err)
		}
	}
}
