package webclient_test

import (
	"bytes"
	"os/exec"
	"regexp"
	"testing"
	"unicode/utf8"

	"centrifuge/pkg/webclient"
)

// TestScript checks the file that pages copy. The tests of the pages that use the client
// run it in a browser.
func TestScript(t *testing.T) {
	for _, export := range []string{"export class Centrifuge {", "export class Refused extends Error {}"} {
		if !bytes.Contains(webclient.Script, []byte(export)) {
			t.Errorf("%q is missing", export)
		}
	}
	for name, pattern := range map[string]string{
		"no imports or addresses": `(?m)^\s*import\b|\bimport\(|\brequire\(|https?://`,
		"no access to the page":   `\bdocument\b|innerHTML|\beval\(|\bFunction\(`,
		"no console but warnings": `\bconsole\.(?:[^w]|w[^a])`,
		"no storage":              `\b(?:local|session)Storage\b`,
	} {
		t.Run(name, func(t *testing.T) {
			if found := regexp.MustCompile(pattern).Find(webclient.Script); found != nil {
				t.Errorf("found %q", found)
			}
		})
	}
	t.Run("size and encoding", func(t *testing.T) {
		if n := len(webclient.Script); n > 11<<10 || !utf8.Valid(webclient.Script) {
			t.Errorf("%d bytes, expected at most 11 KB of UTF-8", n)
		}
	})
}

// TestScriptErrors runs the client in Node, with a fake WebSocket: it checks after which
// errors it connects again.
func TestScriptErrors(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatalf("Node.js is required: %v", err)
	}
	output, err := exec.CommandContext(t.Context(), node, "testdata/errors.mjs").CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}
