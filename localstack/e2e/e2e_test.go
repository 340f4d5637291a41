package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"centrifuge/localstack/e2e"
	"centrifuge/localstack/gateway"
	"centrifuge/localstack/lambda"
	"centrifuge/localstack/stack"
	"centrifuge/localstack/stack/stacktest"
)

// TestConversations runs every script of testdata against the target of the
// environment. Without one, it runs them against a stack whose functions are in this
// process, and against one whose functions are processes, twice each: in order, and for
// another project with frames and posts that overtake each other as they can on AWS.
func TestConversations(t *testing.T) {
	target, found, err := e2e.FromEnvironment(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	if found {
		runAll(t, target)
		return
	}
	other := e2e.Target{Project: "shop", Secret: "another-secret", APIKey: "an_other_key"}
	jitter := gateway.Options{Jitter: 20 * time.Millisecond}
	t.Run("in order", func(t *testing.T) {
		runAll(t, startStack(t, stack.Options{}, e2e.Target{}))
	})
	t.Run("with jitter", func(t *testing.T) {
		runAll(t, startStack(t, stack.Options{Gateway: jitter}, other))
	})
	// As many processes as the scripts of a function need that run in parallel.
	processes := &stack.Lambda{Bootstraps: stacktest.Bootstraps(t), Options: lambda.Options{Concurrency: 50}}
	t.Run("processes in order", func(t *testing.T) {
		runAll(t, startStack(t, stack.Options{Lambda: processes}, e2e.Target{}))
	})
	t.Run("processes with jitter", func(t *testing.T) {
		runAll(t, startStack(t, stack.Options{Gateway: jitter, Lambda: processes}, other))
	})
}

// runAll runs all scripts in parallel, and writes the report if the environment
// names a file for it.
func runAll(t *testing.T, target e2e.Target) {
	t.Helper()
	scripts, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	var report e2e.Report
	var mu sync.Mutex // guards Run and Wrong of the report
	t.Run("conversation", func(t *testing.T) {
		for _, path := range scripts {
			name := strings.TrimSuffix(filepath.Base(path), ".txt")
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			skipped, err := e2e.Skipped(target, name, string(content))
			if err != nil {
				t.Fatal(err)
			}
			report.Skipped = append(report.Skipped, skipped...)
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				for _, part := range skipped {
					t.Logf("line %d: skipped %d steps that need %s: %s", part.Line, part.Steps, part.Feature, part.Reason)
				}
				wrong, err := e2e.Run(t.Context(), target, name, string(content))
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				report.Run++
				report.Wrong = append(report.Wrong, wrong...)
			})
		}
	})
	for name := range target.Lacks {
		if !slices.ContainsFunc(report.Skipped, func(g e2e.SkippedPart) bool { return g.Feature == name }) {
			t.Errorf("the target lacks %s, but no script needs it: remove it from the list", name)
		}
	}
	report.Scripts = len(scripts)
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

// startStack starts a stack for a test and returns target with its URLs. If target
// names a project, the stack has that one instead of the project demo.
func startStack(t *testing.T, o stack.Options, target e2e.Target) e2e.Target {
	t.Helper()
	seed := stacktest.Seed(t)
	if target.Project != "" {
		seed = stacktest.Seed(t, `"demo"`, strconv.Quote(target.Project),
			`"demo-secret"`, strconv.Quote(target.Secret), `"demo-key"`, strconv.Quote(target.APIKey))
	}
	o.Seed, o.Log, o.LogLevel = seed, testLog{t}, "warn"
	s := stacktest.Start(t, o)
	target.WebSocketURL, target.HTTPURL = s.WebSocketURL, s.HTTPURL
	return target
}

// testLog writes the log of the stack to the log of the test.
type testLog struct{ t *testing.T }

func (l testLog) Write(b []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}
