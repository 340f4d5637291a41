package stack_test

import (
	"strings"
	"testing"

	"centrifuge/infra/stack"

	"github.com/google/go-cmp/cmp"
)

func TestReadOptions(t *testing.T) {
	defaults := stack.Options{Stage: "dev", Retain: true, Assets: ".build", Architecture: "arm64"}
	for _, test := range []struct {
		name    string
		context map[string]any
		want    stack.Options
		err     string
	}{
		{name: "nothing given means the defaults", want: defaults},
		{
			name: "the command line gives strings",
			context: map[string]any{
				"stage": "prod", "demo": "true", "retain": "false", "assets": "out", "architecture": "x86_64",
			},
			want: stack.Options{Stage: "prod", Demo: true, Assets: "out", Architecture: "x86_64"},
		},
		{
			name:    "cdk.json gives booleans",
			context: map[string]any{"demo": true, "retain": false},
			want:    stack.Options{Stage: "dev", Demo: true, Assets: ".build", Architecture: "arm64"},
		},
		{name: "other keys are somebody else's", context: map[string]any{"cli-telemetry": false}, want: defaults},
		{name: "a stage that would not fit into the stack's name", context: map[string]any{"stage": "my_stage"}, err: "stage"},
		{name: "an empty stage", context: map[string]any{"stage": ""}, err: "stage"},
		{name: "a stage of 65 letters", context: map[string]any{"stage": strings.Repeat("a", 65)}, err: "stage"},
		{name: "a stage that is a number", context: map[string]any{"stage": 1.0}, err: "stage"},
		{name: "demo that is a word", context: map[string]any{"demo": "yes please"}, err: "demo"},
		{name: "retain that is null in disguise", context: map[string]any{"retain": ""}, err: "retain"},
		{name: "assets nowhere", context: map[string]any{"assets": ""}, err: "assets"},
		{name: "an unknown architecture", context: map[string]any{"architecture": "riscv"}, err: "architecture"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := stack.ReadOptions(func(key string) any { return test.context[key] })
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), "context "+test.err+" ") {
					t.Fatalf("the error is %v, want one about %s", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
