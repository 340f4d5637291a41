// Command iam proves the rights of the functions. It takes the policies of synthesized
// templates and asks an IAM simulator about every request that a function makes and
// about many that none may make.
//
//	iam FOLDER TEMPLATE...
//
// FOLDER has the simulator, which `make test-iam` installs. What a request needs is in
// functions/routes.go or, for what matters most, written here once more. The simulator
// is not AWS: it follows AWS's documentation of IAM and its list of actions, resources
// and condition keys.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "iam:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) < 2 {
		return errors.New("the folder of the simulator and a template are missing: run make test-iam")
	}
	var wrong int
	for _, path := range args[1:] {
		t, err := readTemplate(path)
		if err != nil {
			return err
		}
		all, err := requests(t)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		decisions, err := simulate(ctx, args[0], all)
		if err != nil {
			return fmt.Errorf("simulate the requests of %s: %w", path, err)
		}
		wrong += report(out, t.stack, all, decisions)
	}
	if wrong > 0 {
		return fmt.Errorf("%d requests are not decided as expected", wrong)
	}
	return nil
}

// report prints the numbers of requests of each principal that are decided as expected,
// and the others. It returns the number of the others.
func report(out io.Writer, stack string, all []request, decisions []decision) int {
	type count struct{ allowed, denied int }
	by := map[string]*count{}
	total, wrong := count{}, 0
	var names []string
	for i, r := range all {
		d := decisions[i]
		switch {
		case d.Error != "" || len(d.Ignored) > 0:
			wrong++
			fmt.Fprintf(out, "  %s, %s: the simulator does not take the request: %s\n", r.by, r.name, cmp.Or(d.Error, "it ignores "+strings.Join(d.Ignored, " ")))
			continue
		case d.allowed() != r.allowed:
			wrong++
			fmt.Fprintf(out, "  %s, %s: %s, expected allowed to be %v\n    %s on %s with %v\n", r.by, r.name, d.Result, r.allowed, r.Action, r.Resource, r.Context)
			continue
		}
		c := by[r.by]
		if c == nil {
			c = new(count)
			by[r.by], names = c, append(names, r.by)
		}
		if r.allowed {
			c.allowed, total.allowed = c.allowed+1, total.allowed+1
		} else {
			c.denied, total.denied = c.denied+1, total.denied+1
		}
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(out, "  %-28s %3d allowed  %3d denied\n", name, by[name].allowed, by[name].denied)
	}
	fmt.Fprintf(out, "%s: as expected, %d requests are allowed and %d denied\n", stack, total.allowed, total.denied)
	return wrong
}
