package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"
)

// suite is a Go module whose own tests are run.
type suite struct {
	// Module and Version are those of the module cache, which is filled from the proxy.
	Module, Version string
	// Absent are tests that are not run, since they need what does not exist here.
	Absent []absence
}

// absence is a test that needs what does not exist here.
type absence struct{ Test, Reason string }

// limit is how long the tests of a suite may take. go test ends them then, and prints where they
// wait.
const limit = 2 * time.Minute

// outcome has the names of top-level tests, in alphabetical order.
type outcome struct {
	passed, failed, skipped []string
	// output is that of the tests that failed.
	output string
}

// run downloads the module and runs the tests in its folder, which is read-only.
func (s suite) run(ctx context.Context) (outcome, error) {
	folder, err := s.folder(ctx)
	if err != nil {
		return outcome{}, err
	}
	if err := s.checkAbsent(ctx, folder); err != nil {
		return outcome{}, err
	}
	arguments := []string{"-C", folder, "test", "-count=1", "-json", "-timeout", limit.String()}
	if len(s.Absent) > 0 {
		arguments = append(arguments, "-skip", s.pattern())
	}
	cmd := exec.CommandContext(ctx, "go", append(arguments, "./...")...) //nolint:gosec // the names are those of this command
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	events, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return outcome{}, err
	}
	o, parseErr := read(events)
	switch {
	case parseErr != nil:
		return o, fmt.Errorf("%w: %s", parseErr, stderr.Bytes())
	case err != nil && len(o.failed) == 0: // it does not build
		return o, fmt.Errorf("%w: %s%s", err, o.output, stderr.Bytes())
	}
	return o, nil
}

// check fails where a test failed, or none passed.
func (o outcome) check() error {
	switch {
	case len(o.failed) > 0:
		return fmt.Errorf("%s failed:\n%s", strings.Join(o.failed, ", "), o.output)
	case len(o.passed) == 0:
		return errors.New("no test passed")
	}
	return nil
}

// folder is the folder of the module in the module cache.
func (s suite) folder(ctx context.Context) (string, error) {
	// It answers with an error in JSON.
	answer, err := exec.CommandContext(ctx, "go", "mod", "download", "-json", s.Module+"@"+s.Version).Output() //nolint:gosec // the names are those of this command
	var module struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(answer, &module); jsonErr != nil {
		return "", errors.Join(err, jsonErr)
	}
	if module.Error != "" {
		return "", errors.New(module.Error)
	}
	return module.Dir, nil
}

// checkAbsent fails where a test that is not run does not exist.
func (s suite) checkAbsent(ctx context.Context, folder string) error {
	if len(s.Absent) == 0 {
		return nil
	}
	list, err := exec.CommandContext(ctx, "go", "-C", folder, "test", "-list", s.pattern(), "./...").Output() //nolint:gosec // the names are those of this command
	if err != nil {
		return fmt.Errorf("list the tests: %w", err)
	}
	names := strings.Fields(string(list))
	for _, absent := range s.Absent {
		if !slices.Contains(names, absent.Test) {
			return fmt.Errorf("there is no test %s, which cannot be run here", absent.Test)
		}
	}
	return nil
}

// pattern matches the tests that are not run.
func (s suite) pattern() string {
	names := make([]string, len(s.Absent))
	for i, absent := range s.Absent {
		names[i] = regexp.QuoteMeta(absent.Test)
	}
	return "^(" + strings.Join(names, "|") + ")$"
}

// read reads the events of go test -json. A test that began and did not end has failed.
func read(events []byte) (o outcome, err error) {
	ended := map[string]string{}
	output := map[string]string{}
	for line := range bytes.Lines(events) {
		var e struct{ Action, Test, Output string }
		if err := json.Unmarshal(line, &e); err != nil {
			return o, fmt.Errorf("read the events of go test: %w", err)
		}
		name, _, isSub := strings.Cut(e.Test, "/")
		switch e.Action {
		case "output", "build-output":
			output[name] += e.Output
		case "run":
			if !isSub && ended[name] == "" {
				ended[name] = "fail"
			}
		case "pass", "fail", "skip":
			if !isSub && name != "" {
				ended[name] = e.Action
			}
		}
	}
	o.output = output[""]
	for name, action := range ended {
		switch action {
		case "pass":
			o.passed = append(o.passed, name)
		case "skip":
			o.skipped = append(o.skipped, name)
		default:
			o.failed = append(o.failed, name)
			o.output += output[name]
		}
	}
	slices.Sort(o.passed)
	slices.Sort(o.failed)
	slices.Sort(o.skipped)
	return o, nil
}
