package hub_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store/storetest"
)

// subscribed enters clients of ann that number their commands, "k0" and so on, into left:x. Their
// subscriptions end in a minute.
func (r *rig) subscribed(t *testing.T, count int) hub.Channel {
	t.Helper()
	// Occupancy would be read with the same operation as a connection.
	if err := r.store.PutCategory(t.Context(), projectID, hub.Category{ID: "8", Name: "left", CategoryOptions: hub.CategoryOptions{UnsubscribeEvents: true}}); err != nil {
		t.Fatal(err)
	}
	r.now = r.now.Add(time.Minute) // what was cached is too old
	p := r.project(t)
	ch := p.Locate(in("left:x")[0])
	for n := range count {
		c := hub.Connection{
			ID: fmt.Sprint("k", n), Project: projectID, User: "ann", Protocol: hub.Centrifugo, Secret: p.SecretID(), Expires: r.now.Add(time.Hour), Channels: map[hub.Channel]int{ch: 0},
		}
		if err := storetest.Enter(t.Context(), r.store.Store, c); err != nil {
			t.Fatal(err)
		}
		if ok, err := r.store.RenewSubscriber(t.Context(), hub.Gone{Connection: c.ID, Channel: ch}, r.now.Add(time.Minute), nil); err != nil || !ok {
			t.Fatal(ok, err)
		}
	}
	return ch
}

// expectTold checks that the clients which have left a channel since the last call, and only these,
// were told and reported, each once. It returns how many they are, and how many are left.
func (r *rig) expectTold(t *testing.T, ch hub.Channel, count int, why hub.Unsubscription, before map[string]bool) (ended, left int) {
	t.Helper()
	var told, reported, gone []string
	for _, n := range r.notices {
		if n.Kind != hub.Unsubscribed || n.Channel != ch || n.Code != why.Code || n.Reason != why.Reason {
			t.Errorf("notice %+v", n)
		}
		told = append(told, n.Connection)
	}
	for _, e := range r.events(t) {
		if e.Type != hub.UnsubscribeHook || e.Channel != ch || e.Ending != hub.Ending(why) {
			t.Errorf("event %+v", e)
		}
		reported = append(reported, e.Client.Connection)
	}
	r.notices = nil
	for n := range count {
		c, err := r.store.Connection(t.Context(), fmt.Sprint("k", n))
		if err != nil {
			t.Fatal(err)
		}
		if _, in := c.Channels[ch]; in {
			left++
		} else if !before[c.ID] {
			gone, before[c.ID] = append(gone, c.ID), true
		}
	}
	for _, ids := range [][]string{told, reported, gone} {
		slices.Sort(ids)
	}
	if diff := cmp.Diff(gone, told); diff != "" {
		t.Errorf("clients that were told (-left +told):\n%s", diff)
	}
	if diff := cmp.Diff(gone, reported); diff != "" {
		t.Errorf("clients that were reported (-left +reported):\n%s", diff)
	}
	return len(gone), left
}

