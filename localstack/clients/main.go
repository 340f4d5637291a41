// Command clients holds the local stack and the poster against software that this
// project did not write: the AWS SDKs of Python, JavaScript and Java call the local
// management API, botocore computes the signatures of the poster again, Centrifugo's HTTP client
// for Python calls every method of the server API, its WebSocket client converses, and
// schemathesis tests the server API against its OpenAPI document.
//
//	go run ./localstack/clients PYTHON JARS
//
// PYTHON is a virtual environment with python/requirements.txt, JARS a folder with the
// jars of java/pom.xml. The working directory is the repository. "make test-clients"
// installs both and runs the command. It installs the SDK for JavaScript itself.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"time"

	"centrifuge/localstack/npm"
)

// folder is where this command keeps its scripts.
const folder = "localstack/clients"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return errors.New("name the virtual environment and the folder of the jars, or run make test-clients")
	}
	python, err := filepath.Abs(filepath.Join(args[0], "bin", "python"))
	if err != nil {
		return err
	}
	classPath, err := verifyJars(args[1], filepath.Join(folder, "java", "jars.sha256"))
	if err != nil {
		return err
	}
	if _, err := (npm.Package{
		Name: "@aws-sdk/client-apigatewaymanagementapi", File: "package.json", Alternative: "run the other clients by themselves",
	}).Install(ctx, os.Stderr); err != nil {
		return err
	}
	checks := []struct {
		name string
		run  func() (string, error)
	}{
		{"AWS SDK for Python", func() (string, error) {
			return callWithSDK(ctx, python, filepath.Join(folder, "python", "sdk.py"))
		}},
		{"AWS SDK for JavaScript", func() (string, error) {
			return callWithSDK(ctx, "node", filepath.Join(folder, "node", "sdk.mjs"))
		}},
		{"AWS SDK for Java", func() (string, error) {
			return callWithSDK(ctx, "java", "-cp", classPath, filepath.Join(folder, "java", "Sdk.java"))
		}},
		{"signatures of the poster", func() (string, error) {
			return verifySignatures(ctx, python, filepath.Join(folder, "python", "signatures.py"))
		}},
		{"Centrifugo's HTTP client for Python", func() (string, error) {
			return callServerAPI(ctx, python, filepath.Join(folder, "python", "server_api.py"))
		}},
		{"Centrifugo's WebSocket client for Python", func() (string, error) {
			return converse(ctx, python, filepath.Join(folder, "python", "conversations.py"))
		}},
		{"server API", func() (string, error) { return fuzzServerAPI(ctx, python) }},
	}
	var failures []error
	for _, c := range checks {
		began := time.Now()
		report, err := c.run()
		if err != nil {
			fmt.Printf("FAIL  %s: %v\n", c.name, err)
			failures = append(failures, errors.New(c.name))
			continue
		}
		fmt.Printf("ok    %s: %s, %.1f s\n", c.name, report, time.Since(began).Seconds())
	}
	fmt.Printf("%d passed, %d failed\n", len(checks)-len(failures), len(failures))
	if len(failures) > 0 {
		return fmt.Errorf("%w failed", errors.Join(failures...))
	}
	return nil
}

// output runs a program and returns what it writes to its standard output. The error
// has what it wrote to either.
func output(cmd *exec.Cmd) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%w\n%s%s", err, stdout.Bytes(), stderr.Bytes())
	}
	return stdout.Bytes(), nil
}
