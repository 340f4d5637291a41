package hub_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"centrifuge/pkg/hub"
)

// newReporting returns a rig whose project and category "told" have all events.
func newReporting(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, hub.ProjectOptions{DisconnectEvents: true})
	if err := r.store.PutCategory(t.Context(), projectID, hub.Category{ID: "7", Name: "told", CategoryOptions: hub.CategoryOptions{
		UnsubscribeEvents: true, OccupancyEvents: true, Bidirectional: true,
	}}); err != nil {
		t.Fatal(err)
	}
	return r
}

// events are the events that were reported since the last call, without what is the same in all.
// Their ids must differ.
func (r *rig) events(t *testing.T) []hub.HookEvent {
	t.Helper()
	events := r.reported
	r.reported = nil
	ids := make(map[string]bool)
	for _, e := range events {
		if !regexp.MustCompile(`^[0-9a-f]{24}$`).MatchString(e.ID) || ids[e.ID] || !e.Time.Equal(r.now) || e.Project != projectID || e.ProjectName != "P" {
			t.Errorf("event %+v", e)
		}
		ids[e.ID] = true
	}
	return events
}

// expectEvents compares events without their ids, times and projects.
func (r *rig) expectEvents(t *testing.T, want ...hub.HookEvent) {
	t.Helper()
	if diff := cmp.Diff(want, r.events(t), cmpopts.IgnoreFields(hub.HookEvent{}, "ID", "Time", "Project", "ProjectName"), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// expectTypes compares the types of events.
func (r *rig) expectTypes(t *testing.T, want ...hub.HookType) {
	t.Helper()
	var types []hub.HookType
	for _, e := range r.events(t) {
		types = append(types, e.Type)
	}
	if diff := cmp.Diff(want, types); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestEvents(t *testing.T) {
	r := newReporting(t)
	p := r.project(t)
	x := p.Locate(hub.Channel{Project: projectID, Category: "told", Name: "x"})
	client := func(id, user string) hub.Client {
		return hub.Client{Connection: id, User: user, Info: json.RawMessage(`{"n":1}`)}
	}
	first := uint64(r.now.UnixMilli()) //nolint:gosec // a time of today
	occupied := func(n uint64) hub.HookEvent {
		return hub.HookEvent{Type: hub.OccupiedHook, Channel: x, CategoryID: "7", Sequence: first + n}
	}
	vacated := func(n uint64) hub.HookEvent {
		return hub.HookEvent{Type: hub.VacatedHook, Channel: x, CategoryID: "7", Sequence: first + n}
	}
	unsubscribed := func(id, user string, code int, reason string) hub.HookEvent {
		return hub.HookEvent{Type: hub.UnsubscribeHook, Channel: x, CategoryID: "7", Client: client(id, user), Ending: hub.Ending{Code: code, Reason: reason}}
	}
	disconnected := func(id, user string, code int, reason string) hub.HookEvent {
		return hub.HookEvent{Type: hub.DisconnectHook, Client: client(id, user), Ending: hub.Ending{Code: code, Reason: reason}}
	}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}

	r.enter(t, "a", "ann")
	r.expectEvents(t)
	_, err := r.Subscribe(t.Context(), by("a"), in("told:x", "open:x"))
	check(err)
	r.expectEvents(t, occupied(1))
	_, err = r.Subscribe(t.Context(), by("a"), in("told:x")) // again
	check(err)
	r.enter(t, "b", "bob", "told:x")
	r.expectEvents(t)

	check(r.Unsubscribe(t.Context(), by("a"), in("told:x", "open:x")))
	r.expectEvents(t, unsubscribed("a", "ann", 0, "client unsubscribe"))
	check(r.Unsubscribe(t.Context(), by("a"), in("told:x"))) // again
	r.expectEvents(t)
	check(r.UnsubscribeUser(t.Context(), p, "bob", hub.UnsubscribeRequest{}))
	r.expectEvents(t, unsubscribed("b", "bob", 2000, "server unsubscribe"), vacated(2))

	_, err = r.Subscribe(t.Context(), by("a"), in("told:x"))
	check(err)
	r.expectEvents(t, occupied(3))
	check(r.Disconnect(t.Context(), "a", hub.Ending{Code: 1001, Reason: "Going\x00 away\xff"}))
	r.expectEvents(t, unsubscribed("a", "ann", 1, "disconnect"), disconnected("a", "ann", 1001, "Going away"), vacated(4))
	check(r.Disconnect(t.Context(), "a", hub.Ending{Code: 1001})) // again
	r.expectEvents(t)

	check(r.DisconnectUser(t.Context(), p, "bob", hub.DisconnectRequest{Code: 4000, Reason: "bye"}))
	r.expectEvents(t, disconnected("b", "bob", 4000, "bye"))

	r.enter(t, "c", "cid", "told:x")
	r.expectEvents(t, occupied(5))
	r.gone = []string{"c"}
	_, err = r.Publish(t.Context(), p, hub.Channel{Project: projectID, Category: "told", Name: "x"}, json.RawMessage(`1`), hub.PublishOptions{})
	check(err)
	r.expectEvents(t, unsubscribed("c", "cid", 1, "disconnect"), disconnected("c", "cid", 0, "connection lost"), vacated(6))

	check(r.Connect(t.Context(), hub.Handshake{Connection: "d"}))
	check(r.Disconnect(t.Context(), "d", hub.Ending{Code: 1006}))
	r.expectEvents(t)
}

// TestEventsOfNumberedCommands uses the other protocol.
func TestEventsOfNumberedCommands(t *testing.T) {
	r := newReporting(t)
	ch := hub.Channel{Category: "told", Name: "x"}
	if err := r.Connect(t.Context(), hub.Handshake{Connection: conn, Project: projectID}); err != nil {
		t.Fatal(err)
	}
	r.insecure(t)
	x := r.project(t).Locate(hub.Channel{Project: projectID, Category: "told", Name: "x"})
	numbered := func(login bool, do func(*hub.Session)) {
		t.Helper()
		s, err := r.Session(t.Context(), by(conn), 1, login)
		if err != nil {
			t.Fatal(err)
		}
		do(s)
		if err := s.Proceed(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	numbered(true, func(s *hub.Session) {
		if _, err := s.Login(t.Context(), hub.Login{Number: 1}); err != nil {
			t.Fatal(err)
		}
	})
	numbered(false, func(s *hub.Session) {
		if o := s.Subscribe(t.Context(), []hub.SubscribeCommand{{Number: 2, Channel: ch}}); o[0].Err != nil {
			t.Fatal(o[0].Err)
		}
		if s.Pending() {
			t.Error("an event changes how the reply is sent")
		}
	})
	numbered(false, func(s *hub.Session) {
		if err := s.Unsubscribe(t.Context(), 3, ch); err != nil {
			t.Fatal(err)
		}
	})
	if err := r.Terminate(t.Context(), conn, hub.DisconnectExpired); err != nil {
		t.Fatal(err)
	}
	first := uint64(r.now.UnixMilli()) //nolint:gosec // a time of today
	client := hub.Client{Connection: conn}
	r.expectEvents(
		t,
		hub.HookEvent{Type: hub.OccupiedHook, Channel: x, CategoryID: "7", Sequence: first + 1},
		hub.HookEvent{Type: hub.UnsubscribeHook, Channel: x, CategoryID: "7", Client: client, Ending: hub.Ending{Reason: "client unsubscribe"}},
		hub.HookEvent{Type: hub.VacatedHook, Channel: x, CategoryID: "7", Sequence: first + 2},
		hub.HookEvent{Type: hub.DisconnectHook, Client: client, Ending: hub.Ending{Code: 3005, Reason: "connection expired"}},
	)
}

// numbered carries out commands of a frame of a client that numbers them, with their reply.
func (r *rig) numbered(t *testing.T, login bool, do func(*hub.Session)) {
	t.Helper()
	s, err := r.Session(t.Context(), by(conn), 1, login)
	if err != nil {
		t.Fatal(err)
	}
	do(s)
	if err := s.Proceed(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// insecure makes the project insecure.
func (r *rig) insecure(t *testing.T) {
	t.Helper()
	p := r.project(t)
	p.Options.Insecure = true
	if err := r.store.PutProject(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	r.now = r.now.Add(time.Minute) // what was cached is too old
}

// newNumbered is newReporting with a connection that numbers its commands, and may do everything.
func newNumbered(t *testing.T) *rig {
	t.Helper()
	r := newReporting(t)
	r.insecure(t)
	if err := r.Connect(t.Context(), hub.Handshake{Connection: conn, Project: projectID}); err != nil {
		t.Fatal(err)
	}
	r.numbered(t, true, func(s *hub.Session) {
		if _, err := s.Login(t.Context(), hub.Login{Number: 1}); err != nil {
			t.Fatal(err)
		}
	})
	return r
}

// TestOccupiedByRenewal renews a subscription that has expired, after its channel was vacated.
func TestOccupiedByRenewal(t *testing.T) {
	x := hub.Channel{Project: projectID, Category: "told", Name: "x"}
	authenticate := func(t *testing.T, r *rig) error {
		return r.auth(t, hub.Identity{User: "ann", Expires: r.now.Add(time.Minute)}, all)
	}
	classic := func(t *testing.T) *rig {
		r := newReporting(t)
		r.open(t)
		if err := authenticate(t, r); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Subscribe(t.Context(), by(conn), in("told:x")); err != nil {
			t.Fatal(err)
		}
		return r
	}
	subscribeUser := func(t *testing.T, r *rig) error {
		return r.SubscribeUser(t.Context(), r.project(t), "", hub.SubscribeRequest{Client: conn, Channel: x, Expires: r.now.Add(time.Minute)})
	}
	numbered := func(t *testing.T) *rig {
		r := newNumbered(t)
		if err := subscribeUser(t, r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, tt := range []struct {
		name  string
		begin func(*testing.T) *rig
		renew func(*testing.T, *rig) error
		want  []hub.HookType
	}{
		{"an auth", classic, authenticate, []hub.HookType{hub.OccupiedHook}},
		{"an auth and a subscribe", classic, func(t *testing.T, r *rig) error {
			if err := authenticate(t, r); err != nil {
				return err
			}
			_, err := r.Subscribe(t.Context(), by(conn), in("told:x"))
			return err
		}, []hub.HookType{hub.OccupiedHook}},
		{"a subscribe of a client that numbers its commands", numbered, func(t *testing.T, r *rig) (err error) {
			r.numbered(t, false, func(s *hub.Session) {
				err = s.Subscribe(t.Context(), []hub.SubscribeCommand{{Number: 2, Channel: x}})[0].Err
			})
			return err
		}, []hub.HookType{hub.OccupiedHook}},
		{"a subscribe by the application", numbered, subscribeUser, []hub.HookType{hub.OccupiedHook}},
		{"a refresh of the connection, which does not renew the end of the subscription", numbered, func(t *testing.T, r *rig) error {
			return r.RefreshUser(t.Context(), r.project(t), "", hub.RefreshRequest{Client: conn, Expires: r.now.Add(time.Hour)})
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := tt.begin(t)
			r.enter(t, "b", "bob", "told:x")
			r.expectTypes(t, hub.OccupiedHook)
			r.now = r.now.Add(2 * time.Minute)
			if err := r.Unsubscribe(t.Context(), by("b"), in("told:x")); err != nil {
				t.Fatal(err)
			}
			r.expectTypes(t, hub.UnsubscribeHook, hub.VacatedHook)
			if err := tt.renew(t, r); err != nil {
				t.Fatal(err)
			}
			r.expectTypes(t, tt.want...)
		})
	}
}

// TestSubscribeThatFails fails after some subscriptions were written: they are announced, and their
// channels are occupied.
func TestSubscribeThatFails(t *testing.T) {
	for _, tt := range []struct {
		name     string
		channels int // that are no streams; one more is one
		fails    func(operation string, n int, inStream bool) bool
		written  int
	}{
		{"a second transaction is refused", 109, func(operation string, n int, _ bool) bool { return operation == "TransactWriteItems" && n == 2 }, 99},
		{
			"a stream cannot be read, and its subscription not be withdrawn", 2,
			func(operation string, n int, inStream bool) bool {
				return inStream || operation == "TransactWriteItems" && n == 2
			}, 3,
		},
		{"a stream cannot be read", 2, func(_ string, _ int, inStream bool) bool { return inStream }, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newNumbered(t)
			for _, c := range []hub.Category{
				{ID: "8", Name: "kept", CategoryOptions: hub.CategoryOptions{
					OccupancyEvents: true, JoinLeave: true, HistorySize: 1, HistoryTTL: hub.Duration(time.Minute),
				}},
				{ID: "9", Name: "met", CategoryOptions: hub.CategoryOptions{OccupancyEvents: true, JoinLeave: true}},
			} {
				if err := r.store.PutCategory(t.Context(), projectID, c); err != nil {
					t.Fatal(err)
				}
			}
			r.now = r.now.Add(time.Minute) // what was cached is too old
			requests := []hub.SubscribeCommand{{Number: 2, Channel: hub.Channel{Category: "kept", Name: "x"}}}
			for n := range tt.channels {
				requests = append(requests, hub.SubscribeCommand{Number: uint32(n + 3), Channel: hub.Channel{Category: "met", Name: strconv.Itoa(n)}}) //nolint:gosec // few
			}
			var transactions atomic.Int64
			r.store.Requests.Intercept = func(operation string, q *http.Request) (*http.Response, error) {
				n := 0
				if operation == "TransactWriteItems" {
					n = int(transactions.Add(1))
				}
				if tt.fails(operation, n, partitioned(t, q, "H#")) {
					return refusal(q), nil
				}
				return nil, nil
			}
			r.numbered(t, false, func(s *hub.Session) {
				if o := s.Subscribe(t.Context(), requests); o[0].Err == nil {
					t.Error("subscribed to the stream")
				}
				r.store.Requests.Intercept = nil
			})
			if len(r.announced) != tt.written {
				t.Errorf("%d joins are announced, expected %d", len(r.announced), tt.written)
			}
			r.expectTypes(t, slices.Repeat([]hub.HookType{hub.OccupiedHook}, tt.written)...)
		})
	}
}

// TestVacatedByWithdrawal lets the last subscriber leave while another one subscribes to a stream
// that cannot be read: that subscription is withdrawn, and vacates the channel.
func TestVacatedByWithdrawal(t *testing.T) {
	r := newReporting(t)
	if err := r.store.PutCategory(t.Context(), projectID, hub.Category{ID: "8", Name: "kept", CategoryOptions: hub.CategoryOptions{
		OccupancyEvents: true, HistorySize: 1, HistoryTTL: hub.Duration(time.Minute),
	}}); err != nil {
		t.Fatal(err)
	}
	r.insecure(t)
	r.hub(t, impatient(r.store, r.clock))
	r.enter(t, "a", "ann", "kept:x")
	if err := r.Connect(t.Context(), hub.Handshake{Connection: conn, Project: projectID}); err != nil {
		t.Fatal(err)
	}
	s, err := r.Session(t.Context(), by(conn), 2, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Login(t.Context(), hub.Login{Number: 1}); err != nil {
		t.Fatal(err)
	}
	left := false
	r.store.Requests.Intercept = func(_ string, q *http.Request) (*http.Response, error) {
		if !partitioned(t, q, "H#") {
			return nil, nil
		}
		if !left {
			left = true
			if err := r.Unsubscribe(t.Context(), by("a"), in("kept:x")); err != nil {
				t.Error(err)
			}
		}
		return nil, errors.New("throttled")
	}
	if o := s.Subscribe(t.Context(), []hub.SubscribeCommand{{Number: 2, Channel: hub.Channel{Category: "kept", Name: "x"}}}); o[0].Err == nil {
		t.Error("subscribed to a stream that cannot be read")
	}
	r.store.Requests.Intercept = nil
	r.expectTypes(t, hub.OccupiedHook, hub.VacatedHook)
}

// TestOccupiedTooLate removes a subscription, and checks, before its subscriber has occupied the
// channel: who has occupied it checks again.
func TestOccupiedTooLate(t *testing.T) {
	r := newReporting(t)
	r.enter(t, "a", "ann")
	closed := false
	r.store.Requests.Intercept = func(operation string, q *http.Request) (*http.Response, error) {
		if operation == "UpdateItem" && !closed && partitioned(t, q, "O#") {
			closed = true
			return nil, r.Disconnect(t.Context(), "a", hub.Ending{})
		}
		return nil, nil
	}
	if _, err := r.Subscribe(t.Context(), by("a"), in("told:x")); err != nil {
		t.Fatal(err)
	}
	r.store.Requests.Intercept = nil
	r.expectTypes(t, hub.UnsubscribeHook, hub.DisconnectHook, hub.OccupiedHook, hub.VacatedHook)
}

// TestCheckDisturbed removes two subscriptions, of which one is recorded after the check has found
// none: the check begins again.
func TestCheckDisturbed(t *testing.T) {
	r := newReporting(t)
	p := r.project(t)
	r.enter(t, "a", "ann", "told:x")
	r.enter(t, "b", "bob")
	written, recorded, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	updates := make(chan int, 3)
	updates <- 1
	r.store.Requests.Intercept = func(operation string, q *http.Request) (*http.Response, error) {
		if operation != "UpdateItem" || !partitioned(t, q, "O#") {
			return nil, nil
		}
		switch n := <-updates; n {
		case 1: // b is about to record its subscription
			updates <- 2
			close(written)
			<-recorded
		case 2: // the check is about to vacate the channel
			updates <- 3
			close(recorded)
			<-ended
		default:
			updates <- n
		}
		return nil, nil
	}
	go func() {
		defer close(ended)
		if _, err := r.Subscribe(t.Context(), by("b"), in("told:x")); err != nil {
			t.Error(err)
		}
	}()
	<-written
	if err := r.Unsubscribe(t.Context(), by("a"), in("told:x")); err != nil {
		t.Error(err)
	}
	if err := r.UnsubscribeUser(t.Context(), p, "bob", hub.UnsubscribeRequest{}); err != nil {
		t.Error(err)
	}
	<-ended
	r.store.Requests.Intercept = nil
	r.expectTypes(t, hub.OccupiedHook, hub.UnsubscribeHook, hub.UnsubscribeHook, hub.VacatedHook)
}

// TestVacatedByNextMessage ends subscriptions that nobody removes: the next message finds none, in a
// stream too.
func TestVacatedByNextMessage(t *testing.T) {
	for _, history := range []int{0, 1} {
		t.Run(fmt.Sprintf("history of %d", history), func(t *testing.T) {
			r := newReporting(t)
			if err := r.store.PutCategory(t.Context(), projectID, hub.Category{ID: "8", Name: "quiet", CategoryOptions: hub.CategoryOptions{
				OccupancyEvents: true, HistorySize: history, HistoryTTL: hub.Duration(time.Duration(history) * time.Hour),
			}}); err != nil {
				t.Fatal(err)
			}
			r.enter(t, "a", "ann", "quiet:x")
			r.now = r.now.Add(hub.MaxConnectionAge + time.Minute)
			publish := func() {
				t.Helper()
				if _, err := r.Publish(t.Context(), r.project(t), hub.Channel{Project: projectID, Category: "quiet", Name: "x"}, json.RawMessage(`1`), hub.PublishOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			if n := len(r.reported); n != 1 {
				t.Errorf("%d events before the message", n)
			}
			r.reported = nil
			publish()
			publish()
			if events := r.events(t); len(events) != 1 || events[0].Type != hub.VacatedHook || events[0].CategoryID != "8" {
				t.Errorf("events %+v", events)
			}
		})
	}
}

// TestEventsByDefault does what the events are about, without their options.
func TestEventsByDefault(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	r.enter(t, "a", "ann", "open:x", "room:x")
	p := r.project(t)
	p.Options.DisconnectEvents = true // too late for this connection
	if err := r.store.PutProject(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	r.now = r.now.Add(time.Minute)
	if err := r.Unsubscribe(t.Context(), by("a"), in("open:x")); err != nil {
		t.Fatal(err)
	}
	if err := r.Disconnect(t.Context(), "a", hub.Ending{Code: 1000}); err != nil {
		t.Fatal(err)
	}
	r.expectEvents(t)
}

// TestEventRepeated closes a connection whose closing was interrupted: the events are emitted
// again, under the same ids.
func TestEventRepeated(t *testing.T) {
	r := newReporting(t)
	r.enter(t, "a", "ann", "told:x")
	r.events(t)
	r.store.Requests.Intercept = func(operation string, _ *http.Request) (*http.Response, error) {
		if operation == "BatchWriteItem" {
			return nil, errors.New("the invocation dies")
		}
		return nil, nil
	}
	if err := r.Disconnect(t.Context(), "a", hub.Ending{Code: 1001}); err == nil {
		t.Fatal("no error")
	}
	r.store.Requests.Intercept = nil
	ids := func() (ids []string) {
		for _, e := range r.events(t) {
			if e.Type != hub.VacatedHook {
				ids = append(ids, string(e.Type)+" "+e.ID)
			}
		}
		return ids
	}
	before := ids()
	r.now = r.now.Add(hub.CloseLease + time.Second)
	if err := r.Disconnect(t.Context(), "a", hub.Ending{Code: 1001}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, ids()); diff != "" || len(before) != 2 {
		t.Errorf("(-first +second):\n%s", diff)
	}
}

// TestOccupancyFailure lets every request about the occupancy fail: commands do not, and the
// failure is logged.
func TestOccupancyFailure(t *testing.T) {
	r := newReporting(t)
	r.enter(t, "a", "ann")
	r.hub(t, impatient(r.store, r.clock))
	r.store.Requests.Intercept = func(_ string, q *http.Request) (*http.Response, error) {
		if partitioned(t, q, "O#") {
			return nil, errors.New("throttled")
		}
		return nil, nil
	}
	if _, err := r.Subscribe(t.Context(), by("a"), in("told:x")); err != nil {
		t.Error(err)
	}
	if err := r.Unsubscribe(t.Context(), by("a"), in("told:x")); err != nil {
		t.Error(err)
	}
	r.store.Requests.Intercept = nil
	if n := strings.Count(r.log.String(), `msg="report occupancy failed" project=p channel=told:x`); n != 2 {
		t.Errorf("%d failures are logged, want 2: %s", n, &r.log)
	}
	for _, e := range r.events(t) {
		if e.Type != hub.UnsubscribeHook {
			t.Errorf("event %+v", e)
		}
	}
}

// partitioned reports whether a request names a partition that begins so.
func partitioned(t *testing.T, q *http.Request, prefix string) bool {
	t.Helper()
	body, err := io.ReadAll(q.Body)
	if err != nil {
		t.Error(err)
	}
	q.Body = io.NopCloser(bytes.NewReader(body))
	return bytes.Contains(body, []byte(`"`+prefix))
}
