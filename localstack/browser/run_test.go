package browser_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"centrifuge/localstack/browser"
)

func script(t *testing.T, source string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script.mjs")
	if err := os.WriteFile(path, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRun(t *testing.T) {
	// These scripts start no browser: CHROMIUM may be any program.
	env := map[string]string{"CHROMIUM": "/bin/sh", "GREETING": "hello"}

	t.Run("environment of the script", func(t *testing.T) {
		source := `process.exit(process.env.GREETING === "hello" && process.env.CHROMIUM === "/bin/sh" ? 0 : 1)`
		if err := browser.Run(t.Context(), script(t, source), env); err != nil {
			t.Error(err)
		}
	})
	t.Run("script that fails", func(t *testing.T) {
		err := browser.Run(t.Context(), script(t, `console.error("no answer"); process.exit(3)`), env)
		if err == nil || !strings.Contains(err.Error(), "no answer") || !strings.Contains(err.Error(), "exit status 3") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("script that hangs until the context ends", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		// The script requests this address when it runs.
		running := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { cancel() }))
		t.Cleanup(running.Close)
		source := `fetch("` + running.URL + `").catch(() => {}); setInterval(() => {}, 1000)`
		if err := browser.Run(ctx, script(t, source), env); err == nil || !strings.Contains(err.Error(), context.Canceled.Error()) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("missing browser", func(t *testing.T) {
		err := browser.Run(t.Context(), "unused.mjs", map[string]string{"CHROMIUM": "/absent/chromium"})
		if err == nil || !strings.Contains(err.Error(), "run unused.mjs: CHROMIUM=/absent/chromium is no program") {
			t.Errorf("got %v", err)
		}
	})
}

func TestRunWithoutNode(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if err := browser.Run(t.Context(), "unused.mjs", nil); err == nil || !strings.Contains(err.Error(), "install Node.js 20 or later with npm") {
		t.Errorf("got %v", err)
	}
}
