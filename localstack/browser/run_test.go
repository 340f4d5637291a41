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
	// Any program will do as the browser: these scripts start none.
	env := map[string]string{"CHROMIUM": "/bin/sh", "GREETING": "hello"}

	t.Run("a script that ends well is no error, and has its environment", func(t *testing.T) {
		source := `process.exit(process.env.GREETING === "hello" && process.env.CHROMIUM === "/bin/sh" ? 0 : 1)`
		if err := browser.Run(t.Context(), script(t, source), env); err != nil {
			t.Error(err)
		}
	})
	t.Run("a script that fails is an error with the reason that it wrote", func(t *testing.T) {
		err := browser.Run(t.Context(), script(t, `console.error("nobody answered"); process.exit(3)`), env)
		if err == nil || !strings.Contains(err.Error(), "nobody answered") || !strings.Contains(err.Error(), "exit status 3") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a script that hangs ends with its context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		// The script says when it runs by asking for this address.
		running := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { cancel() }))
		t.Cleanup(running.Close)
		source := `fetch("` + running.URL + `").catch(() => {}); setInterval(() => {}, 1000)`
		if err := browser.Run(ctx, script(t, source), env); err == nil || !strings.Contains(err.Error(), context.Canceled.Error()) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("without Chromium the error says how to install it", func(t *testing.T) {
		err := browser.Run(t.Context(), "unused.mjs", map[string]string{"CHROMIUM": "/absent/chromium"})
		if err == nil || !strings.Contains(err.Error(), "apt-get install chromium") {
			t.Errorf("got %v", err)
		}
	})
}

func TestRunWithoutNode(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if err := browser.Run(t.Context(), "unused.mjs", nil); err == nil || !strings.Contains(err.Error(), "apt-get install nodejs") {
		t.Errorf("got %v", err)
	}
}
