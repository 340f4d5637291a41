package docs_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

const (
	root = "../.."
	name = "README.md"
)

// The addresses of `make run`, as the README has them.
const (
	localHTTP      = "http://127.0.0.1:8080"
	localWebSocket = "ws://127.0.0.1:8080/dev"
)

// document is a Markdown file, taken apart as far as the tests need it.
type document struct {
	headings []string
	blocks   []block
	spans    []span // of code within the text
	// text is what is neither a block nor a span of code, on the lines where it was.
	text string
}

// block is a fenced block.
type block struct {
	language, section string
	line              int // of its first line of content
	text              string
}

// span is a part of a line or of more, from line on.
type span struct {
	line int
	text string
}

// readme is the README.
func readme(t *testing.T) document {
	t.Helper()
	return read(t, name)
}

// read reads a Markdown file of the repository.
func read(t *testing.T, path string) document {
	t.Helper()
	b, err := os.ReadFile(root + "/" + path)
	if err != nil {
		t.Fatal(err)
	}
	d, err := parse(string(b))
	if err != nil {
		t.Fatalf("%s:%v", path, err)
	}
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

// codeSpans tells the spans of code from the text around them, in which nothing but
// their ends of line is left.
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

// anchors are what links into a document may name, as GitHub makes them: of headings,
// of which a second one of the same text is counted, and of HTML.
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

func TestDocument(t *testing.T) {
	t.Run("a document has blocks, spans of code and text", func(t *testing.T) {
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
	t.Run("a block without an end is refused with its line", func(t *testing.T) {
		if _, err := parse("text\n```sh\ncent\n"); err == nil || !strings.HasPrefix(err.Error(), "3:") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("anchors are those of GitHub", func(t *testing.T) {
		d, err := parse("# Try it\n## `validate_url`, and *more*!\n```sh\n# not me\n```\n## [Try](x) it\n<a id=\"Here\"></a>\n")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"Here", "try-it", "validate_url-and-more", "try-it-1"}, d.anchors()); diff != "" {
			t.Error(diff)
		}
	})
}
