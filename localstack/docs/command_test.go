package docs_test

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// command is one command of a block for the shell, on one line or more.
type command struct {
	line int
	// text is the command as the README has it, name its first line without a comment.
	text, name string
}

// remark is a comment at the end of a line for the shell.
var remark = regexp.MustCompile(`(?:^|\s+)#.*$`)

// withoutComment is a line for the shell without its comment. It takes every # after
// a blank for one.
func withoutComment(line string) string {
	return strings.TrimSpace(remark.ReplaceAllString(line, ""))
}

// commands are the commands of a block for the shell. Bash decides where each ends.
func commands(t *testing.T, b block) []command {
	t.Helper()
	var all []command
	var text string
	lines := strings.Split(strings.TrimSuffix(b.text, "\n"), "\n")
	began := 0
	for i, line := range lines {
		if text == "" {
			began = i
			if withoutComment(line) == "" {
				continue
			}
		}
		text += line + "\n"
		// A warning is of a document that has no end yet.
		out, err := exec.CommandContext(t.Context(), "bash", "-n", "-c", text).CombinedOutput()
		if complete := err == nil && len(out) == 0 && !strings.HasSuffix(line, `\`); complete {
			first := withoutComment(strings.TrimSuffix(lines[began], `\`))
			all = append(all, command{b.line + began, text, first})
			text = ""
		} else if i == len(lines)-1 {
			t.Fatalf("%s:%d: this command has no end: %s", name, b.line+began, text)
		}
	}
	return all
}

func TestCommands(t *testing.T) {
	got := commands(t, block{line: 7, text: strings.Join([]string{
		"# first", "cent publish a:b '{}'   # says nothing", "", `curl -d '{"a":1}' \`, "  http://localhost | # or", "  jq -c .",
		"cat <<END", "x", "END", "for x in a b; do", "  cent info", "done",
	}, "\n") + "\n"})
	want := []command{
		{8, "cent publish a:b '{}'   # says nothing\n", "cent publish a:b '{}'"},
		{10, "curl -d '{\"a\":1}' \\\n  http://localhost | # or\n  jq -c .\n", `curl -d '{"a":1}'`},
		{13, "cat <<END\nx\nEND\n", "cat <<END"},
		{16, "for x in a b; do\n  cent info\ndone\n", "for x in a b; do"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(command{})); diff != "" {
		t.Error(diff)
	}
}
