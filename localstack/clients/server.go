package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"centrifuge/localstack/stack"
)

// history gives the category chat a history.
var history = [2]string{`"name": "chat",`, `"name": "chat", "history_size": 3, "history_ttl": "1h",`}

// callServerAPI calls every method with a client of Centrifugo's HTTP API, on a stack in memory. The script gets the base URL as its last argument, checks every answer, and prints
// the number of calls.
func callServerAPI(ctx context.Context, command ...string) (_ string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	s, err := startStack(ctx, history)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	calls, err := output(exec.CommandContext(ctx, command[0], append(command[1:], s.HTTPURL)...)) //nolint:gosec // run names the programs
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(calls)) + " calls", nil
}

// startStack starts a stack in memory with the seed of make run, in which the second text
// replaces the first.
func startStack(ctx context.Context, change [2]string) (*stack.Stack, error) {
	seed, err := os.ReadFile(seedFile)
	if err != nil {
		return nil, err
	}
	if !strings.Contains(string(seed), change[0]) {
		return nil, fmt.Errorf("%s does not contain %s", seedFile, change[0])
	}
	seed = []byte(strings.Replace(string(seed), change[0], change[1], 1))
	return stack.Start(ctx, stack.Options{Seed: seed, Log: os.Stderr, Progress: os.Stderr, LogLevel: "error"})
}
