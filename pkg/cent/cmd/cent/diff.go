package main

import (
	"fmt"
	"strings"
)

// The colours of a terminal.
const (
	red   = "\x1b[31m"
	green = "\x1b[32m"
	bold  = "\x1b[1m"
	reset = "\x1b[0m"
)

// diff returns the lines of two texts, each behind a space, or a - where only the
// first has it, or a + where only the second has it. It is for short texts: it takes
// the time and room of their lengths multiplied.
func diff(before, after string) []string {
	a, b := lines(before), lines(after)
	// common[i][j] is how many lines a[i:] and b[j:] have in common, in order.
	common := make([][]int, len(a)+1)
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var out []string
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			out = append(out, "  "+a[i])
			i++
			j++
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			out = append(out, "- "+a[i])
			i++
		default:
			out = append(out, "+ "+b[j])
			j++
		}
	}
	return out
}

// lines are those of a text that is empty or ends with one.
func lines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
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

// colours tells whether whoever reads the output can see them, and wants to.
func (s *session) colours() bool {
	return s.outTerminal && s.getenv("NO_COLOR") == "" && s.getenv("TERM") != "dumb"
}
