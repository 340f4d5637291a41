package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"centrifuge/pkg/cent"
	"centrifuge/pkg/hub"
	"centrifuge/pkg/manifest"
)

// change is one change of a project or a category.
type change struct {
	verb     string // create, update or delete
	project  string
	category *string // nil for the project itself
	before   string  // in YAML, "" if it does not exist
	after    string
	carryOut func(context.Context, *cent.Admin) (cent.Creation, error)
}

// subject names the project or category.
func (c change) subject() string {
	if c.category == nil {
		return "project " + printable(c.project)
	}
	return "category " + categoryLabel(c.project, *c.category)
}

// categoryLabel is how cent prints a category of a project.
func categoryLabel(project, name string) string {
	return printable(project + ":" + cmp.Or(name, unnamed))
}

// unnamed is printed in the place of the name that a category does not have.
const unnamed = "(no name)"

// plan lists the changes from the present state to the state in a file.
type plan struct {
	changes []change
	// kept are the categories that are not in the file and are not deleted.
	kept []string
}

// addProject plans the changes of a project and its categories. present is nil for a
// new project.
func (p *plan) addProject(present *manifest.Project, target manifest.Project, prune bool) error {
	if present == nil {
		// One that exists keeps its id, whatever the rules are now.
		if err := hub.CheckProjectID(target.ID); err != nil {
			return misuse("project %q: %w", target.ID, err)
		}
	}
	after, err := encodeYAML(headOf(target))
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
		project: target.ID, before: before, after: after,
		carryOut: func(ctx context.Context, a *cent.Admin) (cent.Creation, error) { return a.PutProject(ctx, target) },
	})
	return p.addCategories(target.ID, categories, target.Categories, prune)
}

// addCategories plans the changes of the categories of a project.
func (p *plan) addCategories(project string, present, target []manifest.Category, prune bool) error {
	byName := func(name string) func(manifest.Category) bool {
		return func(c manifest.Category) bool { return c.Name == name }
	}
	for _, c := range target {
		before, err := "", error(nil)
		i := slices.IndexFunc(present, byName(c.Name))
		if i < 0 {
			if err := (hub.Category{Name: c.Name}).Validate(); err != nil {
				return misuse("category %q of project %q: %w", c.Name, project, err)
			}
		} else {
			// Centrifuge would refuse it in the middle of the plan.
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
			project: project, category: &c.Name, before: before, after: after,
			carryOut: func(ctx context.Context, a *cent.Admin) (cent.Creation, error) {
				_, err := a.PutCategory(ctx, project, c)
				return cent.Creation{}, err
			},
		})
	}
	for _, c := range present {
		if slices.ContainsFunc(target, byName(c.Name)) {
			continue
		}
		if !prune {
			p.kept = append(p.kept, categoryLabel(project, c.Name))
			continue
		}
		before, err := encodeYAML(c)
		if err != nil {
			return err
		}
		p.add(change{
			project: project, category: &c.Name, before: before,
			carryOut: func(ctx context.Context, a *cent.Admin) (cent.Creation, error) {
				return cent.Creation{}, a.DeleteCategory(ctx, project, c.Name)
			},
		})
	}
	return nil
}

// add adds a change, unless nothing differs.
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

// checkProjects refuses invalid and duplicate projects before any request is made. It
// normalizes options, and sets the name of a project without one to its id. The plan
// refuses ids and names that a new project or category must not have.
func checkProjects(projects []manifest.Project) error {
	seen := make(map[string]bool)
	for i := range projects {
		p := &projects[i]
		if p.Name == "" {
			p.Name = p.ID
		}
		options, err := p.Options.Normalize()
		if err == nil {
			err = (&hub.Project{Name: p.Name}).ValidateName()
		}
		p.Options = options
		if p.ID == "" {
			err = hub.CheckProjectID(p.ID)
		}
		switch {
		case err != nil:
			return fmt.Errorf("project %q: %w", p.ID, err)
		case seen[p.ID]:
			return fmt.Errorf("duplicate project %q", p.ID)
		}
		seen[p.ID] = true
		if err := checkCategories(p.Categories); err != nil {
			return fmt.Errorf("project %q: %w", p.ID, err)
		}
	}
	if len(projects) == 0 {
		return errors.New("no project in the file")
	}
	return nil
}

// checkCategories refuses invalid and duplicate categories.
func checkCategories(categories []manifest.Category) error {
	seen := make(map[string]bool)
	for _, c := range categories {
		err := c.Validate()
		switch {
		case err != nil:
			return fmt.Errorf("category %q: %w", c.Name, err)
		case seen[c.Name]:
			return fmt.Errorf("duplicate category %q", c.Name)
		}
		seen[c.Name] = true
	}
	return nil
}

// title is the line above the diff of a change.
func (c change) title() string {
	return c.subject() + map[string]string{"create": " (new)", "delete": " (delete)"}[c.verb]
}

// past is the verb in the past tense.
func (c change) past() string { return strings.TrimSuffix(c.verb, "e") + "ed" }
