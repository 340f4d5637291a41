package hub_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store/storetest"
)

// enter opens a connection, authenticates it and subscribes it.
func (r *rig) enter(t *testing.T, connection, user string, channels ...string) {
	t.Helper()
	if err := r.Connect(t.Context(), hub.Handshake{Connection: connection}); err != nil {
		t.Fatal(err)
	}
	id := hub.Identity{User: user, Info: json.RawMessage(`{"n":1}`)}
	if _, err := r.Authenticate(t.Context(), hub.Credentials{
		Command: by(connection), Protocol: hub.Classic, Project: projectID, User: user, Token: token(t, id), Permissions: all,
	}); err != nil {
		t.Fatal(err)
	}
	if refused, err := r.Subscribe(t.Context(), by(connection), in(channels...)); err != nil || len(refused) > 0 {
		t.Fatalf("refused %v, error %v", refused, err)
	}
}

func (r *rig) project(t *testing.T) *hub.Project {
	t.Helper()
	p, err := r.store.Project(t.Context(), projectID)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// send publishes as an application, to channel x of a category.
func (r *rig) send(t *testing.T, category, data string) error {
	t.Helper()
	_, err := r.Publish(t.Context(), r.project(t), hub.Channel{Project: projectID, Category: category, Name: "x"}, json.RawMessage(data), hub.PublishOptions{})
	return err
}

func TestJoinsAndLeaves(t *testing.T) {
	const room, open = "room:x", "open:x"
	for _, tt := range []struct {
		name      string
		do        func(t *testing.T, r *rig) error
		announced []string
	}{
		{"a subscribe", func(t *testing.T, r *rig) error {
			r.enter(t, "c3", "w", room)
			return nil
		}, []string{"join room:x c3 to c1 c2 c3"}},
		{"a repeated subscribe", func(t *testing.T, r *rig) error {
			_, err := r.Subscribe(t.Context(), by("c2"), in(room))
			return err
		}, nil},
		{"a category without join_leave", func(t *testing.T, r *rig) error {
			r.enter(t, "c3", "w", open)
			return r.Disconnect(t.Context(), "c3", hub.Ending{Code: 1001, Reason: "Going away"})
		}, nil},
		{"an unsubscribe", func(t *testing.T, r *rig) error {
			return r.Unsubscribe(t.Context(), by("c2"), in(room))
		}, []string{"leave room:x c2 to c1"}},
		{"an unsubscribe from another channel", func(t *testing.T, r *rig) error {
			return r.Unsubscribe(t.Context(), by("c2"), in("room:y"))
		}, nil},
		{"a repeated disconnect", func(t *testing.T, r *rig) error {
			return errors.Join(r.Disconnect(t.Context(), "c2", hub.Ending{Code: 1001, Reason: "Going away"}), r.Disconnect(t.Context(), "c2", hub.Ending{Code: 1001, Reason: "Going away"}))
		}, []string{"leave room:x c2 to c1"}},
		{"an application unsubscribes a user", func(t *testing.T, r *rig) error {
			return r.UnsubscribeUser(t.Context(), r.project(t), "v", hub.UnsubscribeRequest{})
		}, []string{"leave room:x c2 to c1"}},
		{"an application disconnects a user", func(t *testing.T, r *rig) error {
			return r.DisconnectUser(t.Context(), r.project(t), "v", hub.DisconnectRequest{})
		}, []string{"leave room:x c2 to c1"}},
		{"a connection that a message finds gone", func(t *testing.T, r *rig) error {
			r.gone = []string{"c2"}
			return errors.Join(r.send(t, "room", `1`), r.send(t, "room", `2`))
		}, []string{"leave room:x c2 to c1"}},
		{"a connection that a message in another channel finds gone", func(t *testing.T, r *rig) error {
			if _, err := r.Subscribe(t.Context(), by("c2"), in(open)); err != nil {
				return err
			}
			r.gone = []string{"c2"}
			return r.publish(t, "")
		}, []string{"leave room:x c2 to c1"}},
		{"a connection with a new identity, after its token has expired", func(t *testing.T, r *rig) error {
			short := hub.Identity{User: "w", Expires: r.now.Add(time.Minute)}
			if err := r.Connect(t.Context(), hub.Handshake{Connection: "c3"}); err != nil {
				return err
			}
			auth := func(id hub.Identity) error {
				_, err := r.Authenticate(t.Context(), hub.Credentials{
					Command: by("c3"), Protocol: hub.Classic, Project: projectID, User: id.User, Token: token(t, id), Permissions: all,
				})
				return err
			}
			if err := auth(short); err != nil {
				return err
			}
			if _, err := r.Subscribe(t.Context(), by("c3"), in(room)); err != nil {
				return err
			}
			r.now = r.now.Add(time.Minute)
			return auth(hub.Identity{User: "x"})
		}, []string{"join room:x c3 to c1 c2 c3", "leave room:x c3 to c1 c2"}},
		{"a connection that an announcement finds gone", func(t *testing.T, r *rig) error {
			r.gone = []string{"c2"}
			r.enter(t, "c3", "w", room)
			return nil
		}, []string{"join room:x c3 to c1 c3", "leave room:x c2 to c1 c3"}},
		{"several connections that are gone", func(t *testing.T, r *rig) error {
			r.enter(t, "c3", "w", room)
			r.announced = nil
			r.gone = []string{"c2", "c3"}
			return r.send(t, "room", `1`)
		}, []string{"leave room:x c2 to c1", "leave room:x c3 to c1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, hub.ProjectOptions{})
			r.enter(t, "c1", "u", room)
			r.enter(t, "c2", "v", room)
			r.announced = nil
			if err := tt.do(t, r); err != nil {
				t.Fatal(err)
			}
			slices.Sort(r.announced) // they are sent concurrently
			if diff := cmp.Diff(tt.announced, r.announced); diff != "" {
				t.Errorf("-want +announced\n%s", diff)
			}
		})
	}
}

func TestFeed(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{Origins: []string{"https://good.example"}})
	feed := hub.Feed(projectID)
	// The pages of administrators are on an origin that the project does not list.
	if err := storetest.Enter(t.Context(), r.store.Store, hub.Connection{
		ID: "admin", Origin: "https://admin.example", Expires: r.now.Add(hub.MaxConnectionAge), TokenExpires: r.now.Add(time.Hour),
		Project: projectID, Protocol: hub.Centrifugo, Batch: true, Permissions: hub.Permissions{Confirmed: true},
		Secret: r.project(t).SecretID(), AnyOrigin: true, Channels: map[hub.Channel]int{feed: 0},
	}); err != nil {
		t.Fatal(err)
	}
	r.enter(t, "c1", "u", "watched:x", "open:x")

	t.Run("message of an application in a watched category", func(t *testing.T) {
		result, err := r.Publish(t.Context(), r.project(t), hub.Channel{Project: projectID, Category: "watched", Name: "x"}, json.RawMessage(`1`), hub.PublishOptions{})
		if err != nil || !slices.Equal(r.fed, []string{"admin"}) {
			t.Errorf("%v received, error %v", r.fed, err)
		}
		if diff := cmp.Diff(hub.Result{Delivered: 1}, result.Result); diff != "" {
			t.Errorf("the result counts the feed: -want +got\n%s", diff)
		}
	})
	t.Run("message of a client in a watched category", func(t *testing.T) {
		r.fed = nil
		err := r.Broadcast(t.Context(), by("c1"), in("watched:y")[0], json.RawMessage(`{}`))
		if err != nil || !slices.Equal(r.fed, []string{"admin"}) {
			t.Errorf("%v received, error %v", r.fed, err)
		}
	})
	t.Run("message in another category", func(t *testing.T) {
		r.fed = nil
		if err := r.send(t, "open", `1`); err != nil || len(r.fed) > 0 {
			t.Errorf("%v received, error %v", r.fed, err)
		}
	})
	t.Run("unread subscribers of the feed", func(t *testing.T) {
		r.unread = map[hub.Channel][]hub.Unread{feed: {{Cause: "throttled"}}}
		defer func() { r.unread = nil }()
		if err := r.send(t, "watched", `1`); err != nil || !strings.Contains(r.log.String(), "dispatch to feed failed") {
			t.Errorf("error %v, log %s", err, &r.log)
		}
	})
	t.Run("usage without the feed", func(t *testing.T) {
		usage, err := r.Usage(t.Context(), r.project(t), "")
		if diff := cmp.Diff(map[hub.Channel]int{
			r.project(t).Locate(in("watched:x")[0]): 1, r.project(t).Locate(in("open:x")[0]): 1,
		}, usage.Subscribers); err != nil || diff != "" {
			t.Errorf("error %v, -want +got\n%s", err, diff)
		}
	})
	t.Run("publish and broadcast to the feed", func(t *testing.T) {
		if _, err := r.Publish(t.Context(), r.project(t), feed, json.RawMessage(`1`), hub.PublishOptions{}); !errors.Is(err, hub.ErrCategoryNotFound) {
			t.Errorf("publish: error %v", err)
		}
		if err := r.Broadcast(t.Context(), by("c1"), feed, json.RawMessage(`{}`)); !errors.Is(err, hub.ErrCategoryDenied) {
			t.Errorf("broadcast: error %v", err)
		}
	})
	t.Run("subscribe to the feed", func(t *testing.T) {
		refused, err := r.Subscribe(t.Context(), by("c1"), []hub.Channel{feed})
		if err != nil || !slices.Equal(names(refused), []string{feed.String()}) {
			t.Errorf("refused %v, error %v", refused, err)
		}
	})
	t.Run("category with the name of the feed", func(t *testing.T) {
		if err := (hub.Category{Name: feed.Category}).Validate(); !errors.Is(err, hub.ErrBadRequest) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("expired token", func(t *testing.T) {
		r.now, r.fed = r.now.Add(time.Hour), nil
		if err := r.send(t, "watched", `1`); err != nil || len(r.fed) > 0 {
			t.Errorf("%v received, error %v", r.fed, err)
		}
	})
}

// TestUnnamedCategory takes the category without a name through all that a classic client and an
// application do.
func TestUnnamedCategory(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	if err := r.store.PutCategory(t.Context(), projectID, hub.Category{ID: "7", CategoryOptions: hub.CategoryOptions{
		Bidirectional: true, Presence: true, JoinLeave: true, HistorySize: 10, HistoryTTL: hub.Duration(time.Minute),
	}}); err != nil {
		t.Fatal(err)
	}
	p, err := r.store.ReadProject(t.Context(), projectID)
	if err != nil {
		t.Fatal(err)
	}
	lobby := hub.Channel{Name: "lobby"}
	r.enter(t, "c1", "u", "room:lobby")
	if refused, err := r.Subscribe(t.Context(), by("c1"), []hub.Channel{lobby, {Name: "*"}}); err != nil || len(refused) > 0 {
		t.Fatal(refused, err)
	}
	if err := r.Broadcast(t.Context(), by("c1"), lobby, json.RawMessage(`1`)); err != nil {
		t.Fatal(err)
	}
	if got := r.posted[len(r.posted)-1]; got.Channel != p.Locate(lobby) || got.Channel.String() != "lobby" || got.Position.Offset != 1 || !slices.Equal(r.received, []string{"c1"}) {
		t.Errorf("%+v to %v", got, r.received)
	}
	history, top, err := r.History(t.Context(), p, lobby, hub.HistoryQuery{Limit: -1})
	if err != nil || len(history) != 1 || top.Offset != 1 {
		t.Errorf("history %v up to %v, %v", history, top, err)
	}
	stats, err := r.PresenceStats(t.Context(), p, lobby)
	if err != nil || stats != (hub.PresenceStats{Clients: 1, Users: 1}) {
		t.Errorf("%+v, %v", stats, err)
	}
	usage, err := r.Usage(t.Context(), p, "")
	if want := map[hub.Channel]int{p.Locate(lobby): 1, p.Locate(hub.Channel{Name: "*"}): 1, p.Locate(in("room:lobby")[0]): 1}; err != nil || !maps.Equal(usage.Subscribers, want) {
		t.Errorf("%v, %v", usage.Subscribers, err)
	}
	// An unsubscribe of the whole category leaves others.
	if err := r.UnsubscribeUser(t.Context(), p, "u", hub.UnsubscribeRequest{From: hub.Selection{"": nil}}); err != nil {
		t.Fatal(err)
	}
	c, err := r.store.Connection(t.Context(), "c1")
	if want := map[hub.Channel]int{p.Locate(in("room:lobby")[0]): 0}; err != nil || !maps.Equal(c.Channels, want) {
		t.Errorf("left in %v, %v", c.Channels, err)
	}
}

func TestClientPresence(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	r.enter(t, "c1", "u", "room:x")
	r.enter(t, "c2", "v", "room:x", "open:x")
	t.Run("all clients in a channel", func(t *testing.T) {
		clients, err := r.ClientPresence(t.Context(), by("c1"), in("room:x")[0])
		slices.SortFunc(clients, func(a, b hub.Client) int { return strings.Compare(a.Connection, b.Connection) })
		want := []hub.Client{{Connection: "c1", User: "u", Info: json.RawMessage(`{"n":1}`)}, {Connection: "c2", User: "v", Info: json.RawMessage(`{"n":1}`)}}
		if diff := cmp.Diff(want, clients); err != nil || diff != "" {
			t.Errorf("error %v, -want +got\n%s", err, diff)
		}
	})
	only := confirmed(hub.Permissions{Categories: map[string]hub.Grant{"room": {Channels: []string{"y"}}}})
	if err := r.Connect(t.Context(), hub.Handshake{Connection: "c3"}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, connection, category, channel string
		want                                error
	}{
		{"before auth", "c3", "room", "x", hub.ErrUnauthorized},
		{"category without presence", "c1", "open", "x", hub.ErrNotAvailable},
		{"category that does not exist", "c1", "none", "x", hub.ErrCategoryDenied},
		{"the feed", "c1", hub.Feed(projectID).Category, hub.Feed(projectID).Name, hub.ErrCategoryDenied},
		{"private category without a grant", "c1", "closed", "x", hub.ErrCategoryDenied},
		{"channel without a name", "c1", "room", "", hub.ErrBadRequest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := r.ClientPresence(t.Context(), by(tt.connection), hub.Channel{Category: tt.category, Name: tt.channel}); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
	t.Run("channel that is not granted", func(t *testing.T) {
		if _, err := r.Authenticate(t.Context(), hub.Credentials{
			Command: by("c3"), Protocol: hub.Classic, Project: projectID, User: "w", Token: token(t, hub.Identity{User: "w", Permissions: &only}),
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.ClientPresence(t.Context(), by("c3"), in("room:x")[0]); !errors.Is(err, hub.ErrChannelDenied) {
			t.Errorf("error %v", err)
		}
	})
}

func TestPresenceReplySizeLimit(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	info := json.RawMessage(`"` + strings.Repeat("x", hub.MaxInfoBytes-2) + `"`)
	big := r.project(t).Locate(hub.Channel{Category: "room", Name: "big"})
	const n = 160 // 160 KB
	for n := range n {
		c := hub.Connection{ID: fmt.Sprint("c", n), Project: projectID, User: "u", Info: info, Expires: r.now.Add(time.Hour)}
		c.Channels = map[hub.Channel]int{big: 0}
		if err := storetest.Enter(t.Context(), r.store.Store, c); err != nil {
			t.Fatal(err)
		}
	}
	r.enter(t, "asks", "v", "room:x")
	if _, err := r.ClientPresence(t.Context(), by("asks"), in("room:big")[0]); !errors.Is(err, hub.ErrLimitExceeded) {
		t.Errorf("a client: error %v", err)
	}
	clients, err := r.Presence(t.Context(), r.project(t), hub.Channel{Project: projectID, Category: "room", Name: "big"})
	if len(clients) != n || err != nil {
		t.Errorf("an application: %d clients, error %v", len(clients), err)
	}
}

func TestMessageCounts(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	r.enter(t, "c1", "u", "open:x")
	r.enter(t, "c2", "v", "open:x", "room:x")
	began := r.now
	for _, step := range []func() error{
		func() error { return r.publish(t, "") },
		func() error { return r.send(t, "room", `1`) },
		func() error { r.now = r.now.Add(time.Minute); return r.publish(t, "") },
		func() error {
			return r.Broadcast(t.Context(), by("c1"), in("open:x")[0], json.RawMessage(`{}`))
		},
		func() error { // a refused message does not count
			if err := r.send(t, "none", `1`); !errors.Is(err, hub.ErrCategoryNotFound) {
				return err
			}
			return nil
		},
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	counted, err := r.Counted(t.Context(), r.project(t), began)
	want := []hub.Counts{
		{Minute: began.Truncate(time.Minute).UTC(), Messages: 2, Deliveries: 3},
		{Minute: began.Add(time.Minute).Truncate(time.Minute).UTC(), Messages: 2, Deliveries: 4},
	}
	if diff := cmp.Diff(want, counted); err != nil || diff != "" {
		t.Errorf("error %v, -want +got\n%s", err, diff)
	}
}

func TestHooks(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	broken := errors.New("the table is missing")
	if err := r.send(t, "hooked", `{"a": 1}`); err != nil {
		t.Fatal(err)
	}
	if err := r.send(t, "open", `2`); err != nil {
		t.Fatal(err)
	}
	r.failure = broken
	if err := r.send(t, "hooked", `3`); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	r.failure, r.unread = nil, map[hub.Channel][]hub.Unread{r.project(t).Locate(in("hooked:x")[0]): {{Cause: "throttled"}}}
	if err := r.send(t, "hooked", `4`); err == nil || !strings.Contains(err.Error(), "throttled") {
		t.Fatal(err)
	}
	if len(r.emitted) != 1 || r.emitted[0].Channel.String() != "hooked:x" || string(r.emitted[0].Data) != `{"a":1}` {
		t.Errorf("emitted %+v", r.emitted)
	}
}

func TestCleanHTML(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	if err := r.send(t, "cleaned", `"<b>"`); err != nil || r.data != `"clean for example.com: 5"` {
		t.Errorf("sent %s, error %v", r.data, err)
	}
	// The limit of 30 bytes holds before cleaning and after it.
	for name, data := range map[string]string{"before": `"` + strings.Repeat("x", 29) + `"`, "after": `"` + strings.Repeat("&", 10) + `"`} {
		if err := r.send(t, "cleaned", data); !errors.Is(err, hub.ErrTooLarge) {
			t.Errorf("too long %s cleaning: error %v", name, err)
		}
	}
}

// TestPortableData publishes data that parsers read differently.
func TestPortableData(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	for _, tt := range []struct{ name, data, detail string }{
		{"a key twice", `{"a":1,"a":2}`, `data has the key "a" twice in one object`},
		{"101 levels", strings.Repeat("[", 101) + strings.Repeat("]", 101), "data is nested deeper than 100 levels"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, category := range []string{"cleaned", "hooked"} {
				data := tt.data
				if category == "cleaned" && len(data) > 30 {
					continue // the category takes 30 bytes
				}
				if err := r.send(t, category, data); !errors.Is(err, hub.ErrBadRequest) || hub.Public(err).Detail != tt.detail {
					t.Errorf("category %s: error %v, expected %q", category, err, tt.detail)
				}
			}
			if err := r.send(t, "open", tt.data); err != nil || r.data != tt.data {
				t.Errorf("a category that only passes on: sent %s, error %v", r.data, err)
			}
		})
	}
}

// TestPublishResult checks the result of a publish, and of its repetition.
func TestPublishResult(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	r.enter(t, "c1", "u", "open:x")
	r.enter(t, "c2", "v", "open:x")
	r.gone = []string{"c2"}
	for _, name := range []string{"first", "repeated"} {
		result, err := r.Publish(t.Context(), r.project(t), hub.Channel{Project: projectID, Category: "open", Name: "x"}, json.RawMessage(`1`), hub.PublishOptions{IdempotencyKey: "key"})
		if err != nil || result.Delivered != 1 {
			t.Errorf("%s: result %+v, error %v", name, result, err)
		}
	}
	if r.sent != 1 {
		t.Errorf("sent %d times", r.sent)
	}
}

// TestCleanup checks the requests that remove c1, which a post finds gone.
func TestCleanup(t *testing.T) {
	for _, tt := range []struct {
		name    string
		prepare func(t *testing.T, r *rig)
		sent    string
	}{
		{"a connection that names its subscriptions", func(t *testing.T, r *rig) {
			r.enter(t, "c1", "u", "open:x", "open:y")
		}, "1 BatchWriteItem, 1 Query, 2 UpdateItem"},
		{"a subscription without a connection, of an earlier version", func(t *testing.T, r *rig) {
			r.enter(t, "c1", "u", "open:x")
			// Closing removes the connection alone.
			c, _, err := r.store.BeginClose(t.Context(), "c1", r.now)
			if err != nil {
				t.Fatal(err)
			}
			c.Channels = nil
			if err := r.store.FinishClose(t.Context(), []hub.Connection{c}); err != nil {
				t.Fatal(err)
			}
		}, "1 BatchWriteItem, 1 Query, 2 UpdateItem"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, hub.ProjectOptions{})
			tt.prepare(t, r)
			r.gone = []string{"c1"}
			p := r.project(t)
			ch := p.Locate(in("open:x")[0])
			r.store.Requests.Sent()
			if _, err := r.Publish(t.Context(), p, ch, json.RawMessage(`1`), hub.PublishOptions{}); err != nil {
				t.Fatal(err)
			}
			// The publish reads subscribers and counts.
			if sent := r.store.Requests.Sent(); sent != tt.sent {
				t.Errorf("sent %s, want %s", sent, tt.sent)
			}
			for page, err := range r.store.Subscribers(t.Context(), ch, 0) {
				t.Errorf("%v remain, error %v", page, err)
			}
			if _, err := r.store.Connection(t.Context(), "c1"); !errors.Is(err, hub.ErrConnectionNotFound) {
				t.Errorf("the connection remains: error %v", err)
			}
			if strings.Contains(r.log.String(), "cleanup failed") {
				t.Error(r.log.String())
			}
		})
	}
}

// TestPublishOfCallerThatLeft cancels the context in the middle of a dispatch.
func TestPublishOfCallerThatLeft(t *testing.T) {
	ch := hub.Channel{Project: projectID, Category: "hooked", Name: "x"}
	for _, tt := range []struct {
		name    string
		failure error
		sent    int // with the repetition under the same key
		emitted int
	}{
		{"after a dispatch: settled, emitted, counted and cleaned up", nil, 1, 1},
		{"after a failure: released", errors.New("no answer"), 1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, hub.ProjectOptions{})
			r.enter(t, "c1", "u", "hooked:x")
			r.enter(t, "c2", "v", "hooked:x")
			r.gone, r.failure = []string{"c2"}, tt.failure
			ctx, cancel := context.WithCancel(t.Context())
			r.during = cancel
			p := r.project(t)
			if _, err := r.Publish(ctx, p, ch, json.RawMessage(`1`), hub.PublishOptions{IdempotencyKey: "key"}); !errors.Is(err, tt.failure) || err != nil && tt.failure == nil {
				t.Fatal(err)
			}
			if tt.failure == nil {
				if _, err := r.store.Connection(t.Context(), "c2"); !errors.Is(err, hub.ErrConnectionNotFound) {
					t.Errorf("the gone connection remains: error %v", err)
				}
			}
			r.failure, r.during = nil, nil
			result, err := r.Publish(t.Context(), p, ch, json.RawMessage(`1`), hub.PublishOptions{IdempotencyKey: "key"})
			if err != nil || result.Delivered != 1 || r.sent != tt.sent || len(r.emitted) != tt.emitted {
				t.Errorf("repeated: %+v, error %v, sent %d, emitted %d", result, err, r.sent, len(r.emitted))
			}
			counted, err := r.Counted(t.Context(), p, r.now)
			if err != nil || len(counted) != 1 || counted[0].Messages != 1 || counted[0].Deliveries != 1 {
				t.Errorf("counted %+v, error %v", counted, err)
			}
		})
	}
}

// TestFeedOfLargeMessages publishes what is hardly small enough for its channel. An entry of the
// feed that would be larger is cut.
func TestFeedOfLargeMessages(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	watched := r.project(t).Categories["watched"]
	watched.MaxMessageBytes = hub.MaxMessageBytes
	if err := r.store.PutCategory(t.Context(), projectID, watched); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, text string
		cut        bool
	}{
		{"120,000 letters", strings.Repeat("x", 120_000), false},
		{"60,000 escaped quotes", strings.Repeat(`\"`, 60_000), true},
		{"letters of three bytes", strings.Repeat("€", 42_500), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r.watched = nil
			text := `"` + tt.text + `"`
			if err := r.send(t, "watched", text); err != nil || len(r.watched) != 1 {
				t.Fatalf("%d messages in the feed, error %v", len(r.watched), err)
			}
			var entry hub.FeedEntry
			if err := json.Unmarshal(r.watched[0].Data, &entry); err != nil {
				t.Fatal(err)
			}
			if entry.Cut != tt.cut || !strings.HasPrefix(text, entry.Text) || len(entry.Text) < 40_000 || len(r.watched[0].Data) > hub.MaxMessageBytes-4<<10 {
				t.Errorf("cut %v, %d of %d bytes, %d encoded", entry.Cut, len(entry.Text), len(text), len(r.watched[0].Data))
			}
		})
	}
}
