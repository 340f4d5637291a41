package classic

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/hub"
)

func text(s string) *string { return &s }

func TestDecode(t *testing.T) {
	for _, tt := range []struct {
		name   string
		frame  string
		id     *string
		method string
		fails  string
	}{
		{name: "an id", frame: `{"id":"7","method":"auth","params":{}}`, id: text("7"), method: "auth"},
		{name: "no id", frame: `{"method":"auth","params":{}}`, method: "auth"},
		{name: "an empty id", frame: `{"id":"","method":"auth","params":{}}`, id: text(""), method: "auth"},
		{name: "other keys", frame: `{"method":"auth","params":{},"x":[1]}`, method: "auth"},
		{name: "white space", frame: " {\n\"method\" : \"auth\" , \"params\" : {} } ", method: "auth"},
		{name: "an unknown method", frame: `{"method":"x","params":{}}`, method: "x"},
		{name: "an empty frame", frame: ``, fails: "malformed JSON data"},
		{name: "text", frame: `hello`, fails: "malformed JSON data"},
		{name: "two documents", frame: `{"method":"auth","params":{}}{}`, fails: "malformed JSON data"},
		{name: "text that is not UTF-8", frame: "{\"method\":\"\xff\",\"params\":{}}", fails: "malformed JSON data"},
		{name: "a byte order mark", frame: "\ufeff{}", fails: "malformed JSON data"},
		{name: "half of a surrogate pair in the data", frame: `{"method":"broadcast","params":{"data":{"\ud800":"\udc00"}}}`, method: "broadcast"},
		{name: "half of a surrogate pair in a name", frame: `{"method":"broadcast","params":{"channel":"\ud800","data":{}}}`, fails: "malformed JSON data"},
		{name: "half of a surrogate pair in a key", frame: `{"method":"subscribe","params":{"to":{"\udc00":["data"]}}}`, fails: "malformed JSON data"},
		{name: "nesting that is too deep", frame: strings.Repeat("[", 20000), fails: "malformed JSON data"},
		{name: "null", frame: `null`, fails: "the message is not an object"},
		{name: "an array", frame: `[{}]`, fails: "the message is not an object"},
		{name: "a number", frame: `1`, fails: "the message is not an object"},
		{name: "no method", frame: `{"params":{}}`, fails: "method is required"},
		{name: "a method in the wrong case", frame: `{"Method":"auth","params":{}}`, fails: "method is required"},
		{name: "a method that is null", frame: `{"method":null,"params":{}}`, fails: "method is not a string"},
		{name: "an id that is a number", frame: `{"id":1,"method":"auth","params":{}}`, fails: "id is not a string"},
		{name: "an id that is null", frame: `{"id":null,"method":"auth","params":{}}`, fails: "id is not a string"},
		{name: "no params", frame: `{"method":"auth"}`, fails: "params is required"},
		{name: "an unknown method without params", frame: `{"method":"nope"}`, fails: "unknown method nope"},
		{name: "an id of 255 bytes", frame: `{"id":"` + strings.Repeat(`é`, 127) + `\u0000","method":"auth","params":{}}`, id: text(strings.Repeat("é", 127) + "\x00"), method: "auth"},
		{name: "an id of 256 bytes", frame: `{"id":"` + strings.Repeat(`é`, 128) + `","method":"auth","params":{}}`, fails: "limit exceeded: id is 256 bytes, at most 255 are allowed"},
		{name: "a method of 255 bytes", frame: `{"method":"` + strings.Repeat("m", 255) + `","params":{}}`, method: strings.Repeat("m", 255)},
		{name: "a method of 256 bytes", frame: `{"method":"` + strings.Repeat("m", 256) + `","params":{}}`, fails: "limit exceeded: method is 256 bytes, at most 255 are allowed"},
		{name: "params that are a list", frame: `{"method":"auth","params":[]}`, fails: "params is not an object"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := Decode([]byte(tt.frame))
			if got := message(err); got != tt.fails {
				t.Fatalf("error %q, expected %q", got, tt.fails)
			}
			if err == nil && (e.Method != tt.method || !cmp.Equal(e.ID, tt.id)) {
				t.Errorf("id %v method %q", e.ID, e.Method)
			}
		})
	}
}

