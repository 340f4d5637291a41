package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"centrifuge/localstack/e2e"
)

// runConversations runs all conversations against a target with the test of package
// e2e, and returns its report.
func (s steps) runConversations(ctx context.Context, target e2e.Target) (e2e.Report, error) {
	reports, err := s.runTests(ctx, "conversations", target, "^TestConversations$", "./localstack/e2e", 1)
	if err != nil {
		return e2e.Report{}, err
	}
	return reports[0], nil
}

// sdks is how many SDKs of Go and JavaScript converse: centrifuge-go, and npm centrifuge in Node and in
// Chromium.
const sdks = 3

// runSDKs lets the SDKs converse with a target whose table has localstack/sdk/seed.json, and returns
// a report for each. python is the virtual environment of centrifuge-python.
func (s steps) runSDKs(ctx context.Context, target e2e.Target, python string) ([]e2e.Report, error) {
	reports, err := s.runTests(ctx, "sdks", target, "^(TestConversations|TestNode|TestChromium)$", "./localstack/sdk", sdks)
	if err != nil {
		return nil, err
	}
	var lines bytes.Buffer
	if _, err := s.run("python", func(log io.Writer) error {
		return runProgram(ctx, io.MultiWriter(log, &lines), os.Environ(), filepath.Join(python, "bin", "python"),
			"localstack/clients/python/conversations.py", target.HTTPURL, target.WebSocketURL, target.ManagementURL)
	}); err != nil {
		return nil, err
	}
	held := 0 // the script fails where one does
	for line := range bytes.Lines(lines.Bytes()) {
		if bytes.HasPrefix(line, []byte("ok ")) {
			held++
		}
	}
	return append(reports, e2e.Report{Target: "centrifuge-python", Scripts: held, Run: held}), nil
}

// runTests runs tests of a package that take their target from the environment, as a step. It fails
// unless they write a number of reports, each of conversations that were all run.
func (s steps) runTests(ctx context.Context, step string, target e2e.Target, tests, folder string, count int) ([]e2e.Report, error) {
	environment, err := target.Environment()
	if err != nil {
		return nil, err
	}
	path, err := filepath.Abs(filepath.Join(s.folder, step+".json"))
	if err != nil {
		return nil, fmt.Errorf("report of the conversations: %w", err)
	}
	environment = append(append(os.Environ(), environment...), e2e.ReportVariable+"="+path)
	if _, err = s.run(step, func(log io.Writer) error {
		return runProgram(ctx, log, environment, "go", "test", "-count=1", "-timeout=5m", "-run="+tests, folder)
	}); err != nil {
		return nil, err
	}
	content, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("report of the conversations: %w", err)
	}
	defer func() { _ = content.Close() }()
	var reports []e2e.Report
	for lines := json.NewDecoder(content); ; {
		var report e2e.Report
		if err := lines.Decode(&report); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("report of the conversations: %w", err)
		}
		if report.Run == 0 || report.Run != report.Scripts {
			return nil, fmt.Errorf("%s: %d of %d conversations were run", report.Target, report.Run, report.Scripts)
		}
		reports = append(reports, report)
	}
	if len(reports) != count {
		return nil, fmt.Errorf("%s has %d reports, expected %d", path, len(reports), count)
	}
	return reports, nil
}

// printSDKs prints how many conversations each SDK held.
func printSDKs(out io.Writer, name string, reports []e2e.Report) {
	for _, report := range reports {
		fmt.Fprintf(out, "%d of %d conversations of %s passed on %s.\n", report.Run, report.Scripts, report.Target, name)
	}
	for _, feature := range slices.Sorted(maps.Keys(sdkLacks)) {
		fmt.Fprintf(out, "  Left out there, %s: %s.\n", feature, sdkLacks[feature])
	}
}

// printReport prints how many conversations passed, which guesses were wrong and which
// parts were skipped.
func printReport(out io.Writer, name string, report e2e.Report) {
	fmt.Fprintf(out, "%d of %d conversations with %d steps passed on %s.\n", report.Run, report.Scripts, report.Steps, name)
	for _, guess := range report.Wrong {
		fmt.Fprintf(out, "We assumed: %s (%s, line %d).\n  AWS does otherwise: %s\n", guess.Assumed, guess.Script, guess.Line,
			strings.ReplaceAll(strings.TrimSpace(guess.Seen), "\n", "\n  "))
	}
	if len(report.Skipped) == 0 {
		return
	}
	steps := 0
	for _, part := range report.Skipped {
		steps += part.Steps
	}
	fmt.Fprintf(out, "Skipped: %d parts with %d steps, which need features that it lacks.\n", len(report.Skipped), steps)
	for _, part := range report.Skipped {
		fmt.Fprintf(out, "  %s, line %d, steps: %d, %s: %s.\n", part.Script, part.Line, part.Steps, part.Feature, part.Reason)
	}
}

// deployed is the stack of "make deploy" on AWS, as a target with the E2E variables of
// the environment. smoke.json is a seed with a project for it.
func deployed(path string, getenv func(string) string) (e2e.Target, outputs, error) {
	o, err := deployedOutputs(path)
	if err != nil {
		return e2e.Target{}, o, err
	}
	target, _, err := e2e.FromEnvironment(func(name string) string {
		switch name {
		case e2e.WebSocketURLVariable:
			return o.WebSocketURL
		case e2e.HTTPURLVariable:
			return o.HTTPURL
		}
		return getenv(name)
	})
	target.ReportGuesses = true
	return target, o, err
}

// deployedOutputs are the outputs that make deploy wrote to path.
func deployedOutputs(path string) (outputs, error) {
	o, err := readOutputs(path)
	if errors.Is(err, os.ErrNotExist) {
		return o, fmt.Errorf("%w: run make deploy first", err)
	}
	return o, err
}

// smoke runs the conversations against the stack that is deployed on AWS. What AWS does
// not document cannot fail it.
func smoke(ctx context.Context, getenv func(string) string, out io.Writer) error {
	target, o, err := deployed(outputsPath, getenv)
	if err != nil {
		return err
	}
	s := steps{folder: ".build/deploy/smoke", out: out}
	if err := emptyFolder(s.folder); err != nil {
		return err
	}
	report, err := s.runConversations(ctx, target)
	if err != nil {
		return err
	}
	printReport(out, o.WebSocketURL, report)
	return os.RemoveAll(s.folder)
}
