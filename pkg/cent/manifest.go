package cent

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/manifest"
)

// Projects returns all projects with their categories, sorted by name, without their
// secrets and with a description of their keys.
func (a *Admin) Projects(ctx context.Context) ([]manifest.Project, error) {
	var result struct {
		Projects []manifest.Project `json:"projects"`
	}
	if err := a.call(ctx, http.MethodGet, "projects", nil, &result); err != nil {
		return nil, fmt.Errorf("list projects: %w", err)
	}
	if result.Projects == nil {
		return nil, fmt.Errorf("list projects: %w", errNotCentrifuge)
	}
	return result.Projects, nil
}

// Project returns a project with its categories. It fails with CodeProjectNotFound.
func (a *Admin) Project(ctx context.Context, id string) (manifest.Project, error) {
	var p manifest.Project
	if err := a.call(ctx, http.MethodGet, projectPath(id), nil, &p); err != nil {
		return manifest.Project{}, fmt.Errorf("get project %q: %w", id, err)
	}
	if p.ID != id {
		return manifest.Project{}, fmt.Errorf("get project %q: %w", id, errNotCentrifuge)
	}
	return p, nil
}

// Creation is the result of PutProject.
type Creation struct {
	// Created is false for a project that existed.
	Created bool `json:"created"`
	// Secret and APIKey belong to a new project. The key cannot be read again.
	Secret string `json:"secret"`
	APIKey string `json:"api_key"`
}

// PutProject sets the name and all options of a project; options that p leaves out
// get their defaults. It creates a project that does not exist. It does not change
// categories and ignores those of p. It fails with CodeBadRequest or
// CodeLimitExceeded for values outside their limits.
//
// If the response to the attempt that created the project is lost, the response to the next
// attempt has the same secret and key.
func (a *Admin) PutProject(ctx context.Context, p manifest.Project) (Creation, error) {
	var result Creation
	err := a.call(ctx, http.MethodPut, projectPath(p.ID), struct {
		ID      string                  `json:"id"`
		Name    string                  `json:"name"`
		Options manifest.ProjectOptions `json:"options"`
		// All attempts have the same key.
		IdempotencyKey string `json:"idempotency_key"`
	}{p.ID, p.Name, p.Options, rand.Text()}, &result)
	if err != nil {
		return Creation{}, fmt.Errorf("put project %q: %w", p.ID, err)
	}
	return result, nil
}

// Rotation is the result of RotateSecret.
type Rotation struct {
	// Secret is the new secret.
	Secret string `json:"secret"`
	// PreviousUntil is when the replaced secret ends, the zero time where it has ended.
	PreviousUntil time.Time `json:"previous_secret_until,omitzero"`
}

// RotateSecret gives a project another secret, and keeps the replaced one valid for keep, from 0
// to 30 days. With 0 it ends now, and so do the connections that were made with it. RotateSecret
// fails with CodeProjectNotFound, and with CodeBadRequest for another keep.
//
// If the response is lost, the next attempt returns the same secret; with a keep of 0 it replaces
// the secret again.
func (a *Admin) RotateSecret(ctx context.Context, id string, keep time.Duration) (Rotation, error) {
	var result Rotation
	err := a.call(ctx, http.MethodPost, projectPath(id)+"/secret", struct {
		KeepPrevious hub.Duration `json:"keep_previous"`
		// All attempts have the same key.
		IdempotencyKey string `json:"idempotency_key"`
	}{hub.Duration(keep), rand.Text()}, &result)
	if err == nil && result.Secret == "" {
		err = errNotCentrifuge
	}
	if err != nil {
		return Rotation{}, fmt.Errorf("rotate the secret of project %q: %w", id, err)
	}
	return result, nil
}

// DeleteProject deletes a project with its categories, secret and keys. It fails
// with CodeProjectNotFound.
func (a *Admin) DeleteProject(ctx context.Context, id string) error {
	if err := a.call(ctx, http.MethodDelete, projectPath(id), nil, nil); err != nil {
		return fmt.Errorf("delete project %q: %w", id, err)
	}
	return nil
}

// PutCategory sets all options of a category. It creates a category that does not
// exist and reports whether it did. It fails with CodeProjectNotFound,
// CodeBadRequest or CodeLimitExceeded.
func (a *Admin) PutCategory(ctx context.Context, project string, c manifest.Category) (created bool, err error) {
	var result struct {
		Created bool `json:"created"`
	}
	if err := a.call(ctx, http.MethodPut, categoryPath(project, c.Name), c, &result); err != nil {
		return false, fmt.Errorf("put category %q of project %q: %w", c.Name, project, err)
	}
	return result.Created, nil
}

// DeleteCategory deletes a category. It fails with CodeProjectNotFound or
// CodeCategoryNotFound.
func (a *Admin) DeleteCategory(ctx context.Context, project, name string) error {
	if err := a.call(ctx, http.MethodDelete, categoryPath(project, name), nil, nil); err != nil {
		return fmt.Errorf("delete category %q of project %q: %w", name, project, err)
	}
	return nil
}

func projectPath(id string) string { return "projects/" + url.PathEscape(id) }

func categoryPath(project, name string) string {
	return projectPath(project) + "/categories/" + url.PathEscape(manifest.PathElement(name))
}
