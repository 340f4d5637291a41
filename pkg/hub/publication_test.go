package hub_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/hub"
)

// stream creates a category whose messages are kept, emitted and shown to administrators, and
// returns a function that publishes in its channel kept:x.
func (r *rig) stream(t *testing.T) (ch hub.Channel, publish func(data int) (hub.Published, error)) {
	t.Helper()
	if err := r.store.PutCategory(t.Context(), projectID, hub.Category{ID: "7", Name: "kept", CategoryOptions: hub.CategoryOptions{
		Hooks: true, PublishToAdmins: true, HistorySize: 100, HistoryTTL: hub.Duration(time.Hour),
	}}); err != nil {
		t.Fatal(err)
	}
	p, err := r.store.Project(t.Context(), projectID)
	if err != nil {
		t.Fatal(err)
	}
	ch = p.Locate(hub.Channel{Project: projectID, Category: "kept", Name: "x"})
	return ch, func(data int) (hub.Published, error) {
		return r.Publish(t.Context(), p, ch, json.RawMessage(fmt.Sprint(data)), hub.PublishOptions{})
	}
}

// takeInvoked returns the channels for which a dispatcher was invoked since the last call.
func (r *rig) takeInvoked() []hub.Channel {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.invoked
	r.invoked = nil
	return taken
}

// checkOrder holds what was posted, watched and emitted to the history of a stream, which has n
// publications.
func (r *rig) checkOrder(t *testing.T, ch hub.Channel, n int) {
	t.Helper()
	p, err := r.store.Project(t.Context(), projectID)
	if err != nil {
		t.Fatal(err)
	}
	kept, top, err := r.History(t.Context(), p, ch, hub.HistoryQuery{Limit: -1})
	if err != nil || len(kept) != n || top.Offset != uint64(n) { //nolint:gosec // it is not negative
		t.Fatalf("the history has %d messages up to offset %d, error %v, expected %d", len(kept), top.Offset, err, n)
	}
	lines := func(messages []hub.Message) (lines []string) {
		for _, m := range messages {
			lines = append(lines, fmt.Sprintf("%d %s: %s is %s", m.Position.Offset, m.Position.Epoch, m.ID, m.Data))
		}
		return lines
	}
	for _, got := range []struct {
		to       string
		messages []hub.Message
	}{{"subscribers", r.posted}, {"the event hooks", r.emitted}} {
		if diff := cmp.Diff(lines(kept), lines(got.messages)); diff != "" {
			t.Errorf("to %s, -history +sent:\n%s", got.to, diff)
		}
	}
	var shown, fed []hub.FeedEntry
	for _, m := range kept {
		shown = append(shown, hub.FeedEntry{Category: ch.Category, Channel: ch.Name, ID: m.ID, Text: string(m.Data)})
	}
	for _, m := range r.watched {
		var entry hub.FeedEntry
		if err := json.Unmarshal(m.Data, &entry); err != nil || m.Channel != hub.Feed(projectID) || m.Position != (hub.Position{}) {
			t.Fatalf("in the feed is %+v, error %v", m, err)
		}
		fed = append(fed, entry)
	}
	if diff := cmp.Diff(shown, fed); diff != "" {
		t.Errorf("to the feed, -history +sent:\n%s", diff)
	}
}

// TestStreamOrderOfConcurrentPublishers publishes from several places at the same time, while
// the dispatchers run that they invoke.
func TestStreamOrderOfConcurrentPublishers(t *testing.T) {
	const publishers, each = 6, 8
	r := newRig(t, hub.ProjectOptions{})
	ch, publish := r.stream(t)
	var running sync.WaitGroup
	drain := func(by int) {
		for i, invoked := range r.takeInvoked() {
			if err := r.DispatchStream(t.Context(), invoked, fmt.Sprintf("request %d %d", by, i)); err != nil {
				t.Error(err)
			}
		}
	}
	for i := range publishers {
		running.Go(func() {
			for j := range each {
				if _, err := publish(i*each + j); err != nil {
					t.Error(err)
				}
				drain(i*each + j)
			}
		})
	}
	running.Wait()
	drain(publishers * each)
	r.checkOrder(t, ch, publishers*each)
}

// TestStreamOrderOfBatch makes the dispatch of the first message fail after others were
// appended: the dispatcher that these invoke sends all in one batch.
func TestStreamOrderOfBatch(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	ch, publish := r.stream(t)
	var batch []int
	r.during = func() {
		r.during = nil
		var running sync.WaitGroup
		for i := range 4 {
			running.Go(func() {
				if _, err := publish(1 + i); err != nil {
					t.Error(err)
				}
			})
		}
		running.Wait()
		r.failure = errors.New("no post was begun")
	}
	if _, err := publish(0); err != nil { // the dispatcher that it invokes repeats the dispatch
		t.Fatal(err)
	}
	if len(r.posted)+len(r.watched)+len(r.emitted) > 0 {
		t.Fatalf("%d messages were posted, %d watched and %d emitted before the dispatcher ran", len(r.posted), len(r.watched), len(r.emitted))
	}
	r.failure = nil
	r.during = func() { batch = append(batch, len(r.posted)) }
	if invoked := r.takeInvoked(); !slices.Contains(invoked, ch) {
		t.Fatalf("invoked %v", invoked)
	}
	if err := r.DispatchStream(t.Context(), ch, "request"); err != nil {
		t.Fatal(err)
	}
	// One dispatch to the subscribers, one to the feed.
	if diff := cmp.Diff([]int{0, 5}, batch); diff != "" {
		t.Errorf("posted before each dispatch, -expected +got:\n%s", diff)
	}
	r.checkOrder(t, ch, 5)
}
