package chat_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"centrifuge/functions/demo/chat"
)

func TestToken(t *testing.T) {
	issued := func(user, token string) string {
		return `{"project":"51b229f778b83c2eced3a76b","token":"` + token + `","url":"wss://ws.example.com/dev","user":"` + user + `"}`
	}
	for _, test := range []struct {
		name, body string
		status     int
		want       string
	}{
		{"the token is the HMAC-SHA256 of the name and the project", `{"name":"2694"}`, 200,
			issued("2694", "98916de95c84f217651cfdc0846051850fe551ee2312377d5c81114c20b8ea45")},
		{"spaces around a name are removed", `{"name":" 2694\t"}`, 200,
			issued("2694", "98916de95c84f217651cfdc0846051850fe551ee2312377d5c81114c20b8ea45")},
		{"a name outside ASCII is signed as UTF-8", `{"name":"Zoë 🌀"}`, 200,
			issued("Zoë 🌀", "06fd5db0d99c7d3e5eb9d776e64264de091cfa1cf75e7a2b6497858e6744debc")},
		{"a name of 33 characters is refused", `{"name":"` + strings.Repeat("é", 33) + `"}`, 400, invalidName},
		{"an empty name is refused", `{"name":""}`, 400, invalidName},
		{"a name of spaces is refused", `{"name":"  "}`, 400, invalidName},
		{"a missing name is refused", `{}`, 400, invalidName},
		{"a line feed within a name is refused", `{"name":"a\nb"}`, 400, invalidName},
		{"a name with a right-to-left override is refused", `{"name":"a\u202eb"}`, 400, invalidName},
		{"a name that is not UTF-8 is refused", "{\"name\":\"a\xffb\"}", 400, invalidName},
		{"a name that is not a string is refused", `{"name":7}`, 400, invalidRequest},
		{"null is refused", ` null `, 400, invalidRequest},
		{"an array is refused", `[]`, 400, invalidRequest},
		{"invalid JSON is refused", `name=2694`, 400, invalidRequest},
		{"an empty body is refused", ``, 400, invalidRequest},
		{"two objects are refused", `{"name":"a"}{"name":"b"}`, 400, invalidRequest},
		{"a request over 4 KB is refused", `{"name":"` + strings.Repeat("a", 4<<10) + `"}`, 413, `{"error":"request too large: send at most 4 KB"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			res := request(t, chat.New(options), "POST", "/demo/token", test.body)
			if got := text(t, res); res.StatusCode != test.status || got != test.want {
				t.Errorf("status %d, want %d; body:\n%s", res.StatusCode, test.status, cmp.Diff(test.want, got))
			}
			if got := res.Header.Get("Content-Type"); got != "application/json" {
				t.Errorf("Content-Type is %q", got)
			}
			if got := res.Header.Get("Cache-Control"); got != "no-store" {
				t.Errorf("Cache-Control is %q", got)
			}
		})
	}
	t.Run("a name of 32 characters is accepted", func(t *testing.T) {
		if res := request(t, chat.New(options), "POST", "/demo/token", `{"name":"`+strings.Repeat("é", 32)+`"}`); res.StatusCode != 200 {
			t.Errorf("status %d: %s", res.StatusCode, text(t, res))
		}
	})
}
