package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"centrifuge/pkg/cent"
	"centrifuge/pkg/hub"
	"centrifuge/pkg/manifest"
)

// change is one thing to do.
type change struct {
	verb     string // create, update or delete
	project  string
	category string // "" for the project itself
	before   string // how it is written, "" for what is absent
	after    string
	carryOut func(context.Context, *cent.Admin) (cent.Creation, error)
}

// subject names what is changed.
func (c change) subject() string {
	if c.category == "" {
		return "project " + printable(c.project)
	}
	return "category " + printable(c.project+":"+c.category)
}

// plan is what leads from what there is to what a file says.
type plan struct {
	changes []change
	// kept are the categories that the file does not name and that stay.
	kept []string
}

// addProject plans for a project and its categories. present is nil for one that is
// absent.
func (p *plan) addProject(present *manifest.Project, wanted manifest.Project, prune bool) error {
	after, err := encodeYAML(headOf(wanted))
	if err != nil {
		return err
	}
	before, categories := "", []manifest.Category(nil)
	if present != nil {
		categories = present.Categories
		if before, err = encodeYAML(headOf(*present)); err != nil {
			return err
		}
	}
	p.add(change{
		project: wanted.ID, before: before, after: after,
		carryOut: func(ctx context.Context, a *cent.Admin) (cent.Creation, error) { return a.PutProject(ctx, wanted) },
	})
	return p.addCategories(wanted.ID, categories, wanted.Categories, prune)
}

// addCategories plans for the categories of a project.
func (p *plan) addCategories(project string, present, wanted []manifest.Category, prune bool) error {
	byName := func(name string) func(manifest.Category) bool {
		return func(c manifest.Category) bool { return c.Name == name }
	}
	for _, c := range wanted {
		before, err := "", error(nil)
		if i := slices.IndexFunc(present, byName(c.Name)); i >= 0 {
			// Centrifuge would refuse it when half of the plan is carried out.
			if from, to := present[i].ShardCount(), c.ShardCount(); to < from {
				return misuse("category %q of project %q: shards cannot be lowered, from %d to %d", c.Name, project, from, to)
			}
			if before, err = encodeYAML(present[i]); err != nil {
				return err
			}
		}
		after, err := encodeYAML(c)
		if err != nil {
			return err
		}
		p.add(change{
			project: project, category: c.Name, before: before, after: after,
			carryOut: func(ctx context.Context, a *cent.Admin) (cent.Creation, error) {
				_, err := a.PutCategory(ctx, project, c)
				return cent.Creation{}, err
			},
		})
	}
	for _, c := range present {
		if slices.ContainsFunc(wanted, byName(c.Name)) {
			continue
		}
		if !prune {
			p.kept = append(p.kept, project+":"+c.Name)
			continue
		}
		before, err := encodeYAML(c)
		if err != nil {
			return err
		}
		p.add(change{
			project: project, category: c.Name, before: before,
			carryOut: func(ctx context.Context, a *cent.Admin) (cent.Creation, error) {
				return cent.Creation{}, a.DeleteCategory(ctx, project, c.Name)
			},
		})
	}
	return nil
}

// add adds a change that changes something.
func (p *plan) add(c change) {
	switch {
	case c.before == c.after:
		return
	case c.before == "":
		c.verb = "create"
	case c.after == "":
		c.verb = "delete"
	default:
		c.verb = "update"
	}
	p.changes = append(p.changes, c)
}

// head is a project without its categories.
type head struct {
	ID      string                  `json:"id"`
	Name    string                  `json:"name"`
	Options manifest.ProjectOptions `json:"options"`
}

func headOf(p manifest.Project) head { return head{p.ID, p.Name, p.Options} }

// checkProjects refuses, before anything is done, what Centrifuge would refuse, and
// what is said twice. A project without a name is called by its id.
func checkProjects(projects []manifest.Project) error {
	seen := make(map[string]bool)
	for i := range projects {
		p := &projects[i]
		if p.Name == "" {
			p.Name = p.ID
		}
		err := (&hub.Project{ID: p.ID, Name: p.Name, Secret: "-", Options: p.Options}).Validate()
		switch {
		case err != nil:
			return fmt.Errorf("project %q: %w", p.ID, err)
		case seen[p.ID]:
			return fmt.Errorf("project %q comes twice", p.ID)
		}
		seen[p.ID] = true
		if err := checkCategories(p.Categories); err != nil {
			return fmt.Errorf("project %q: %w", p.ID, err)
		}
	}
	if len(projects) == 0 {
		return errors.New("there is no project in it")
	}
	return nil
}

// checkCategories does so for categories.
func checkCategories(categories []manifest.Category) error {
	seen := make(map[string]bool)
	for _, c := range categories {
		err := hub.Category{Name: c.Name, CategoryOptions: c.CategoryOptions}.Validate()
		switch {
		case err != nil:
			return fmt.Errorf("category %q: %w", c.Name, err)
		case seen[c.Name]:
			return fmt.Errorf("category %q comes twice", c.Name)
		}
		seen[c.Name] = true
	}
	return nil
}

// title is the line above the diff of a change.
func (c change) title() string {
	return c.subject() + map[string]string{"create": " (new)", "delete": " (to be deleted)"}[c.verb]
}

// past is the verb for what has been done.
func (c change) past() string { return strings.TrimSuffix(c.verb, "e") + "ed" }
