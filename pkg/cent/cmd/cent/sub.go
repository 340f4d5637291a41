package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"centrifuge/pkg/auth"
)

type sub struct {
	Channels []string `arg:"" name:"channel" help:"Which channels, up to 128 of them."`

	User  string `placeholder:"USER" help:"Whom to connect as; left out, anonymously."`
	Token string `placeholder:"TOKEN" help:"The user's token, $$CENT_TOKEN; left out, one is made with the secret."`
	Count int    `short:"n" placeholder:"N" help:"End after N messages."`
}

// Help is shown below the usage.
func (*sub) Help() string {
	return `Each message is a line of JSON: {"channel", "event_id", "data"}. Everything else goes to the standard error, "subscribed" first. A connection that is lost is made again, until the program is interrupted; what was sent meanwhile is lost. Who joins and leaves is not told. Private categories want a JWT: --token "$(cent token USER --jwt --permissions …)" --user USER.`
}

const (
	// firstTries is how often to try before there ever was a connection.
	firstTries = 4
	maxBackOff = 30 * time.Second
	// stable is how long a connection holds that starts the back-off anew.
	stable = 10 * time.Second
)

// Run implements the command.
func (c *sub) Run(ctx context.Context, s *session) error {
	l, err := c.listener(s)
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
		if errors.As(err, new(refused)) || !ever && failures == firstTries {
			return fmt.Errorf("subscribe: %w", err)
		}
		s.wait(ctx, err, failures)
	}
	return nil
}

// wait says what went wrong and waits before the next connection, a random time
// whose bound doubles with every failure in a row. It ends with ctx, and says
// nothing when that is what went wrong.
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

// listener checks what was asked for.
func (c *sub) listener(s *session) (*listener, error) {
	if c.Count < 0 {
		return nil, misuse("--count is less than 0")
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
		token = auth.SignToken(s.Secret, c.User, s.Project)
	}
	l, err := s.listener(c.User, token, c.Channels)
	if err != nil {
		return nil, err
	}
	l.audience = &printer{s: s, names: strings.Join(c.Channels, " "), left: c.Count, endless: c.Count == 0}
	return l, nil
}

// printer prints messages.
type printer struct {
	s     *session
	names string
	// left is how many messages are still to be printed, unless endless.
	left    int
	endless bool
}

func (p *printer) subscribed(func(context.Context, []byte) error) {
	fmt.Fprintln(p.s.stderr, "cent: subscribed to "+printable(p.names))
}

func (p *printer) message(f frame) (enough bool, err error) {
	err = p.s.printJSON(struct {
		Channel string          `json:"channel"`
		EventID string          `json:"event_id"`
		Data    json.RawMessage `json:"data"`
	}{f.Category + ":" + f.Channel, f.EventID, f.Data})
	p.left--
	return p.left == 0 && !p.endless, err
}

func (*printer) replied(string) bool { return false }
