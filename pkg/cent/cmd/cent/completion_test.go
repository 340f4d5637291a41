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

// script is what completion prints, compared with its golden file.
func script(t *testing.T, shell string) string {
	t.Helper()
	r := invoke(t, nil, "", "completion", shell)
	if r.code != 0 || r.stderr != "" {
		t.Fatalf("%+v", r)
	}
	golden(t, "completion/"+shell+".txt", r.stdout)
	return r.stdout
}

func TestShellsTakeTheirScripts(t *testing.T) {
	for shell, arguments := range map[string][]string{"bash": {"--norc", "-n"}, "zsh": {"-f", "-n"}, "fish": {"--no-config", "-n"}} {
		t.Run(shell, func(t *testing.T) {
			text := script(t, shell)
			path, err := exec.LookPath(shell)
			if err != nil {
				if shell == "bash" {
					t.Fatal(err)
				}
				t.Logf("%s is not installed: its script was compared with the golden file alone", shell)
				return
			}
			file := filepath.Join(t.TempDir(), "script")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.CommandContext(t.Context(), path, append(arguments, file)...).CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

// TestBashCompletes sources the script and has it complete words, as bash would.
func TestBashCompletes(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"centrifuge.yaml", "other.json"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "script"), []byte(script(t, "bash")), 0o600); err != nil {
		t.Fatal(err)
	}
	complete := func(t *testing.T, words ...string) []string {
		program := `source ./script; COMP_WORDS=(cent "$@"); COMP_CWORD=$#; _cent 2>&1; echo "${COMPREPLY[@]}"`
		command := exec.CommandContext(t.Context(), "bash", append([]string{"--norc", "-c", program, "bash"}, words...)...)
		command.Dir = dir
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return slices.Sorted(slices.Values(strings.Fields(string(out))))
	}
	for _, tt := range []struct {
		words []string // the last is being typed
		want  string
	}{
		{[]string{""}, "publish broadcast unsubscribe disconnect channels info presence presence-stats send token sub bench projects categories completion"},
		{[]string{"pres"}, "presence presence-stats"},
		{[]string{"projects", ""}, "list get apply delete"},
		{[]string{"projects", "a"}, "apply"},
		{[]string{"--json", "--project", "publish", "categories", "d"}, "delete"},
		{[]string{"--project", "=", "x", "categories", "d"}, "delete"},
		{[]string{"bench", "chat", ":", "x", "--c"}, "--config --clients"},
		{[]string{"projects", "apply", "--dr"}, "--dry-run"},
		{[]string{"projects", "apply", "centri"}, "centrifuge.yaml"},
		{[]string{"categories", "apply", "demo", "oth"}, "other.json"},
		{[]string{"--config", "oth"}, "other.json"},
		{[]string{"--config", "="}, "centrifuge.yaml other.json script"},
		{[]string{"--config", "=", "oth"}, "other.json"},
		{[]string{"bench", "--clients", ""}, ""},
		{[]string{"completion", ""}, "bash zsh fish"},
		{[]string{"completion", "z"}, "zsh"},
		{[]string{"sub", "--t"}, "--timeout --token"},
		{[]string{"publish", "--dry"}, ""},
	} {
		t.Run(strings.Join(tt.words, " "), func(t *testing.T) {
			want := slices.Sorted(slices.Values(strings.Fields(tt.want)))
			if diff := cmp.Diff(want, complete(t, tt.words...)); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("every flag that the help lists, and no other", func(t *testing.T) {
		listed := regexp.MustCompile(`(?m)^ {2,6}(?:-\w, )?(--[a-z-]+)`)
		for _, command := range commands {
			words := strings.Fields(command)
			var want []string
			for _, match := range listed.FindAllStringSubmatch(invoke(t, nil, "", append(words, "--help")...).stdout, -1) {
				want = append(want, match[1])
			}
			slices.Sort(want)
			if diff := cmp.Diff(want, complete(t, append(words, "--")...)); diff != "" {
				t.Error(command, diff)
			}
		}
	})
	out, err := exec.CommandContext(t.Context(), "bash", "--norc", "-c", `source "$1"; complete -p cent`, "bash", filepath.Join(dir, "script")).CombinedOutput()
	if diff := cmp.Diff("complete -F _cent cent\n", string(out)); diff != "" || err != nil {
		t.Error(diff, err)
	}
}
