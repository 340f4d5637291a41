package stack_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestReservedConcurrency checks which functions have concurrent executions for
// themselves: with the option those that wait for applications, without it none.
func TestReservedConcurrency(t *testing.T) {
	for stage, want := range map[string]map[string]any{
		"plain": {},
		"full":  {"auth": 20.0, "message": 20.0, "webhook": 20.0},
	} {
		got := map[string]any{}
		for name, f := range load(t, stage).functions(t) {
			if n := f.at("ReservedConcurrentExecutions"); n != nil {
				got[name] = n
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", stage, diff)
		}
	}
}
