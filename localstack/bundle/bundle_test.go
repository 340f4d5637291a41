package bundle_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"centrifuge/localstack/bundle"
)

func TestScript(t *testing.T) {
	script, err := bundle.Script(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	dist, err := os.ReadFile("../node_modules/centrifuge/dist/centrifuge.js")
	if err != nil {
		t.Fatal(err)
	}
	t.Run("the code is that of the package", func(t *testing.T) {
		code := regexp.MustCompile(`(?s)^(.*)\n//# sourceMappingURL=\S+\s*$`).FindSubmatch(dist)
		if code == nil || !bytes.HasSuffix(script, append(code[1], '\n')) {
			t.Error("it differs, or the package names no source map any more")
		}
	})
	for _, licence := range []string{"../node_modules/centrifuge/LICENSE", "../node_modules/events/LICENSE"} {
		t.Run("it contains "+licence, func(t *testing.T) {
			text, err := os.ReadFile(licence)
			if err != nil || !bytes.Contains(script, bytes.TrimSpace(text)) {
				t.Errorf("it is missing, error %v", err)
			}
		})
	}
	for name, pattern := range map[string]string{
		"a source map":                  `sourceMappingURL`,
		"code that a policy forbids":    `\beval\(|\bnew Function\b|\bimport\(`,
		"markup from data":              `innerHTML|outerHTML|insertAdjacentHTML|document\.write`,
		"a package that has no licence": `@license|@preserve`,
	} {
		t.Run("without "+name, func(t *testing.T) {
			if found := regexp.MustCompile(pattern).Find(script); found != nil {
				t.Errorf("found %q", found)
			}
		})
	}
}

func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin", "centrifuge.js")
	for range 2 {
		if err := bundle.Write(t.Context(), path, os.Stderr); err != nil {
			t.Fatal(err)
		}
	}
	script, err := bundle.Script(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(script, written) {
		t.Errorf("%d bytes, want %d, error %v", len(written), len(script), err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder has %v, error %v", entries, err)
	}
	if info, err := entries[0].Info(); err != nil || info.Mode() != fs.FileMode(0o644) {
		t.Errorf("mode %v, error %v", info.Mode(), err)
	}
}