// TestInvalidFrameReply checks the whole reply to invalid frames: id and method as far as
// they can be read, and what to do.
func TestInvalidFrameReply(t *testing.T) {
	coded := func(code, id, method, text, detail string) string {
		quoted, err := json.Marshal(detail)
		if err != nil {
			t.Fatal(err)
		}
		return `{"ack":true,"id":` + id + `,"method":` + method + `,"result":null,"error":"` + text + `","code":` + code + `,"detail":` + string(quoted) + `}`
	}
	reply := func(id, method, text, detail string) string { return coded("107", id, method, text, detail) }
	long := func(id, method, detail string) string {
		return coded("106", id, method, "limit exceeded: "+detail, detail)
	}
	const command = `a command is {"id": "1", "method": "…", "params": {…}}`
	for _, tt := range []struct{ name, frame, want string }{
		{"an empty frame", ``, reply(`null`, `null`, "malformed JSON data", "it is empty")},
		{"text", `hello`, reply(`null`, `null`, "malformed JSON data", "line 1, column 1: invalid character 'h' looking for beginning of value")},
		{"a comma too many", "{\"id\":\"1\",\n \"params\":{},}", reply(`null`, `null`, "malformed JSON data", "line 2, column 14: invalid character '}' looking for beginning of object key string")},
		{"a frame that ends too early", `{"id":"1"`, reply(`null`, `null`, "malformed JSON data", "line 1, column 10: it ends too early")},
		{"a byte that is not UTF-8", "{\"é\xff\"}", reply(`null`, `null`, "malformed JSON data", "line 1, column 5: this byte is not UTF-8")},
		{"a byte order mark", "\ufeff{}", reply(`null`, `null`, "malformed JSON data", "line 1, column 1: this is a byte order mark: send the text without it")},
		{"half of a surrogate pair", `{"id":"\ud83d"}`, reply(`null`, `null`, "malformed JSON data", `line 1, column 8: \ud83d is half of a surrogate pair and no character`)},
		{"half of a surrogate pair in a command with an id", `{"id":"7","method":"subscribe","params":{"to":{"a":["\ud83d"]}}}`, reply(`"7"`, `"subscribe"`, "malformed JSON data", `line 1, column 54: \ud83d is half of a surrogate pair and no character`)},
		{"half of a surrogate pair in a method", `{"id":"7","method":"\ud83d","params":{}}`, reply(`"7"`, `null`, "malformed JSON data", `line 1, column 21: \ud83d is half of a surrogate pair and no character`)},
		{"nesting that is too deep", strings.Repeat("[", 20000), reply(`null`, `null`, "malformed JSON data", "line 1, column 10001: invalid character '[' exceeded max depth")},
		{"an array", `[]`, reply(`null`, `null`, "the message is not an object", command)},
		{"no method", `{"id":"7","params":{}}`, reply(`"7"`, `null`, "method is required", command)},
		{"a method that is a number", `{"id":"7","method":1,"params":{}}`, reply(`"7"`, `null`, "method is not a string", command)},
		{"an id that is a number", `{"id":7,"method":"auth","params":{}}`, reply(`null`, `"auth"`, "id is not a string", command)},
		{"an id and a method that are numbers", `{"id":7,"method":7,"params":{}}`, reply(`null`, `null`, "method is not a string", command)},
		{"an id of 256 bytes", `{"id":"` + strings.Repeat("i", 256) + `","method":"auth","params":{}}`, long(`null`, `"auth"`, "id is 256 bytes, at most 255 are allowed")},
		{"a method of 100,000 bytes", `{"id":"7","method":"` + strings.Repeat("\u2028", 33333) + `m","params":{}}`, long(`"7"`, `null`, "method is 100000 bytes, at most 255 are allowed")},
		{"no params", `{"id":"7","method":"auth"}`, reply(`"7"`, `"auth"`, "params is required", command)},
		{"params that are a list", `{"id":"7","method":"auth","params":[]}`, reply(`"7"`, `"auth"`, "params is not an object", command)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := Decode([]byte(tt.frame))
			got := Reply(e, Result{}, err)
			if diff := cmp.Diff(tt.want, string(got)); diff != "" {
				t.Errorf("-expected +encoded:\n%s", diff)
			}
			validate(t, "reply", got)
		})
	}
}

