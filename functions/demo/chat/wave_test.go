package chat_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"centrifuge/functions/demo/chat"
)

func TestWave(t *testing.T) {
	const (
		// HMAC-SHA256 of "Adademo" with the key "secret", computed with openssl.
		token  = "90ccd4f300d85c629ec7210fdbea9e7555b987f9e1123e73e8e14a4ef7760f1f"
		forged = `{"error":"this is not the token of who waves"}`
	)
	command := func(to string) []string {
		return []string{`{"method":"broadcast","params":{"category":"user","channel":"` + to + `","data":{"wave":"Ada"}}}`}
	}
	for _, test := range []struct {
		name, from, token, to string
		status                int
		want                  string
		commands              []string
	}{
		{"a wave goes to the channel of one user", "Ada", token, "Grace", 200, `{"waved":true}`, command("Grace")},
		{"one may wave at oneself", "Ada", token, "Ada", 200, `{"waved":true}`, command("Ada")},
		{"a name may hold a colon", "Ada", token, "news:all", 200, `{"waved":true}`, command("news:all")},
		{"somebody else's token is refused", "Eve", token, "Grace", 403, forged, nil},
		{"a token with a digit changed is refused", "Ada", token[:63] + "0", "Grace", 403, forged, nil},
		{"a token in capitals is refused", "Ada", strings.ToUpper(token), "Grace", 403, forged, nil},
		{"no token is refused", "Ada", "", "Grace", 403, forged, nil},
		{"nobody cannot wave", "", "", "Grace", 403, forged, nil},
		{"a wave at nobody is refused", "Ada", token, "", 400, badName, nil},
		{"so is one at a name of 33 characters", "Ada", token, strings.Repeat("é", 33), 400, badName, nil},
		{"so is one at a name with a line feed", "Ada", token, `a\nb`, 400, badName, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &centrifuge{status: 200, reply: accepted}
			body := fmt.Sprintf(`{"from":"%s","token":"%s","to":"%s"}`, test.from, test.token, test.to)
			answers(t, chat.New(c.start(t)), "POST", "/demo/wave", body, test.status, test.want)
			if diff := cmp.Diff(test.commands, c.commands); diff != "" {
				t.Errorf("commands:\n%s", diff)
			}
		})
	}
	t.Run("what is not JSON is refused", func(t *testing.T) {
		answers(t, chat.New(options), "POST", "/demo/wave", `from=Ada`, 400, badRequest)
	})
	t.Run("what Centrifuge refuses is said", func(t *testing.T) {
		c := &centrifuge{status: 200, reply: `{"id":null,"error":"category not found","result":null}`}
		answers(t, chat.New(c.start(t)), "POST", "/demo/wave", `{"from":"Ada","token":"`+token+`","to":"Grace"}`, 502,
			`{"error":"Centrifuge refused: category not found"}`)
	})
}
