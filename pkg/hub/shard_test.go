package hub

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestShardOf checks that the hash does not change: stored subscriptions depend on it.
func TestShardOf(t *testing.T) {
	got := []int{shardOf("", 64), shardOf("a", 64), shardOf("Zf3kLcXoIAMCJHQ=", 64), shardOf("Zf3kLcXoIAMCJHQ=", 0), shardOf("connection-1", 64)}
	if diff := cmp.Diff([]int{34, 22, 22, 0, 43}, got); diff != "" {
		t.Error(diff)
	}
}
