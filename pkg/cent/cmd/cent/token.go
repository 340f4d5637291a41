package main

import (
	"encoding/json"
	"fmt"
	"time"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
)

type token struct {
	User string `arg:"" help:"The user; an empty one is the anonymous user."`

	JWT         bool          `name:"jwt" help:"Make a JWT, which expires. A classic token does not."`
	TTL         time.Duration `name:"ttl" default:"1h" placeholder:"1h" help:"The lifetime of a JWT (${default})."`
	Permissions string        `placeholder:"JSON" help:"The channels that a JWT grants by category, such as '{\"chat\":[\"lobby\"],\"news\":[]}'; an empty list grants the whole category."`
	Info        string        `placeholder:"JSON" help:"The connection info in a JWT, which other members of a channel see: any JSON up to 4 KB."`
}

// Run implements the command.
func (c *token) Run(s *session) error {
	if err := s.needSecret(); err != nil {
		return err
	}
	token, err := c.sign(s)
	if err != nil {
		return err
	}
	// A token that Centrifuge would refuse is not printed.
	if _, err := auth.VerifyToken(&hub.Project{ID: s.Project, Secret: s.Secret}, c.User, token, s.now()); err != nil {
		return misuse("Centrifuge would refuse this token: %w", err)
	}
	if s.JSON {
		return s.printJSON(map[string]string{"token": token, "user": c.User, "project_id": s.Project})
	}
	fmt.Fprintln(s.stdout, token)
	return nil
}

func (c *token) sign(s *session) (string, error) {
	if !c.JWT {
		if c.Permissions != "" || c.Info != "" || c.TTL != time.Hour {
			return "", misuse("a classic token has no --ttl, --permissions or --info: add --jwt")
		}
		return auth.SignToken(s.Secret, c.User, s.Project), nil
	}
	if c.TTL < time.Second {
		return "", misuse("--ttl is less than 1s")
	}
	now := s.now()
	claims := map[string]any{"sub": c.User, "iat": now.Unix(), "exp": now.Add(c.TTL).Unix()}
	for name, value := range map[string]string{"permissions": c.Permissions, "info": c.Info} {
		if value == "" {
			continue
		}
		if !json.Valid([]byte(value)) {
			return "", misuse("--%s is not JSON", name)
		}
		claims[name] = json.RawMessage(value)
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
