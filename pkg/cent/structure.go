package cent

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"centrifuge/pkg/manifest"
)

// Projects returns all projects with their categories, sorted by name. Secrets and
// keys are not among what it returns.
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

// Creation tells what PutProject made.
type Creation struct {
	// Created is false for a project that was there.
	Created bool `json:"created"`
	// Secret and APIKey are those of the new project. The key cannot be read again.
	Secret string `json:"secret"`
	APIKey string `json:"api_key"`
}

// PutProject gives a project its name and its options, all of them: what p leaves
// out gets its default. It creates a project that is absent. Categories are left
// alone, and those of p passed over. It fails with CodeBadRequest or
// CodeLimitExceeded for values that break their limits.
//
// Where the answer to the attempt that created a project is lost, the next attempt
// finds it created: its secret and key are then to be made anew in the admin pages.
func (a *Admin) PutProject(ctx context.Context, p manifest.Project) (Creation, error) {
	var made Creation
	err := a.call(ctx, http.MethodPut, projectPath(p.ID), struct {
		ID      string                  `json:"id"`
		Name    string                  `json:"name"`
		Options manifest.ProjectOptions `json:"options"`
	}{p.ID, p.Name, p.Options}, &made)
	if err != nil {
		return Creation{}, fmt.Errorf("put project %q: %w", p.ID, err)
	}
	return made, nil
}

// DeleteProject deletes a project with its categories, secret and keys. It fails
// with CodeProjectNotFound.
func (a *Admin) DeleteProject(ctx context.Context, id string) error {
	if err := a.call(ctx, http.MethodDelete, projectPath(id), nil, nil); err != nil {
		return fmt.Errorf("delete project %q: %w", id, err)
	}
	return nil
}

// PutCategory gives a category its options, all of them, creates one that is
// absent, and tells which. It fails with CodeProjectNotFound, CodeBadRequest or
// CodeLimitExceeded.
func (a *Admin) PutCategory(ctx context.Context, project string, c manifest.Category) (created bool, err error) {
	var made struct {
		Created bool `json:"created"`
	}
	if err := a.call(ctx, http.MethodPut, categoryPath(project, c.Name), c, &made); err != nil {
		return false, fmt.Errorf("put category %q of project %q: %w", c.Name, project, err)
	}
	return made.Created, nil
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
	return projectPath(project) + "/categories/" + url.PathEscape(name)
}
