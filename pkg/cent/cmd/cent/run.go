package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/alecthomas/kong"
	"github.com/willabides/kongplete"

	"centrifuge/pkg/cent"
)

// The exit codes.
const (
	exitRefused     = 1
	exitUsage       = 2
	exitUnreachable = 3
	exitDifferent   = 4
)

// world is everything that the program uses of where it runs.
type world struct {
	args           []string
	stdin          io.Reader
	terminal       bool // whether stdin is one
	stdout, stderr io.Writer
	// outTerminal and errTerminal tell whether those are terminals.
	outTerminal, errTerminal bool
	getenv                   func(string) string
	home                     string
	now                      func() time.Time
	// backOff bounds the first wait of sub and of calls before they try again.
	backOff time.Duration
}

// commandLine is the grammar.
type commandLine struct {
	Flags settings `embed:""`

	Publish     publish     `cmd:"" help:"Send a message to everybody in a channel."`
	Broadcast   broadcast   `cmd:"" help:"Send a message to many channels."`
	Unsubscribe unsubscribe `cmd:"" help:"Take a user out of a channel."`
	Disconnect  disconnect  `cmd:"" help:"End all connections of a user."`
	Channels    channels    `cmd:"" help:"List the channels that have subscribers."`
	Info        info        `cmd:"" help:"Count connections, users, channels and subscriptions."`
	Presence    presence    `cmd:"" help:"List who is in a channel."`

	PresenceStats presenceStats `cmd:"" help:"Count who is in a channel."`

	Send       send       `cmd:"" help:"Make any call of the server API, as it is."`
	Token      token      `cmd:"" help:"Make the token that a client connects with."`
	Sub        sub        `cmd:"" help:"Subscribe to channels and print their messages as they come."`
	Bench      bench      `cmd:"" help:"Measure how fast messages reach the subscribers of a channel."`
	Projects   projects   `cmd:"" help:"Keep projects and their categories in a file."`
	Categories categories `cmd:"" help:"Keep the categories of a project in a file."`
	Completion completion `cmd:"" help:"Print what makes a shell complete cent's commands and flags."`
}

const description = `Talk to a Centrifuge from a terminal or a script.

A channel is named category:channel. Where the message is left out it is read from the standard input.

A setting comes from its flag, else from the environment, else from the file ~/.centrc, else it has its default. Keep secrets in the file, open to you alone, or in the environment: others on the same machine can see the arguments of a command. The file has lines such as these:

    [cent]
    address = https://api.rt.example.com
    websocket = wss://rt.example.com
    api_key = …
    project_id = …
    secret_key = …
    admin_password = …
    timeout = 10

Exit status: 0 done; 1 Centrifuge refused, or bench lost messages; 2 wrong usage; 3 Centrifuge could not be reached, or something else answered; 4 apply --dry-run found differences.

Examples:

    cent publish news:all '{"text":"hello"}'
    date | jq -R . | cent publish news:all
    cent sub --user alice chat:lobby | jq .data
    cent token alice --jwt --ttl 10m --permissions '{"chat":[]}'
    cent bench news:load --clients 100 --messages 500
    cent projects get > centrifuge.yaml; cent projects apply centrifuge.yaml
    source <(cent completion bash)`

// session is what a command works with.
type session struct {
	world
	settings
}

// usageError is a mistake of whoever called the program.
type usageError struct{ error }

