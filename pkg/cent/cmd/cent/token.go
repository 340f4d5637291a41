package main

import (
	"encoding/json"
	"fmt"
	"time"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
)

type token struct {
	User string `arg:"" help:"Whom it is for; an empty one is the anonymous user."`

	JWT         bool          `name:"jwt" help:"Make a JWT, which ends, rather than a classic token, which never does."`
	TTL         time.Duration `name:"ttl" default:"1h" placeholder:"1h" help:"How long a JWT is good for (${default})."`
	Permissions string        `placeholder:"JSON" help:"What a JWT grants, such as '{\"chat\":[\"lobby\"],\"news\":[]}'; left out, it does not say."`
	Info        string        `placeholder:"JSON" help:"What a JWT tells others of the user, any JSON up to 4 KB."`
}

// Run implements the command.
func (c *token) Run(s *session) error {
	if err := s.needSecret(); err != nil {
		return err
	}
	made, err := c.sign(s)
	if err != nil {
		return err
	}
	// What Centrifuge would not take is not handed out.
	if _, err := auth.VerifyToken(&hub.Project{ID: s.Project, Secret: s.Secret}, c.User, made, s.now()); err != nil {
		return misuse("such a token would be refused: %w", err)
	}
	if s.JSON {
		return s.printJSON(map[string]string{"token": made, "user": c.User, "project_id": s.Project})
	}
	fmt.Fprintln(s.stdout, made)
	return nil
}

func (c *token) sign(s *session) (string, error) {
	if !c.JWT {
		if c.Permissions != "" || c.Info != "" || c.TTL != time.Hour {
			return "", misuse("a classic token has neither --ttl nor --permissions nor --info: add --jwt")
		}
		return auth.SignToken(s.Secret, c.User, s.Project), nil
	}
	if c.TTL < time.Second {
		return "", misuse("--ttl is less than a second")
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
	made, err := auth.SignJWT(s.Secret, claims)
	if err != nil {
		return "", usageError{err}
	}
	return made, nil
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