// TestInvalidParamsHelp checks that an error about params shows their shape.
func TestInvalidParamsHelp(t *testing.T) {
	for _, tt := range []struct {
		method string
		read   func(Envelope) error
		params string
	}{
		{"auth", func(e Envelope) error { _, err := e.Auth(); return err }, `{}`},
		{"subscribe", func(e Envelope) error { _, err := e.Subscribe(); return err }, `{"to":[]}`},
		{"unsubscribe", func(e Envelope) error { _, err := e.Unsubscribe(); return err }, `{"from":{"a":1}}`},
		{"unsubscribe", func(e Envelope) error { _, err := e.UnsubscribeUser(); return err }, `{"from":{},"user":1}`},
		{"broadcast", func(e Envelope) error { _, err := e.Broadcast(); return err }, `{"category":"a"}`},
		{"presence", func(e Envelope) error { _, err := e.Presence(); return err }, `{"channel":"a"}`},
	} {
		t.Run(tt.method, func(t *testing.T) {
			e, err := Decode([]byte(`{"method":"` + tt.method + `","params":` + tt.params + `}`))
			if err != nil {
				t.Fatal(err)
			}
			help := hub.Public(tt.read(e)).Explanation()
			shape, ok := strings.CutPrefix(help, "the params of "+tt.method+" are ")
			if !ok {
				t.Fatalf("help %q", help)
			}
			if e, err = Decode([]byte(`{"method":"m","params":` + shape + `}`)); err != nil {
				t.Fatal(err)
			}
			if err := tt.read(e); err != nil {
				t.Errorf("the shape %s is not valid: %v", shape, err)
			}
		})
	}
	t.Run("permissions that name too much", func(t *testing.T) {
		e, err := Decode([]byte(`{"method":"auth","params":{"token":"","user":"","project_id":"","permissions":{"` + strings.Repeat("x", 256) + `":[]}}}`))
		if err != nil {
			t.Fatal(err)
		}
		_, err = e.Auth()
		if got := hub.Public(err).Explanation(); got != "a name in permissions is longer than 255 bytes" {
			t.Errorf("explanation %q", got)
		}
	})
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestParams(t *testing.T) {
	auth := func(e Envelope) (any, error) { return e.Auth() }
	subscribe := func(e Envelope) (any, error) { return e.Subscribe() }
	unsubscribe := func(e Envelope) (any, error) { return e.Unsubscribe() }
	broadcast := func(e Envelope) (any, error) { return e.Broadcast() }
	unsubscribeUser := func(e Envelope) (any, error) { return e.UnsubscribeUser() }
	for _, tt := range []struct {
		name   string
		read   func(Envelope) (any, error)
		params string
		want   any
		fails  string
	}{
		{name: "auth with all permissions", read: auth, params: `{"token":"t","user":"u","project_id":"p","permissions":{}}`,
			want: Auth{Project: "p", User: "u", Token: "t", Permissions: hub.Permissions{Everything: true}}},
		{name: "auth with some permissions", read: auth, params: `{"token":"t","user":"","project_id":"p","permissions":{"a":[],"b":["x"]}}`,
			want: Auth{Project: "p", Token: "t", Permissions: hub.Permissions{Categories: map[string]hub.Grant{"a": {Whole: true}, "b": {Channels: []string{"x"}}}}}},
		{name: "auth without a token", read: auth, params: `{"user":"u","project_id":"p","permissions":{}}`, fails: "token is required"},
		{name: "auth with a user that is a number", read: auth, params: `{"token":"t","user":1,"project_id":"p","permissions":{}}`, fails: "user is not a string"},
		{name: "auth without a project", read: auth, params: `{"token":"t","user":"u","permissions":{}}`, fails: "project_id is required"},
		{name: "auth with a list of permissions", read: auth, params: `{"token":"t","user":"u","project_id":"p","permissions":[]}`, fails: "permissions is not an object"},
		{name: "auth with batch", read: auth, params: `{"token":"t","user":"u","project_id":"p","permissions":{},"batch": true }`,
			want: Auth{Project: "p", User: "u", Token: "t", Permissions: hub.Permissions{Everything: true}, Batch: true}},
		{name: "auth with batch that is false", read: auth, params: `{"token":"t","user":"u","project_id":"p","permissions":{},"batch":false}`,
			want: Auth{Project: "p", User: "u", Token: "t", Permissions: hub.Permissions{Everything: true}}},
		{name: "auth with batch that is null", read: auth, params: `{"token":"t","user":"u","project_id":"p","permissions":{},"batch":null}`, fails: "batch is not a boolean"},
		{name: "auth with batch that is a number", read: auth, params: `{"token":"t","user":"u","project_id":"p","permissions":{},"batch":1}`, fails: "batch is not a boolean"},
		{name: "auth with batch that is text", read: auth, params: `{"token":"t","user":"u","project_id":"p","permissions":{},"batch":"true"}`, fails: "batch is not a boolean"},
		{name: "subscribe to two categories", read: subscribe, params: `{"to":{"b":[],"a":["x","y"]}}`, want: []hub.Channel{{Category: "a", Name: "x"}, {Category: "a", Name: "y"}}},
		{name: "subscribe to nothing", read: subscribe, params: `{"to":{}}`, want: []hub.Channel(nil)},
		{name: "subscribe without to", read: subscribe, params: `{"from":{}}`, fails: "to is required"},
		{name: "subscribe to null", read: subscribe, params: `{"to":{"a":null}}`, fails: "a category in to is not an array of channels"},
		{name: "subscribe to a channel that is null", read: subscribe, params: `{"to":{"a":[null]}}`, fails: "a channel in to is not a string"},
		{name: "unsubscribe from one", read: unsubscribe, params: `{"from":{"a":["x"]}}`, want: []hub.Channel{{Category: "a", Name: "x"}}},
		{name: "unsubscribe without from", read: unsubscribe, params: `{"to":{}}`, fails: "from is required"},
		{name: "broadcast with data that is not compact", read: broadcast, params: `{"category":"a","channel":"x","data":{"n": 1.50}}`,
			want: Broadcast{Channel: hub.Channel{Category: "a", Name: "x"}, Data: json.RawMessage(`{"n": 1.50}`)}},
		{name: "broadcast with unique_keys", read: broadcast, params: `{"category":"a","channel":"x","data":{},"unique_keys":["n"]}`,
			want: Broadcast{Channel: hub.Channel{Category: "a", Name: "x"}, Data: json.RawMessage(`{}`)}},
		{name: "broadcast of text", read: broadcast, params: `{"category":"a","channel":"x","data":"hi"}`, fails: "data is not an object"},
		{name: "broadcast without a channel", read: broadcast, params: `{"category":"a","data":{}}`, fails: "channel is required"},
		{name: "broadcast with unique_keys that are no list", read: broadcast, params: `{"category":"a","channel":"x","data":{},"unique_keys":null}`, fails: "unique_keys is not an array"},
		{name: "a user from a whole category", read: unsubscribeUser, params: `{"user":"u","from":{"a":[]}}`, want: UserUnsubscribe{User: "u", From: hub.Selection{"a": {}}}},
		{name: "no user from everything", read: unsubscribeUser, params: `{"from":{}}`, want: UserUnsubscribe{From: hub.Selection{}}},
		{name: "a user that is null", read: unsubscribeUser, params: `{"user":null,"from":{}}`, fails: "user is not a string"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := Decode([]byte(`{"method":"m","params":` + tt.params + `}`))
			if err != nil {
				t.Fatal(err)
			}
			got, err := tt.read(e)
			if message(err) != tt.fails {
				t.Fatalf("error %q, expected %q", message(err), tt.fails)
			}
			if err == nil {
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("-expected +decoded:\n%s", diff)
				}
			}
		})
	}
}
