package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"centrifuge/pkg/cent"
	"centrifuge/pkg/manifest"
)

type projects struct {
	List   projectsList   `cmd:"" help:"List the projects."`
	Get    projectsGet    `cmd:"" help:"Print projects with their categories as YAML, or as JSON with --json."`
	Apply  projectsApply  `cmd:"" help:"Create and change projects and categories as a file specifies."`
	Delete projectsDelete `cmd:"" help:"Delete a project with its categories, secret and keys."`
	Rotate projectsRotate `cmd:"" name:"rotate-secret" help:"Replace the secret of a project and print the new one."`
}

// Help is shown below the usage.
func (*projects) Help() string { return adminHelp }

const adminHelp = `These commands use the admin API. They require the password of the admin pages: --admin-password, CENT_ADMIN_PASSWORD or admin_password in the file. Each command signs in.`

type projectsList struct{}

// Run implements the command.
func (*projectsList) Run(ctx context.Context, s *session) error {
	a, err := s.admin()
	if err != nil {
		return err
	}
	all, err := a.Projects(ctx)
	if err != nil {
		return err
	}
	if s.JSON {
		return s.printJSON(all)
	}
	rows := [][]string{{"PROJECT", "NAME", "CATEGORIES"}}
	for _, p := range all {
		rows = append(rows, []string{p.ID, p.Name, strconv.Itoa(len(p.Categories))})
	}
	return s.table(rows)
}

type projectsGet struct {
	IDs []string `arg:"" name:"id" optional:"" help:"The ids of projects (default: all projects)."`
}

// Run implements the command.
func (c *projectsGet) Run(ctx context.Context, s *session) error {
	a, err := s.admin()
	if err != nil {
		return err
	}
	found, err := c.find(ctx, a)
	switch {
	case err != nil:
		return err
	case !s.JSON:
		return s.printYAML(found...)
	case len(c.IDs) == 1:
		return s.printJSON(found[0])
	}
	return s.printJSON(found)
}

func (c *projectsGet) find(ctx context.Context, a *cent.Admin) ([]manifest.Project, error) {
	if len(c.IDs) == 0 {
		return a.Projects(ctx)
	}
	var found []manifest.Project
	for _, id := range c.IDs {
		p, err := a.Project(ctx, id)
		if err != nil {
			return nil, err
		}
		found = append(found, p)
	}
	return found, nil
}

// printYAML prints each project as a YAML document.
func (s *session) printYAML(list ...manifest.Project) error {
	for i, p := range list {
		text, err := encodeYAML(p)
		if err != nil {
			return misuse("print: %w", err)
		}
		if i > 0 {
			fmt.Fprintln(s.stdout, "---")
		}
		fmt.Fprint(s.stdout, text)
	}
	return nil
}

type projectsApply struct {
	File string `arg:"" help:"A file in the form of projects get, YAML or JSON; - is the standard input."`
	applying
}

// Help is shown below the usage.
func (*projectsApply) Help() string {
	return `The file specifies its projects completely: an option that is not in the file gets its default. A project that does not exist is created, and its secret and API key are printed once, also where an answer was lost. If cent ends before it has printed them, the page Keys of the admin pages shows the secret and creates another API key. Categories that are not in the file are kept without --prune. Other projects are not changed. Its api_keys, which projects get prints, are ignored: create and revoke keys in the admin pages.

cent checks the file, shows the differences and asks before it changes anything. After a failure it prints what was not done; run the same command again.

The file contains a project, a list of projects, or several documents separated by "---":

    id: shop
    name: Shop
    options:
      origins: ["https://shop.example.com"]
    categories:
      - name: chat
        bidirectional: true`
}

// Run implements the command.
func (c *projectsApply) Run(ctx context.Context, s *session) error {
	b, err := s.document(ctx, c.File)
	if err != nil {
		return err
	}
	targets, err := decodeDocuments[manifest.Project](b)
	if err == nil {
		err = checkProjects(targets)
	}
	if err != nil {
		return misuse("%s: %w", c.File, err)
	}
	a, err := s.admin()
	if err != nil {
		return err
	}
	present, err := a.Projects(ctx)
	if err != nil {
		return err
	}
	var p plan
	for _, target := range targets {
		var existing *manifest.Project
		if i := slices.IndexFunc(present, func(p manifest.Project) bool { return p.ID == target.ID }); i >= 0 {
			existing = &present[i]
		}
		if err := p.addProject(existing, target, c.Prune); err != nil {
			return err
		}
	}
	return s.apply(ctx, a, p, c.applying)
}

type projectsDelete struct {
	ID string `arg:"" help:"The id of the project."`

	Yes bool `short:"y" help:"Do not ask for confirmation."`
}

// Run implements the command.
func (c *projectsDelete) Run(ctx context.Context, s *session) error {
	a, err := s.admin()
	if err != nil {
		return err
	}
	if !c.Yes {
		// An absent project is an error before the question.
		if _, err := a.Project(ctx, c.ID); err != nil {
			return err
		}
		question := fmt.Sprintf("This deletes project %s with its categories, secret and keys. Type its id to continue: ", printable(c.ID))
		if err := s.confirm(ctx, question, c.ID); err != nil {
			return err
		}
	}
	if err := a.DeleteProject(ctx, c.ID); err != nil {
		return err
	}
	return s.done()
}

type projectsRotate struct {
	ID string `arg:"" help:"The id of the project."`

	Keep time.Duration `default:"0" help:"How long the former secret stays valid, up to 720h."`
	Yes  bool          `short:"y" help:"Do not ask for confirmation."`
}

// Help is shown below the usage.
func (*projectsRotate) Help() string {
	return `Without --keep the former secret ends now, and with it all tokens, signatures and connections that were made with it: do so if somebody else knows it. With --keep there is no gap: give the new secret to your application before the former one ends. Webhooks are signed with the former one until then.`
}

// Run implements the command.
func (c *projectsRotate) Run(ctx context.Context, s *session) error {
	a, err := s.admin()
	if err != nil {
		return err
	}
	if !c.Yes {
		end := "ends the present one now"
		if c.Keep > 0 {
			end = fmt.Sprintf("ends the present one in %v", c.Keep)
		}
		question := fmt.Sprintf("This replaces the secret of project %s and %s. Continue? [y/N] ", printable(c.ID), end)
		if err := s.confirm(ctx, question, "y", "Y", "yes"); err != nil {
			return err
		}
	}
	rotation, err := a.RotateSecret(ctx, c.ID, c.Keep)
	switch {
	case err != nil:
		return err
	case s.JSON:
		return s.printJSON(rotation)
	}
	fmt.Fprintf(s.stdout, "secret: %s\n", printable(rotation.Secret))
	if !rotation.PreviousUntil.IsZero() {
		fmt.Fprintf(s.stdout, "former secret valid until: %s\n", rotation.PreviousUntil.Format(time.RFC3339))
	}
	return nil
}

// errNoCategory is the error for an absent category.
func errNoCategory(project, name string) error {
	return exit{exitRefused, errors.New("project " + printable(project) + " has no category " + printable(cmp.Or(name, unnamed)))}
}