// TestUnsubscribeOutOfTime ends the time of a call while it writes: it tells those that it has
// removed, and the next call removes the others.
func TestUnsubscribeOutOfTime(t *testing.T) {
	const count = 40
	r := newReporting(t)
	ch := r.subscribed(t, count)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r.store.Requests.Intercept = func(operation string, _ *http.Request) (*http.Response, error) {
		if operation == "TransactWriteItems" {
			cancel()
		}
		return nil, nil
	}
	gone := make(map[string]bool)
	unsubscribe := func(ctx context.Context) error {
		return r.UnsubscribeUser(ctx, r.project(t), "ann", hub.UnsubscribeRequest{From: hub.Selection{"left": {"x"}}})
	}
	if err := unsubscribe(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	r.store.Requests.Intercept = nil
	if ended, left := r.expectTold(t, ch, count, hub.UnsubscribedByServer, gone); ended == 0 || left == 0 {
		t.Errorf("%d have left in time, %d are left", ended, left)
	}
	if err := unsubscribe(t.Context()); err != nil {
		t.Error(err)
	}
	if _, left := r.expectTold(t, ch, count, hub.UnsubscribedByServer, gone); left != 0 {
		t.Errorf("%d are left", left)
	}
}

// TestExpiredOfMany finds more expired subscriptions than it can read: those that it has read end,
// and the next message ends the others.
func TestExpiredOfMany(t *testing.T) {
	const count, chunk = 100, 32
	r := newReporting(t)
	ch := r.subscribed(t, count)
	r.now = r.now.Add(time.Minute)
	publish := func() {
		t.Helper()
		if _, err := r.Publish(t.Context(), r.project(t), ch, json.RawMessage(`1`), hub.PublishOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	gone := make(map[string]bool)
	restore := r.interrupt("GetItem", chunk)
	publish()
	restore()
	if ended, left := r.expectTold(t, ch, count, hub.UnsubscribedExpired, gone); ended != chunk || left != count-chunk {
		t.Errorf("%d have left, %d are left", ended, left)
	}
	if log := r.log.String(); !strings.Contains(log, fmt.Sprintf("%d failures, such as: ", count-chunk)) || strings.Count(log, "read connection") != 1 {
		t.Errorf("logged %s", log)
	}
	publish()
	if ended, left := r.expectTold(t, ch, count, hub.UnsubscribedExpired, gone); ended != count-chunk || left != 0 {
		t.Errorf("then %d have left, %d are left", ended, left)
	}
}

// TestExpiredWithoutConnection finds an expired subscription whose connection does not exist. It is
// removed, and not read again.
func TestExpiredWithoutConnection(t *testing.T) {
	r := newReporting(t)
	ch := r.subscribed(t, 1)
	if err := r.store.FinishClose(t.Context(), []hub.Connection{{ID: "k0"}}); err != nil {
		t.Fatal(err)
	}
	r.now = r.now.Add(time.Minute)
	queries := 0
	var mu sync.Mutex
	r.store.Requests.Intercept = func(operation string, _ *http.Request) (*http.Response, error) {
		mu.Lock()
		defer mu.Unlock()
		if operation == "Query" {
			queries++
		}
		return nil, nil
	}
	if _, err := r.Publish(t.Context(), r.project(t), ch, json.RawMessage(`1`), hub.PublishOptions{}); err != nil {
		t.Fatal(err)
	}
	r.store.Requests.Intercept = nil
	for page, err := range r.store.Subscribers(t.Context(), ch, 0) {
		if err != nil || len(page) > 0 {
			t.Errorf("%v remain, error %v", page, err)
		}
	}
	if queries != 2 { // the project and the subscribers
		t.Errorf("%d queries", queries)
	}
}

// TestEventsOfExpiredServerSubscription closes the connection of a subscription that its client did
// not ask for.
func TestEventsOfExpiredServerSubscription(t *testing.T) {
	r := newReporting(t)
	r.insecure(t)
	if err := r.Connect(t.Context(), hub.Handshake{Connection: conn, Project: projectID}); err != nil {
		t.Fatal(err)
	}
	s, err := r.Session(t.Context(), by(conn), 1, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Login(t.Context(), hub.Login{Number: 1}); err != nil {
		t.Fatal(err)
	}
	if err := s.Proceed(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, ends := range map[string]time.Time{"brief": r.now.Add(time.Minute), "long": r.now.Add(time.Hour)} {
		if err := r.SubscribeUser(t.Context(), r.project(t), "", hub.SubscribeRequest{Client: conn, Channel: hub.Channel{Category: "told", Name: name}, Expires: ends}); err != nil {
			t.Fatal(err)
		}
	}
	r.expectTypes(t, hub.OccupiedHook, hub.OccupiedHook)
	r.now = r.now.Add(time.Minute)
	if _, err := r.Publish(t.Context(), r.project(t), hub.Channel{Project: projectID, Category: "told", Name: "brief"}, json.RawMessage(`1`), hub.PublishOptions{}); err != nil {
		t.Fatal(err)
	}
	endings := make(map[string]hub.Ending)
	for _, e := range r.events(t) {
		endings[strings.TrimSpace(string(e.Type)+" "+e.Channel.Name)] = e.Ending
	}
	want := map[string]hub.Ending{
		"unsubscribe brief": {Code: 2501, Reason: "subscription expired"}, "unsubscribe long": {Code: 1, Reason: "disconnect"},
		"disconnect": {Code: 3006, Reason: "subscription expired"}, "vacated brief": {}, "vacated long": {},
	}
	if diff := cmp.Diff(want, endings); diff != "" || !slices.Equal(r.disconnected, []string{conn}) {
		t.Errorf("closed %v, events %v (-want +got):\n%s", r.disconnected, slices.Sorted(maps.Keys(endings)), diff)
	}
}
