package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"time"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
)

type sub struct {
	Channels []string `arg:"" name:"channel" help:"Which channels, up to 128 of them."`

	User  string `placeholder:"USER" help:"Whom to connect as; left out, anonymously."`
	Token string `placeholder:"TOKEN" help:"The user's token, $$CENT_TOKEN; left out, one is made with the secret."`
	Count int    `short:"n" placeholder:"N" help:"End after N messages."`
}

// Help is shown below the usage.
func (*sub) Help() string {
	return `Each message is a line of JSON: {"channel", "event_id", "data"}. Everything else goes to the standard error, "subscribed" first. A connection that is lost is made again, until the program is interrupted; what was sent meanwhile is lost. Private categories want a JWT: --token "$(cent token USER --jwt --permissions …)" --user USER.`
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

// listener checks what was asked for and makes the commands to send.
func (c *sub) listener(s *session) (*listener, error) {
	if c.Count < 0 {
		return nil, misuse("--count is less than 0")
	}
	if s.WebSocket == "" {
		return nil, misuse("no WebSocket for that address: set --websocket, CENT_WEBSOCKET or websocket in the file")
	}
	if u, err := url.Parse(s.WebSocket); err != nil || u.Scheme != "ws" && u.Scheme != "wss" || u.Host == "" || u.User != nil {
		return nil, misuse("the WebSocket is not a ws or wss address")
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
	to := make(hub.Selection)
	for _, name := range c.Channels {
		ch, err := hub.ParseChannel(s.Project, name)
		if err != nil {
			return nil, misuse("%s: %w", name, err)
		}
		to[ch.Category] = append(to[ch.Category], ch.Name)
	}
	authenticate, err := json.Marshal(command{"auth", "auth", map[string]any{
		"token": token, "user": c.User, "project_id": s.Project, "permissions": struct{}{}}})
	if err != nil {
		return nil, usageError{err}
	}
	subscribe, err := json.Marshal(command{"subscribe", "subscribe", map[string]any{"to": to}})
	if err != nil {
		return nil, usageError{err}
	}
	return &listener{
		s: s, auth: authenticate, subscribe: subscribe, left: c.Count, endless: c.Count == 0,
		names: strings.Join(c.Channels, " "),
	}, nil
}
