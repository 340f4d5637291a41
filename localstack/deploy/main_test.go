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
)

func TestCommand(t *testing.T) {
	for _, tt := range []struct {
		name  string
		args  []string
		want  string
		fails string
	}{
		{name: "help is help", args: []string{"--help"}, want: "deploy ministack"},
		{name: "no command is none", fails: "--help"},
		{name: "an unknown command is none", args: []string{"floci"}, fails: "--help"},
		{name: "LocalStack has four verbs", args: []string{"localstack", "sideways"}, fails: "--help"},
		{name: "LocalStack without a token names MiniStack as the way", args: []string{"localstack", "up"}, fails: "make test-deploy"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			err := command(t.Context(), tt.args, func(string) string { return "" }, &out)
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

func TestTheProjectForSmokeIsLikeTheDemo(t *testing.T) {
	// All but what is its own: id and secrets, and validate_url, which is only there
	// with the example application.
	likeness := func(path string) any {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		project := parsed(t, string(content)).(map[string]any)["projects"].([]any)[0].(map[string]any)
		delete(project["options"].(map[string]any), "validate_url")
		return []any{project["options"], project["categories"]}
	}
	if diff := cmp.Diff(likeness("../seed.json"), likeness("smoke.json")); diff != "" {
		t.Errorf("-demo +smoke:\n%s", diff)
	}
}

func TestReadOutputs(t *testing.T) {
	for _, tt := range []struct {
		name, content, fails string
	}{
		{name: "one stack", content: `{"centrifuge-dev":{"WebSocketURL":"wss://a","HTTPURL":"https://b","TableName":"t","DemoURL":"https://b/demo/",
			"AdminURL":"https://b/admin/","AdminSecretName":"s"}}`},
		{name: "an output is missing", content: `{"centrifuge-dev":{"WebSocketURL":"wss://a","HTTPURL":"https://b"}}`, fails: "centrifuge-dev"},
		{name: "two stacks", content: `{"a":{},"b":{}}`, fails: "2 stacks"},
		{name: "no JSON", content: `…`, fails: "outputs"},
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
			if want := (outputs{"wss://a", "https://b", "t", "https://b/admin/", "s"}); err != nil || o != want {
				t.Errorf("read %+v, error %v", o, err)
			}
		})
	}
}

func TestNothingOfAnAccountReachesTheCDK(t *testing.T) {
	t.Setenv("AWS_PROFILE", "production")
	t.Setenv("AWS_SESSION_TOKEN", "somebody's")
	t.Setenv("CDK_DEFAULT_ACCOUNT", "123456789012")
	for _, variable := range (emulator{endpoint: "http://127.0.0.1:1"}).environment() {
		for _, foreign := range []string{"AWS_PROFILE=", "AWS_SESSION_TOKEN=", "CDK_"} {
			if strings.HasPrefix(variable, foreign) {
				t.Errorf("the CDK finds %s", variable)
			}
		}
	}
}

func TestSteps(t *testing.T) {
	t.Run("a step that fails shows its log, and keeps it", func(t *testing.T) {
		var out bytes.Buffer
		s := steps{folder: t.TempDir(), out: &out}
		_, err := s.do("deploy", func(log io.Writer) error {
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
	t.Run("a step that passes keeps its log to itself", func(t *testing.T) {
		var out bytes.Buffer
		_, err := steps{folder: t.TempDir(), out: &out}.do("deploy", func(log io.Writer) error {
			_, err := io.WriteString(log, "many words\n")
			return err
		})
		if err != nil || strings.Contains(out.String(), "many words") {
			t.Errorf("error %v, printed %q", err, out.String())
		}
	})
}

func TestRunEndsWithAllThatItStarted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	log := &firstLine{line: make(chan string, 1)}
	ended := make(chan error, 1)
	// The shell waits for a child, whose number it prints.
	go func() { ended <- run(ctx, log, os.Environ(), "sh", "-c", "sleep 600 & echo $!; wait") }()
	pid, err := strconv.Atoi(strings.TrimSpace(<-log.line))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, expected that of the context", err)
	}
	for deadline := time.Now().Add(30 * time.Second); alive(pid); {
		if time.Now().After(deadline) {
			t.Fatal("the child of the program lives on")
		}
	}
}

// alive tells whether a process runs; one that waits to be buried does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// firstLine sends the first thing that is written.
type firstLine struct{ line chan string }

func (w *firstLine) Write(b []byte) (int, error) {
	select {
	case w.line <- string(b):
	default:
	}
	return len(b), nil
}
