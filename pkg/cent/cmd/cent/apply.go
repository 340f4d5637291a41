package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"centrifuge/pkg/cent"
	"centrifuge/pkg/hub"
)

// applying has the flags of apply.
type applying struct {
	Yes    bool `short:"y" help:"Do not ask for confirmation."`
	DryRun bool `help:"Show the differences and change nothing. The exit status is 4 if there are any."`
	Prune  bool `help:"Delete categories that are not in the file."`
}

// document reads a file, or stdin for "-".
func (s *session) document(ctx context.Context, file string) ([]byte, error) {
	if file == "-" {
		return s.text(ctx, "", "no file: give its name, or pipe it in")
	}
	f, err := os.Open(file) //nolint:gosec // the caller of the program chooses the file
	if err != nil {
		return nil, usageError{err}
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxDataBytes+1))
	switch {
	case err != nil:
		return nil, usageError{err}
	case len(b) > maxDataBytes:
		return nil, misuse("%s is longer than %d bytes", file, maxDataBytes)
	}
	if err := hub.CheckText(file, string(b)); err != nil {
		return nil, usageError{err}
	}
	return b, nil
}

// outcome is the outcome of a change, as --json prints it.
type outcome struct {
	Action   string  `json:"action"`
	Project  string  `json:"project"`
	Category *string `json:"category,omitempty"`
	Done     bool    `json:"done"`
	Secret   string  `json:"secret,omitempty"`
	APIKey   string  `json:"api_key,omitempty"`
}

// apply shows a plan, asks for confirmation, and carries it out up to the first
// failure.
func (s *session) apply(ctx context.Context, a *cent.Admin, p plan, o applying) error {
	s.show(p)
	switch {
	case len(p.changes) == 0:
		return s.printUndone(nil)
	case o.DryRun:
		if err := s.printUndone(p.changes); err != nil {
			return err
		}
		return exit{code: exitDifferent}
	}
	if !o.Yes {
		if err := s.confirm(ctx, fmt.Sprintf("Make %s? [y/N] ", changesIn(p)), "y", "Y", "yes"); err != nil {
			return err
		}
	}
	return s.carryOut(ctx, a, p.changes)
}

// show prints the differences, except with --json.
func (s *session) show(p plan) {
	for _, name := range p.kept {
		fmt.Fprintf(s.stderr, "cent: category %s is not in the file and is kept; --prune deletes it\n", name)
	}
	if s.JSON {
		return
	}
	for _, c := range p.changes {
		s.printDiff(c.title(), c.before, c.after)
	}
	if len(p.changes) == 0 {
		fmt.Fprintln(s.stdout, "nothing to do")
	}
}

// printUndone prints changes that were not made, with --json.
func (s *session) printUndone(changes []change) error {
	if !s.JSON {
		return nil
	}
	return s.printJSON(map[string][]outcome{"changes": outcomes(changes)})
}

func outcomes(changes []change) []outcome {
	list := make([]outcome, len(changes))
	for i, c := range changes {
		list[i] = outcome{Action: c.verb, Project: c.project, Category: c.category}
	}
	return list
}

func changesIn(p plan) string {
	if len(p.changes) == 1 {
		return "this change"
	}
	return fmt.Sprintf("these %d changes", len(p.changes))
}

// carryOut makes the changes and prints each. After a failure it prints the changes
// that were not made.
func (s *session) carryOut(ctx context.Context, a *cent.Admin, changes []change) error {
	list := outcomes(changes)
	var failure error
	for i, c := range changes {
		if failure == nil {
			var creation cent.Creation
			if creation, failure = c.carryOut(ctx, a); failure == nil {
				list[i].Done, list[i].Secret, list[i].APIKey = true, creation.Secret, creation.APIKey
				s.report(c, creation)
				continue
			}
		}
		fmt.Fprintf(s.stderr, "cent: not done: %s %s\n", c.verb, c.subject())
	}
	if s.JSON {
		if err := s.printJSON(map[string][]outcome{"changes": list}); err != nil {
			return errors.Join(failure, err)
		}
	}
	return failure
}

// report prints a change that was made, except with --json. A project that another request
// has created meanwhile is a warning in both cases.
func (s *session) report(c change, creation cent.Creation) {
	created := c.verb == "create" && c.category == nil
	if created && creation.APIKey == "" {
		fmt.Fprintf(s.stderr, "cent: warning: another request has created %s: its page Keys in the admin pages shows the secret and creates API keys\n", c.subject())
	}
	if s.JSON {
		return
	}
	fmt.Fprintln(s.stdout, c.past()+" "+c.subject())
	if created && creation.APIKey != "" {
		fmt.Fprintf(s.stdout, "  secret:  %s\n  API key: %s\n  The key is not shown again.\n", printable(creation.Secret), printable(creation.APIKey))
	}
}

// errDeclined is the error for a confirmation that was not given.
var errDeclined = exit{exitRefused, errors.New("nothing was changed")}

// confirm asks on the terminal and fails unless the user types one of answers. It
// fails without a terminal.
func (s *session) confirm(ctx context.Context, question string, answers ...string) error {
	if !s.terminal {
		return misuse("no terminal for the confirmation: add --yes")
	}
	fmt.Fprint(s.stderr, question)
	// A read cannot be interrupted: it continues in the background when ctx ends first.
	read := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(io.LimitReader(s.stdin, 4096)).ReadString('\n')
		read <- strings.TrimSpace(line)
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(s.stderr)
		return errDeclined
	case line := <-read:
		if slices.Contains(answers, line) {
			return nil
		}
		return errDeclined
	}
}
