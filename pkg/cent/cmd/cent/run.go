package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/willabides/kongplete"

	"centrifuge/pkg/cent"
	"centrifuge/pkg/hub"
)

// The exit codes.
const (
	exitRefused     = 1
	exitUsage       = 2
	exitUnreachable = 3
	exitDifferent   = 4
)

// world is the environment of the program.
type world struct {
	args           []string
	stdin          io.Reader
	terminal       bool // stdin is a terminal
	stdout, stderr io.Writer
	// outTerminal and errTerminal report whether stdout and stderr are terminals.
	outTerminal, errTerminal bool
	getenv                   func(string) string
	home                     string
	now                      func() time.Time
	// backOff is the longest wait of sub and of calls after the first failure.
	backOff time.Duration
}

// globalFlags is the group of the flags that all commands have.
const globalFlags = "Global flags:"

// commandLine is the grammar.
type commandLine struct {
	Flags   settings         `embed:"" group:"Global flags:"`
	Version kong.VersionFlag `group:"Global flags:" help:"Print the version."`

	Publish     publish     `cmd:"" help:"Send a message to the subscribers of a channel."`
	Broadcast   broadcast   `cmd:"" help:"Send a message to many channels."`
	Unsubscribe unsubscribe `cmd:"" help:"Remove a user from a channel."`
	Disconnect  disconnect  `cmd:"" help:"Close all connections of a user."`
	Channels    channels    `cmd:"" help:"List the channels that have subscribers."`
	Info        info        `cmd:"" help:"Count connections, users, channels and subscriptions."`
	Presence    presence    `cmd:"" help:"List the members of a channel."`

	PresenceStats presenceStats `cmd:"" help:"Count the members of a channel."`
	History       history       `cmd:"" help:"Print the messages that a channel keeps, the oldest first."`
	HistoryRemove historyRemove `cmd:"" help:"Remove the history of a channel."`

	Send       send       `cmd:"" help:"Call any method of the server API."`
	Token      token      `cmd:"" help:"Make a token for a client."`
	Sub        sub        `cmd:"" help:"Subscribe to channels and print their messages."`
	Bench      bench      `cmd:"" help:"Measure the latency and the rate of deliveries to a channel."`
	Projects   projects   `cmd:"" help:"Read and change projects, with files in YAML or JSON."`
	Categories categories `cmd:"" help:"Read and change the categories of a project."`
	Doctor     doctor     `cmd:"" help:"Check the settings, the addresses, the API key and the secret."`
	Completion completion `cmd:"" help:"Print a script for the completion of commands and flags in a shell."`
}

const description = `The command-line client of Centrifuge.

A channel is written category:channel. Without a message on the command line, cent reads it from the standard input.

A setting is taken from its flag, from the environment, from the file ~/.centrc, or is the default, in this order. Keep secrets in the file, with mode 600, or in the environment: other users of the machine can see the arguments of a command. An example of the file:

    [cent]
    address = https://api.rt.example.com
    websocket = wss://rt.example.com
    api_key = …
    project_id = …
    secret_key = …
    admin_password = …
    timeout = 10

Exit status: 0 done; 1 Centrifuge refused the request, bench lost messages, or a check of doctor failed; 2 wrong usage; 3 Centrifuge is unreachable, or another server answered; 4 apply --dry-run found differences.

Examples:

    cent doctor
    cent publish news:all '{"text":"hello"}'
    date | jq -R . | cent publish news:all
    cent sub --user alice chat:lobby | jq .data
    cent token alice --jwt --ttl 10m --permissions '{"chat":[]}'
    cent bench news:load --clients 100 --messages 500
    cent projects get > centrifuge.yaml; cent projects apply centrifuge.yaml
    source <(cent completion bash)`

// session is the environment and the settings of a command.
type session struct {
	world
	settings
}

// usageError is a mistake of the caller.
type usageError struct{ error }

