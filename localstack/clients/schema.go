package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/coder/websocket"

	"centrifuge/pkg/auth"
)

const (
	document = "pkg/serverapi/openapi.json"
	seedFile = "localstack/seed.json"
)

var generated = regexp.MustCompile(`([0-9]+) generated`)

// presence gives the category of the examples the option that they need.
var presence = [2]string{`"name": "chat",`, `"name": "chat", "presence": true,`}

// fuzzServerAPI runs schemathesis over the OpenAPI document against a stack in memory
// with connected users. python/schemathesis.toml says which requests and which checks.
func fuzzServerAPI(ctx context.Context, python string) (_ string, err error) {
	s, err := startStack(ctx, presence)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for _, user := range []string{"bob", "carol", ""} {
		disconnect, err := connect(ctx, s.WebSocketURL, user)
		if err != nil {
			return "", fmt.Errorf("connect user %q: %w", user, err)
		}
		defer disconnect()
	}
	scripts, err := filepath.Abs(filepath.Join(folder, "python"))
	if err != nil {
		return "", err
	}
	openapi, err := filepath.Abs(document)
	if err != nil {
		return "", err
	}
	// schemathesis writes its caches to the working directory.
	dir, err := os.MkdirTemp("", "schemathesis-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	cmd := exec.CommandContext(ctx, filepath.Join(filepath.Dir(python), "schemathesis"), //nolint:gosec // the virtual environment of make test-clients
		"--config-file", filepath.Join(scripts, "schemathesis.toml"), "run", openapi, "--url", s.HTTPURL, "--header", "X-API-Key: demo-key")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "SCHEMATHESIS_HOOKS=schema_hooks", "PYTHONPATH="+scripts, "PYTHONDONTWRITEBYTECODE=1")
	report, err := output(cmd)
	if err != nil {
		return "", err
	}
	found := generated.FindSubmatch(report)
	if found == nil {
		return "", fmt.Errorf("schemathesis generated no requests:\n%s", report)
	}
	return string(found[1]) + " requests", nil
}

// connect connects a user who is subscribed to the channels of the examples and reads
// every message.
func connect(ctx context.Context, url, user string) (disconnect func(), err error) {
	conn, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(-1)
	for _, frame := range []string{
		fmt.Sprintf(`{"method":"auth","params":{"token":%q,"user":%q,"project_id":"demo","permissions":{}}}`, auth.SignToken("demo-secret", user, "demo"), user),
		`{"method":"subscribe","params":{"to":{"chat":["lobby"],"news":["today"]}}}`,
	} {
		if err := conn.Write(ctx, websocket.MessageText, []byte(frame)); err != nil {
			return nil, err
		}
		_, reply, err := conn.Read(ctx)
		if err != nil {
			return nil, err
		}
		if !strings.Contains(string(reply), `"result":true`) {
			return nil, fmt.Errorf("%s was answered %s", frame, reply)
		}
	}
	go func() {
		for {
			if _, _, err := conn.Read(ctx); err != nil {
				return
			}
		}
	}()
	return func() { _ = conn.CloseNow() }, nil
}
