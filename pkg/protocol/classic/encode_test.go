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
		{name: "refused channels, each once", to: named, result: Result{Refused: []hub.Refusal{{Channel: hub.Channel{Category: "a", Name: "x"}, Reason: hub.ErrChannelDenied}, {Channel: hub.Channel{Category: "a", Name: "x"}, Reason: hub.ErrChannelDenied}}}, want: `{"ack":true,"id":"7","method":"subscribe","result":true,"error":null,"refused":{"a":["x"]}}`},
		{name: "presence", to: named, result: Result{Presence: Presence([]hub.Client{{Connection: "c1", User: "u", Info: json.RawMessage(`{"a":1}`)}, {Connection: "c2"}})},
			want: `{"ack":true,"id":"7","method":"subscribe","result":{"presence":{"c1":{"client":"c1","user":"u","conn_info":{"a":1}},"c2":{"client":"c2","user":""}}},"error":null}`},
		{name: "presence of an empty channel", to: named, result: Result{Presence: Presence(nil)}, want: `{"ack":true,"id":"7","method":"subscribe","result":{"presence":{}},"error":null}`},
		{name: "an error with a result", to: named, result: Result{Presence: Presence(nil)}, err: hub.ErrNotAvailable, want: `{"ack":true,"id":"7","method":"subscribe","result":null,"error":"not available"}`},
		{name: "an error", to: named, err: hub.ErrOneWay, want: `{"ack":true,"id":"7","method":"subscribe","result":null,"error":"one-way category"}`},
		{name: "an error with a detail", to: named, err: hub.ErrLimitExceeded.With("too much"), want: `{"ack":true,"id":"7","method":"subscribe","result":null,"error":"limit exceeded: too much"}`},
		{name: "unauthorized, without id and method", to: named, err: hub.ErrUnauthorized, want: `{"ack":true,"id":null,"method":null,"result":null,"error":"unauthorized"}`},
		{name: "an internal error", to: named, err: errors.New("table centrifuge-7 is missing"), want: `{"ack":true,"id":"7","method":"subscribe","result":null,"error":"internal server error"}`},
		{name: "an unknown method", to: Envelope{Method: "x"}, err: UnknownMethod("x"), want: `{"ack":true,"id":null,"method":"x","result":null,"error":"unknown method x"}`},
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

func TestRefuse(t *testing.T) {
	_, err := Decode([]byte("x"))
	want := `{"ack":true,"id":null,"method":null,"result":null,"error":"malformed JSON data"}`
	if got := Refuse(err); string(got) != want {
		t.Errorf("got %s, expected %s", got, want)
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
