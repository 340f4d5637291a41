package hub

import (
	"cmp"
	"context"
	"time"
)

// Project is a tenant: no project sees data of another. It is loaded with all its
// categories.
type Project struct {
	// ID is the id in tokens and URLs; it never changes.
	ID string
	// Name is for people.
	Name string
	// Secret signs tokens and requests. It never appears in a log or an error.
	Secret string
	// PreviousSecret is accepted too until PreviousUntil; "" for none. A store returns it only
	// until then. It never appears in a log or an error either.
	PreviousSecret string
	// PreviousUntil is to the second.
	PreviousUntil time.Time
	// APIKeyHashes are the lower-case hexadecimal SHA-256 of the keys that may
	// call the server API.
	APIKeyHashes []string
	// APIKeyLabels describe API keys, by hash. A key may have none.
	APIKeyLabels map[string]APIKeyLabel
	// Options are the options that the owner set.
	Options ProjectOptions
	// Creation identifies the request that created the project, "" for one that cannot be
	// repeated.
	Creation string
	// Revision counts how often the project has been written, 0 for a new one.
	Revision int
	// Categories are the project's categories by name.
	Categories map[string]Category
}

// CategoryOf returns the category of a channel. It fails with ErrCategoryNotFound.
func (p *Project) CategoryOf(ch Channel) (Category, error) {
	c, exists := p.Categories[ch.Category]
	switch {
	case exists:
		return c, nil
	case ch.Category == "":
		return Category{}, ErrCategoryNotFound.WithHelp(`write category:name, or create the category without a name`)
	}
	return Category{}, ErrCategoryNotFound
}

// ValidateName refuses a project whose name breaks its limits, as Validate does.
func (p *Project) ValidateName() error { return checkName("project name", p.Name) }

// MaxSecretGrace is how long a project may keep its previous secret at most.
const MaxSecretGrace = 30 * 24 * time.Hour

// ReplaceSecret gives the project another secret at now. The one that it replaces is accepted
// for grace longer, which is rounded up to seconds, and an older one not any more. With a grace
// of 0 the replaced secret ends, and every connection that was made with it. It fails with
// ErrBadRequest, and changes nothing, where grace is not from 0 to MaxSecretGrace.
func (p *Project) ReplaceSecret(secret string, grace time.Duration, now time.Time) error {
	switch {
	case grace < 0 || grace > MaxSecretGrace:
		return ErrBadRequest.With("the previous secret can be kept for 0 to 30 days")
	case grace == 0:
		p.PreviousSecret, p.PreviousUntil = "", time.Time{}
	default:
		p.PreviousSecret, p.PreviousUntil = p.Secret, now.Add(grace+time.Second-1).UTC().Truncate(time.Second)
	}
	p.Secret = secret
	return nil
}

// Secrets are the secrets that the project accepts, the present one first. A project without a
// secret accepts none.
func (p *Project) Secrets() []string {
	switch {
	case p.Secret == "":
		return nil
	case p.PreviousSecret == "":
		return []string{p.Secret}
	}
	return []string{p.Secret, p.PreviousSecret}
}

// WebhookSecret is what webhooks are signed with: the previous secret until it ends, so that the
// application has until then to accept the present one too.
func (p *Project) WebhookSecret() string { return cmp.Or(p.PreviousSecret, p.Secret) }

// APIKeyLabel describes an API key to people.
type APIKeyLabel struct {
	// Name says what uses the key, "" for nothing.
	Name string
	// Created is when the key was created, to the second.
	Created time.Time
}

// Validate refuses a label whose name is too long or not text, with ErrLimitExceeded or
// ErrBadRequest.
func (l APIKeyLabel) Validate() error {
	if l.Name == "" {
		return nil
	}
	return checkName("API key name", l.Name)
}

// ProjectOptions are the options of a project; ProjectReference describes them. The
// zero value is the default.
type ProjectOptions struct {
	ValidateURL       string   `json:"validate_url,omitempty"`
	AuthAttempts      int      `json:"auth_attempts,omitempty"`
	BackOffInterval   Duration `json:"back_off_interval,omitempty"`
	BackOffMaxTimeout Duration `json:"back_off_max_timeout,omitempty"`
	AllowMD5          bool     `json:"allow_md5,omitempty"`
	Origins           []string `json:"origins,omitempty"`
	WebhookURL        string   `json:"webhook_url,omitempty"`
	DisconnectEvents  bool     `json:"disconnect_events,omitempty"`

	TokenJWKSURL        string `json:"token_jwks_url,omitempty"`
	TokenRSAPublicKey   string `json:"token_rsa_public_key,omitempty"`
	TokenECDSAPublicKey string `json:"token_ecdsa_public_key,omitempty"`
	TokenAudience       string `json:"token_audience,omitempty"`
	TokenIssuer         string `json:"token_issuer,omitempty"`

	AllowAnonymousConnectWithoutToken bool `json:"allow_anonymous_connect_without_token,omitempty"`
	SubscribeToUserPersonalChannel    bool `json:"subscribe_to_user_personal_channel,omitempty"`
	Insecure                          bool `json:"insecure,omitempty"`

	PingInterval Duration `json:"ping_interval,omitempty"`

	ProxyConnectURL    string `json:"proxy_connect_url,omitempty"`
	ProxyRefreshURL    string `json:"proxy_refresh_url,omitempty"`
	ProxySubscribeURL  string `json:"proxy_subscribe_url,omitempty"`
	ProxyPublishURL    string `json:"proxy_publish_url,omitempty"`
	ProxySubRefreshURL string `json:"proxy_sub_refresh_url,omitempty"`
	ProxyRPCURL        string `json:"proxy_rpc_url,omitempty"`
}

// Validate refuses options that break their limits, with ErrBadRequest or
// ErrLimitExceeded.
func (o ProjectOptions) Validate() error { return checkOptions(o, ProjectReference) }

// Projects reads projects.
type Projects interface {
	// Project returns the project with this id and all its categories. It fails
	// with ErrProjectNotFound. The value is shared: it must not be changed. It may
	// be a few seconds old.
	Project(ctx context.Context, id string) (*Project, error)
}

// ProjectReader reads projects as the last write left them.
type ProjectReader interface {
	// ReadProject returns the project with this id; the value is the caller's. It fails
	// with ErrProjectNotFound.
	ReadProject(ctx context.Context, id string) (*Project, error)
}

// ProjectStore is where administrators read and write projects. What is written must
// be valid.
type ProjectStore interface {
	ProjectReader
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
	// DeleteProject removes a project with its categories and API keys; one that does not
	// exist is no error.
	DeleteProject(ctx context.Context, id string) error
}

// Validate refuses a new project whose names or options break their limits, with
// ErrBadRequest or ErrLimitExceeded. Callers of a ProjectStore validate first. Of a project
// that exists they validate what they change: rules were added later.
func (p *Project) Validate() error {
	if err := CheckProjectID(p.ID); err != nil {
		return err
	}
	if err := p.ValidateName(); err != nil {
		return err
	}
	if p.Secret == "" {
		return ErrBadRequest.With("the project secret is empty")
	}
	if err := p.Options.Validate(); err != nil {
		return err
	}
	for _, label := range p.APIKeyLabels {
		if err := label.Validate(); err != nil {
			return err
		}
	}
	for _, c := range p.Categories {
		if err := c.Validate(); err != nil {
			return err
		}
	}
	return nil
}
