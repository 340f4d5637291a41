package sdk_test

import (
	"strings"
	"testing"
	"time"

	"centrifuge/localstack/gateway"
	"centrifuge/localstack/lambda"
	"centrifuge/localstack/stack"
	"centrifuge/localstack/stack/stacktest"
)

// TestConversations lets clients of centrifuge-go converse with the local stack: as it is, when
// frames and posts overtake each other, and with the functions as processes.
func TestConversations(t *testing.T) {
	for _, tt := range []struct {
		name    string
		options func(t *testing.T) stack.Options
	}{
		{"functions in this process", func(*testing.T) stack.Options { return stack.Options{} }},
		{"jitter", func(*testing.T) stack.Options {
			return stack.Options{Gateway: gateway.Options{Jitter: 40 * time.Millisecond}}
		}},
		{"functions as processes", func(t *testing.T) stack.Options {
			// A client waits for five seconds where an invocation is throttled.
			return stack.Options{Lambda: &stack.Lambda{Bootstraps: stacktest.Bootstraps(t), Options: lambda.Options{Concurrency: 100}}}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, tt.options(t))
			t.Run("all", func(t *testing.T) {
				for name, converse := range conversations {
					t.Run(name, func(t *testing.T) {
						t.Parallel()
						converse(t, r, strings.ReplaceAll(name, " ", "-"))
					})
				}
			})
		})
	}
}
