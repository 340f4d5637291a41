package admin

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
	"centrifuge/pkg/manifest"
)

// maxAPIKeys is how many API keys a project may have: every write of a project
// costs a request for each.
const maxAPIKeys = 20

// The operations on structure. Each fails with an error of hub's table where what
// was asked for is not valid, and then changes nothing. They are logged: who may
// change everything should find out later what was changed, though not to what.
//
// Changes to a project read it, change it and write it whole; where another change
// came between, they fail with hub.ErrConflict.

// createProject makes a project with a secret and an API key of its own.
func (s *site) createProject(ctx context.Context, id, name string, o manifest.ProjectOptions) (p *hub.Project, apiKey string, err error) {
	apiKey = auth.NewAPIKey()
	p = &hub.Project{ID: id, Name: name, Secret: auth.NewSecret(), APIKeyHashes: []string{auth.HashAPIKey(apiKey)}, Options: o.Hub()}
	return p, apiKey, s.writeProject(ctx, p, "created")
}

// changeProject gives a project another name and other options.
func (s *site) changeProject(ctx context.Context, p *hub.Project, name string, o manifest.ProjectOptions) error {
	p.Name, p.Options = name, o.Hub()
	return s.writeProject(ctx, p, "changed")
}

// renewSecret gives a project another secret.
func (s *site) renewSecret(ctx context.Context, p *hub.Project) error {
	p.Secret = auth.NewSecret()
	return s.writeProject(ctx, p, "given another secret")
}

// addKey adds an API key to a project. It is the only one to ever know it.
func (s *site) addKey(ctx context.Context, p *hub.Project) (apiKey string, err error) {
	if len(p.APIKeyHashes) >= maxAPIKeys {
		return "", hub.ErrLimitExceeded.With(fmt.Sprintf("a project has at most %d API keys", maxAPIKeys))
	}
	apiKey = auth.NewAPIKey()
	p.APIKeyHashes = append(p.APIKeyHashes, auth.HashAPIKey(apiKey))
	return apiKey, s.writeProject(ctx, p, "given an API key")
}

// removeKey takes from a project the API key with this hash. One that it does not
// have is no error.
func (s *site) removeKey(ctx context.Context, p *hub.Project, hash string) error {
	p.APIKeyHashes = slices.DeleteFunc(p.APIKeyHashes, func(h string) bool { return h == hash })
	return s.writeProject(ctx, p, "deprived of an API key")
}

func (s *site) writeProject(ctx context.Context, p *hub.Project, done string) error {
	if err := p.Validate(); err != nil {
		return err
	}
	if err := s.Structure.PutProject(ctx, p); err != nil {
		return err
	}
	s.Log.InfoContext(ctx, "project "+done, "project", p.ID)
	return nil
}

// removeProject deletes a project.
func (s *site) removeProject(ctx context.Context, p *hub.Project) error {
	if err := s.Structure.DeleteProject(ctx, p.ID); err != nil {
		return err
	}
	s.Log.InfoContext(ctx, "project deleted", "project", p.ID)
	return nil
}

// putCategory writes a category of a project, a new one or another form of one that
// it has, and tells which. Of the latter, revision is that of the category which the
// change was made to.
func (s *site) putCategory(ctx context.Context, p *hub.Project, c manifest.Category, revision int) (created bool, err error) {
	old, exists := p.Categories[c.Name]
	category := hub.Category{ID: old.ID, Name: c.Name, Revision: revision, CategoryOptions: c.Hub()}
	if !exists {
		category.ID = hub.NewID(s.Now())
	}
	if err := category.Validate(); err != nil {
		return false, err
	}
	if err := s.Structure.PutCategory(ctx, p.ID, category); err != nil {
		return false, err
	}
	s.Log.InfoContext(ctx, "category written", "project", p.ID, "category", c.Name)
	return !exists, nil
}

// removeCategory deletes a category. It fails with hub.ErrCategoryNotFound.
func (s *site) removeCategory(ctx context.Context, p *hub.Project, name string) error {
	if _, ok := p.Categories[name]; !ok {
		return hub.ErrCategoryNotFound
	}
	if err := s.Structure.DeleteCategory(ctx, p.ID, name); err != nil {
		return err
	}
	s.Log.InfoContext(ctx, "category deleted", "project", p.ID, "category", name)
	return nil
}

// sortedCategories are the categories of a project by name.
func sortedCategories(p *hub.Project) []hub.Category {
	all := make([]hub.Category, 0, len(p.Categories))
	for _, name := range slices.Sorted(maps.Keys(p.Categories)) {
		all = append(all, p.Categories[name])
	}
	return all
}
