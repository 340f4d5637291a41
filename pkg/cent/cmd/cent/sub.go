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
	"centrifuge/pkg/hub"
)

type sub struct {
	Channels []string `arg:"" name:"channel" help:"The channels, at most 128."`

	User  string `placeholder:"USER" help:"The user (default: the anonymous user)."`
	Token string `placeholder:"TOKEN" help:"The token of the user, $$CENT_TOKEN (default: a token made with the secret)."`
	Count int    `short:"n" placeholder:"N" help:"Exit after N messages."`
}

// Help is shown below the usage.
func (*sub) Help() string {
	return `Each message is a line of JSON: {"channel", "event_id", "data"}, in a stream also "offset" and "epoch". Notes go to the standard error; the first one is "subscribed". cent connects again after a lost connection until it is interrupted. Messages sent without a connection are lost. Joins and leaves are not printed. Private categories require a JWT: --token "$(cent token USER --jwt --permissions …)" --user USER.`
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
		if errors.As(err, new(refused)) || !ever && failures == firstAttempts {
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
func (c *sub) listener(s *session) (*listener, error) {
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
		token = auth.SignToken(s.Secret, c.User, s.Project)
	}
	l, err := s.listener(c.User, token, c.Channels)
	if err != nil {
		return nil, err
	}
	l.receiver = &printer{s: s, names: strings.Join(c.Channels, " "), left: c.Count, endless: c.Count == 0}
	return l, nil
}

// printer prints messages.
type printer struct {
	s     *session
	names string
	// left is the number of messages before the exit, unless endless is set.
	left    int
	endless bool
}

func (p *printer) subscribed(func(context.Context, []byte) error) {
	fmt.Fprintln(p.s.stderr, "cent: subscribed to "+printable(p.names))
}

func (p *printer) message(f frame) (done bool, err error) {
	err = p.s.printJSON(struct {
		Channel string          `json:"channel"`
		EventID string          `json:"event_id"`
		Data    json.RawMessage `json:"data"`
		Offset  uint64          `json:"offset,omitempty"`
		Epoch   string          `json:"epoch,omitempty"`
	}{hub.Channel{Category: f.Category, Name: f.Channel}.String(), f.EventID, f.Data, f.Offset, f.Epoch})
	p.left--
	return p.left == 0 && !p.endless, err
}

func (*printer) replied(string) bool { return false }
