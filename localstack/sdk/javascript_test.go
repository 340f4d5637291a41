package sdk_test

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"centrifuge/localstack/gateway"
	"centrifuge/localstack/npm"
	"centrifuge/localstack/stack"
)

// TestJavaScript lets npm centrifuge converse with the local stack in Node.
func TestJavaScript(t *testing.T) {
	if _, err := (npm.Package{Name: "centrifuge", File: "build/index.mjs", Alternative: "run the tests of the other packages"}).Install(t.Context(), os.Stderr); err != nil {
		t.Fatal(err)
	}
	// Go caches a result until a file that the test read has changed. It does not see what Node
	// reads.
	for _, path := range []string{"conversations.mjs", "node.mjs"} {
		if _, err := os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name    string
		options stack.Options
	}{
		{"functions in this process", stack.Options{}},
		{"jitter", stack.Options{Gateway: gateway.Options{Jitter: 40 * time.Millisecond}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, tt.options)
			cmd := exec.CommandContext(t.Context(), "node", "node.mjs")
			cmd.Env = append(os.Environ(), "HTTP_URL="+r.HTTPURL, "WEBSOCKET_URL="+r.WebSocketURL, "MANAGEMENT_URL="+r.ManagementURL)
			printed, err := cmd.CombinedOutput()
			t.Logf("%s", printed)
			if err != nil {
				t.Error(err)
			}
		})
	}
}
