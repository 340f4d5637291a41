package docs_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"centrifuge/localstack/probe"
)

// TestProbeTable compares the table of probes in infra/README.md with the probes.
func TestProbeTable(t *testing.T) {
	_, table, found := strings.Cut(file(t, "infra/README.md"), "| probe | asks | we assume |\n|---|---|---|\n")
	if !found {
		t.Fatal("infra/README.md has no table of probes")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	var listed []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(table, -1) {
		listed = append(listed, row[1])
	}
	if diff := cmp.Diff(probe.Names(), listed); diff != "" {
		t.Errorf("-probes +listed:\n%s", diff)
	}
}
