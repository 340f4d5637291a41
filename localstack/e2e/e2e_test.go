package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"centrifuge/localstack/e2e"
	"centrifuge/localstack/gateway"
	"centrifuge/localstack/stack"
)

// TestConversations plays every script of testdata against a stack of its own
// process, twice: as it comes, and with frames and posts that overtake each other
// as they do on AWS.
func TestConversations(t *testing.T) {
	scripts, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for name, jitter := range map[string]time.Duration{"in order": 0, "with jitter": 20 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			target := local(t, gateway.Options{Jitter: jitter})
			for _, path := range scripts {
				t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
					t.Parallel()
					script, err := os.ReadFile(path)
					if err != nil {
						t.Fatal(err)
					}
					if err := e2e.Play(t.Context(), target, path, string(script)); err != nil {
						t.Error(err)
					}
				})
			}
		})
	}
}

// local starts a stack for a test.
func local(t *testing.T, o gateway.Options) e2e.Target {
	t.Helper()
	seed, err := os.ReadFile("../seed.json")
	if err != nil {
		t.Fatal(err)
	}
	s, err := stack.Start(t.Context(), stack.Options{Seed: seed, Gateway: o, Log: testLog{t}, LogLevel: "warn"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return e2e.Target{WebSocketURL: s.WebSocketURL, HTTPURL: s.HTTPURL}
}

// testLog shows the log lines of the stack with the test that caused them.
type testLog struct{ t *testing.T }

func (l testLog) Write(b []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}
