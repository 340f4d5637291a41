package main

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// examples returns the blocks of a help text that are indented, without the indentation,
// up to the list of arguments, flags and commands.
func examples(help string) (blocks []string) {
	help, _, _ = strings.Cut(help, "\nGlobal flags:\n")
	help, _, _ = strings.Cut(help, "\nArguments:\n")
	help, _, _ = strings.Cut(help, "\nFlags:\n")
	block := ""
	for line := range strings.Lines(help + "\nend\n") {
		switch code, indented := strings.CutPrefix(line, "    "); {
		case indented:
			block += code
		case block != "":
			blocks = append(blocks, block)
			block = ""
		}
	}
	return blocks
}

// quotedJSON matches JSON in the help of a flag.
var quotedJSON = regexp.MustCompile(`'(\{[^']*\})'`)

// TestHelpExamples applies every example of the help texts to a stack.
func TestHelpExamples(t *testing.T) {
	t.Setenv("COLUMNS", "100")
	s := start(t)
	env := environment(s)
	shell := newShell(t, env)
	apply := func(args ...string) func(*testing.T, string) {
		return func(t *testing.T, text string) {
			t.Helper()
			if r := invoke(t, env, text, append(args, "-", "--yes")...); r.code != 0 {
				t.Errorf("%+v", r)
			}
			if r := invoke(t, env, text, append(args, "-", "--dry-run")...); r.code != 0 {
				t.Errorf("again: %+v", r)
			}
		}
	}
	// checks apply the examples of a command, one function for each block.
	checks := map[string][]func(*testing.T, string){
		"": {
			func(t *testing.T, text string) {
				t.Helper()
				file := filepath.Join(t.TempDir(), ".centrc")
				for setting, value := range map[string]string{
					`address = .*`: "address = " + s.HTTPURL, `websocket = .*`: "websocket = " + s.WebSocketURL, `api_key = .*`: "api_key = demo-key",
					`project_id = .*`: "project_id = demo", `secret_key = .*`: "secret_key = demo-secret", `admin_password = .*`: "admin_password = " + s.AdminPassword,
				} {
					text = regexp.MustCompile("(?m)^"+setting+"$").ReplaceAllString(text, value)
				}
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				now := time.Now
				if r := invokeAt(t, now, nil, "", "doctor", "chat:doctor", "--config", file); r.code != 0 || strings.Contains(r.stdout, "SKIPPED") {
					t.Errorf("%+v", r)
				}
			},
			shell.run,
		},
		"projects apply":   {apply("projects", "apply")},
		"categories apply": {apply("categories", "apply", "demo")},
		"completion":       {shell.run},
		"doctor":           {func(*testing.T, string) {}}, // a table
	}
	for _, name := range commands {
		help := invoke(t, nil, "", append(strings.Fields(name), "--help")...).stdout
		blocks := examples(help)
		if len(blocks) != len(checks[name]) {
			t.Errorf("cent %s has %d examples, and %d are checked: %q", name, len(blocks), len(checks[name]), blocks)
			continue
		}
		for i, block := range blocks {
			t.Run(name, func(t *testing.T) { checks[name][i](t, block) })
		}
	}
	t.Run("token permissions", func(t *testing.T) {
		found := quotedJSON.FindStringSubmatch(invoke(t, nil, "", "token", "--help").stdout)
		if found == nil {
			t.Fatal("the help has no example")
		}
		if r := invoke(t, env, "", "token", "alice", "--jwt", "--permissions", found[1]); r.code != 0 {
			t.Errorf("%+v", r)
		}
	})
}

// shell runs the lines of examples with cent in the PATH.
type shell struct {
	env []string
	dir string
}

func newShell(t *testing.T, settings map[string]string) *shell {
	t.Helper()
	sh := &shell{dir: t.TempDir()}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(sh.dir, "cent"), ".").CombinedOutput(); err != nil {
		t.Fatalf("build cent: %v\n%s", err, out)
	}
	if err := os.MkdirAll(filepath.Join(sh.dir, ".config", "fish", "completions"), 0o700); err != nil {
		t.Fatal(err)
	}
	sh.env = append(os.Environ(), "HOME="+sh.dir, "PATH="+sh.dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	for name, value := range settings {
		sh.env = append(sh.env, name+"="+value)
	}
	return sh
}

// run runs each line to its end, which must be a success. bench is made small. sub ends
// after one message, which is published when it is subscribed.
func (sh *shell) run(t *testing.T, block string) {
	t.Helper()
	for line := range strings.Lines(block) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "cent bench ") {
			line += " --clients 2 --messages 3 --yes"
		}
		subscribes := strings.HasPrefix(line, "cent sub ")
		line = strings.Replace(line, "cent sub ", "cent sub -n 1 ", 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		cmd := exec.CommandContext(ctx, "bash", "-c", "set -euo pipefail\n"+line)
		cmd.Dir, cmd.Env = sh.dir, sh.env
		stderr, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		cmd.Stdout = &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		notes := bufio.NewReader(stderr)
		if subscribes {
			note, err := notes.ReadString('\n')
			channel := strings.TrimSpace(strings.TrimPrefix(note, "cent: subscribed to "))
			if err != nil || note == channel {
				t.Errorf("%s: printed %q, error %v", line, note, err)
			}
			publish := exec.CommandContext(ctx, filepath.Join(sh.dir, "cent"), "publish", channel, "1")
			publish.Env = sh.env
			if text, err := publish.CombinedOutput(); err != nil {
				t.Errorf("%s: publish: %v %s", line, err, text)
			}
		}
		rest, _ := io.ReadAll(notes)
		if err := cmd.Wait(); err != nil || subscribes && out.String() != "1\n" {
			t.Errorf("%s: %v, printed %s%s", line, err, out.String(), rest)
		}
		cancel()
	}
}

func TestExampleBlocks(t *testing.T) {
	help := "Usage: cent x\n\nText:\n\n    a: 1\n      b\n\nMore.\n\n    c\n\nFlags:\n    --no-example\n"
	if got := examples(help); !slices.Equal(got, []string{"a: 1\n  b\n", "c\n"}) {
		t.Errorf("%q", got)
	}
}
