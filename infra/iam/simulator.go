package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// decision is what the simulator says about a request.
type decision struct {
	// Result is "Allowed", "ImplicitlyDenied" or "ExplicitlyDenied".
	Result string
	// Error is why the simulator does not take the request: for example, the action has
	// no such resource.
	Error string
	// Ignored are keys of the context that the action does not have.
	Ignored []string
}

func (d decision) allowed() bool { return d.Result == "Allowed" }

// simulate returns the decision about each request. folder has the simulator.
func simulate(ctx context.Context, folder string, all []request) ([]decision, error) {
	input, err := json.Marshal(all)
	if err != nil {
		return nil, err
	}
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, "node", filepath.Join(folder, "simulate.mjs")) //nolint:gosec // the folder is an argument of this command
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &output, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	var decisions []decision
	if err := json.Unmarshal(output.Bytes(), &decisions); err != nil {
		return nil, fmt.Errorf("read the decisions: %w", err)
	}
	if len(decisions) != len(all) {
		return nil, fmt.Errorf("%d decisions about %d requests", len(decisions), len(all))
	}
	return decisions, nil
}
