package docs_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	target     = regexp.MustCompile(`(?m)^([a-z%][a-z%-]*):(?:[^=]|$)`)
	helped     = regexp.MustCompile(`(?m)^([a-z-]+):.*## `)
	invocation = regexp.MustCompile(`(?:^|[\s(])make((?:\s+[^\s;&|)]+)+)`)
	assignment = regexp.MustCompile(`\b([A-Z][A-Z0-9_]*)=`)
)

// makes returns the commands of a document that call make, without comments.
func makes(d document) []span {
	var all []span
	for _, code := range d.spans {
		if invocation.MatchString(code.text) {
			all = append(all, code)
		}
	}
	for _, b := range d.blocks {
		if b.language != "sh" {
			continue
		}
		for i, line := range strings.Split(b.text, "\n") {
			if line = withoutComment(line); invocation.MatchString(line) {
				all = append(all, span{b.line + i, line})
			}
		}
	}
	return all
}

// TestMakeTargets checks that every target and variable that a document gives to
// make exists, and that some document names every target that make help lists.
func TestMakeTargets(t *testing.T) {
	b, err := os.ReadFile(root + "/Makefile")
	if err != nil {
		t.Fatal(err)
	}
	makefile := string(b)
	var targets []string
	for _, m := range target.FindAllStringSubmatch(makefile, -1) {
		targets = append(targets, m[1])
	}
	exists := func(word string) bool {
		return slices.ContainsFunc(targets, func(target string) bool {
			prefix, suffix, pattern := strings.Cut(target, "%")
			if !pattern {
				return word == target
			}
			stem, fits := strings.CutPrefix(word, prefix)
			return fits && len(stem) > len(suffix) && strings.HasSuffix(stem, suffix)
		})
	}
	var named []string
	for _, d := range documents(t) {
		for _, command := range makes(d) {
			for _, m := range invocation.FindAllStringSubmatch(command.text, -1) {
				for _, word := range strings.Fields(m[1]) {
					if strings.Contains(word, "=") || strings.HasPrefix(word, "-") {
						continue
					}
					named = append(named, word)
					if !exists(word) {
						t.Errorf("%s:%d: the Makefile has no target %s", d.path, command.line, word)
					}
				}
			}
			for _, m := range assignment.FindAllStringSubmatch(command.text, -1) {
				if !regexp.MustCompile(`\b` + m[1] + `\b`).MatchString(makefile) {
					t.Errorf("%s:%d: the Makefile has no variable %s", d.path, command.line, m[1])
				}
			}
		}
	}
	for _, m := range helped.FindAllStringSubmatch(makefile, -1) {
		if !slices.Contains(named, m[1]) {
			t.Errorf("no document names make %s, which make help lists", m[1])
		}
	}
}
