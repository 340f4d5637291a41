package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
)

type token struct {
	User string `arg:"" help:"The user; an empty one is the anonymous user."`

	JWT         bool          `name:"jwt" help:"Make a JWT: the connection token of Centrifugo's protocol, which the classic one takes too. It expires; a classic token does not."`
	Channel     string        `placeholder:"CHANNEL" help:"Make a subscription token for this channel, which is a JWT."`
	TTL         time.Duration `name:"ttl" aliases:"exp" default:"1h" placeholder:"1h" help:"The lifetime of a JWT (${default}); also --exp."`
	Permissions string        `placeholder:"JSON" help:"The channels that a JWT grants by category, such as '{\"chat\":[\"lobby\"],\"news\":[]}'; an empty list grants the whole category."`
	Info        string        `placeholder:"JSON" help:"The info in a JWT, which other members of a channel see: any JSON up to 1 KB. That of a connection token is for all channels."`
}

// Run implements the command.
func (c *token) Run(ctx context.Context, s *session) error {
	if err := s.needSecret(); err != nil {
		return err
	}
	token, err := c.sign(s)
	if err != nil {
		return err
	}
	if err := c.verify(ctx, s, token); err != nil {
		return misuse("Centrifuge would refuse this token: %w", err)
	}
	if s.JSON {
		return s.printJSON(struct {
			Channel string `json:"channel,omitempty"`
			Project string `json:"project_id"`
			Token   string `json:"token"`
			User    string `json:"user"`
		}{c.Channel, s.Project, token, c.User})
	}
	fmt.Fprintln(s.stdout, token)
	return nil
}

// verify fails for a token that Centrifuge would refuse, which is not printed.
func (c *token) verify(ctx context.Context, s *session, token string) error {
	p := &hub.Project{ID: s.Project, Secret: s.Secret}
	if c.Channel == "" {
		_, err := auth.VerifyToken(p, c.User, token, s.now())
		return err
	}
	_, err := auth.NewVerifier(auth.VerifierOptions{}).Subscription(ctx, p, token, s.now())
	return err
}

func (c *token) sign(s *session) (string, error) {
	switch {
	case !c.JWT && c.Channel == "":
		if c.Permissions != "" || c.Info != "" || c.TTL != time.Hour {
			return "", misuse("a classic token has no --ttl, --permissions or --info: add --jwt")
		}
		return auth.SignToken(s.Secret, c.User, s.Project), nil
	case c.Channel != "" && c.Permissions != "":
		return "", misuse("a subscription token has no --permissions: it grants its --channel")
	case c.TTL < time.Second:
		return "", misuse("--ttl is less than 1s")
	}
	now := s.now()
	claims := map[string]any{"sub": c.User, "iat": now.Unix(), "exp": now.Add(c.TTL).Unix()}
	if c.Channel != "" {
		claims["channel"] = c.Channel
	}
	for name, value := range map[string]string{"permissions": c.Permissions, "info": c.Info} {
		if value == "" {
			continue
		}
		if !json.Valid([]byte(value)) {
			return "", misuse("--%s is not JSON", name)
		}
		claims[name] = json.RawMessage(value)
	}
	return s.sign(claims)
}

// sign returns a JWT with claims, and those that the project requires.
func (s *session) sign(claims map[string]any) (string, error) {
	for name, value := range map[string]string{"aud": s.TokenAudience, "iss": s.TokenIssuer} {
		if value != "" {
			claims[name] = value
		}
	}
	token, err := auth.SignJWT(s.Secret, claims)
	if err != nil {
		return "", usageError{err}
	}
	return token, nil
}

func (s *session) needSecret() error {
	switch {
	case s.Project == "":
		return misuse("no project: set --project, CENT_PROJECT or project_id in the file")
	case s.Secret == "":
		return misuse("no secret: set --secret, CENT_SECRET or secret_key in the file")
	}
	return nil
}
