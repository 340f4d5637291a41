package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
	"centrifuge/pkg/manifest"
)

// maxAPIKeys is how many API keys a project may have: every write of a project
// costs one request for each.
const maxAPIKeys = 20

// The operations on projects and categories. Each fails with an error of hub's table
// where its input is not valid, and then changes nothing. Each is logged: the log
// shows later what was changed, but not the values.
//
// A change to a project reads it, changes it and writes all of it. Where it was
// written in between, the change fails with hub.ErrConflict.

// createProject creates a project with a new secret and one new API key. A request that is
// repeated, because its answer was lost, has the same key, of checkRequestKey: it gets the
// same project and secret, and another API key instead of the first, also where the project
// has been changed since. It fails with hub.ErrConflict where another request has created
// the project.
func (s *site) createProject(ctx context.Context, id, name string, o hub.ProjectOptions, request string) (p *hub.Project, apiKey string, err error) {
	if o, err = o.Normalize(); err != nil {
		return nil, "", err
	}
	p = &hub.Project{ID: id, Name: name, Secret: auth.NewSecret(), Options: o, Creation: creation(request, name)}
	apiKey = auth.NewAPIKey()
	s.addAPIKey(p, firstKey, apiKey)
	if err := p.Validate(); err != nil {
		return nil, "", err
	}
	if err := s.Hub.Supports(o, hub.ProjectOptions{}); err != nil {
		return nil, "", err
	}
	if err = s.writeProject(ctx, p, "project created"); !errors.Is(err, hub.ErrConflict) {
		return p, apiKey, err
	}
	if p, err = s.Store.ReadProject(ctx, id); err != nil {
		return nil, "", err
	}
	if !created(p, request, name) {
		return nil, "", errCreated
	}
	// The first API key is lost with the answer.
	p.APIKeyHashes = slices.DeleteFunc(p.APIKeyHashes, func(hash string) bool { return p.APIKeyLabels[hash].Name == firstKey })
	maps.DeleteFunc(p.APIKeyLabels, func(_ string, l hub.APIKeyLabel) bool { return l.Name == firstKey })
	s.addAPIKey(p, firstKey, apiKey)
	return p, apiKey, s.writeProject(ctx, p, "project created again")
}

// firstKey is the name of the API key that is created with a project.
const firstKey = "first key"

// errCreated refuses to create a project that another request has created.
var errCreated = hub.ErrConflict.With(
	"the project exists; its page Keys shows the secret, makes a new one and creates API keys; to create another project, open the form again")

// creation is what a project keeps of the request that created it: a hash of its key and of
// the name.
func creation(request, name string) string { return auth.HashAPIKey(request + "\x00" + name) }

// created reports whether a request has created a project.
func created(p *hub.Project, request, name string) bool { return p.Creation == creation(request, name) }

// The length of the key of a request, in bytes.
const (
	minRequestKey = 16
	maxRequestKey = 255
)

// checkRequestKey refuses a key of a request that is too short to be random, or too long.
func checkRequestKey(key string) error {
	if len(key) < minRequestKey || len(key) > maxRequestKey {
		return hub.ErrBadRequest.With(fmt.Sprintf("idempotency_key is not from %d to %d bytes: send a random text", minRequestKey, maxRequestKey))
	}
	return nil
}

// firstCategory is the category of a new project. Its messages show in the live feed.
var firstCategory = manifest.Category{Name: "chat", CategoryOptions: hub.CategoryOptions{Bidirectional: true, PublishToAdmins: true}}

// startProject creates a project with firstCategory, as createProject does. A project whose
// category cannot be written is created without it: the API key of the project cannot be
// shown later.
func (s *site) startProject(ctx context.Context, id, name, request string) (p *hub.Project, apiKey string, err error) {
	p, apiKey, err = s.createProject(ctx, id, name, hub.ProjectOptions{}, request)
	switch {
	case err != nil:
		return nil, "", err
	case len(p.Categories) > 0:
		return p, apiKey, nil
	}
	if _, err := s.putCategory(ctx, p, firstCategory, 0); err != nil {
		s.Log.ErrorContext(ctx, "create first category failed", "project", p.ID, "error", err)
		return p, apiKey, nil
	}
	p.Categories = map[string]hub.Category{firstCategory.Name: {Name: firstCategory.Name, CategoryOptions: firstCategory.CategoryOptions}}
	return p, apiKey, nil
}

// showInFeed turns publish_to_admins on for categories of a project. It fails with
// hub.ErrCategoryNotFound for an unknown name, and then changes nothing.
func (s *site) showInFeed(ctx context.Context, p *hub.Project, names []string) error {
	for _, name := range names {
		if _, ok := p.Categories[name]; !ok {
			return hub.ErrCategoryNotFound
		}
	}
	for _, name := range names {
		c := p.Categories[name]
		c.PublishToAdmins = true
		if _, err := s.putCategory(ctx, p, manifest.Category{Name: name, CategoryOptions: c.CategoryOptions}, c.Revision); err != nil {
			return err
		}
	}
	return nil
}

