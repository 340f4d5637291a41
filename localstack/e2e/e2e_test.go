package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"centrifuge/localstack/e2e"
	"centrifuge/localstack/gateway"
	"centrifuge/localstack/stack"
	"centrifuge/localstack/stack/stacktest"
)

// TestConversations plays every script of testdata against the target that the
// environment names. Where it names none, that is a stack of the test's own
// process, twice: as it comes, and for another project with frames and posts that
// overtake each other as they do on AWS.
func TestConversations(t *testing.T) {
	target, found, err := e2e.FromEnvironment(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	if found {
		play(t, target)
		return
	}
	t.Run("in order", func(t *testing.T) {
		play(t, local(t, gateway.Options{}, e2e.Target{}))
	})
	t.Run("with jitter", func(t *testing.T) {
		other := e2e.Target{Project: "shop", Secret: "another-secret", APIKey: "an_other_key"}
		play(t, local(t, gateway.Options{Jitter: 20 * time.Millisecond}, other))
	})
}

// play plays all scripts, side by side, and leaves the report that was asked for.
func play(t *testing.T, target e2e.Target) {
	t.Helper()
	scripts, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	var report e2e.Report
	var played atomic.Int32
	t.Run("conversation", func(t *testing.T) {
		for _, path := range scripts {
			name := strings.TrimSuffix(filepath.Base(path), ".txt")
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			gaps, err := e2e.Gaps(target, name, string(content))
			if err != nil {
				t.Fatal(err)
			}
			report.Gaps = append(report.Gaps, gaps...)
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				for _, gap := range gaps {
					t.Logf("line %d: %d steps passed over, which need %s: %s", gap.Line, gap.Steps, gap.Part, gap.Reason)
				}
				if err := e2e.Play(t.Context(), target, path, string(content)); err != nil {
					t.Error(err)
				}
				played.Add(1)
			})
		}
	})
	for name := range target.Lacks {
		if !slices.ContainsFunc(report.Gaps, func(g e2e.Gap) bool { return g.Part == name }) {
			t.Errorf("the target is said to lack %s, which no script needs", name)
		}
	}
	report.Scripts, report.Played = len(scripts), int(played.Load())
	if path := os.Getenv(e2e.ReportVariable); path != "" {
		b, err := json.Marshal(report)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Error(err)
		}
	}
}

// local starts a stack for a test, with the project of target in place of the
// project demo where target names one, and returns target with its addresses.
func local(t *testing.T, o gateway.Options, target e2e.Target) e2e.Target {
	t.Helper()
	seed := stacktest.Seed(t)
	if target.Project != "" {
		seed = stacktest.Seed(t, `"demo"`, strconv.Quote(target.Project),
			`"demo-secret"`, strconv.Quote(target.Secret), `"demo-key"`, strconv.Quote(target.APIKey))
	}
	s := stacktest.Start(t, stack.Options{Seed: seed, Gateway: o, Log: testLog{t}, LogLevel: "warn"})
	target.WebSocketURL, target.HTTPURL = s.WebSocketURL, s.HTTPURL
	return target
}

// testLog shows the log lines of the stack with the test that caused them.
type testLog struct{ t *testing.T }

func (l testLog) Write(b []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}
