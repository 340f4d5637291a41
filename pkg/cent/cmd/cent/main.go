// Command cent is the command-line client of Centrifuge. It publishes messages, reads
// presence, makes tokens, subscribes, measures latency, and applies files of projects
// and categories.
//
// It uses only the public APIs: the server API, the WebSocket API and the admin API.
// cent --help is its manual.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second interrupt ends the process
	home, _ := os.UserHomeDir()  // without a home directory there is no ~/.centrc
	code := run(ctx, world{
		args: os.Args[1:], stdin: os.Stdin, terminal: isTerminal(os.Stdin), stdout: os.Stdout, stderr: os.Stderr,
		outTerminal: isTerminal(os.Stdout), errTerminal: isTerminal(os.Stderr),
		getenv: os.Getenv, home: home, now: time.Now, backOff: 500 * time.Millisecond,
	})
	stop()
	os.Exit(code)
}

// isTerminal reports whether f is a terminal. The standard library can only tell that
// it is a character device.
func isTerminal(f *os.File) bool {
	stat, err := f.Stat()
	return err == nil && stat.Mode()&os.ModeCharDevice != 0
}