// changeProject sets the name and the options of a project.
func (s *site) changeProject(ctx context.Context, p *hub.Project, name string, o hub.ProjectOptions) error {
	o, err := o.Normalize()
	if err != nil {
		return err
	}
	if err := s.Hub.Supports(o, p.Options); err != nil {
		return err
	}
	p.Name, p.Options = name, o
	if err := p.ValidateName(); err != nil {
		return err
	}
	return s.writeProject(ctx, p, "project changed")
}

// regenerateSecret replaces the secret of a project, and keeps the replaced one for grace. The
// new one is derived from the key of the request, of checkRequestKey, and from the one that it
// replaces: while that is kept, the same request, sent again because its answer was lost, changes
// nothing more.
func (s *site) regenerateSecret(ctx context.Context, p *hub.Project, grace time.Duration, request string) error {
	if err := checkRequestKey(request); err != nil {
		return err
	}
	if p.PreviousSecret != "" && auth.DeriveSecret(request, p.PreviousSecret) == p.Secret {
		return nil
	}
	if err := p.ReplaceSecret(auth.DeriveSecret(request, p.Secret), grace, s.Now()); err != nil {
		return err
	}
	return s.writeProject(ctx, p, "project secret regenerated")
}

// createAPIKey adds an API key to a project, with a name for people that may be empty. The
// API key is derived from the key of the request, of checkRequestKey, and from the secret of
// the project: the same request, sent again because its answer was lost, gets the same API
// key, and adds nothing more.
func (s *site) createAPIKey(ctx context.Context, p *hub.Project, name, request string) (apiKey string, err error) {
	if err := checkRequestKey(request); err != nil {
		return "", err
	}
	apiKey = auth.DeriveAPIKey(p.Secret, request)
	if slices.Contains(p.APIKeyHashes, auth.HashAPIKey(apiKey)) {
		return apiKey, nil
	}
	if len(p.APIKeyHashes) >= maxAPIKeys {
		return "", hub.ErrLimitExceeded.With(fmt.Sprintf("a project has at most %d API keys", maxAPIKeys))
	}
	if err := (hub.APIKeyLabel{Name: name}).Validate(); err != nil {
		return "", err
	}
	s.addAPIKey(p, name, apiKey)
	return apiKey, s.writeProject(ctx, p, "API key created")
}

// addAPIKey adds the hash of an API key to a project, with its name and the time.
func (s *site) addAPIKey(p *hub.Project, name, apiKey string) {
	hash := auth.HashAPIKey(apiKey)
	p.APIKeyHashes = append(p.APIKeyHashes, hash)
	if p.APIKeyLabels == nil {
		p.APIKeyLabels = make(map[string]hub.APIKeyLabel)
	}
	p.APIKeyLabels[hash] = hub.APIKeyLabel{Name: name, Created: s.Now().UTC().Truncate(time.Second)}
}

// revokeAPIKey removes the API key with this hash from a project. An unknown hash is
// no error.
func (s *site) revokeAPIKey(ctx context.Context, p *hub.Project, hash string) error {
	p.APIKeyHashes = slices.DeleteFunc(p.APIKeyHashes, func(h string) bool { return h == hash })
	delete(p.APIKeyLabels, hash)
	return s.writeProject(ctx, p, "API key revoked")
}

// writeProject writes a project, and logs what was done.
func (s *site) writeProject(ctx context.Context, p *hub.Project, done string) error {
	if err := s.Store.PutProject(ctx, p); err != nil {
		return err
	}
	s.Log.InfoContext(ctx, done, "project", p.ID)
	return nil
}

// removeProject deletes a project.
func (s *site) removeProject(ctx context.Context, p *hub.Project) error {
	if err := s.Store.DeleteProject(ctx, p.ID); err != nil {
		return err
	}
	s.Log.InfoContext(ctx, "project deleted", "project", p.ID)
	return nil
}

// putCategory creates or replaces a category of a project, and reports whether it
// created it. revision is the one that the change is based on.
func (s *site) putCategory(ctx context.Context, p *hub.Project, c manifest.Category, revision int) (created bool, err error) {
	old, exists := p.Categories[c.Name]
	category := hub.Category{ID: old.ID, Name: c.Name, Revision: revision, CategoryOptions: c.CategoryOptions}
	err = category.CategoryOptions.Validate()
	if !exists {
		category.ID = hub.NewID(s.Now())
		err = category.Validate()
	}
	if err != nil {
		return false, err
	}
	if err := s.Store.PutCategory(ctx, p.ID, category); err != nil {
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
	if err := s.Store.DeleteCategory(ctx, p.ID, name); err != nil {
		return err
	}
	s.Log.InfoContext(ctx, "category deleted", "project", p.ID, "category", name)
	return nil
}

// removeHistory makes the history of a channel return nothing of what its stream holds now. It
// fails as hub.RemoveHistory does.
func (s *site) removeHistory(ctx context.Context, p *hub.Project, ch hub.Channel) error {
	if err := s.Hub.RemoveHistory(ctx, p, ch); err != nil {
		return err
	}
	s.Log.InfoContext(ctx, "history removed", "project", p.ID, "channel", ch.String())
	return nil
}

// sortedCategories returns the categories of a project by name.
func sortedCategories(p *hub.Project) []hub.Category {
	return slices.SortedFunc(maps.Values(p.Categories), func(a, b hub.Category) int { return cmp.Compare(a.Name, b.Name) })
}
