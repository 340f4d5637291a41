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

// errMissingToken explains the auth token of LocalStack and the alternative.
var errMissingToken = errors.New(tokenName + ` is not set.
LocalStack does not start without an auth token, and its WebSocket APIs need a paid plan:
see its documentation. Without a token run "make test-deploy": it does the same on MiniStack,
which is free`)

// localstackCommand runs one of the commands up, deploy, test and down on LocalStack. test takes the
// virtual environment of centrifuge-python.
func localstackCommand(ctx context.Context, args []string, getenv func(string) string, out io.Writer) error {
	command, python := args[0], ""
	switch {
	case command == "test" && len(args) == 2:
		python = args[1]
	case command == "test" || len(args) != 1:
		return errUsage
	}
	e := emulator{name: "LocalStack", endpoint: localAddress, workarounds: localstackWorkarounds()}
	s := steps{folder: localFolder, out: out}
	switch command {
	case "up":
		if getenv(tokenName) == "" {
			return errMissingToken
		}
		return compose(ctx, out, "up", "--detach", "--wait")
	case "deploy":
		if err := checkRunning(ctx); err != nil {
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
		if err := checkRunning(ctx); err != nil {
			return err
		}
		o, err := readOutputs(filepath.Join(s.folder, "outputs.json"))
		if err != nil {
			return fmt.Errorf("%w: run make localstack-deploy first", err)
		}
		if _, err := s.run("admin", func(log io.Writer) error {
			_, err := deployment{steps: s, emulator: e}.testAdmin(ctx, o, log)
			return err
		}); err != nil {
			return err
		}
		report, err := s.runConversations(ctx, e2e.Target{WebSocketURL: o.WebSocketURL, HTTPURL: o.HTTPURL, Lacks: e.lacks})
		if err != nil {
			return err
		}
		ofSDKs, err := s.runSDKs(ctx, e2e.Target{WebSocketURL: o.WebSocketURL, HTTPURL: o.HTTPURL, ManagementURL: o.ManagementURL, Lacks: sdkLacks}, python)
		if err != nil {
			return err
		}
		printReport(out, e.name, report)
		printSDKs(out, e.name, ofSDKs)
		return nil
	case "down":
		return compose(ctx, out, "down", "--volumes")
	}
	return errUsage
}

// checkRunning fails unless LocalStack answers.
func checkRunning(ctx context.Context) error {
	_, err := call{method: http.MethodGet, url: localAddress + "/_localstack/health", status: http.StatusOK}.do(ctx)
	if err != nil {
		return fmt.Errorf("LocalStack does not answer: %w: run make localstack-up first", err)
	}
	return nil
}

func compose(ctx context.Context, out io.Writer, args ...string) error {
	docker, err := exec.LookPath("docker")
	if err != nil {
		return errors.New(`docker is not installed: install it for LocalStack, or run "make test-deploy", which needs no Docker`)
	}
	return runProgram(ctx, out, os.Environ(), docker, append([]string{"compose", "--file", composeFile}, args...)...)
}
