package browser_test

import (
	"os"
	"path/filepath"
	"testing"

	"centrifuge/localstack/browser"
	"centrifuge/localstack/stack"
)

// TestChat has two people chat in two tabs of a real browser, on the page and over
// the API that visitors get.
func TestChat(t *testing.T) {
	seed, err := os.ReadFile("../seed.json")
	if err != nil {
		t.Fatal(err)
	}
	s, err := stack.Start(t.Context(), stack.Options{Seed: seed, Log: os.Stderr, LogLevel: "warn"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	screenshots, err := filepath.Abs("../../.build/screenshots")
	if err != nil {
		t.Fatal(err)
	}
	if err := browser.Run(t.Context(), "chat.mjs", map[string]string{"BASE_URL": s.HTTPURL, "SCREENSHOTS": screenshots}); err != nil {
		t.Error(err)
	}
}
