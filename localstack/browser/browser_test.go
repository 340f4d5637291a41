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
	screenshots, err := filepath.Abs("../../.build/screenshots")
	if err != nil {
		t.Fatal(err)
	}
	if err := browser.Run(t.Context(), "chat.mjs", map[string]string{"BASE_URL": s.HTTPURL, "SCREENSHOTS": screenshots}); err != nil {
		t.Error(err)
	}
}
