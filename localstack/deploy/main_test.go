package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/localstack/e2e"
)

func TestCommand(t *testing.T) {
	for _, tt := range []struct {
		name  string
		args  []string
		want  string
		fails string
	}{
		{name: "help", args: []string{"--help"}, want: "deploy ministack"},
		{name: "help of admin-password", args: []string{"admin-password", "--help"}, want: "deploy admin-password"},
		{name: "an argument of admin-password", args: []string{"admin-password", "secret"}, fails: "--help"},
		{name: "no command", fails: "--help"},
		{name: "an unknown command", args: []string{"floci"}, fails: "--help"},
		{name: "an unknown command of localstack", args: []string{"localstack", "sideways"}, fails: "--help"},
		{name: "ministack without an environment", args: []string{"ministack"}, fails: "--help"},
		{name: "localstack test without an environment", args: []string{"localstack", "test"}, fails: "--help"},
		{name: "an argument of localstack down", args: []string{"localstack", "down", "here"}, fails: "--help"},
		{name: "an unknown option of probe", args: []string{"probe", "--cheap"}, fails: "--help"},
		{name: "localstack up without a token", args: []string{"localstack", "up"}, fails: "make test-deploy"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			err := command(t.Context(), tt.args, func(string) string { return "" }, strings.NewReader(""), &out, io.Discard)
			if tt.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fails) {
					t.Fatalf("error %v, expected one with %q", err, tt.fails)
				}
				return
			}
			if err != nil || !strings.Contains(out.String(), tt.want) {
				t.Errorf("error %v, printed %q", err, out.String())
			}
		})
	}
}

func TestRequirementsArePinned(t *testing.T) {
	if ministackVersion == "" {
		t.Error("no version of MiniStack is pinned")
	}
	for line := range strings.Lines(string(requirements)) {
		name, _, isRequirement := strings.Cut(strings.TrimSpace(line), "==")
		switch {
		case strings.HasPrefix(line, "#") || strings.HasPrefix(line, "    --hash=sha256:") || isRequirement && !strings.ContainsAny(name, " /"):
		default:
			t.Errorf("neither a comment nor an exact version nor a hash: %q", line)
		}
	}
}

func TestSmokeProject(t *testing.T) {
	// settings returns the options and categories of the project in a seed file,
	// without validate_url: that is a URL of the example application.
	settings := func(path string) any {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		project := parsed(t, string(content)).(map[string]any)["projects"].([]any)[0].(map[string]any)
		delete(project["options"].(map[string]any), "validate_url")
		return []any{project["options"], project["categories"]}
	}
	if diff := cmp.Diff(settings("../seed.json"), settings("smoke.json")); diff != "" {
		t.Errorf("-demo +smoke:\n%s", diff)
	}
}

func TestReadOutputs(t *testing.T) {
	for _, tt := range []struct {
		name, content, fails string
	}{
		{name: "one stack", content: `{"centrifuge-dev":{"WebSocketURL":"wss://a","HTTPURL":"https://b","ManagementURL":"https://m","TableName":"t","DemoURL":"https://b/demo/",
			"DispatchFunction":"d","AdminURL":"https://b/admin/"}}`},
		{name: "an output is missing", content: `{"centrifuge-dev":{"WebSocketURL":"wss://a","HTTPURL":"https://b"}}`, fails: "centrifuge-dev"},
		{name: "two stacks", content: `{"a":{},"b":{}}`, fails: "2 stacks"},
		{name: "invalid JSON", content: `…`, fails: "outputs"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "outputs.json")
			if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			o, err := readOutputs(path)
			if tt.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fails) {
					t.Errorf("error %v, expected one with %q", err, tt.fails)
				}
				return
			}
			if want := (outputs{"wss://a", "https://b", "https://m", "t", "d", "https://b/admin/"}); err != nil || o != want {
				t.Errorf("read %+v, error %v", o, err)
			}
		})
	}
}

