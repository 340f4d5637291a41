package browser_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"centrifuge/localstack/stack"
	"centrifuge/localstack/stack/stacktest"
	"centrifuge/pkg/webclient"
)

// TestAdmin has somebody who is new here get from the sign-in to a chat between two
// tabs, and looks at every page of the admin interface.
func TestAdmin(t *testing.T) {
	s := stacktest.Start(t, stack.Options{Seed: stacktest.Seed(t), AdminPassword: "open sesame, please", Log: os.Stderr, LogLevel: "error"})
	play(t, "admin.mjs", map[string]string{
		"ADMIN_URL": s.AdminURL, "ADMIN_PASSWORD": s.AdminPassword, "APPLICATION_URL": application(t), "CENT": cent(t),
		"WEBSOCKET_URL": s.WebSocketURL, "BASE_URL": s.HTTPURL,
	})
}

// cent builds the command-line tool and returns its path.
func cent(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cent")
	output, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "centrifuge/pkg/cent/cmd/cent").CombinedOutput()
	if err != nil {
		t.Fatalf("build cent: %v\n%s", err, output)
	}
	return path
}

// application serves the page of an application, from another origin than
// Centrifuge's, and returns its address.
func application(t *testing.T) string {
	t.Helper()
	files := http.FileServer(http.Dir("testdata"))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/centrifuge.js" {
			http.ServeContent(w, r, "centrifuge.js", time.Time{}, bytes.NewReader(webclient.Script))
			return
		}
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/tab.html"
}
