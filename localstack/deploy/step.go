package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"centrifuge/localstack/process"
)

// tailBytes limits the part of the log that a failed step prints.
const tailBytes = 16 << 10

// steps runs the steps of a command: it prints the time of each and keeps their logs
// in a folder.
type steps struct {
	folder string
	out    io.Writer
}

// run runs a step, prints its time and returns it. The log is printed only if the
// step fails.
func (s steps) run(name string, step func(log io.Writer) error) (time.Duration, error) {
	fmt.Fprintf(s.out, "  %-14s", name)
	path := filepath.Join(s.folder, name+".log")
	log, err := os.Create(path)
	if err != nil {
		return 0, fmt.Errorf("log of %s: %w", name, err)
	}
	began := time.Now()
	err = step(log)
	took := time.Since(began)
	fmt.Fprintf(s.out, "%6.1f s\n", took.Seconds())
	if closeErr := log.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		s.printTail(path)
		return took, fmt.Errorf("%s: %w (log: %s)", name, err, path)
	}
	return took, nil
}

// printTail prints the end of a log.
func (s steps) printTail(path string) {
	content, err := os.ReadFile(path)
	if err != nil {
		return
	}
	if cut := len(content) - tailBytes; cut > 0 {
		content = append([]byte("…"), content[cut:]...)
	}
	fmt.Fprintf(s.out, "%s\n", content)
}

// runProgram runs a program until it ends. When ctx ends, the program is killed
// together with its children. environment is its whole environment.
func runProgram(ctx context.Context, log io.Writer, environment []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = environment, log, log
	cmd.Cancel = func() error {
		// Package process starts it in a process group of its own where the system can.
		if syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) == nil {
			return nil
		}
		return cmd.Process.Kill()
	}
	// A child that keeps the output open must not block Wait.
	cmd.WaitDelay = 5 * time.Second
	err := process.Run(cmd)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(name), err)
	}
	return nil
}
