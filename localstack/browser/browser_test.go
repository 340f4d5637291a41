package browser_test

import (
	"os"
	"path/filepath"
	"testing"

	"centrifuge/localstack/browser"
	"centrifuge/localstack/stack"
	"centrifuge/localstack/stack/stacktest"
)

// TestChat has two people chat in two tabs of a real browser, on the page and over
// the API that visitors get.
func TestChat(t *testing.T) {
	s := stacktest.Start(t, stack.Options{Seed: stacktest.Seed(t), Log: os.Stderr, LogLevel: "warn"})
	play(t, "chat.mjs", map[string]string{"BASE_URL": s.HTTPURL})
}

// play runs a script of this folder, whose screenshots go where CI looks for them.
func play(t *testing.T, name string, env map[string]string) {
	t.Helper()
	// Go repeats a result without running the test while no file that the test has
	// read is another: Node is not seen to read these.
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
