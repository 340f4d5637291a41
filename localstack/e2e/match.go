package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
)

// match compares a received JSON document with an expected one. It returns captures
// with the new ones added, or an error with the difference.
func match(want, got string, captures map[string]any) (map[string]any, error) {
	var w, g any
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		return nil, fmt.Errorf("the expected document is not JSON: %w: %s", err, want)
	}
	if err := json.Unmarshal([]byte(got), &g); err != nil {
		return nil, fmt.Errorf("the received document is not JSON: %w: %q", err, got)
	}
	found := maps.Clone(captures)
	if found == nil {
		found = make(map[string]any)
	}
	if diff := cmp.Diff(resolve(w, g, found), g); diff != "" {
		return nil, fmt.Errorf("-expected +received:\n%s", diff)
	}
	return found, nil
}

// resolve returns want with its wildcards and captures replaced by values: those of
// got, and those that were captured before.
func resolve(want, got any, captures map[string]any) any {
	switch w := want.(type) {
	case string:
		if w == "*" {
			return got
		}
		if strings.HasPrefix(w, "$") && len(w) > 1 {
			if value, ok := captures[w]; ok {
				return value
			}
			captures[w] = got
			return got
		}
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return want
		}
		out := make(map[string]any, len(w))
		for _, key := range slices.Sorted(maps.Keys(w)) {
			value, found := g[key]
			if !found && w[key] == "*" {
				out[key] = "*" // a wildcard does not match a missing key
				continue
			}
			out[key] = resolve(w[key], value, captures)
		}
		return out
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return want
		}
		out := make([]any, len(w))
		for i := range w {
			out[i] = resolve(w[i], g[i], captures)
		}
		return out
	}
	return want
}
