package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// printJSON prints v on one line. Characters that are not graphic are escaped: the data of
// messages could otherwise send control sequences to the terminal, or reverse the text.
func (s *session) printJSON(v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	if err == nil {
		_, err = io.WriteString(s.stdout, escapeJSON(b.String()))
	}
	if err != nil {
		return misuse("print: %w", err)
	}
	return nil
}

// escapeJSON escapes characters in a line of compact JSON, which has them in strings
// alone. The line is the same JSON afterwards.
func escapeJSON(line string) string {
	if !strings.ContainsFunc(line, hidden) {
		return line
	}
	var b strings.Builder
	for _, r := range line {
		if !hidden(r) {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}

// hidden reports whether a character is to be escaped: control characters, those that
// change the direction of text, and bytes that are not UTF-8.
func hidden(r rune) bool { return r == utf8.RuneError || !unicode.IsGraphic(r) && r != '\n' }

// done ends a command without a result: with --json it prints {}.
func (s *session) done() error {
	if !s.JSON {
		return nil
	}
	return s.printJSON(struct{}{})
}

// table prints rows in columns.
func (s *session) table(rows [][]string) error {
	w := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			row[i] = printable(cell)
		}
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	if err := w.Flush(); err != nil {
		return misuse("print: %w", err)
	}
	return nil
}

// printable quotes text with characters that are not printable. Clients choose names,
// which could otherwise send control sequences to the terminal.
func printable(text string) string {
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}
