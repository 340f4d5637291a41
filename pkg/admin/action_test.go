package admin

import (
	"encoding/json"
	"maps"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestActionTable(t *testing.T) {
	methods := make(map[string]bool)
	for _, a := range actions {
		t.Run(a.Method+" has all texts, and its examples make a request", func(t *testing.T) {
			if a.Title == "" || a.Help == "" || methods[a.Method] {
				t.Errorf("a title or help is missing, or the method is there twice: %+v", a)
			}
			methods[a.Method] = true
			names := make(map[string]bool)
			typed := make(url.Values)
			for _, f := range a.Fields {
				if f.Name == "" || f.Label == "" || f.Help == "" || f.Kind == "" || names[f.Name] {
					t.Errorf("a text is missing, or the name is there twice: %+v", f)
				}
				names[f.Name] = true
				typed.Set(f.Name, f.Example)
			}
			body, problems := a.request(typed)
			var sent map[string]any
			if err := json.Unmarshal(body, &sent); err != nil || len(problems) > 0 || len(sent) != len(a.Fields) {
				t.Errorf("body %s, problems %v, error %v", body, problems, err)
			}
		})
		t.Run(a.Method+" with an empty form reports every required field", func(t *testing.T) {
			want := make(map[string]string)
			for _, f := range a.Fields {
				if f.Required {
					want[f.Name] = f.Label + " is required."
				}
			}
			body, problems := a.request(nil)
			if !maps.Equal(want, problems) {
				t.Errorf("got %v, want %v", problems, want)
			}
			if (body == nil) != (len(want) > 0) {
				t.Errorf("body %s", body)
			}
		})
	}
}

func TestActionRequest(t *testing.T) {
	for _, tt := range []struct {
		name, method string
		typed        url.Values
		body         string
		problems     map[string]string
	}{
		{
			name: "keys are in the order of the table, without empty optional ones", method: "publish",
			typed: url.Values{"data": {` {"b": 1,  "a": [1, 2]} `}, "channel": {"news:a"}, "idempotency_key": {" "}},
			body:  `{"channel":"news:a","data":{"b":1,"a":[1,2]}}`,
		},
		{
			name: "strings are escaped only where JSON requires it", method: "unsubscribe",
			typed: url.Values{"user": {`<a & "b">`}, "channel": {"чат:é"}},
			body:  `{"user":"<a & \"b\">","channel":"чат:é"}`,
		},
		{
			name: "a list has one item per line, with any line ending", method: "broadcast",
			typed: url.Values{"channels": {"news:a\r\n\r\n  chat:b c \nchat:d"}, "data": {"null"}},
			body:  `{"channels":["news:a","chat:b c","chat:d"],"data":null}`,
		},
		{
			name: "numbers keep their digits", method: "publish",
			typed: url.Values{"channel": {"a:b"}, "data": {"12345678901234567890.10"}},
			body:  `{"channel":"a:b","data":12345678901234567890.10}`,
		},
		{
			name: "an empty form of an action without required fields", method: "channels",
			body: `{}`,
		},
		{
			name: "data that is not JSON", method: "publish",
			typed:    url.Values{"channel": {"a:b"}, "data": {"hello"}},
			problems: map[string]string{"data": "Data is not JSON: invalid character 'h' looking for beginning of value."},
		},
		{
			name: "data that would add a key to the request", method: "publish",
			typed:    url.Values{"channel": {"a:b"}, "data": {`1,"idempotency_key":"x"`}},
			problems: map[string]string{"data": "Data is not JSON: invalid character ',' after top-level value."},
		},
		{
			name: "all problems are reported together", method: "publish",
			typed:    url.Values{"data": {"{"}},
			problems: map[string]string{"channel": "Channel is required.", "data": "Data is not JSON: unexpected end of JSON input."},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, ok := actionOf(tt.method)
			if !ok {
				t.Fatal("no such action")
			}
			body, problems := a.request(tt.typed)
			if diff := cmp.Diff(tt.body, string(body)); diff != "" {
				t.Errorf("body, -expected +got:\n%s", diff)
			}
			if len(problems) > 0 || len(tt.problems) > 0 {
				if diff := cmp.Diff(tt.problems, problems); diff != "" {
					t.Errorf("problems, -expected +got:\n%s", diff)
				}
			}
		})
	}
}

func TestActionSummary(t *testing.T) {
	for _, tt := range []struct {
		status       int
		answer, want string
		done         bool
	}{
		{200, `{"result":{"delivered":0}}`, "Published to 0 connections", true},
		{200, `{"result":{"delivered":1}}`, "Published to 1 connection", true},
		{200, `{"result":{"delivered":1234}}`, "Published to 1,234 connections", true},
		{200, `{"result":{"responses":[{"result":{"delivered":2}},{"result":{"delivered":3}}]}}`, "Published to 5 connections", true},
		{200, `{"result":{"responses":[{"result":{"delivered":2}},{"error":{"code":102,"message":"category not found"}},{"result":{"delivered":3}}]}}`,
			"Published to 5 connections, refused in 1 of 3 channels: category not found", false},
		{200, `{"result":{"responses":[{"error":{"code":102,"message":"category not found"}}]}}`, "Refused: category not found", false},
		{200, `{"result":{"offset":42,"epoch":"e"}}`, "Published to the stream, at offset 42", true},
		{200, `{"result":{"publications":[],"offset":42,"epoch":"e"}}`, "Done", true},
		{200, `{"result":{"responses":[{"result":{"delivered":2}},{"result":{"offset":1,"epoch":"e"}},{"result":{"offset":2,"epoch":"f"}}]}}`,
			"Published to 2 connections and 2 streams", true},
		{200, `{"result":{"responses":[{"result":{"offset":1,"epoch":"e"}},{"error":{"code":102,"message":"category not found"}}]}}`,
			"Published to 1 stream, refused in 1 of 2 channels: category not found", false},
		{200, `{"result":{"responses":[]}}`, "Done", true},
		{200, `{"result":{}}`, "Done", true},
		{200, `{"result":{"num_clients":2}}`, "Done", true},
		{200, `{"error":{"code":102,"message":"category not found"}}`, "Refused: category not found", false},
		{400, `{"error":{"code":107,"message":"bad request: channel","detail":"channel"}}`, "Refused: bad request: channel", false},
		{400, `{"error":{"code":107,"message":"bad request","detail":"name a channel"}}`, "Refused: bad request: name a channel", false},
		{500, `{"error":{"code":100,"message":"internal error"}}`, "Failed: internal error", false},
		{503, `{}`, "Failed: status 503", false},
		{200, `{"result":{"delivered":"several"}}`, "Failed: the response is not what the server API returns", false},
		{200, `not JSON`, "Failed: the response is not what the server API returns", false},
	} {
		t.Run(tt.answer, func(t *testing.T) {
			if got, done := summary(tt.status, []byte(tt.answer)); got != tt.want || done != tt.done {
				t.Errorf("got %q, %v; expected %q, %v", got, done, tt.want, tt.done)
			}
		})
	}
}
