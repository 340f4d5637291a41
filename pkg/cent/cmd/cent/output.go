package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"
)

// printJSON prints v on one line.
func (s *session) printJSON(v any) error {
	e := json.NewEncoder(s.stdout)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return misuse("print: %w", err)
	}
	return nil
}

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
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}
