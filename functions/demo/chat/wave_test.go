package chat_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"centrifuge/functions/demo/chat"
)

func TestWave(t *testing.T) {
	sign := func(key string, c jwt.MapClaims) string {
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString([]byte(key))
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	token := sign("secret", claims("Ada"))
	expired := claims("Ada")
	expired["exp"] = now.Unix()
	const (
		invalidToken = `{"error":"invalid token: send the token of the user in from"}`
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
		{"a wave is published to the channel of one user", "Ada", token, "Grace", 200, `{"waved":true}`, command("Grace")},
		{"a wave to oneself is allowed", "Ada", token, "Ada", 200, `{"waved":true}`, command("Ada")},
		{"a name with a colon", "Ada", token, "news:all", 200, `{"waved":true}`, command("news:all")},
		{"the token of another user is refused", "Eve", token, "Grace", 403, invalidToken, nil},
		{"a token with another secret is refused", "Ada", sign("secret2", claims("Ada")), "Grace", 403, invalidToken, nil},
		{"a token that has expired is refused", "Ada", sign("secret", expired), "Grace", 403, invalidToken, nil},
		{"a token without a signature is refused", "Ada", token[:strings.LastIndex(token, ".")+1], "Grace", 403, invalidToken, nil},
		{"a token in capitals is refused", "Ada", strings.ToUpper(token), "Grace", 403, invalidToken, nil},
		{"a missing token is refused", "Ada", "", "Grace", 403, invalidToken, nil},
		{"an empty user is refused", "", "", "Grace", 403, invalidToken, nil},
		{"a wave to an empty name is refused", "Ada", token, "", 400, invalidName, nil},
		{"a wave to a name of 33 characters is refused", "Ada", token, strings.Repeat("é", 33), 400, invalidName, nil},
		{"a wave to a name with a line feed is refused", "Ada", token, `a\nb`, 400, invalidName, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &centrifuge{status: 200, reply: accepted}
			body := fmt.Sprintf(`{"from":"%s","token":"%s","to":"%s"}`, test.from, test.token, test.to)
			expect(t, chat.New(c.start(t)), "POST", "/demo/wave", body, test.status, test.want)
			if diff := cmp.Diff(test.commands, c.commands); diff != "" {
				t.Errorf("commands:\n%s", diff)
			}
		})
	}
	t.Run("invalid JSON is refused", func(t *testing.T) {
		expect(t, chat.New(options), "POST", "/demo/wave", `from=Ada`, 400, invalidRequest)
	})
	t.Run("an error of Centrifuge", func(t *testing.T) {
		c := &centrifuge{status: 200, reply: `{"id":null,"error":"category not found","result":null}`}
		expect(t, chat.New(c.start(t)), "POST", "/demo/wave", `{"from":"Ada","token":"`+token+`","to":"Grace"}`, 502,
			`{"error":"Centrifuge refused the message: category not found"}`)
	})
}
