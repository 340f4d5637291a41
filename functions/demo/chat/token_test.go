package chat_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"centrifuge/functions/demo/chat"
	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
)

// claims are those of a token of user.
func claims(user string) jwt.MapClaims {
	return jwt.MapClaims{
		"sub": user, "exp": float64(now.Add(time.Hour).Unix()), "info": map[string]any{"name": user},
		"permissions": map[string]any{
			"chat": []any{}, "live": []any{}, "news": []any{}, "python": []any{}, "room": []any{}, "scores": []any{}, "user": []any{user},
		},
		"channels": []any{"user:" + user},
	}
}

func TestToken(t *testing.T) {
	for _, test := range []struct {
		name, body string
		status     int
		want       string
	}{
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
	for _, test := range []struct{ name, body, user string }{
		{"a token says who the visitor is and what it may do", `{"name":"2694"}`, "2694"},
		{"spaces around a name are removed", `{"name":" 2694\t"}`, "2694"},
		{"a name outside ASCII", `{"name":"Zoë 🌀"}`, "Zoë 🌀"},
		{"a name with characters of channels", `{"name":"$a#b:c"}`, "$a#b:c"},
		{"a name of 32 characters", `{"name":"` + strings.Repeat("é", 32) + `"}`, strings.Repeat("é", 32)},
	} {
		t.Run(test.name, func(t *testing.T) {
			res := request(t, chat.New(options), "POST", "/demo/token", test.body)
			var got struct{ URL, Token, User string }
			if err := json.Unmarshal([]byte(text(t, res)), &got); err != nil || res.StatusCode != 200 {
				t.Fatalf("status %d, error %v", res.StatusCode, err)
			}
			if want := "wss://ws.example.com/dev?project=51b229f778b83c2eced3a76b"; got.URL != want || got.User != test.user {
				t.Errorf("URL %s, user %q", got.URL, got.User)
			}
			key, err := options.Secret(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			token, err := jwt.Parse(got.Token, func(*jwt.Token) (any, error) { return []byte(key), nil },
				jwt.WithValidMethods([]string{"HS256"}), jwt.WithTimeFunc(options.Now))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(claims(test.user), token.Claims); diff != "" {
				t.Errorf("claims:\n%s", diff)
			}
			// Centrifuge accepts it.
			p := &hub.Project{ID: options.Project, Secret: key}
			if _, err := auth.NewVerifier(auth.VerifierOptions{}).Connection(t.Context(), p, got.Token, now); err != nil {
				t.Error(err)
			}
		})
	}
}
