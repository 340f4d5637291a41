package docs_test

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"centrifuge/localstack/process"
	"centrifuge/localstack/stack"
	"centrifuge/localstack/stack/stacktest"
	"centrifuge/pkg/auth"
)

// connectSection is where the README has a client to run as it stands.
const connectSection = "Connect"

// user is whom that client connects as.
var user = regexp.MustCompile(`user: "([^"]+)"`)

// TestConnect runs the README's client in Node, and has it print a message of
// chat:lobby that is published while it runs.
func TestConnect(t *testing.T) {
	var clients []block
	for _, b := range readme(t).blocks {
		if b.section == connectSection && b.language == "js" {
			clients = append(clients, b)
		}
	}
	if len(clients) != 1 {
		t.Fatalf("section %s of %s has %d blocks of js, expected is the one that is run here", connectSection, name, len(clients))
	}
	b := clients[0]
	who := user.FindStringSubmatch(b.text)
	if who == nil || !strings.Contains(b.text, localWebSocket) {
		t.Fatalf(`%s:%d: the client has no user: "…" or does not connect to %s`, name, b.line, localWebSocket)
	}
	node := nodeWithWebSocket(t)
	s := stacktest.Start(t, stack.Options{Seed: stacktest.Seed(t), Log: os.Stderr, LogLevel: "warn"})
	script := filepath.Join(t.TempDir(), "connect.mjs")
	source := `const token = "` + auth.SignToken("demo-secret", who[1], "demo") + "\";\n" + strings.ReplaceAll(b.text, localWebSocket, s.WebSocketURL)
	if err := os.WriteFile(script, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}

	const text = "published while it listens"
	client, err := process.Start(exec.Command(node[0], append(node[1:], script)...), process.Options{Ready: text})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Stop() })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	// The client does not say when it is subscribed, and gets nothing from before.
	for {
		select {
		case <-client.Ready():
			t.Logf("the client prints %s", client.Output())
			return
		case <-client.Done():
			t.Fatalf("%s:%d: the client ended: %s", name, b.line, client.Output())
		case <-ctx.Done():
			t.Fatalf("%s:%d: no message of chat:lobby came to the client, which printed %q", name, b.line, client.Output())
		default:
			publish(t, s, `{"channel":"chat:lobby","data":{"text":"`+text+`"}}`)
		}
	}
}

func publish(t *testing.T, s *stack.Stack, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.HTTPURL+"/api/publish", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-API-Key", "demo-key")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("publish: status %d", response.StatusCode)
	}
}

// nodeWithWebSocket is how to call Node such that scripts have a WebSocket, as they
// have in browsers: Node 22 has one, Node 20 when it is told to.
func nodeWithWebSocket(t *testing.T) []string {
	t.Helper()
	path, err := exec.LookPath("node")
	if err != nil {
		t.Fatalf("Node.js is needed (apt-get install nodejs): %v", err)
	}
	for _, call := range [][]string{{path}, {path, "--experimental-websocket"}} {
		out, err := exec.CommandContext(t.Context(), path, append(call[1:], "-p", "typeof WebSocket")...).Output()
		if err == nil && strings.TrimSpace(string(out)) == "function" {
			return call
		}
	}
	version, _ := exec.CommandContext(t.Context(), path, "--version").Output()
	t.Fatalf("Node.js %s has no WebSocket, which the client of %s needs: install 20.10 or newer", strings.TrimSpace(string(version)), name)
	return nil
}
