package webclient_test

import (
	"bytes"
	"regexp"
	"testing"
	"unicode/utf8"

	"centrifuge/pkg/webclient"
)

// What the client does is tested in a browser, by the pages that use it; here is
// what makes it a file to copy.
func TestScript(t *testing.T) {
	for _, export := range []string{"export class Centrifuge {", "export class Refused extends Error {}"} {
		if !bytes.Contains(webclient.Script, []byte(export)) {
			t.Errorf("%q is missing", export)
		}
	}
	for what, pattern := range map[string]string{
		"stands alone":             `(?m)^\s*import\b|\bimport\(|\brequire\(|https?://`,
		"leaves the page alone":    `\bdocument\b|innerHTML|\beval\(|\bFunction\(`,
		"writes to no console":     `\bconsole\.`,
		"keeps nothing in storage": `\b(?:local|session)Storage\b`,
	} {
		t.Run("it "+what, func(t *testing.T) {
			if found := regexp.MustCompile(pattern).Find(webclient.Script); found != nil {
				t.Errorf("found %q", found)
			}
		})
	}
	t.Run("it is small, and text", func(t *testing.T) {
		if n := len(webclient.Script); n > 10<<10 || !utf8.Valid(webclient.Script) {
			t.Errorf("%d bytes; at most 10 KB of UTF-8 are asked for", n)
		}
	})
}
