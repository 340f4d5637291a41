package docs_test

import (
	"bytes"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestREADMESize keeps the first page short: what is longer belongs next to the code
// that it describes.
func TestREADMESize(t *testing.T) {
	const maxLines, maxBytes = 150, 8000
	b, err := os.ReadFile(filepath.Join(root, readme))
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(b, []byte("\n")); n > maxLines {
		t.Errorf("%s has %d lines, at most %d are allowed", readme, n, maxLines)
	}
	if len(b) > maxBytes {
		t.Errorf("%s has %d bytes, at most %d are allowed", readme, len(b), maxBytes)
	}
}

// TestREADMELinksDocuments checks that the README names every other document: a
// document without a link from there is not found.
func TestREADMELinksDocuments(t *testing.T) {
	var linked []string
	for _, link := range links(read(t, readme)) {
		target, _, _ := strings.Cut(link.text, "#")
		linked = append(linked, path.Clean(target))
	}
	for _, d := range documents(t) {
		if d.path != readme && !slices.Contains(linked, d.path) {
			t.Errorf("%s has no link to %s", readme, d.path)
		}
	}
}

// TestMaps checks that a map names every folder: that of the packages, and that of
// the local stack.
func TestMaps(t *testing.T) {
	for _, tt := range []struct{ document, folder string }{
		{"pkg/README.md", "pkg"}, {"localstack/README.md", "localstack"},
	} {
		t.Run(tt.document, func(t *testing.T) {
			d := read(t, tt.document)
			entries, err := os.ReadDir(filepath.Join(root, tt.folder))
			if err != nil {
				t.Fatal(err)
			}
			for _, entry := range entries {
				if !entry.IsDir() || entry.Name() == "node_modules" {
					continue
				}
				name := tt.folder + "/" + entry.Name()
				if !slices.ContainsFunc(d.spans, func(s span) bool { return s.text == name || strings.HasPrefix(s.text, name+"/") }) {
					t.Errorf("the map does not name `%s`", name)
				}
			}
		})
	}
}
