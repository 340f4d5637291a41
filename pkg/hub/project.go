package hub

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Project is a tenant: nothing of one project is ever seen by another. It is
// loaded whole, with its categories.
type Project struct {
	// ID is what tokens and addresses name; it never changes.
	ID string
	// Name is for people.
	Name string
	// Secret signs tokens and requests. It never appears in a log or an error.
	Secret string
	// APIKeyHashes are the lower-case hexadecimal SHA-256 of the keys that may
	// call the server API.
	APIKeyHashes []string
	// Options are what the owner set.
	Options ProjectOptions
	// Revision counts how often the project has been written, 0 for a new one.
	Revision int
	// Categories are the project's categories by name.
	Categories map[string]Category
}

// ProjectOptions are the options of a project. The zero value is the default.
type ProjectOptions struct {
	// ValidateURL is asked, at auth, whether a named user may connect; "" asks
	// nobody.
	ValidateURL string
	// AuthAttempts is how often ValidateURL is asked, from 1 to 10; 0 means 5.
	AuthAttempts int
	// BackOffInterval is the unit of the random waits between attempts, at most a
	// second; 0 means 100 ms.
	BackOffInterval time.Duration
	// BackOffMaxTimeout is the longest wait between two attempts, at most 10 s; 0
	// means 5 s.
	BackOffMaxTimeout time.Duration
	// AllowMD5 lets clients and applications prove themselves with HMAC-MD5 as in
	// 2013. UNSAFE: only for clients that cannot be changed.
	AllowMD5 bool
	// Origins are the values of the Origin header that a browser may connect from,
	// such as "https://example.com"; empty means any. A client that sends no Origin
	// is no browser and is let through.
	Origins []string
	// WebhookURL is told of the messages of categories with Hooks; "" tells nobody.
	WebhookURL string
}

// Projects reads structure.
type Projects interface {
	// Project returns the project with this id and all its categories. It fails
	// with ErrProjectNotFound. The value is shared: it must not be changed. It may
	// be a few seconds old.
	Project(ctx context.Context, id string) (*Project, error)
}

// Structure is where administrators read and write projects. What is written must
// be valid.
type Structure interface {
	// ReadProject returns the project with this id as the last write left it; the
	// value is the caller's. It fails with ErrProjectNotFound.
	ReadProject(ctx context.Context, id string) (*Project, error)
	// ListProjects returns all projects, sorted by name.
	ListProjects(ctx context.Context) ([]*Project, error)
	// PutProject writes a project, replacing all but its categories. It fails with
	// ErrConflict when the project was written after p was read: one with a Revision
	// of 0 is a new one.
	PutProject(ctx context.Context, p *Project) error
	// PutCategory writes a category of a project, replacing the one of its name. It
	// fails with ErrBadRequest where that would lower the number of shards, and with
	// ErrConflict as PutProject does.
	PutCategory(ctx context.Context, project string, c Category) error
	// DeleteCategory removes a category; one that does not exist is no error.
	DeleteCategory(ctx context.Context, project, name string) error
	// DeleteProject removes a project with all that belongs to it; one that does not
	// exist is no error.
	DeleteProject(ctx context.Context, id string) error
}

// Validate refuses a project whose names or options break their limits, with
// ErrBadRequest or ErrLimitExceeded. Stores are given valid projects only.
func (p *Project) Validate() error {
	if err := checkName("project id", p.ID); err != nil {
		return err
	}
	if strings.HasSuffix(p.ID, "\n") {
		return ErrBadRequest.With("a project id does not end with a line feed, which ends what webhooks sign")
	}
	if err := checkName("project name", p.Name); err != nil {
		return err
	}
	if p.Secret == "" {
		return ErrBadRequest.With("a project needs a secret")
	}
	o := p.Options
	for _, option := range []struct{ name, address string }{{"validate_url", o.ValidateURL}, {"webhook_url", o.WebhookURL}} {
		if option.address == "" {
			continue
		}
		if u, err := url.Parse(option.address); err != nil || u.Host == "" || u.User != nil || (u.Scheme != "https" && u.Scheme != "http") {
			return ErrBadRequest.With(option.name + " is not an http or https address")
		}
	}
	switch {
	case o.AuthAttempts < 0 || o.AuthAttempts > 10:
		return ErrBadRequest.With("auth_attempts is not from 1 to 10")
	case o.BackOffInterval < 0 || o.BackOffInterval > time.Second:
		return ErrBadRequest.With("back_off_interval is not from 1 to 1000 ms")
	case o.BackOffMaxTimeout < 0 || o.BackOffMaxTimeout > 10*time.Second:
		return ErrBadRequest.With("back_off_max_timeout is not from 1 to 10000 ms")
	}
	if len(o.Origins) > MaxListed {
		return ErrLimitExceeded.With("origins are more than 100")
	}
	for _, origin := range o.Origins {
		if u, err := url.Parse(origin); err != nil || u.Scheme == "" || u.Host == "" || u.Path != "" {
			return ErrBadRequest.With(`an origin is written "https://host" or "https://host:port"`)
		}
	}
	for _, c := range p.Categories {
		if err := c.Validate(); err != nil {
			return err
		}
	}
	return nil
}

// AllowsOrigin tells whether a browser page of this origin may connect.
func (p *Project) AllowsOrigin(origin string) bool {
	return origin == "" || len(p.Options.Origins) == 0 || slices.Contains(p.Options.Origins, origin)
}
