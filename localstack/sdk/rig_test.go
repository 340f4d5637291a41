package sdk_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/centrifugal/centrifuge-go"
	"github.com/golang-jwt/jwt/v5"

	"centrifuge/localstack/stack"
)

// The project of the conversations.
const (
	projectID = "sdk"
	secret    = "sdk-secret"
	seedText  = `{"projects": [{"id": "sdk", "name": "sdk", "secret": "sdk-secret", "api_keys": ["sdk-key"],
	"options": {},
	"categories": [
		{"name": "chat", "bidirectional": true, "presence": true, "join_leave": true, "allow_presence_for_client": true},
		{"name": "log", "bidirectional": true, "history_size": 100, "history_ttl": 60000, "presence": true}
	]},
	{"id": "insecure", "name": "insecure", "secret": "insecure-secret", "options": {"insecure": true}, "categories": [{"name": ""}]}
	]}`
)

// limit is how long a conversation may wait for something.
const limit = 10 * time.Second

func start(t *testing.T, o stack.Options) *stack.Stack {
	t.Helper()
	o.Seed = []byte(seedText)
	o.Log = t.Output()
	s, err := stack.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// token signs claims with the secret of the project.
func token(t *testing.T, claims jwt.MapClaims) string {
	t.Helper()
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// client returns a client of a user, which is closed with the test.
func client(t *testing.T, s *stack.Stack, user string) *centrifuge.Client {
	t.Helper()
	c := centrifuge.NewJsonClient(s.WebSocketURL+"?project="+projectID, centrifuge.Config{Token: token(t, jwt.MapClaims{"sub": user})})
	t.Cleanup(c.Close)
	return c
}

// got returns the next value of a channel.
func got[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	select {
	case v := <-from:
		return v
	case <-ctx.Done():
		t.Fatalf("no %s within %v", what, limit)
		panic("unreachable")
	}
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
