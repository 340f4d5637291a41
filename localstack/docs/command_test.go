package docs_test

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// command is one command of a shell block, on one or several lines.
type command struct {
	line int
	// text is the command as the document writes it, name its first line without a
	// comment.
	text, name string
}

// remark is a comment at the end of a shell line.
var remark = regexp.MustCompile(`(?:^|\s+)#.*$`)

// withoutComment returns a shell line without its comment. Every # after a blank
// counts as the start of one.
func withoutComment(line string) string {
	return strings.TrimSpace(remark.ReplaceAllString(line, ""))
}

// commands returns the commands of a shell block of the document at path. Bash
// decides where each ends.
func commands(t *testing.T, path string, b block) []command {
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
		// Bash warns, and does not fail, where a here-document has no end yet.
		out, err := exec.CommandContext(t.Context(), "bash", "-n", "-c", text).CombinedOutput()
		if complete := err == nil && len(out) == 0 && !strings.HasSuffix(line, `\`); complete {
			first := withoutComment(strings.TrimSuffix(lines[began], `\`))
			all = append(all, command{b.line + began, text, first})
			text = ""
		} else if i == len(lines)-1 {
			t.Fatalf("%s:%d: this command has no end: %s", path, b.line+began, text)
		}
	}
	return all
}

func TestCommandSplitting(t *testing.T) {
	got := commands(t, readme, block{line: 7, text: strings.Join([]string{
		"# first", "cent publish a:b '{}'   # prints nothing", "", `curl -d '{"a":1}' \`, "  http://localhost | # or", "  jq -c .",
		"cat <<END", "x", "END", "for x in a b; do", "  cent info", "done",
	}, "\n") + "\n"})
	want := []command{
		{8, "cent publish a:b '{}'   # prints nothing\n", "cent publish a:b '{}'"},
		{10, "curl -d '{\"a\":1}' \\\n  http://localhost | # or\n  jq -c .\n", `curl -d '{"a":1}'`},
		{13, "cat <<END\nx\nEND\n", "cat <<END"},
		{16, "for x in a b; do\n  cent info\ndone\n", "for x in a b; do"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(command{})); diff != "" {
		t.Error(diff)
	}
}
