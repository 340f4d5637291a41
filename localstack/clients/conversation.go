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

// conversationSeed has the projects of the conversations with SDKs.
const conversationSeed = "localstack/sdk/seed.json"

// converse lets a WebSocket client of Centrifugo converse with a stack in memory. The script gets
// the addresses of the HTTP API, the WebSocket API and the management API as its last arguments,
// and prints a line for each conversation.
func converse(ctx context.Context, command ...string) (_ string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 3*callTimeout)
	defer cancel()
	seed, err := os.ReadFile(conversationSeed)
	if err != nil {
		return "", err
	}
	s, err := stack.Start(ctx, stack.Options{Seed: seed, Log: os.Stderr, Progress: os.Stderr, LogLevel: "error"})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	lines, err := output(exec.CommandContext(ctx, command[0], append(command[1:], s.HTTPURL, s.WebSocketURL, s.ManagementURL)...)) //nolint:gosec // run names the programs
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d conversations", strings.Count(string(lines), "\n")), nil
}
