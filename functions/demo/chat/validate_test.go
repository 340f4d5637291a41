package chat_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"centrifuge/functions/demo/chat"
)

func TestValidate(t *testing.T) {
	const visitor = `{"info":{"name":"Ada"},"permissions":{"chat":[],"live":[],"news":[],"python":[],"room":[],"scores":[],"user":["Ada"]}}`
	for _, test := range []struct {
		name, body string
		status     int
		want       string
	}{
		{"a request for all permissions gets the public categories and the own channel", `{"user":"Ada","permissions":{}}`, 200, visitor},
		{"a request for some permissions gets the same", `{"user":"Ada","permissions":{"chat":["lobby"],"secret":[]}}`, 200, visitor},
		{"the own channel of a name with special characters", `{"user":"Zoë \"🌀\" <b>","permissions":{}}`, 200,
			`{"info":{"name":"Zoë \"🌀\" \u003cb\u003e"},"permissions":{"chat":[],"live":[],"news":[],"python":[],"room":[],"scores":[],"user":["Zoë \"🌀\" \u003cb\u003e"]}}`},
		{"a large request is accepted", `{"user":"Ada","permissions":{"chat":["` + strings.Repeat("x", 120<<10) + `"]}}`, 200, visitor},
		{"an empty user is refused", `{"user":"","permissions":{}}`, 403, `{"error":"anonymous users are not allowed: use a token with a user"}`},
		{"a user that is a number is a bad request", `{"user":1,"permissions":{}}`, 400, invalidRequest},
		{"null is a bad request", `null`, 400, invalidRequest},
		{"a request over 256 KB is refused", `{"user":"` + strings.Repeat("x", 256<<10) + `"}`, 413, `{"error":"request too large: send at most 256 KB"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			res := request(t, chat.New(options), "POST", "/demo/validate", test.body)
			if got := text(t, res); res.StatusCode != test.status || got != test.want {
				t.Errorf("status %d, want %d; body:\n%s", res.StatusCode, test.status, cmp.Diff(test.want, got))
			}
		})
	}
}
