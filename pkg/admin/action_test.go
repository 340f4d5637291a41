package admin

import (
	"encoding/json"
	"maps"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestActions(t *testing.T) {
	methods := make(map[string]bool)
	for _, a := range actions {
		t.Run(a.Method+" is complete, and its own example is a request", func(t *testing.T) {
			if a.Title == "" || a.Help == "" || methods[a.Method] {
				t.Errorf("no title, no help, or the second of its name: %+v", a)
			}
			methods[a.Method] = true
			names := make(map[string]bool)
			typed := make(url.Values)
			for _, f := range a.Fields {
				if f.Name == "" || f.Label == "" || f.Help == "" || f.Kind == "" || names[f.Name] {
					t.Errorf("incomplete, or the second of its name: %+v", f)
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
		t.Run(a.Method+" without anything names every field that it requires", func(t *testing.T) {
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

func TestRequest(t *testing.T) {
	for _, tt := range []struct {
		name, method string
		typed        url.Values
		body         string
		problems     map[string]string
	}{
		{
			name: "fields come in the order of the table, and optional ones that are empty do not come", method: "publish",
			typed: url.Values{"data": {` {"b": 1,  "a": [1, 2]} `}, "channel": {"news:a"}, "idempotency_key": {" "}},
			body:  `{"channel":"news:a","data":{"b":1,"a":[1,2]}}`,
		},
		{
			name: "what people type is not escaped beyond what JSON needs", method: "unsubscribe",
			typed: url.Values{"user": {`<a & "b">`}, "channel": {"чат:é"}},
			body:  `{"user":"<a & \"b\">","channel":"чат:é"}`,
		},
		{
			name: "a list is an item a line, however lines end", method: "broadcast",
			typed: url.Values{"channels": {"news:a\r\n\r\n  chat:b c \nchat:d"}, "data": {"null"}},
			body:  `{"channels":["news:a","chat:b c","chat:d"],"data":null}`,
		},
		{
			name: "numbers keep their digits", method: "publish",
			typed: url.Values{"channel": {"a:b"}, "data": {"12345678901234567890.10"}},
			body:  `{"channel":"a:b","data":12345678901234567890.10}`,
		},
		{
			name: "an action without required fields needs nothing", method: "channels",
			body: `{}`,
		},
		{
			name: "data that is not JSON is refused with the reason", method: "publish",
			typed:    url.Values{"channel": {"a:b"}, "data": {"hello"}},
			problems: map[string]string{"data": "Data is not JSON: invalid character 'h' looking for beginning of value."},
		},
		{
			name: "data cannot add keys to the request", method: "publish",
			typed:    url.Values{"channel": {"a:b"}, "data": {`1,"idempotency_key":"x"`}},
			problems: map[string]string{"data": "Data is not JSON: invalid character ',' after top-level value."},
		},
		{
			name: "all that is wrong is told at once", method: "publish",
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
