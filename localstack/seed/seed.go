// Package seed creates the projects and categories of a JSON file that are missing
// in a table. It does not change existing ones, with two exceptions: see Apply.
//
// It creates the demo project of the local stack, and the first project of a table
// on AWS. A seed file is a manifest that may also contain secrets and API keys. The
// package does not know where the table is.
package seed

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
	"centrifuge/pkg/manifest"
)

// httpURL is replaced by the URL of the HTTP API in a validate_url.
const httpURL = "${HTTP_URL}"

// file is the content of a seed file.
type file struct {
	Projects []project `json:"projects"`
}

type project struct {
	manifest.Project
	// Secret is the secret key of the project. Without one, Apply generates it.
	Secret string `json:"secret"`
	// APIKeys are the keys of the server API. Without any, Apply generates one.
	APIKeys []string `json:"api_keys"`

	generated Generated
}

// Store reads and writes projects and categories.
type Store interface {
	Project(ctx context.Context, id string) (*hub.Project, error)
	PutProject(ctx context.Context, p *hub.Project) error
	PutCategory(ctx context.Context, project string, c hub.Category) error
}

// Generated are the secret and the API key that Apply generated for a project. The
// API key cannot be read from the store: only its hash is stored.
type Generated struct {
	Project, Secret, APIKey string
}

// Apply creates the projects of a seed file that are missing in the store, with their
// categories, and the missing categories of projects that exist. In a validate_url it
// replaces ${HTTP_URL} by url. It validates the whole file before it writes.
//
// It changes an existing project in two cases: a validate_url on 127.0.0.1 gets the
// new url, since the port of a local stack changes, and a project without a revision
// is written again, so that it appears in the list of projects.
func Apply(ctx context.Context, s Store, seed []byte, url string, now time.Time) ([]Generated, error) {
	var f file
	if err := manifest.Decode(seed, &f); err != nil {
		return nil, fmt.Errorf("read seed: %w", err)
	}
	for i := range f.Projects {
		if err := f.Projects[i].complete(url); err != nil {
			return nil, fmt.Errorf("seed project %q: %w", f.Projects[i].ID, err)
		}
	}
	var generated []Generated
	for _, p := range f.Projects {
		created, err := p.apply(ctx, s, now)
		if created && p.generated != (Generated{}) {
			generated = append(generated, p.generated)
		}
		if err != nil {
			return generated, fmt.Errorf("seed project %q: %w", p.ID, err)
		}
	}
	return generated, nil
}

// complete sets the default name, generates missing secrets and validates.
func (p *project) complete(url string) error {
	if p.Secret == "" {
		p.Secret = auth.NewSecret()
		p.generated.Project, p.generated.Secret = p.ID, p.Secret
	}
	if len(p.APIKeys) == 0 {
		p.APIKeys = []string{auth.NewAPIKey()}
		p.generated.Project, p.generated.APIKey = p.ID, p.APIKeys[0]
	}
	if p.Name == "" {
		p.Name = p.ID
	}
	if rest, ok := strings.CutPrefix(p.Options.ValidateURL, httpURL); ok {
		p.Options.ValidateURL = url + rest
	}
	options, err := p.Options.Normalize()
	if err != nil {
		return err
	}
	p.Options = options
	return p.hub(time.Time{}).Validate()
}

// hub returns the project with all its categories.
func (p *project) hub(now time.Time) *hub.Project {
	h := &hub.Project{
		ID: p.ID, Name: p.Name, Secret: p.Secret, Options: p.Options,
		Categories: make(map[string]hub.Category, len(p.Categories)),
	}
	h.APIKeyLabels = make(map[string]hub.APIKeyLabel, len(p.APIKeys))
	for _, key := range p.APIKeys {
		hash := auth.HashAPIKey(key)
		h.APIKeyHashes = append(h.APIKeyHashes, hash)
		h.APIKeyLabels[hash] = hub.APIKeyLabel{Name: "from the seed", Created: now}
	}
	for _, c := range p.Categories {
		h.Categories[c.Name] = hub.Category{ID: hub.NewID(now), Name: c.Name, CategoryOptions: c.CategoryOptions}
	}
	return h
}

// apply writes what is missing, and reports whether it created the project.
func (p *project) apply(ctx context.Context, s Store, now time.Time) (created bool, err error) {
	seeded := p.hub(now)
	existing, err := s.Project(ctx, p.ID)
	switch {
	case errors.Is(err, hub.ErrProjectNotFound):
		if err := s.PutProject(ctx, seeded); err != nil {
			return false, err
		}
		existing, created = &hub.Project{}, true
	case err != nil:
		return false, err
	case existing.Revision == 0:
		// Writing it adds it to the list of projects, which is newer than the project.
		if err := s.PutProject(ctx, existing); err != nil {
			return false, err
		}
	case strings.HasPrefix(existing.Options.ValidateURL, "http://127.0.0.1:") && existing.Options.ValidateURL != seeded.Options.ValidateURL:
		updated := *existing
		updated.Options.ValidateURL = seeded.Options.ValidateURL
		if err := s.PutProject(ctx, &updated); err != nil {
			return false, err
		}
	}
	for _, c := range seeded.Categories {
		if _, found := existing.Categories[c.Name]; found {
			continue
		}
		if err := s.PutCategory(ctx, p.ID, c); err != nil {
			return created, err
		}
	}
	return created, nil
}
