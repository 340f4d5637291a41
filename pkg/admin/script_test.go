package admin_test

import (
	"os/exec"
	"testing"
)

// TestScriptJSON runs json.js in Node.
func TestScriptJSON(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatalf("Node.js is required: %v", err)
	}
	if output, err := exec.CommandContext(t.Context(), node, "testdata/json.mjs").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}
