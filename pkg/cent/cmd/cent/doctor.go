package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
)

type doctor struct {
	Channel string `arg:"" optional:"" help:"The channel to which a message is published, to see that it arrives."`
}

// Help is shown below the usage.
func (*doctor) Help() string {
	return `cent makes the checks one after another and prints OK, FAILED or SKIPPED for each, and a cure for each failure:

    settings    where each setting comes from; secrets are not printed
    address     the HTTP API can be reached
    server      the server is Centrifuge
    clock       the clock of this machine is that of the server
    api key     the server API accepts the API key
    secret      the server API accepts a request signed with the secret
    websocket   the WebSocket API accepts a connection
    token       a connection can authenticate with a token made with the secret
    centrifugo  a connection can be made in Centrifugo's protocol
    delivery    a message that is published to CHANNEL arrives at a subscriber

It opens a few connections for a moment. It changes nothing else, and sends no message unless you name a CHANNEL. A check is skipped if a setting for it is missing or an earlier check failed. The exit status is 0 if no check failed, 3 if an address is unreachable or another server answered, and 1 if another check failed.`
}

// The outcomes of a check.
const (
	statusOK      = "ok"
	statusFailed  = "failed"
	statusSkipped = "skipped"
)

// check is the outcome of a check.
type check struct {
	Name   string `json:"name"`
	Status string `json:"status"`
	Detail string `json:"detail,omitempty"`
	// Cure says what to do about a failure, or how to have a skipped check made.
	Cure string `json:"cure,omitempty"`
	// Settings are listed by the check of that name only.
	Settings []setting `json:"settings,omitempty"`
}

// setting is a setting and its source. A secret has no value here.
type setting struct {
	Key    string `json:"key"`
	Value  string `json:"value,omitempty"`
	Source string `json:"source,omitempty"`
}

// Run implements the command.
func (c *doctor) Run(ctx context.Context, s *session) error {
	e := &examination{session: s, channel: c.Channel}
	for _, step := range []func(context.Context){
		e.settings, e.address, e.clock, e.apiKey, e.secret, e.websocket, e.token, e.centrifugo, e.delivery,
	} {
		if step(ctx); ctx.Err() != nil {
			return fmt.Errorf("interrupted: %w", ctx.Err())
		}
	}
	if s.JSON {
		if err := s.printJSON(e.checks); err != nil {
			return err
		}
	}
	if e.code != 0 {
		return exit{code: e.code}
	}
	return nil
}

// add records a check and, without --json, prints it.
func (e *examination) add(c check) {
	e.checks = append(e.checks, c)
	if e.JSON {
		return
	}
	fmt.Fprintln(e.stdout, strings.TrimRight(fmt.Sprintf("%-7s  %-10s  %s", strings.ToUpper(c.Status), c.Name, printable(c.Detail)), " "))
	const indent = "                     "
	for _, s := range c.Settings {
		value := "not set"
		if s.Source != "" {
			value = cmp.Or(s.Value, "set") + " (" + s.Source + ")"
		}
		fmt.Fprintf(e.stdout, "%s%-14s  %s\n", indent, s.Key, printable(value))
	}
	switch {
	case c.Cure == "":
	case c.Status == statusFailed:
		fmt.Fprintln(e.stdout, indent+"cure: "+printable(c.Cure))
	default:
		fmt.Fprintln(e.stdout, indent+printable(c.Cure))
	}
}

func (e *examination) ok(name, detail string) {
	e.add(check{Name: name, Status: statusOK, Detail: detail})
}

func (e *examination) skip(name, detail, cure string) {
	e.add(check{Name: name, Status: statusSkipped, Detail: detail, Cure: cure})
}

// fail records a failure. An unreachable server decides the exit code.
func (e *examination) fail(code int, name, detail, cure string) {
	e.code = max(e.code, code)
	e.add(check{Name: name, Status: statusFailed, Detail: detail, Cure: cure})
}
