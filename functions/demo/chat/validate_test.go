package chat_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"centrifuge/functions/demo/chat"
)

func TestValidate(t *testing.T) {
	const visitor = `{"info":{"name":"Ada"},"permissions":{"chat":[],"live":[],"news":[],"python":[],"room":[],"user":["Ada"]}}`
	for _, test := range []struct {
		name, body string
		status     int
		want       string
	}{
		{"a wish for everything gets the public categories and the channel of the own name", `{"user":"Ada","permissions":{}}`, 200, visitor},
		{"so does any other wish, which Centrifuge narrows", `{"user":"Ada","permissions":{"chat":["lobby"],"secret":[]}}`, 200, visitor},
		{"a name of any characters is the name of the channel", `{"user":"Zoë \"🌀\" <b>","permissions":{}}`, 200,
			`{"info":{"name":"Zoë \"🌀\" \u003cb\u003e"},"permissions":{"chat":[],"live":[],"news":[],"python":[],"room":[],"user":["Zoë \"🌀\" \u003cb\u003e"]}}`},
		{"a wish may be large", `{"user":"Ada","permissions":{"chat":["` + strings.Repeat("x", 120<<10) + `"]}}`, 200, visitor},
		{"an empty user is refused", `{"user":"","permissions":{}}`, 403, `{"error":"there are no anonymous visitors"}`},
		{"a user that is a number is a bad request", `{"user":1,"permissions":{}}`, 400, badRequest},
		{"null is a bad request", `null`, 400, badRequest},
		{"more than any frame holds is refused", `{"user":"` + strings.Repeat("x", 256<<10) + `"}`, 413, `{"error":"a request is at most 256 KB"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			res := ask(t, chat.New(options), "POST", "/demo/validate", test.body)
			if got := text(t, res); res.StatusCode != test.status || got != test.want {
				t.Errorf("status %d, want %d; body:\n%s", res.StatusCode, test.status, cmp.Diff(test.want, got))
			}
		})
	}
}
