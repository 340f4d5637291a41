package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"

	"centrifuge/localstack/stack"
)

const (
	document = "pkg/serverapi/openapi.json"
	seedFile = "localstack/seed.json"
)

var generated = regexp.MustCompile(`([0-9]+) generated`)

// fuzzServerAPI runs schemathesis over the OpenAPI document against a stack in memory.
// python/schemathesis.toml says which requests and which checks.
func fuzzServerAPI(ctx context.Context, python string) (_ string, err error) {
	seed, err := os.ReadFile(seedFile)
	if err != nil {
		return "", err
	}
	s, err := stack.Start(ctx, stack.Options{Seed: seed, Log: os.Stderr, Progress: os.Stderr, LogLevel: "error"})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
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
