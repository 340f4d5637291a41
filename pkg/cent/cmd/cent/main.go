// Command cent talks to a Centrifuge from a terminal or a script: it publishes,
// shows who is there, makes tokens, listens, measures, and keeps projects and
// categories as a file says.
//
// It uses what everybody can use, the server API, the WebSocket API and the admin
// API, and knows nothing of what lies behind them. cent --help is its manual.
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
	context.AfterFunc(ctx, stop) // the second interrupt ends what does not heed the first
	home, _ := os.UserHomeDir()  // without one there is no ~/.centrc
	code := run(ctx, world{
		args: os.Args[1:], stdin: os.Stdin, terminal: isTerminal(os.Stdin), stdout: os.Stdout, stderr: os.Stderr,
		outTerminal: isTerminal(os.Stdout), errTerminal: isTerminal(os.Stderr),
		getenv: os.Getenv, home: home, now: time.Now, backOff: 500 * time.Millisecond,
	})
	stop()
	os.Exit(code)
}

// isTerminal tells whether nobody has redirected f, as far as the standard
// library can: a device is taken for a terminal.
func isTerminal(f *os.File) bool {
	stat, err := f.Stat()
	return err == nil && stat.Mode()&os.ModeCharDevice != 0
}
