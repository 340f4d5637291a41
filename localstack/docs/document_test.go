package docs_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

const (
	root   = "../.."
	readme = "README.md"
)

// The addresses of `make run`, as the documents write them.
const (
	localHTTP      = "http://127.0.0.1:8080"
	localWebSocket = "ws://127.0.0.1:8080/dev"
)

// document is a Markdown file, parsed as far as the tests need it.
type document struct {
	path     string // from the top of the repository, with slashes
	headings []string
	blocks   []block
	spans    []span // of code within the text
	// text is everything outside blocks and code spans, on its original lines.
	text string
}

// block is a fenced block.
type block struct {
	language, section string
	line              int // of its first line of content
	text              string
}

// span is a part of a line, or of several lines from line on.
type span struct {
	line int
	text string
}

// documents returns every Markdown file of the repository.
func documents(t *testing.T) []document {
	t.Helper()
	var all []document
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := entry.Name(); entry.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "cdk.out") {
			return filepath.SkipDir
		}
		if entry.IsDir() || filepath.Ext(path) != ".md" {
			return nil
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		all = append(all, read(t, filepath.ToSlash(relative)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 2 {
		t.Fatalf("found %d documents below %s", len(all), root)
	}
	return all
}

// read reads a Markdown file of the repository.
func read(t *testing.T, path string) document {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	d, err := parse(string(b))
	if err != nil {
		t.Fatalf("%s:%v", path, err)
	}
	d.path = path
	return d
}

var (
	fence   = regexp.MustCompile("^\\s*(```+|~~~+)\\s*([\\w+-]*)")
	heading = regexp.MustCompile(`^#{1,6}\s+(.*?)[\s#]*$`)
)

func parse(source string) (document, error) {
	var d document
	var open string // the fence of the block we are in
	section, lines := "", strings.Split(source, "\n")
	for i, line := range lines {
		if open != "" {
			lines[i] = ""
			if bar := strings.TrimSpace(line); strings.HasPrefix(bar, open) && strings.Trim(bar, open[:1]) == "" {
				open = ""
			} else {
				d.blocks[len(d.blocks)-1].text += line + "\n"
			}
			continue
		}
		if m := fence.FindStringSubmatch(line); m != nil {
			open, lines[i] = m[1], ""
			d.blocks = append(d.blocks, block{language: m[2], section: section, line: i + 2})
		} else if m := heading.FindStringSubmatch(line); m != nil {
			section = m[1]
			d.headings = append(d.headings, section)
		}
	}
	if open != "" {
		return d, fmt.Errorf("%d: a block is not closed", d.blocks[len(d.blocks)-1].line)
	}
	d.spans, d.text = codeSpans(strings.Join(lines, "\n"))
	return d, nil
}

var backticks = regexp.MustCompile("`+")

// codeSpans separates code spans from the text around them. Of a span, the text
// keeps the line breaks only.
func codeSpans(text string) (spans []span, rest string) {
	marks := backticks.FindAllStringIndex(text, -1)
	var out strings.Builder
	at := 0
	for i := 0; i < len(marks); i++ {
		opens := marks[i]
		for j := i + 1; j < len(marks); j++ {
			closes := marks[j]
			inside := text[opens[1]:closes[0]]
			if strings.Contains(inside, "\n\n") {
				break
			}
			if closes[1]-closes[0] != opens[1]-opens[0] {
				continue
			}
			spans = append(spans, span{lineAt(text, opens[0]), strings.Join(strings.Fields(inside), " ")})
			out.WriteString(text[at:opens[0]] + strings.Repeat("\n", strings.Count(inside, "\n")))
			at, i = closes[1], j
			break
		}
	}
	out.WriteString(text[at:])
	return spans, out.String()
}

// lineAt is the line of an offset in text, counted from 1.
func lineAt(text string, offset int) int { return 1 + strings.Count(text[:offset], "\n") }

var (
	linkText = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	anchorID = regexp.MustCompile(`\s(?:id|name)="([^"]+)"`)
)

// anchors are the fragments that links into a document may name, as GitHub makes
// them: one for each heading, numbered from the second of the same text on, and the
// ids in HTML.
func (d document) anchors() []string {
	var all []string
	for _, m := range anchorID.FindAllStringSubmatch(d.text, -1) {
		all = append(all, m[1])
	}
	for _, text := range d.headings {
		slug := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_':
				return unicode.ToLower(r)
			}
			return -1
		}, linkText.ReplaceAllString(text, "$1"))
		anchor := slug
		for n := 1; slices.Contains(all, anchor); n++ {
			anchor = fmt.Sprintf("%s-%d", slug, n)
		}
		all = append(all, anchor)
	}
	return all
}

func TestParse(t *testing.T) {
	t.Run("blocks, code spans and text", func(t *testing.T) {
		got, err := parse("# A `b`\n```sh\ncent # `x`\n```\nSee [`c`](d) and ``e ` f`` or\n`make\nrun`.\n\nA ` alone\n\nand ` another.\n")
		if err != nil {
			t.Fatal(err)
		}
		want := document{
			headings: []string{"A `b`"},
			blocks:   []block{{language: "sh", section: "A `b`", line: 3, text: "cent # `x`\n"}},
			spans:    []span{{1, "b"}, {5, "c"}, {5, "e ` f"}, {6, "make run"}},
			text:     "# A \n\n\n\nSee [](d) and  or\n\n.\n\nA ` alone\n\nand ` another.\n",
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(document{}, block{}, span{})); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("a block without an end fails with its line", func(t *testing.T) {
		if _, err := parse("text\n```sh\ncent\n"); err == nil || !strings.HasPrefix(err.Error(), "3:") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("anchors as on GitHub", func(t *testing.T) {
		d, err := parse("# Try it\n## `validate_url`, and *more*!\n```sh\n# not me\n```\n## [Try](x) it\n<a id=\"Here\"></a>\n")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"Here", "try-it", "validate_url-and-more", "try-it-1"}, d.anchors()); diff != "" {
			t.Error(diff)
		}
	})
}
