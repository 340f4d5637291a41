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

// converse plays all conversations against a target with the test of package e2e,
// and returns what it reports.
func (s steps) converse(ctx context.Context, target e2e.Target) (e2e.Report, error) {
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
	_, err = s.do("conversations", func(log io.Writer) error {
		return run(ctx, log, environment, "go", "test", "-count=1", "-timeout=5m", "-run=^TestConversations$", "./localstack/e2e")
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
	if report.Played == 0 || report.Played != report.Scripts {
		return report, fmt.Errorf("%d of %d conversations were played", report.Played, report.Scripts)
	}
	return report, nil
}

// tell prints what was played, and what could not be.
func tell(out io.Writer, name string, report e2e.Report) {
	fmt.Fprintf(out, "%d of %d conversations passed on %s.\n", report.Played, report.Scripts, name)
	if len(report.Gaps) == 0 {
		return
	}
	passedOver := 0
	for _, gap := range report.Gaps {
		passedOver += gap.Steps
	}
	fmt.Fprintf(out, "Parts of them that cannot be played there and were passed over: %d, with %d steps.\n", len(report.Gaps), passedOver)
	for _, gap := range report.Gaps {
		fmt.Fprintf(out, "  %s, line %d, %s, steps: %d. %s.\n", gap.Script, gap.Line, gap.Part, gap.Steps, gap.Reason)
	}
}

// smoke plays the conversations against what is deployed on AWS. The project is
// that of the environment; smoke.json is a seed for one.
func smoke(ctx context.Context, getenv func(string) string, out io.Writer) error {
	const path = ".build/outputs.json"
	o, err := readOutputs(path)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: make deploy writes them", err)
	}
	if err != nil {
		return err
	}
	s := steps{folder: ".build/deploy/smoke", out: out}
	if err := emptyFolder(s.folder); err != nil {
		return err
	}
	report, err := s.converse(ctx, e2e.Target{
		WebSocketURL: o.WebSocketURL, HTTPURL: o.HTTPURL,
		Project: getenv(e2e.ProjectVariable), Secret: getenv(e2e.SecretVariable), APIKey: getenv(e2e.APIKeyVariable),
	})
	if err != nil {
		return err
	}
	tell(out, o.WebSocketURL, report)
	return os.RemoveAll(s.folder)
}