func misuse(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// exit is an error with an exit code of its own. One without an error inside has
// been told of.
type exit struct {
	code int
	err  error
}

// Error implements error.
func (e exit) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

// Unwrap implements what errors.As asks for.
func (e exit) Unwrap() error { return e.err }

// run is the program; it returns the exit code.
func run(ctx context.Context, w world) int {
	err := execute(ctx, w)
	if err == nil {
		return 0
	}
	var own exit
	if errors.As(err, &own) && own.err == nil {
		return own.code
	}
	fmt.Fprintln(w.stderr, "cent: "+printable(err.Error()))
	var usage usageError
	var refusal *cent.Error
	switch {
	case errors.As(err, &usage):
		fmt.Fprintln(w.stderr, `Run "cent --help" for how to use it.`)
		return exitUsage
	case own.code != 0:
		return own.code
	case errors.As(err, &refusal) && refusal.Code != 0, errors.As(err, new(refused)):
		return exitRefused
	}
	return exitUnreachable
}

func execute(ctx context.Context, w world) error {
	var line commandLine
	ended := false // by --help or by completion
	parser, err := kong.New(&line, kong.Name("cent"), kong.Description(description),
		kong.Writers(w.stdout, w.stderr), kong.Exit(func(int) { ended = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.BindTo(ctx, (*context.Context)(nil)))
	if err != nil {
		return fmt.Errorf("read the grammar: %w", err)
	}
	if w.getenv(lineVariable) != "" {
		kongplete.Complete(parser)
	}
	if ended {
		return nil
	}
	parsed, err := parser.Parse(w.args)
	if ended {
		return nil
	}
	if err != nil {
		return usageError{err}
	}
	s := session{world: w}
	if s.settings, err = line.Flags.resolve(w); err != nil {
		return err
	}
	return parsed.Run(&s)
}

var errNoAPIKey = misuse("no API key: set --api-key, CENT_API_KEY or api_key in the file")

// client makes the client of the server API.
func (s *session) client() (*cent.Client, error) {
	if s.APIKey == "" {
		return nil, errNoAPIKey
	}
	c, err := cent.New(cent.Options{URL: s.Address, APIKey: s.APIKey, Timeout: s.Timeout, BackOff: min(s.backOff, cent.DefaultBackOff)})
	if err != nil {
		return nil, usageError{err}
	}
	return c, nil
}

// admin makes the client of the admin API.
func (s *session) admin() (*cent.Admin, error) {
	if s.AdminPassword == "" {
		return nil, misuse("no admin password: set --admin-password, CENT_ADMIN_PASSWORD or admin_password in the file")
	}
	a, err := cent.NewAdmin(cent.AdminOptions{URL: s.Address, Password: s.AdminPassword, Timeout: s.Timeout, BackOff: min(s.backOff, cent.DefaultBackOff)})
	if err != nil {
		return nil, usageError{err}
	}
	return a, nil
}

// maxDataBytes is what the server API takes as a body.
const maxDataBytes = 1 << 20

// data returns the JSON to send: what the command line says, else what stdin has.
func (s *session) data(ctx context.Context, given string) (json.RawMessage, error) {
	b, err := s.text(ctx, given, "no data: give DATA, or pipe it in")
	if err != nil {
		return nil, err
	}
	if !json.Valid(b) {
		return nil, misuse(`data is not JSON (a text is: '"hello"')`)
	}
	return b, nil
}

// text returns what the command line says, else what stdin has, without the space
// around it. On a terminal, where nothing is to be waited for, it fails with the
// misuse that absent says.
func (s *session) text(ctx context.Context, given, absent string) ([]byte, error) {
	b := []byte(given)
	if given == "" {
		if s.terminal {
			return nil, misuse("%s", absent)
		}
		var err error
		if b, err = s.piped(ctx); err != nil {
			return nil, err
		}
	}
	if len(b) > maxDataBytes {
		return nil, misuse("data is longer than %d bytes", maxDataBytes)
	}
	return bytes.TrimSpace(b), nil
}

// piped reads stdin, at most a byte too much. A read cannot be interrupted: where
// ctx ends first, it is left behind.
func (s *session) piped(ctx context.Context) ([]byte, error) {
	var b []byte
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		b, err = io.ReadAll(io.LimitReader(s.stdin, maxDataBytes+1))
	}()
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("read data: %w", ctx.Err())
	case <-done:
	}
	if err != nil {
		return nil, misuse("read data: %w", err)
	}
	return b, nil
}
