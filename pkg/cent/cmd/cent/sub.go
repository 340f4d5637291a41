package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"centrifuge/pkg/cent"
)

type sub struct {
	Channels []string `arg:"" name:"channel" help:"The channels, at most 128."`

	User  string `placeholder:"USER" help:"The user (default: the anonymous user)."`
	Token string `placeholder:"TOKEN" help:"The token of the user, $$CENT_TOKEN (default: a token made with the secret)."`
	Count int    `short:"n" placeholder:"N" help:"Exit after N messages."`
	Since since  `placeholder:"OFFSET[@EPOCH]" help:"Print what the channel has kept after this position first; requires the API key."`

	Classic bool `help:"Speak the classic protocol."`
}

// Help is shown below the usage.
func (*sub) Help() string {
	return `Each message is a line of JSON: {"channel", "data"}, in a stream also "offset" and "epoch", with --classic also "event_id". Notes go to the standard error; the first one is "subscribed". cent connects again after a lost connection until it is interrupted, and a note says whether messages are lost: none is lost in a category with history. With --classic, messages sent without a connection are lost. Joins and leaves are not printed.

The token that cent makes grants the channels on the command line, whatever the options of their categories say. To see what a user may do, give the token that the application makes: --token. With --classic, private categories require a JWT: --token "$(cent token USER --jwt --permissions …)" --user USER.`
}

const (
	// firstAttempts is the number of attempts before the first success.
	firstAttempts = 4
	maxBackOff    = 30 * time.Second
	// stable is the lifetime of a connection that resets the back-off.
	stable = 10 * time.Second
)

// Run implements the command.
func (c *sub) Run(ctx context.Context, s *session) error {
	l, err := c.listener(ctx, s)
	if err != nil {
		return err
	}
	ever, failures := false, 0
	for ctx.Err() == nil {
		began := s.now()
		subscribed, err := l.listen(ctx)
		if err == nil {
			return nil
		}
		ever = ever || subscribed
		if subscribed && s.now().Sub(began) > stable {
			failures = 0
		}
		failures++
		if ctx.Err() == nil && (errors.As(err, new(refused)) || !c.Classic || !ever && failures == firstAttempts) {
			return fmt.Errorf("subscribe: %w", err)
		}
		s.wait(ctx, err, failures)
	}
	return nil
}

// wait prints the error and waits a random time before the next connection. The
// longest wait doubles with each consecutive failure. It returns when ctx ends, and
// prints nothing if ctx has ended before.
func (s *session) wait(ctx context.Context, err error, failures int) {
	if ctx.Err() != nil {
		return
	}
	fmt.Fprintln(s.stderr, "cent: "+printable(err.Error())+"; connecting again")
	timer := time.NewTimer(rand.N(min(s.backOff<<min(failures-1, 10), maxBackOff) + 1))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// listener checks the arguments.
func (c *sub) listener(ctx context.Context, s *session) (listener, error) {
	if c.Count < 0 {
		return nil, misuse("--count is negative")
	}
	token := c.Token
	if token == "" {
		token = s.getenv("CENT_TOKEN")
	}
	switch {
	case token != "" && s.Project == "":
		return nil, misuse("no project: set --project, CENT_PROJECT or project_id in the file")
	case token == "":
		if err := s.needSecret(); err != nil {
			return nil, err
		}
	}
	p := &printer{s: s, names: strings.Join(c.Channels, " "), left: c.Count, endless: c.Count == 0}
	if c.Since.position != nil {
		if len(c.Channels) != 1 {
			return nil, misuse("--since is for one channel: an offset belongs to a channel")
		}
		client, err := s.client()
		if err != nil {
			return nil, err
		}
		p.missed = &backlog{ctx: ctx, client: client, channel: c.Channels[0], after: *c.Since.position}
	}
	return s.listener(listenerOptions{user: c.User, token: token, channels: c.Channels, classic: c.Classic, attempts: firstAttempts, again: true}, p)
}

// printer prints messages.
type printer struct {
	s     *session
	names string
	// left is the number of messages before the exit, unless endless is set.
	left    int
	endless bool
	missed  *backlog // nil without --since
}

func (p *printer) subscribed(func(context.Context) error) (done bool, err error) {
	fmt.Fprintln(p.s.stderr, "cent: subscribed to "+printable(p.names))
	if p.missed == nil {
		return false, nil
	}
	return p.missed.read(p.print)
}

func (p *printer) message(d delivery) (done bool, err error) {
	if p.missed.has(d) {
		return false, nil
	}
	return p.print(d)
}

func (p *printer) print(d delivery) (done bool, err error) {
	err = p.s.printJSON(d)
	p.left--
	return p.left == 0 && !p.endless, err
}

// backlog is what a channel has kept after a position.
type backlog struct {
	ctx     context.Context //nolint:containedctx // that of the command
	client  *cent.Client
	channel string
	after   cent.Position // where read begins
	printed cent.Position // of the last message, zero before the first
}

// read reads to the top of the stream, and calls do for each message until it is done.
func (b *backlog) read(do func(delivery) (done bool, err error)) (done bool, err error) {
	for {
		publications, top, err := b.client.History(b.ctx, b.channel, cent.HistoryOptions{Since: &b.after, Limit: -1})
		if err != nil {
			return false, err
		}
		for _, m := range publications {
			b.after = cent.Position{Offset: m.Offset, Epoch: top.Epoch}
			b.printed = b.after
			if done, err := do(delivery{Channel: b.channel, EventID: m.EventID, Data: m.Data, Offset: m.Offset, Epoch: top.Epoch}); done || err != nil {
				return done, err
			}
		}
		if len(publications) == 0 || b.after.Offset >= top.Offset {
			return false, nil
		}
	}
}

// has reports whether a message was read, and remembers its position otherwise. A nil backlog
// has none.
func (b *backlog) has(d delivery) bool {
	if b == nil || d.Offset == 0 {
		return false
	}
	if d.Epoch == b.printed.Epoch && d.Offset <= b.printed.Offset {
		return true
	}
	b.after = cent.Position{Offset: d.Offset, Epoch: d.Epoch}
	b.printed = b.after
	return false
}
