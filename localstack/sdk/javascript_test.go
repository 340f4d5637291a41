package sdk_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"centrifuge/localstack/browser"
	"centrifuge/localstack/npm"
)

// TestNode lets npm centrifuge converse in Node.
func TestNode(t *testing.T) {
	install(t)
	for _, tt := range targets(t, inProcess, jitter, processes) {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), "node", "node.mjs")
			cmd.Env = os.Environ()
			for name, value := range tt.start(t).addresses() {
				cmd.Env = append(cmd.Env, name+"="+value)
			}
			printed, err := cmd.CombinedOutput()
			t.Logf("%s", printed)
			if err != nil {
				t.Error(err)
			}
			reportPrinted(t, "npm centrifuge in Node", printed)
		})
	}
}

// TestChromium lets npm centrifuge converse in a browser.
func TestChromium(t *testing.T) {
	install(t)
	for _, tt := range targets(t, inProcess, jitter, processes) {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := browser.Run(t.Context(), "chromium.mjs", origin(t, tt.start(t))); err != nil {
				t.Error(err)
			}
		})
	}
}

// origin serves the page, and behind it the target, since the server API is not for pages of other
// origins. It returns the addresses.
func origin(t *testing.T, r rig) map[string]string {
	t.Helper()
	behind, err := url.Parse(r.HTTPURL)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for name, path := range map[string]string{
		"page.html": "page.html", "conversations.mjs": "conversations.mjs", "centrifuge.js": "../node_modules/centrifuge/dist/centrifuge.js",
	} {
		mux.HandleFunc("GET /sdk/"+name, func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, path) })
	}
	mux.HandleFunc("POST /sdk/printed", func(_ http.ResponseWriter, r *http.Request) {
		printed, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		t.Logf("%s", printed)
		reportPrinted(t, "npm centrifuge in Chromium", printed)
	})
	mux.Handle("/", httputil.NewSingleHostReverseProxy(&url.URL{Scheme: behind.Scheme, Host: behind.Host}))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	addresses := r.addresses()
	for name, address := range addresses {
		addresses[name] = strings.Replace(address, behind.Host, server.Listener.Addr().String(), 1)
	}
	return addresses
}

// reportPrinted reports a line for each conversation: ok and its name, or FAIL.
func reportPrinted(t *testing.T, sdk string, lines []byte) {
	t.Helper()
	succeeded := len(succeededLine.FindAll(lines, -1))
	report(t, sdk, succeeded+len(failedLine.FindAll(lines, -1)), succeeded)
}

var succeededLine, failedLine = regexp.MustCompile(`(?m)^ok `), regexp.MustCompile(`(?m)^FAIL `)

// addresses are the environment of the scripts.
func (r rig) addresses() map[string]string {
	return map[string]string{"HTTP_URL": r.HTTPURL, "WEBSOCKET_URL": r.WebSocketURL, "MANAGEMENT_URL": r.ManagementURL}
}

func install(t *testing.T) {
	t.Helper()
	for _, p := range []npm.Package{{Name: "centrifuge", File: "dist/centrifuge.js"}, {Name: "ws", File: "wrapper.mjs"}} {
		p.Alternative = "run the tests of the other packages"
		if _, err := p.Install(t.Context(), os.Stderr); err != nil {
			t.Fatal(err)
		}
	}
	// Go caches a result until a file that the test read has changed. It does not see what Node
	// reads.
	for _, path := range []string{"conversations.mjs", "node.mjs", "chromium.mjs", "page.html"} {
		if _, err := os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
}
