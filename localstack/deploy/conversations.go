package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"centrifuge/localstack/e2e"
)

// runConversations runs all conversations against a target with the test of package
// e2e, and returns its report.
func (s steps) runConversations(ctx context.Context, target e2e.Target) (e2e.Report, error) {
	var report e2e.Report
	environment, err := target.Environment()
	if err != nil {
		return report, err
	}
	path, err := filepath.Abs(filepath.Join(s.folder, "report.json"))
	if err != nil {
		return report, fmt.Errorf("report of the conversations: %w", err)
	}
	environment = append(append(os.Environ(), environment...), e2e.ReportVariable+"="+path)
	_, err = s.run("conversations", func(log io.Writer) error {
		return runProgram(ctx, log, environment, "go", "test", "-count=1", "-timeout=5m", "-run=^TestConversations$", "./localstack/e2e")
	})
	if err != nil {
		return report, err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return report, fmt.Errorf("report of the conversations: %w", err)
	}
	if err := json.Unmarshal(content, &report); err != nil {
		return report, fmt.Errorf("report of the conversations: %w", err)
	}
	if report.Run == 0 || report.Run != report.Scripts {
		return report, fmt.Errorf("%d of %d conversations were run", report.Run, report.Scripts)
	}
	return report, nil
}

// printReport prints how many conversations passed and which parts were skipped.
func printReport(out io.Writer, name string, report e2e.Report) {
	fmt.Fprintf(out, "%d of %d conversations passed on %s.\n", report.Run, report.Scripts, name)
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

// smoke runs the conversations against the stack that is deployed on AWS, with the
// project of the environment. smoke.json is a seed with such a project.
func smoke(ctx context.Context, getenv func(string) string, out io.Writer) error {
	const path = ".build/outputs.json"
	o, err := readOutputs(path)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: run make deploy first", err)
	}
	if err != nil {
		return err
	}
	s := steps{folder: ".build/deploy/smoke", out: out}
	if err := emptyFolder(s.folder); err != nil {
		return err
	}
	report, err := s.runConversations(ctx, e2e.Target{
		WebSocketURL: o.WebSocketURL, HTTPURL: o.HTTPURL,
		Project: getenv(e2e.ProjectVariable), Secret: getenv(e2e.SecretVariable), APIKey: getenv(e2e.APIKeyVariable),
	})
	if err != nil {
		return err
	}
	printReport(out, o.WebSocketURL, report)
	return os.RemoveAll(s.folder)
}