func TestDeployedTarget(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outputs.json")
	if err := os.WriteFile(path, []byte(`{"s":{"WebSocketURL":"wss://a/dev","HTTPURL":"https://b","TableName":"t"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	environment := map[string]string{
		"E2E_PROJECT": "smoke", "E2E_SECRET": "s", "E2E_API_KEY": "k", "E2E_LACKS": `{"size-limits":"a proxy"}`, "E2E_PATIENCE": "40s",
	}
	got, _, err := deployed(path, func(name string) string { return environment[name] })
	want := e2e.Target{
		WebSocketURL: "wss://a/dev", HTTPURL: "https://b", Project: "smoke", Secret: "s", APIKey: "k",
		StepTimeout: 40 * time.Second, Lacks: map[string]string{"size-limits": "a proxy"}, ReportGuesses: true,
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("error %v, -expected +read:\n%s", err, diff)
	}
	if _, _, err := deployed(path+"?", os.Getenv); err == nil || !strings.Contains(err.Error(), "make deploy") {
		t.Errorf("without a deployment: error %v", err)
	}
}

func TestPrintReport(t *testing.T) {
	var out bytes.Buffer
	printReport(&out, "AWS", e2e.Report{
		Scripts: 2, Run: 2, Steps: 31,
		Wrong:   []e2e.WrongGuess{{Script: "guesses", Line: 3, Assumed: "it closes with 1000", Seen: "line 5: closed with 1001"}},
		Skipped: []e2e.SkippedPart{{Script: "badinput", Line: 7, Steps: 2, Feature: "size-limits", Reason: "a proxy"}},
	})
	want := `2 of 2 conversations with 31 steps passed on AWS.
We assumed: it closes with 1000 (guesses, line 3).
  AWS does otherwise: line 5: closed with 1001
Skipped: 1 parts with 2 steps, which need features that it lacks.
  badinput, line 7, steps: 2, size-limits: a proxy.
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("-expected +printed:\n%s", diff)
	}
}

func TestEmulatorEnvironment(t *testing.T) {
	t.Setenv("AWS_PROFILE", "production")
	t.Setenv("AWS_SESSION_TOKEN", "production")
	t.Setenv("CDK_DEFAULT_ACCOUNT", "123456789012")
	for _, variable := range (emulator{endpoint: "http://127.0.0.1:1"}).environment() {
		for _, prefix := range []string{"AWS_PROFILE=", "AWS_SESSION_TOKEN=", "CDK_"} {
			if strings.HasPrefix(variable, prefix) {
				t.Errorf("the environment contains %s", variable)
			}
		}
	}
}

func TestSteps(t *testing.T) {
	t.Run("a failed step prints its log and keeps the file", func(t *testing.T) {
		var out bytes.Buffer
		s := steps{folder: t.TempDir(), out: &out}
		_, err := s.run("deploy", func(log io.Writer) error {
			_, _ = io.WriteString(log, "the reason\n")
			return errors.New("refused")
		})
		path := filepath.Join(s.folder, "deploy.log")
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(out.String(), "the reason") {
			t.Errorf("error %v, printed %q", err, out.String())
		}
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	})
	t.Run("a successful step prints no log", func(t *testing.T) {
		var out bytes.Buffer
		_, err := steps{folder: t.TempDir(), out: &out}.run("deploy", func(log io.Writer) error {
			_, err := io.WriteString(log, "a log line\n")
			return err
		})
		if err != nil || strings.Contains(out.String(), "a log line") {
			t.Errorf("error %v, printed %q", err, out.String())
		}
	})
}

func TestRunProgramKillsChildren(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	log := &firstLine{line: make(chan string, 1)}
	ended := make(chan error, 1)
	// The shell prints the process id of a child and waits for it.
	go func() { ended <- runProgram(ctx, log, os.Environ(), "sh", "-c", "sleep 600 & echo $!; wait") }()
	pid, err := strconv.Atoi(strings.TrimSpace(<-log.line))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, expected context.Canceled", err)
	}
	for deadline := time.Now().Add(30 * time.Second); alive(pid); {
		if time.Now().After(deadline) {
			t.Fatal("the child of the program still runs")
		}
	}
}

// alive reports whether a process runs. A zombie does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// firstLine is a writer that sends its first write to a channel.
type firstLine struct{ line chan string }

func (w *firstLine) Write(b []byte) (int, error) {
	select {
	case w.line <- string(b):
	default:
	}
	return len(b), nil
}
