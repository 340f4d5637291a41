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

// sources are the folders that excerpts may come from.
var sources = []string{"functions", "infra", "pkg", "localstack"}

// languages are those of excerpts.
var languages = []string{"go", "js", "html", "css", "python"}

// extensions are those of files whose language has another name.
var extensions = map[string]string{"mjs": "js", "py": "python"}

// TestExcerpts checks that code in a document equals the code of the repository: the
// lines of a block are consecutive lines of one file. Blanks, comments and empty
// lines may differ, and "…" on a line of its own stands for omitted lines. Only the
// clients that testClient runs are not from a file.
func TestExcerpts(t *testing.T) {
	files := sourceFiles(t)
	for _, d := range documents(t) {
		for _, b := range d.blocks {
			if !slices.Contains(languages, b.language) || isClient(d, b) {
				continue
			}
			best, missing := -1, ""
			for _, file := range files {
				n, line := excerptIn(b.text, file)
				if n > best {
					best, missing = n, line
				}
			}
			if missing != "" {
				t.Errorf("%s:%d: no file has these lines; the first that differs is %s", d.path, b.line, missing)
			}
		}
	}
}

// excerptIn finds an excerpt in the lines of a file: its lines between two omissions
// are consecutive lines. It returns how many it found, and the first that it did not
// find.
func excerptIn(excerpt string, file []string) (found int, missing string) {
	for part := range strings.SplitSeq("\n"+excerpt, omission) {
		lines := codeLines(part)
		best, end := 0, 0
		for start := range file {
			n := 0
			for n < len(lines) && start+n < len(file) && file[start+n] == lines[n] {
				n++
			}
			if n > best || end == 0 {
				best, end = n, start+n
			}
			if n == len(lines) {
				break
			}
		}
		found += best
		if best < len(lines) {
			return found, lines[best]
		}
		file = file[min(end, len(file)):]
	}
	return found, ""
}

// omission stands for omitted lines, on a line of its own.
const omission = "…\n"

// codeLines returns the lines of a text without blanks around them and comments, and
// without empty lines.
func codeLines(text string) (lines []string) {
	for line := range strings.Lines(text) {
		if code := withoutRemark(line); code != "" {
			lines = append(lines, code)
		}
	}
	return lines
}

// sourceFiles returns the lines of all source files. Of the tests, only examples
// that go doc shows are sources.
func sourceFiles(t *testing.T) [][]string {
	t.Helper()
	var files [][]string
	for _, folder := range sources {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if entry.IsDir() {
				if entry.Name() == "node_modules" {
					return filepath.SkipDir
				}
				return nil
			}
			language := strings.TrimPrefix(filepath.Ext(path), ".")
			if name, ok := extensions[language]; ok {
				language = name
			}
			if !slices.Contains(languages, language) {
				return nil
			}
			if strings.HasSuffix(path, "_test.go") && filepath.Base(path) != "example_test.go" {
				return nil
			}
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			files = append(files, codeLines(string(b)))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// withoutRemark returns a line without the blanks around it and the comment at its
// end, and "" where nothing else is on it.
func withoutRemark(line string) string {
	line = strings.TrimSpace(line)
	if strings.HasPrefix(line, "//") {
		return ""
	}
	if i := strings.LastIndex(line, " // "); i >= 0 {
		line = strings.TrimSpace(line[:i])
	}
	return line
}

// TestSyntax parses the blocks whose language it knows, and refuses others.
func TestSyntax(t *testing.T) {
	for _, d := range documents(t) {
		for _, b := range d.blocks {
			switch b.language {
			case "go":
				if err := parseGo(b.text); err != nil {
					t.Errorf("%s:%d: this is not Go: %v", d.path, b.line, err)
				}
			case "json":
				if err := parseJSON(b.text); err != nil {
					t.Errorf("%s:%d: this is not JSON: %v", d.path, b.line, err)
				}
			case "text", "sh", "js", "html", "css", "python":
			default:
				t.Errorf("%s:%d: nothing checks blocks of %q", d.path, b.line, b.language)
			}
		}
	}
}

// parseGo parses a part of a Go file: declarations, statements or the elements of a
// literal. Braces may stay open at the end.
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
		// The error for statements is the most useful one.
		if form == forms[2] {
			failed = err
		}
	}
	return failed
}

// closers returns the brackets that close what text leaves open.
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
		{"statements with an omission", "if x {\n\t…\n}\n// …\nreturn\n", false},
		{"statements that stay open", "if f(x) {\nif y {\n", false},
		{"elements of a literal", "\"a\": f(b),\n", false},
		{"no Go", "if x then\n", true},
		{"a brace too many", "f()\n}\n", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := parseGo(tt.text); (err != nil) != tt.fails {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestExcerptIn(t *testing.T) {
	file := []string{"x", "a", "b", "c"}
	for _, tt := range []struct{ name, excerpt, missing string }{
		{"consecutive lines", "a\n  b // remark\n", ""},
		{"an omission", "a\n\t…\n// that\nc\n", ""},
		{"a missing line", "a\nc\n", "c"},
		{"another order", "b\na\n", "a"},
		{"an unknown line", "y\n", "y"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, missing := excerptIn(tt.excerpt, file); missing != tt.missing {
				t.Errorf("missing is %q, want %q", missing, tt.missing)
			}
		})
	}
}
