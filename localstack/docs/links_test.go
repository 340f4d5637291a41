package docs_test

import (
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// destinations are all ways to write a link or an image.
var destinations = []*regexp.Regexp{
	regexp.MustCompile(`\]\(\s*<?([^\s)>]*)`),
	regexp.MustCompile(`(?m)^ {0,3}\[[^\]]+\]:\s+<?([^\s>]+)`),
	regexp.MustCompile(`\s(?:href|src|srcset)="([^"\s]*)`),
	regexp.MustCompile(`<(https?://[^\s>]+)>`),
}

// links returns the destinations of the links and images of a document.
func links(d document) []span {
	var all []span
	for _, form := range destinations {
		for _, m := range form.FindAllStringSubmatchIndex(d.text, -1) {
			all = append(all, span{lineAt(d.text, m[0]), d.text[m[2]:m[3]]})
		}
	}
	slices.SortStableFunc(all, func(a, b span) int { return a.line - b.line })
	return all
}

// TestLinks follows every link within the repository, from the folder of its
// document, as GitHub does.
func TestLinks(t *testing.T) {
	for _, d := range documents(t) {
		t.Run(d.path, func(t *testing.T) {
			for _, link := range links(d) {
				u, err := url.Parse(link.text)
				if err != nil {
					t.Errorf("%s:%d: %v", d.path, link.line, err)
					continue
				}
				if u.Scheme != "" || u.Host != "" {
					continue
				}
				to := d.path
				if u.Path != "" {
					to = path.Join(path.Dir(d.path), u.Path)
				}
				if !filepath.IsLocal(to) {
					t.Errorf("%s:%d: the link %s leaves the repository", d.path, link.line, link.text)
					continue
				}
				if _, err := os.Stat(filepath.Join(root, to)); err != nil {
					t.Errorf("%s:%d: the link %s is broken: there is no %s", d.path, link.line, link.text, to)
					continue
				}
				if ignored(t, to) {
					t.Errorf("%s:%d: the link %s leads to a file that git ignores", d.path, link.line, link.text)
				}
				if u.Fragment != "" {
					checkAnchor(t, d, link, to, u.Fragment)
				}
			}
		})
	}
}

func checkAnchor(t *testing.T, d document, link span, to, anchor string) {
	t.Helper()
	if filepath.Ext(to) != ".md" {
		t.Errorf("%s:%d: the link %s has a fragment, and its file has no headings", d.path, link.line, link.text)
		return
	}
	if there := read(t, to).anchors(); !slices.Contains(there, anchor) {
		t.Errorf("%s:%d: the link %s leads to no heading; those of %s are %s", d.path, link.line, link.text, to, strings.Join(there, " "))
	}
}

// ignored reports whether git ignores a path. Without git it ignores none.
func ignored(t *testing.T, path string) bool {
	t.Helper()
	return exec.CommandContext(t.Context(), "git", "-C", root, "check-ignore", "--quiet", path).Run() == nil
}

// inRepository is a file or folder, written from the top of the repository.
var inRepository = regexp.MustCompile(`^(?:\./)?((?:functions|pkg|infra|events|localstack)/[\w./-]*)$`)

// TestPaths checks that the files and folders exist that code in the documents names
// from the top of the repository.
func TestPaths(t *testing.T) {
	for _, d := range documents(t) {
		named := slices.Clone(d.spans)
		for _, b := range d.blocks {
			if b.language == "sh" {
				named = append(named, span{b.line, b.text})
			}
		}
		for _, code := range named {
			for _, word := range strings.FieldsFunc(code.text, func(r rune) bool { return strings.ContainsRune(" \n\t='\"", r) }) {
				m := inRepository.FindStringSubmatch(word)
				if m == nil {
					continue
				}
				if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
					t.Errorf("%s:%d: there is no %s", d.path, code.line, m[1])
				}
			}
		}
	}
}
