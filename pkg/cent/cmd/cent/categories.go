package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"centrifuge/pkg/manifest"
)

type categories struct {
	List   categoriesList   `cmd:"" help:"List the categories of a project."`
	Get    categoriesGet    `cmd:"" help:"Print categories as YAML, or as JSON with --json."`
	Apply  categoriesApply  `cmd:"" help:"Create and change categories as a file specifies."`
	Delete categoriesDelete `cmd:"" help:"Delete a category."`
}

// Help is shown below the usage.
func (*categories) Help() string { return adminHelp }

type categoriesList struct {
	ProjectID string `arg:"" name:"project" help:"The id of the project."`
}

// Run implements the command.
func (c *categoriesList) Run(ctx context.Context, s *session) error {
	found, err := s.categoriesOf(ctx, c.ProjectID, nil)
	if err != nil {
		return err
	}
	if s.JSON {
		return s.printJSON(found)
	}
	rows := [][]string{{"CATEGORY", "OPTIONS"}}
	for _, category := range found {
		options, err := optionsOf(category)
		if err != nil {
			return err
		}
		rows = append(rows, []string{cmp.Or(category.Name, unnamed), options})
	}
	return s.table(rows)
}

// optionsOf lists the options of a category that are set.
func optionsOf(c manifest.Category) (string, error) {
	value, err := ordered(c.CategoryOptions)
	if err != nil {
		return "", err
	}
	options, _ := value.(yaml.MapSlice)
	var set []string
	for _, o := range options {
		switch v := o.Value.(type) {
		case bool:
			set = append(set, fmt.Sprint(o.Key))
		case []any:
			set = append(set, fmt.Sprintf("%v: %s", o.Key, strings.Trim(fmt.Sprint(v), "[]")))
		default:
			set = append(set, fmt.Sprintf("%v: %v", o.Key, v))
		}
	}
	return strings.Join(set, ", "), nil
}

type categoriesGet struct {
	ProjectID string   `arg:"" name:"project" help:"The id of the project."`
	Names     []string `arg:"" name:"category" optional:"" help:"The names of categories (default: all categories)."`
}

// Run implements the command.
func (c *categoriesGet) Run(ctx context.Context, s *session) error {
	found, err := s.categoriesOf(ctx, c.ProjectID, c.Names)
	if err != nil {
		return err
	}
	if s.JSON {
		return s.printJSON(found)
	}
	text, err := encodeYAML(found)
	if err != nil {
		return misuse("print: %w", err)
	}
	fmt.Fprint(s.stdout, text)
	return nil
}

// categoriesOf returns the named categories of a project, or all without names.
func (s *session) categoriesOf(ctx context.Context, project string, names []string) ([]manifest.Category, error) {
	a, err := s.admin()
	if err != nil {
		return nil, err
	}
	p, err := a.Project(ctx, project)
	if err != nil {
		return nil, err
	}
	found := []manifest.Category{}
	for _, c := range p.Categories {
		if len(names) == 0 || slices.Contains(names, c.Name) {
			found = append(found, c)
		}
	}
	for _, name := range names {
		if !slices.ContainsFunc(found, func(c manifest.Category) bool { return c.Name == name }) {
			return nil, errNoCategory(project, name)
		}
	}
	return found, nil
}

type categoriesApply struct {
	ProjectID string `arg:"" name:"project" help:"The id of the project."`
	File      string `arg:"" help:"A file in the form of categories get, YAML or JSON; - is the standard input."`
	applying
}

// Help is shown below the usage.
func (*categoriesApply) Help() string {
	return `The file specifies its categories completely: an option that is not in the file gets its default. Categories that are not in the file are kept without --prune. cent checks the file, shows the differences and asks before it changes anything.

The file contains a list:

    [{name: chat, bidirectional: true, presence: true},
     {name: news}]`
}

// Run implements the command.
func (c *categoriesApply) Run(ctx context.Context, s *session) error {
	b, err := s.document(ctx, c.File)
	if err != nil {
		return err
	}
	targets, err := decodeDocuments[manifest.Category](b)
	switch {
	case err == nil && targets == nil:
		// With --prune an empty file would delete all categories. It may come from a
		// command that failed in a pipe.
		err = errors.New("the file is empty: for no categories write []")
	case err == nil:
		err = checkCategories(targets)
	}
	if err != nil {
		return misuse("%s: %w", c.File, err)
	}
	a, err := s.admin()
	if err != nil {
		return err
	}
	present, err := a.Project(ctx, c.ProjectID)
	if err != nil {
		return err
	}
	var p plan
	if err := p.addCategories(c.ProjectID, present.Categories, targets, c.Prune); err != nil {
		return err
	}
	return s.apply(ctx, a, p, c.applying)
}

type categoriesDelete struct {
	ProjectID string `arg:"" name:"project" help:"The id of the project."`
	Name      string `arg:"" name:"category" help:"The category."`

	Yes bool `short:"y" help:"Do not ask for confirmation."`
}

// Run implements the command.
func (c *categoriesDelete) Run(ctx context.Context, s *session) error {
	a, err := s.admin()
	if err != nil {
		return err
	}
	if !c.Yes {
		if _, err := s.categoriesOf(ctx, c.ProjectID, []string{c.Name}); err != nil {
			return err
		}
		question := fmt.Sprintf("This deletes category %s. Continue? [y/N] ", categoryLabel(c.ProjectID, c.Name))
		if err := s.confirm(ctx, question, "y", "Y", "yes"); err != nil {
			return err
		}
	}
	if err := a.DeleteCategory(ctx, c.ProjectID, c.Name); err != nil {
		return err
	}
	return s.done()
}
