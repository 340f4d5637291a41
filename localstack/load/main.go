// Command load measures deliveries: many WebSocket clients in one channel, and
// messages published to it through the server API. It counts every receipt and
// fails when a message is lost or comes twice.
//
// It starts a stack of its own in memory, or measures one that runs. It is
// bounded: in clients, in messages and in time.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"centrifuge/localstack/stack"
)

// The most that may be asked for.
const (
	maxClients  = 10_000
	maxMessages = 100_000
	maxBytes    = 30_000
)

// options are what the command line says.
type options struct {
	clients, messages, bytes, publishers int
	timeout                              time.Duration
	websocketURL, httpURL                string
	project, secret, key, category       string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := command(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("load", flag.ContinueOnError)
	f.IntVar(&o.clients, "clients", 1000, "how many WebSocket clients, at most 10000")
	f.IntVar(&o.messages, "messages", 100, "how many messages, at most 100000")
	f.IntVar(&o.bytes, "bytes", 200, "how long the data of a message is, from 60 to 30000 bytes")
	f.IntVar(&o.publishers, "publishers", 1, "how many messages are being published at once, at most 64")
	f.DurationVar(&o.timeout, "timeout", 3*time.Minute, "after how long to give up, at most 30m")
	f.StringVar(&o.websocketURL, "ws", "", "the WebSocket URL of a running stack (default: start one)")
	f.StringVar(&o.httpURL, "http", "", "the HTTP URL of that stack")
	f.StringVar(&o.project, "project", "demo", "the id of the project")
	f.StringVar(&o.secret, "secret", "demo-secret", "its secret, for tokens")
	f.StringVar(&o.key, "key", "demo-key", "one of its API keys")
	f.StringVar(&o.category, "category", "news", "the category of the channel")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("unknown argument %q", f.Arg(0))
	case o.clients < 1 || o.clients > maxClients:
		return o, fmt.Errorf("-clients is not from 1 to %d", maxClients)
	case o.messages < 1 || o.messages > maxMessages:
		return o, fmt.Errorf("-messages is not from 1 to %d", maxMessages)
	case o.bytes < 60 || o.bytes > maxBytes:
		return o, fmt.Errorf("-bytes is not from 60 to %d", maxBytes)
	case o.publishers < 1 || o.publishers > 64:
		return o, errors.New("-publishers is not from 1 to 64")
	case o.timeout <= 0 || o.timeout > 30*time.Minute:
		return o, errors.New("-timeout is not from 1s to 30m")
	case (o.websocketURL == "") != (o.httpURL == ""):
		return o, errors.New("-ws and -http go together")
	}
	return o, nil
}

func command(ctx context.Context, args []string, out io.Writer) (err error) {
	o, err := parse(args)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.timeout, fmt.Errorf("not finished within %s", o.timeout))
	defer cancel()
	if o.websocketURL == "" {
		seed, err := os.ReadFile("localstack/seed.json")
		if err != nil {
			return fmt.Errorf("read the seed: %w", err)
		}
		s, err := stack.Start(ctx, stack.Options{Seed: seed, Log: os.Stderr, Progress: os.Stderr, LogLevel: "warn"})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.Close()) }()
		o.websocketURL, o.httpURL = s.WebSocketURL, s.HTTPURL
	}
	return measure(ctx, o, out)
}
