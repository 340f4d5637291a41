// Command load starts a local stack in memory and runs a command with the
// environment variables of cent set for the demo project:
//
//	go run ./localstack/load .build/cent bench news:load --clients 200
//
// It measures nothing. The stack and the command are two processes, because the
// limit of open files holds for each process.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"

	"centrifuge/localstack/stack"
)

func main() {
	err := run(context.Background(), os.Args[1:])
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		os.Exit(max(exit.ExitCode(), 1)) // the command has printed the reason
	case err != nil:
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, command []string) (err error) {
	if len(command) == 0 {
		return errors.New("no command: name one, such as .build/cent bench news:load")
	}
	seed, err := os.ReadFile("localstack/seed.json")
	if err != nil {
		return fmt.Errorf("read the seed: %w", err)
	}
	s, err := stack.Start(ctx, stack.Options{Seed: seed, Log: os.Stderr, Progress: os.Stderr, LogLevel: "warn"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	// A terminal sends an interrupt to both processes. The command decides when to end.
	signal.Notify(make(chan os.Signal, 1), os.Interrupt)
	cmd := exec.CommandContext(ctx, command[0], command[1:]...) //nolint:gosec // the caller chooses the command
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "CENT_ADDRESS="+s.HTTPURL, "CENT_WEBSOCKET="+s.WebSocketURL,
		"CENT_PROJECT=demo", "CENT_SECRET=demo-secret", "CENT_API_KEY=demo-key", "CENT_TIMEOUT=1m")
	return cmd.Run()
}
