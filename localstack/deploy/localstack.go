package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"

	"centrifuge/localstack/e2e"
)

const (
	composeFile  = "localstack/compose.yml"
	tokenName    = "LOCALSTACK_AUTH_TOKEN"
	localFolder  = ".build/deploy/localstack"
	localAddress = "http://127.0.0.1:4566"
)

// errNoToken says what LocalStack asks for, and where to go without it.
var errNoToken = errors.New(tokenName + ` is not set.
LocalStack does not start without an auth token, and has WebSocket APIs only in a paid plan:
see its documentation for both. Without one, "make test-deploy" does the same on MiniStack,
which asks for nothing`)

// onLocal does one of up, deploy, test and down with LocalStack.
func onLocal(ctx context.Context, verb string, getenv func(string) string, out io.Writer) error {
	e := emulator{name: "LocalStack", endpoint: localAddress, workarounds: onLocalStack()}
	s := steps{folder: localFolder, out: out}
	switch verb {
	case "up":
		if getenv(tokenName) == "" {
			return errNoToken
		}
		return compose(ctx, out, "up", "--detach", "--wait")
	case "deploy":
		if err := answers(ctx); err != nil {
			return err
		}
		if err := emptyFolder(s.folder); err != nil {
			return err
		}
		o, took, err := deployment{steps: s, emulator: e}.deploy(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "cdk deploy took %.1f s.\nWebSocketURL %s\nHTTPURL      %s\n", took.Seconds(), o.WebSocketURL, o.HTTPURL)
		return nil
	case "test":
		if err := answers(ctx); err != nil {
			return err
		}
		o, err := readOutputs(filepath.Join(s.folder, "outputs.json"))
		if err != nil {
			return fmt.Errorf("%w: make localstack-deploy first", err)
		}
		if _, err := s.do("admin", func(io.Writer) error {
			_, err := e.signIn(ctx, o)
			return err
		}); err != nil {
			return err
		}
		report, err := s.converse(ctx, e2e.Target{WebSocketURL: o.WebSocketURL, HTTPURL: o.HTTPURL, Lacks: e.lacks})
		if err != nil {
			return err
		}
		tell(out, e.name, report)
		return nil
	case "down":
		return compose(ctx, out, "down", "--volumes")
	}
	return errUsage
}

// answers fails unless LocalStack is there.
func answers(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, localAddress+"/_localstack/health", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("LocalStack does not answer: %w: make localstack-up first", err)
	}
	return response.Body.Close()
}

func compose(ctx context.Context, out io.Writer, args ...string) error {
	docker, err := exec.LookPath("docker")
	if err != nil {
		return errors.New(`docker, which LocalStack runs in, is not installed; "make test-deploy" needs none`)
	}
	return run(ctx, out, os.Environ(), docker, append([]string{"compose", "--file", composeFile}, args...)...)
}
