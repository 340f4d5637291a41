package main

import (
	"fmt"
	"strings"

	"github.com/aymanbagabas/go-udiff"
)

// The colours of a terminal.
const (
	red   = "\x1b[31m"
	green = "\x1b[32m"
	bold  = "\x1b[1m"
	reset = "\x1b[0m"
)

// diff returns all lines of two different texts: common lines after two spaces,
// removed lines after "- ", added lines after "+ ". It returns nothing for equal
// texts.
func diff(before, after string) []string {
	// The context is the whole text. The edits fit it, so there is no error.
	unified, _ := udiff.ToUnifiedDiff("", "", before, udiff.Lines(before, after), len(before))
	var out []string
	for _, hunk := range unified.Hunks {
		for _, line := range hunk.Lines {
			mark := map[udiff.OpKind]string{udiff.Delete: "- ", udiff.Insert: "+ ", udiff.Equal: "  "}[line.Kind]
			out = append(out, strings.TrimSuffix(mark+line.Content, "\n"))
		}
	}
	return out
}

// printDiff prints a change under its title.
func (s *session) printDiff(title, before, after string) {
	paint := func(colour, line string) {
		if s.colours() {
			line = colour + line + reset
		}
		fmt.Fprintln(s.stdout, line)
	}
	paint(bold, title)
	for _, line := range diff(before, after) {
		switch line[0] {
		case '+':
			paint(green, line)
		case '-':
			paint(red, line)
		default:
			fmt.Fprintln(s.stdout, line)
		}
	}
}

// colours reports whether the output is a terminal that shows colours, and the user
// has not turned them off.
func (s *session) colours() bool {
	return s.outTerminal && s.getenv("NO_COLOR") == "" && s.getenv("TERM") != "dumb"
}