func misuse(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// exit is an error with its own exit code. Without an inner error nothing is printed.
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

// Unwrap lets errors.As find the inner error.
func (e exit) Unwrap() error { return e.err }

// errorReference names the documents that explain the errors by their codes.
const errorReference = "Errors by code, with causes and cures: pkg/hub/README.md#errors; those of Centrifugo's protocol: pkg/protocol/centrifugo/README.md"

// run runs the program and returns the exit code.
func run(ctx context.Context, w world) int {
	err := execute(ctx, w)
	if err == nil {
		return 0
	}
	var own exit
	if errors.As(err, &own) && own.err == nil {
		return own.code
	}
	// Errors of the library begin with the name of its package.
	fmt.Fprintln(w.stderr, "cent: "+printable(strings.TrimPrefix(err.Error(), "cent: ")))
	switch {
	case errors.As(err, new(usageError)):
		fmt.Fprintln(w.stderr, `Run "cent --help" for usage.`)
		return exitUsage
	case own.code != 0:
		return own.code
	case isRefusal(err):
		fmt.Fprintln(w.stderr, errorReference)
		return exitRefused
	}
	return exitUnreachable
}

// isRefusal reports whether err is an answer of Centrifuge. Every other failure of a
// request means that Centrifuge could not be reached, or that something else answered.
func isRefusal(err error) bool {
	var answer *cent.Error
	return errors.As(err, &answer) && answer.Code != 0 || errors.As(err, new(refused))
}

func execute(ctx context.Context, w world) error {
	var line commandLine
	ended := false // by --help or by completion
	parser, err := kong.New(&line, kong.Name("cent"), kong.Description(description),
		kong.Writers(w.stdout, w.stderr), kong.Exit(func(int) { ended = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.Vars{"version": version(debug.ReadBuildInfo())},
		kong.BindTo(ctx, (*context.Context)(nil)))
	if err != nil {
		return fmt.Errorf("read the grammar: %w", err)
	}
	// Help shows flags without a group first: those of the command.
	parser.Model.HelpFlag.Group = &kong.Group{Key: globalFlags, Title: globalFlags}
	if w.getenv(lineVariable) != "" {
		kongplete.Complete(parser)
	}
	if ended {
		return nil
	}
	args := w.args
	if len(args) == 0 {
		args = []string{"--help"}
	}
	for i, arg := range args {
		if err := hub.CheckText(fmt.Sprintf("argument %d", i+1), arg); err != nil {
			return usageError{err}
		}
	}
	parsed, err := parser.Parse(args)
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
	return s.explain(ctx, parsed.Run(&s))
}

// version returns the version of Centrifuge, and the version of the module and that of
// Go if they are known.
func version(info *debug.BuildInfo, known bool) string {
	text := "cent " + hub.Version
	if !known {
		return text
	}
	build := []string{info.GoVersion}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		build = append([]string{v}, build...)
	}
	return text + " (" + strings.Join(build, ", ") + ")"
}

var errNoAPIKey = misuse("no API key: set --api-key, CENT_API_KEY or api_key in the file")

// client returns a client of the server API.
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

// admin returns a client of the admin API.
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

// maxDataBytes is the size limit of a body of the server API.
const maxDataBytes = 1 << 20

// data returns the JSON to send, from the command line or from stdin.
func (s *session) data(ctx context.Context, given string) (json.RawMessage, error) {
	b, err := s.text(ctx, given, "no data: give DATA, or pipe it in")
	if err != nil {
		return nil, err
	}
	if !json.Valid(b) {
		return nil, misuse(`data is not JSON: a string needs quotes, as in '"hello"'`)
	}
	return b, nil
}

// text returns the text of the command line or of stdin, without surrounding space.
// If stdin is a terminal, it does not wait and fails with the message absent.
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
		return nil, misuse("data is longer than %d bytes: split it", maxDataBytes)
	}
	if err := hub.CheckText("data", string(b)); err != nil {
		return nil, usageError{err}
	}
	return bytes.TrimSpace(b), nil
}

// piped reads stdin up to one byte above the limit. A read cannot be interrupted: it
// continues in the background when ctx ends first.
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
