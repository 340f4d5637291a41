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

// makes are the commands of the README that call make, comments left out.
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

// TestMakeTargets looks for every target and variable that the README gives to make,
// and logs what make help lists that the README does not name.
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
	found := makes(readme(t))
	if len(found) == 0 {
		t.Fatalf("%s never calls make: is it read wrongly?", name)
	}
	var named []string
	for _, command := range found {
		for _, m := range invocation.FindAllStringSubmatch(command.text, -1) {
			for _, word := range strings.Fields(m[1]) {
				if strings.Contains(word, "=") || strings.HasPrefix(word, "-") {
					continue
				}
				named = append(named, word)
				if !exists(word) {
					t.Errorf("%s:%d: the Makefile has no target %s", name, command.line, word)
				}
			}
		}
		for _, m := range assignment.FindAllStringSubmatch(command.text, -1) {
			if !regexp.MustCompile(`\b` + m[1] + `\b`).MatchString(makefile) {
				t.Errorf("%s:%d: the Makefile knows no %s", name, command.line, m[1])
			}
		}
	}
	var missing []string
	for _, m := range helped.FindAllStringSubmatch(makefile, -1) {
		if !slices.Contains(named, m[1]) {
			missing = append(missing, m[1])
		}
	}
	if len(missing) > 0 {
		t.Logf("make help lists what %s does not name: %s", name, strings.Join(missing, " "))
	}
}
