package docs_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/scanner"
	"go/token"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// sources are the folders that code in the README may be taken from: others' tests
// run what is there.
var sources = []string{"functions/demo", "pkg/webclient", "pkg/cent"}

// languages are those of the blocks that are taken from sources.
var languages = []string{"go", "js", "html", "css"}

// TestExcerpts finds every line of code that the README shows in the repository,
// but for the block that TestConnect runs. Blanks before a line and comments after
// it may differ; "…" and comments on lines of their own stand for what is left out.
func TestExcerpts(t *testing.T) {
	there := sourceLines(t)
	for _, b := range readme(t).blocks {
		if !slices.Contains(languages, b.language) || b.section == connectSection && b.language == "js" {
			continue
		}
		for i, line := range strings.Split(b.text, "\n") {
			if code := withoutRemark(line); code != "" && !there[code] {
				t.Errorf("%s:%d: no file below %s has the line %s", name, b.line+i, strings.Join(sources, ", "), code)
			}
		}
	}
}

// sourceLines are the lines of all files of sources, tests left out but for those
// that go doc shows.
func sourceLines(t *testing.T) map[string]bool {
	t.Helper()
	lines := map[string]bool{}
	for _, folder := range sources {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !slices.Contains(languages, strings.TrimPrefix(filepath.Ext(path), ".")) {
				return err
			}
			if strings.HasSuffix(path, "_test.go") && filepath.Base(path) != "example_test.go" {
				return nil
			}
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for line := range strings.Lines(string(b)) {
				lines[withoutRemark(line)] = true
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return lines
}

// withoutRemark is a line without the blanks around it and without the comment at
// its end; "" where there is no more to it.
func withoutRemark(line string) string {
	line = strings.TrimSpace(line)
	if line == "…" || strings.HasPrefix(line, "//") {
		return ""
	}
	if i := strings.LastIndex(line, " // "); i >= 0 {
		line = strings.TrimSpace(line[:i])
	}
	return line
}

// TestSyntax parses what the README shows, and knows every language in it.
func TestSyntax(t *testing.T) {
	for _, b := range readme(t).blocks {
		switch b.language {
		case "go":
			if err := parseGo(b.text); err != nil {
				t.Errorf("%s:%d: this is not Go: %v", name, b.line, err)
			}
		case "json":
			if err := parseJSON(b.text); err != nil {
				t.Errorf("%s:%d: this is not JSON: %v", name, b.line, err)
			}
		case "", "text", "sh", "js", "html", "css":
		default:
			t.Errorf("%s:%d: nothing checks blocks of %s", name, b.line, b.language)
		}
	}
}

// parseGo parses a part of a Go file: declarations, statements or the elements of a
// literal, of which braces may stay open at the end.
func parseGo(text string) error {
	var kept []string
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) != "…" {
			kept = append(kept, line)
		}
	}
	text = strings.Join(kept, "")
	text += closers(text)
	forms := []string{"%s", "package p\n%s", "package p\nfunc _() {\n%s\n}", "package p\nvar _ = T{\n%s\n}"}
	var failed error
	for _, form := range forms {
		_, err := parser.ParseFile(token.NewFileSet(), "", fmt.Sprintf(form, text), parser.SkipObjectResolution)
		if err == nil {
			return nil
		}
		// The error as it is in statements is the one that tells most.
		if form == forms[2] {
			failed = err
		}
	}
	return failed
}

// closers close what text leaves open.
func closers(text string) string {
	var open []token.Token
	var s scanner.Scanner
	file := token.NewFileSet()
	s.Init(file.AddFile("", file.Base(), len(text)), []byte(text), nil, 0)
	for {
		switch _, tok, _ := s.Scan(); tok {
		case token.EOF:
			var all strings.Builder
			for _, tok := range slices.Backward(open) {
				all.WriteString(tok.String())
			}
			return all.String()
		case token.LBRACE:
			open = append(open, token.RBRACE)
		case token.LPAREN:
			open = append(open, token.RPAREN)
		case token.RBRACE, token.RPAREN:
			open = open[:max(0, len(open)-1)]
		}
	}
}

// parseJSON parses one value after another.
func parseJSON(text string) error {
	for d := json.NewDecoder(strings.NewReader(text)); ; {
		var v any
		if err := d.Decode(&v); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func TestParseGo(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		fails      bool
	}{
		{"a file", "package p\nfunc f() {}\n", false},
		{"a declaration", "func f() {}\n", false},
		{"statements with something left out", "if x {\n\t…\n}\n// …\nreturn\n", false},
		{"statements that stay open", "if f(x) {\nif y {\n", false},
		{"elements of a literal", "\"a\": f(b),\n", false},
		{"what is none", "if x then\n", true},
		{"what closes more than it opens", "f()\n}\n", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := parseGo(tt.text); (err != nil) != tt.fails {
				t.Errorf("error %v", err)
			}
		})
	}
}
