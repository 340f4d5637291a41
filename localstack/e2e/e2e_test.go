package e2e_test

import (
	"encoding/json"
	"io"
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
	reports := newReports(t)
	if found {
		reports.runAll(t, target.WebSocketURL, target)
		return
	}
	other := e2e.Target{Project: "shop", Secret: "another-secret", APIKey: "an_other_key"}
	jitter := gateway.Options{Jitter: 20 * time.Millisecond}
	t.Run("in order", func(t *testing.T) {
		reports.runAll(t, "gateway, functions in one process, in order", startStack(t, stack.Options{}, e2e.Target{}))
	})
	t.Run("with jitter", func(t *testing.T) {
		reports.runAll(t, "gateway, functions in one process, with jitter", startStack(t, stack.Options{Gateway: jitter}, other))
	})
	// As many processes as the scripts of a function need that run in parallel.
	processes := &stack.Lambda{Bootstraps: stacktest.Bootstraps(t), Options: lambda.Options{Concurrency: 50}}
	t.Run("processes in order", func(t *testing.T) {
		reports.runAll(t, "gateway, functions as processes, in order", startStack(t, stack.Options{Lambda: processes}, e2e.Target{}))
	})
	t.Run("processes with jitter", func(t *testing.T) {
		reports.runAll(t, "gateway, functions as processes, with jitter", startStack(t, stack.Options{Gateway: jitter, Lambda: processes}, other))
	})
}

// reports writes reports to the file that the environment names. go test prints nothing
// of a test that passes.
type reports struct{ file io.Writer }

func newReports(t *testing.T) reports {
	t.Helper()
	path := os.Getenv(e2e.ReportVariable)
	if path == "" {
		return reports{io.Discard}
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return reports{f}
}

// runAll runs all scripts in parallel and writes the report.
func (r reports) runAll(t *testing.T, name string, target e2e.Target) {
	t.Helper()
	scripts, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	report := e2e.Report{Target: name}
	var mu sync.Mutex // guards Run, Steps and Wrong of the report
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
				result, err := e2e.Run(t.Context(), target, name, string(content))
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				report.Run++
				report.Steps += result.Steps
				report.Wrong = append(report.Wrong, result.Wrong...)
			})
		}
	})
	for name := range target.Lacks {
		if !slices.ContainsFunc(report.Skipped, func(g e2e.SkippedPart) bool { return g.Feature == name }) {
			t.Errorf("the target lacks %s, but no script needs it: remove it from the list", name)
		}
	}
	report.Scripts = len(scripts)
	if err := json.NewEncoder(r.file).Encode(report); err != nil {
		t.Error(err)
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
