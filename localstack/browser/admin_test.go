package browser_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"centrifuge/localstack/bundle"
)

// TestAdmin starts the service with make run, signs in with the password that it
// prints, sets up a chat between two tabs, and opens every page of the admin interface.
func TestAdmin(t *testing.T) {
	t.Parallel()
	printed := makeRun(t)
	play(t, "admin.mjs", map[string]string{
		"ADMIN_URL": printed["admin pages"], "ADMIN_PASSWORD": printed["password"], "APPLICATION_URL": application(t), "CENT": cent(t),
		"START_URL": printed["start here"], "WEBSOCKET_URL": printed["WebSocket"], "BASE_URL": strings.TrimSuffix(printed["admin pages"], "/admin/"),
	})
}

// makeRun starts the service as the README does, on a free port and with a data folder
// of its own, and returns what it prints, by its label. It is interrupted when the test
// ends.
func makeRun(t *testing.T) map[string]string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	cmd := exec.Command("make", "run") //nolint:noctx // an interrupt ends it; a context cannot send one to its children
	cmd.Dir, cmd.Stderr = "../..", os.Stderr
	cmd.Env = append(os.Environ(), "PORT="+port, "DATA_DIR="+filepath.Join(t.TempDir(), "it's my \"data\""), "MAKEFLAGS=", "LOG_LEVEL=warn")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	printed, rest := make(map[string]string), bufio.NewReader(stdout)
	t.Cleanup(func() {
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT); err != nil {
			t.Error(err)
		}
		output, _ := io.ReadAll(rest)
		_ = cmd.Wait() // make fails when it is interrupted
		if !strings.Contains(string(output), "Stopping.") {
			t.Errorf("after the interrupt it printed %q", output)
		}
	})
	for {
		line, err := rest.ReadString('\n')
		if err != nil {
			t.Fatalf("make run ended before it printed the data folder: %v", err)
		}
		if strings.HasPrefix(line, "The data is in") {
			return printed
		}
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "  "); ok {
			printed[name] = strings.TrimSpace(value)
		}
	}
}

// cent builds the command-line tool and returns its path.
func cent(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cent")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", path, "centrifuge/pkg/cent/cmd/cent")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as make run: Go's cache has the packages
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("build cent: %v\n%s", err, output)
	}
	return path
}

// application serves the page of an application from an origin of its own, and
// returns its address.
func application(t *testing.T) string {
	t.Helper()
	sdk, err := bundle.Script(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	files := http.FileServer(http.Dir("testdata"))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/centrifuge.js" {
			http.ServeContent(w, r, "centrifuge.js", time.Time{}, bytes.NewReader(sdk))
			return
		}
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/tab.html"
}
