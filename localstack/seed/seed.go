// Package seed writes projects and categories from a JSON file into the table
// where they are absent. It never changes what is there, with one exception that
// Apply names.
//
// It is how the local stack gets its demo project, and how the first project gets
// into a table on AWS. It knows which secrets a file may hold beside the
// structure, and nothing of where the table is.
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

// httpURL stands in a validate_url for the address of the HTTP API.
const httpURL = "${HTTP_URL}"

// file is the form of a seed file.
type file struct {
	Projects []project `json:"projects"`
}

type project struct {
	manifest.Project
	// Secret signs tokens; one is generated where it is absent.
	Secret string `json:"secret"`
	// APIKeys open the server API; one is generated where there are none.
	APIKeys []string `json:"api_keys"`
}

// Store is where structure is written.
type Store interface {
	Project(ctx context.Context, id string) (*hub.Project, error)
	PutProject(ctx context.Context, p *hub.Project) error
	PutCategory(ctx context.Context, project string, c hub.Category) error
}

// Generated is what Apply made up for a project and nobody can read again: the
// API key is kept as a hash.
type Generated struct {
	Project, Secret, APIKey string
}

// Apply writes those projects of a seed file that the store lacks, with their
// categories, and the categories that are absent from projects that it has. In a
// validate_url, ${HTTP_URL} becomes url; such a validate_url is brought up to
// date in a project that exists, since the address of a local stack changes with
// its port. The file is checked whole before anything is written.
func Apply(ctx context.Context, s Store, seed []byte, url string, now time.Time) ([]Generated, error) {
	var f file
	if err := manifest.Decode(seed, &f); err != nil {
		return nil, fmt.Errorf("read seed: %w", err)
	}
	var generated []Generated
	for i := range f.Projects {
		g, err := f.Projects[i].complete(url)
		if err != nil {
			return nil, err
		}
		if g != (Generated{}) {
			generated = append(generated, g)
		}
	}
	written := generated[:0]
	for _, p := range f.Projects {
		created, err := p.apply(ctx, s, now)
		if err != nil {
			return written, fmt.Errorf("seed project %q: %w", p.ID, err)
		}
		for _, g := range generated {
			if created && g.Project == p.ID {
				written = append(written, g)
			}
		}
	}
	return written, nil
}

// complete fills in what the file leaves open, and validates.
func (p *project) complete(url string) (Generated, error) {
	var g Generated
	if p.Secret == "" {
		p.Secret = auth.NewSecret()
		g.Project, g.Secret = p.ID, p.Secret
	}
	if len(p.APIKeys) == 0 {
		p.APIKeys = []string{auth.NewAPIKey()}
		g.Project, g.APIKey = p.ID, p.APIKeys[0]
	}
	if p.Name == "" {
		p.Name = p.ID
	}
	if rest, ok := strings.CutPrefix(p.Options.ValidateURL, httpURL); ok {
		p.Options.ValidateURL = url + rest
	}
	if err := p.hub(time.Time{}).Validate(); err != nil {
		return Generated{}, fmt.Errorf("seed project %q: %w", p.ID, err)
	}
	return g, nil
}

func (p *project) hub(now time.Time) *hub.Project {
	h := &hub.Project{
		ID: p.ID, Name: p.Name, Secret: p.Secret, Options: p.Options,
		Categories: make(map[string]hub.Category, len(p.Categories)),
	}
	for _, key := range p.APIKeys {
		h.APIKeyHashes = append(h.APIKeyHashes, auth.HashAPIKey(key))
	}
	for _, c := range p.Categories {
		h.Categories[c.Name] = hub.Category{ID: hub.NewID(now), Name: c.Name, CategoryOptions: c.CategoryOptions}
	}
	return h
}

func (p *project) apply(ctx context.Context, s Store, now time.Time) (created bool, err error) {
	wanted := p.hub(now)
	present, err := s.Project(ctx, p.ID)
	switch {
	case errors.Is(err, hub.ErrProjectNotFound):
		if err := s.PutProject(ctx, wanted); err != nil {
			return false, err
		}
		present, created = wanted, true
		present.Categories = nil
	case err != nil:
		return false, err
	case present.Revision == 0:
		// It was written before projects were listed: written again it is.
		if err := s.PutProject(ctx, present); err != nil {
			return false, err
		}
	case strings.HasPrefix(present.Options.ValidateURL, "http://127.0.0.1:") && present.Options.ValidateURL != wanted.Options.ValidateURL:
		moved := *present
		moved.Options.ValidateURL = wanted.Options.ValidateURL
		if err := s.PutProject(ctx, &moved); err != nil {
			return false, err
		}
	}
	for _, c := range p.hub(now).Categories {
		if _, there := present.Categories[c.Name]; there {
			continue
		}
		if err := s.PutCategory(ctx, p.ID, c); err != nil {
			return created, err
		}
	}
	return created, nil
}
