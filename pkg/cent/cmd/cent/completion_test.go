package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCompletionScripts(t *testing.T) {
	for _, tt := range []struct {
		shell     string
		arguments []string // make the shell check the syntax of a file
	}{
		{"bash", []string{"--norc", "-n"}},
		{"zsh", []string{"-f", "-n"}},
		{"fish", []string{"--no-config", "-n"}},
	} {
		t.Run(tt.shell, func(t *testing.T) {
			r := invoke(t, nil, "", "completion", tt.shell)
			if r.code != 0 || r.stderr != "" {
				t.Fatalf("%+v", r)
			}
			golden(t, "completion/"+tt.shell+".txt", r.stdout)
			shell, err := exec.LookPath(tt.shell)
			if err != nil {
				t.Logf("%s is not installed: the script is compared with its golden file only", tt.shell)
				return
			}
			file := filepath.Join(t.TempDir(), "script")
			if err := os.WriteFile(file, []byte(r.stdout), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.CommandContext(t.Context(), shell, append(tt.arguments, file)...).CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

// candidates returns what cent offers a shell for a line.
func candidates(t *testing.T, line string) []string {
	t.Helper()
	t.Setenv(lineVariable, line)
	r := invoke(t, map[string]string{lineVariable: line}, "")
	if r.code != 0 || r.stderr != "" {
		t.Fatalf("%+v", r)
	}
	return slices.Sorted(slices.Values(strings.Fields(r.stdout)))
}

func TestCompletionCandidates(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"cent ", "publish broadcast unsubscribe disconnect channels info presence presence-stats history history-remove send token sub bench projects categories doctor completion"},
		{"cent pres", "presence presence-stats"},
		{"cent projects ", "list get apply delete rotate-secret"},
		{"cent projects a", "apply"},
		{"cent --json --project x categories d", "delete"},
		{"cent --project=x categories d", "delete"},
		{"cent bench chat:x --c", "--config --clients --classic"},
		{"cent projects apply --dr", "--dry-run"},
		{"cent projects apply centri", ""},
		{"cent bench --clients ", ""},
		{"cent completion ", "bash zsh fish"},
		{"cent completion z", "zsh"},
		{"cent sub --t", "--timeout --token --token-audience --token-issuer"},
		{"cent publish --dry", ""},
	} {
		t.Run(tt.line, func(t *testing.T) {
			want := slices.Sorted(slices.Values(strings.Fields(tt.want)))
			if diff := cmp.Diff(want, candidates(t, tt.line)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCompletionFlags(t *testing.T) {
	listed := regexp.MustCompile(`(?m)^ {2,6}(?:-\w, )?(--[a-z-]+)`)
	for _, command := range commands {
		t.Run("cent "+command, func(t *testing.T) {
			var want []string
			for _, match := range listed.FindAllStringSubmatch(invoke(t, nil, "", append(strings.Fields(command), "--help")...).stdout, -1) {
				want = append(want, match[1])
			}
			slices.Sort(want)
			if diff := cmp.Diff(want, candidates(t, strings.TrimSpace("cent "+command)+" --")); diff != "" {
				t.Error(diff)
			}
		})
	}
}
