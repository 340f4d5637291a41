package docs_test

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"centrifuge/localstack/process"
	"centrifuge/localstack/stack"
)

// clients are the sections with a client that runs as it stands, by their documents.
var clients = map[string]string{readme: "Connect", "pkg/protocol/classic/README.md": "A client"}

// isClient reports whether b is such a client.
func isClient(d document, b block) bool {
	return clients[d.path] != "" && b.section == clients[d.path] && b.language == "js"
}

// testClient runs the client of a document in Node. Only the address is replaced.
// The client has to print a message of chat:lobby that is published while it runs, and
// another one after its connection was cut.
func testClient(t *testing.T, s *stack.Stack, path string) {
	var found []block
	d := read(t, path)
	for _, b := range d.blocks {
		if isClient(d, b) {
			found = append(found, b)
		}
	}
	if len(found) != 1 {
		t.Fatalf("section %s of %s has %d blocks of js, want one", clients[path], path, len(found))
	}
	b := found[0]
	if !strings.Contains(b.text, localWebSocket) {
		t.Fatalf("%s:%d: the client does not connect to %s", path, b.line, localWebSocket)
	}
	node := nodeWithWebSocket(t)
	folder := t.TempDir()
	script := filepath.Join(folder, "client.mjs")
	// The client may import npm centrifuge, which the local stack has installed.
	modules, err := filepath.Abs(filepath.Join(root, "localstack", "node_modules"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(modules, filepath.Join(folder, "node_modules")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(script, []byte(strings.ReplaceAll(b.text, localWebSocket, s.WebSocketURL)), 0o600); err != nil {
		t.Fatal(err)
	}

	const text, later = "published while it listens", "published after a cut"
	client, err := process.Start(exec.Command(node[0], append(node[1:], script)...), process.Options{Ready: text})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Stop() })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	// The client does not print when it is subscribed, and gets no earlier messages.
	for said, cut := text, false; !strings.Contains(client.Output(), later); {
		select {
		case <-client.Ready():
			if !cut {
				said, cut = later, true
				cutOff(t, s)
			}
		default:
		}
		select {
		case <-client.Done():
			t.Fatalf("%s:%d: the client exited and printed %q", path, b.line, client.Output())
		case <-ctx.Done():
			t.Fatalf("%s:%d: the client received no message of chat:lobby and printed %q", path, b.line, client.Output())
		default:
			publish(t, s, `{"channel":"chat:lobby","data":{"text":"`+said+`"}}`)
		}
	}
}

// cutOff closes the connections of the clients of the documents.
func cutOff(t *testing.T, s *stack.Stack) {
	t.Helper()
	p, err := s.App.Store.Project(t.Context(), "demo")
	if err != nil {
		t.Fatal(err)
	}
	connections, err := s.App.Hub.UserConnections(t.Context(), p, "alice")
	if err != nil || len(connections) == 0 {
		t.Fatalf("%d connections, error %v", len(connections), err)
	}
	for _, c := range connections {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, s.ManagementURL+"/@connections/"+url.PathEscape(c.ID), nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
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

// nodeWithWebSocket returns how to run Node so that scripts have a WebSocket, as in
// browsers: Node 22 has one, Node 20 has one behind a flag.
func nodeWithWebSocket(t *testing.T) []string {
	t.Helper()
	path, err := exec.LookPath("node")
	if err != nil {
		t.Fatalf("Node.js is required (apt-get install nodejs): %v", err)
	}
	for _, call := range [][]string{{path}, {path, "--experimental-websocket"}} {
		out, err := exec.CommandContext(t.Context(), path, append(call[1:], "-p", "typeof WebSocket")...).Output()
		if err == nil && strings.TrimSpace(string(out)) == "function" {
			return call
		}
	}
	version, _ := exec.CommandContext(t.Context(), path, "--version").Output()
	t.Fatalf("Node.js %s has no WebSocket, which the clients of the documents need: install 20.10 or newer", strings.TrimSpace(string(version)))
	return nil
}
