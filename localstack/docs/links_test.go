package docs_test

import (
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"centrifuge/localstack/stack"
	"centrifuge/localstack/stack/stacktest"
)

// destinations are all ways to write a link or an image.
var destinations = []*regexp.Regexp{
	regexp.MustCompile(`\]\(\s*<?([^\s)>]*)`),
	regexp.MustCompile(`(?m)^ {0,3}\[[^\]]+\]:\s+<?([^\s>]+)`),
	regexp.MustCompile(`\s(?:href|src|srcset)="([^"\s]*)`),
	regexp.MustCompile(`<(https?://[^\s>]+)>`),
}

// links are where the links and images of a document lead.
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

// TestLinks follows every link within the repository.
func TestLinks(t *testing.T) {
	found := links(readme(t))
	if len(found) == 0 {
		t.Fatalf("%s has no links: is it read wrongly?", name)
	}
	for _, link := range found {
		u, err := url.Parse(link.text)
		if err != nil {
			t.Errorf("%s:%d: %v", name, link.line, err)
			continue
		}
		if u.Scheme != "" || u.Host != "" {
			continue
		}
		path := u.Path
		if path == "" {
			path = name
		}
		if !filepath.IsLocal(path) {
			t.Errorf("%s:%d: the link %s leads out of the repository", name, link.line, link.text)
			continue
		}
		if _, err := os.Stat(filepath.Join(root, path)); err != nil {
			t.Errorf("%s:%d: the link %s leads nowhere: there is no %s", name, link.line, link.text, path)
			continue
		}
		if ignored(t, path) {
			t.Errorf("%s:%d: the link %s leads to what git ignores: nobody else has it", name, link.line, link.text)
		}
		if u.Fragment != "" {
			checkAnchor(t, link, path, u.Fragment)
		}
	}
}

func checkAnchor(t *testing.T, link span, path, anchor string) {
	t.Helper()
	if filepath.Ext(path) != ".md" {
		t.Errorf("%s:%d: the link %s names a place in a file that has no headings, which a change would move", name, link.line, link.text)
		return
	}
	if there := read(t, path).anchors(); !slices.Contains(there, anchor) {
		t.Errorf("%s:%d: the link %s leads to no heading; those of %s are %s", name, link.line, link.text, path, strings.Join(there, " "))
	}
}

// ignored tells whether git leaves path out. Without git, or out of its reach,
// nothing is.
func ignored(t *testing.T, path string) bool {
	t.Helper()
	return exec.CommandContext(t.Context(), "git", "-C", root, "check-ignore", "--quiet", path).Run() == nil
}

// TestPages opens every address of the local stack that the README links to.
func TestPages(t *testing.T) {
	s := stacktest.Start(t, stack.Options{Seed: stacktest.Seed(t), Log: os.Stderr, LogLevel: "warn"})
	for _, link := range links(readme(t)) {
		path, local := strings.CutPrefix(link.text, localHTTP)
		if !local {
			continue
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.HTTPURL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s:%d: %s is answered with status %d", name, link.line, link.text, response.StatusCode)
		}
	}
}

// inRepository is a file or folder as one names it at the top of the repository.
var inRepository = regexp.MustCompile(`^(?:\./)?((?:functions|pkg|infra|events|localstack)/[\w./-]*)$`)

// TestPaths looks for the files and folders that code in the README names.
func TestPaths(t *testing.T) {
	d := readme(t)
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
				t.Errorf("%s:%d: there is no %s", name, code.line, m[1])
			}
		}
	}
}
