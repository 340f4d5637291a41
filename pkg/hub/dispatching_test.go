package hub

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDispatchingLearns gives the results of batches, one after the other.
func TestDispatchingLearns(t *testing.T) {
	many := make([]string, maxStalled+1)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	gone := func(connections ...string) (all []Gone) {
		for _, c := range connections {
			all = append(all, Gone{Connection: c})
		}
		return all
	}
	var cleaned []Gone
	d := &dispatching{clean: func(_ context.Context, gone []Gone, ended []Ended) {
		cleaned = append(cleaned, gone...)
		for _, e := range ended {
			cleaned = append(cleaned, e.Gone)
		}
	}}
	for _, step := range []struct {
		name          string
		channel, feed Result
		stalled       []string
		cleaned       []Gone
	}{
		{"nothing", Result{}, Result{}, nil, nil},
		{"a stalled connection, and one that is gone", Result{Stalled: []string{"a"}, Gone: gone("g")}, Result{}, []string{"a"}, gone("g")},
		{"the same, and the feed's", Result{Stalled: []string{"a"}, Gone: gone("g")}, Result{Stalled: []string{"f"}, Gone: gone("h")}, []string{"a"}, gone("h")},
		{"it has recovered, and a right has ended", Result{Ended: []Ended{{Gone: Gone{Connection: "e"}}}}, Result{}, nil, gone("e")},
		{"the account is at its quota", Result{Stalled: many}, Result{}, nil, nil},
	} {
		cleaned = nil
		d.learn(t.Context(), step.channel, step.feed)
		if diff := cmp.Diff(step.stalled, d.stalled); diff != "" {
			t.Errorf("%s: -want +stalled\n%s", step.name, diff)
		}
		if diff := cmp.Diff(step.cleaned, cleaned); diff != "" {
			t.Errorf("%s: -want +cleaned\n%s", step.name, diff)
		}
	}
}
