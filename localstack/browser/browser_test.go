package browser_test

import (
	"os"
	"path/filepath"
	"testing"

	"centrifuge/localstack/browser"
	"centrifuge/localstack/stack"
	"centrifuge/localstack/stack/stacktest"
)

// TestChat lets two users chat in two tabs of a real browser, on the page and with the
// API of the example.
func TestChat(t *testing.T) {
	t.Parallel()
	s := stacktest.Start(t, stack.Options{Seed: stacktest.Seed(t), Log: os.Stderr, LogLevel: "warn"})
	play(t, "chat.mjs", map[string]string{"BASE_URL": s.HTTPURL})
}

// play runs a script of this folder. The screenshots go to .build/screenshots.
func play(t *testing.T, name string, env map[string]string) {
	t.Helper()
	// Go caches a result until a file that the test read has changed. It does not see
	// what Node reads.
	scripts, err := filepath.Glob("*.mjs")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range scripts {
		if _, err := os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	if env["SCREENSHOTS"], err = filepath.Abs("../../.build/screenshots"); err != nil {
		t.Fatal(err)
	}
	if err := browser.Run(t.Context(), name, env); err != nil {
		t.Error(err)
	}
}
