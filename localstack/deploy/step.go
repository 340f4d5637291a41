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

// tailBytes is how much of the log of a failed step is shown.
const tailBytes = 16 << 10

// steps does one thing after another, tells how long each took and keeps their
// logs in a folder.
type steps struct {
	folder string
	out    io.Writer
}

// do does one step, which writes to log what nobody wants to see unless it fails.
func (s steps) do(name string, step func(log io.Writer) error) (time.Duration, error) {
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
		s.show(path)
		return took, fmt.Errorf("%s: %w (its log is %s)", name, err, path)
	}
	return took, nil
}

// show prints the end of a log.
func (s steps) show(path string) {
	content, err := os.ReadFile(path)
	if err != nil {
		return
	}
	if cut := len(content) - tailBytes; cut > 0 {
		content = append([]byte("…"), content[cut:]...)
	}
	fmt.Fprintf(s.out, "%s\n", content)
}

// run runs a program to its end, or until ctx ends: then it is killed with all
// that it started. environment is all of its environment.
func run(ctx context.Context, log io.Writer, environment []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = environment, log, log
	cmd.Cancel = func() error {
		// child gives it a process group of its own where the system has a way for it.
		if syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) == nil {
			return nil
		}
		return cmd.Process.Kill()
	}
	// Whoever still holds its output does not hold us.
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
