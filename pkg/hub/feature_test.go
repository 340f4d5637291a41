package hub_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/hub"
)

// enter opens a connection, authenticates it and subscribes it.
func (r *rig) enter(t *testing.T, connection, user string, to hub.Selection) {
	t.Helper()
	if err := r.Connect(t.Context(), hub.Handshake{Connection: connection}); err != nil {
		t.Fatal(err)
	}
	id := hub.Identity{User: user, Info: json.RawMessage(`{"n":1}`)}
	if err := r.Authenticate(t.Context(), hub.Credentials{
		Connection: connection, Protocol: hub.Classic, Project: projectID, User: user, Token: token(t, id), Permissions: all,
	}); err != nil {
		t.Fatal(err)
	}
	if refused, err := r.Subscribe(t.Context(), connection, to); err != nil || len(refused) > 0 {
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

// send publishes as the application does.
func (r *rig) send(t *testing.T, category, data string) error {
	t.Helper()
	_, err := r.Publish(t.Context(), r.project(t), hub.Publication{Category: category, Channel: "x", Data: json.RawMessage(data)}, "")
	return err
}

func TestWhoComesAndGoesIsTold(t *testing.T) {
	room, open := hub.Selection{"room": {"x"}}, hub.Selection{"open": {"x"}}
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, r *rig) error
		told []string
	}{
		{"a subscribe, to everybody with the one who came", func(t *testing.T, r *rig) error {
			r.enter(t, "c3", "w", room)
			return nil
		}, []string{"join room:x c3 to c1 c2 c3"}},
		{"a subscribe to what one is in already tells nothing", func(t *testing.T, r *rig) error {
			_, err := r.Subscribe(t.Context(), "c2", room)
			return err
		}, nil},
		{"a category without join_leave tells nothing", func(t *testing.T, r *rig) error {
			r.enter(t, "c3", "w", open)
			return r.Hub.Disconnect(t.Context(), "c3")
		}, nil},
		{"an unsubscribe", func(t *testing.T, r *rig) error {
			return r.Unsubscribe(t.Context(), "c2", room)
		}, []string{"leave room:x c2 to c1"}},
		{"an unsubscribe from what one is not in tells nothing", func(t *testing.T, r *rig) error {
			return r.Unsubscribe(t.Context(), "c2", hub.Selection{"room": {"y"}})
		}, nil},
		{"a disconnect, once", func(t *testing.T, r *rig) error {
			return errors.Join(r.Hub.Disconnect(t.Context(), "c2"), r.Hub.Disconnect(t.Context(), "c2"))
		}, []string{"leave room:x c2 to c1"}},
		{"an application that takes a user out", func(t *testing.T, r *rig) error {
			return r.UnsubscribeUser(t.Context(), r.project(t), "v", nil)
		}, []string{"leave room:x c2 to c1"}},
		{"an application that disconnects a user", func(t *testing.T, r *rig) error {
			return r.DisconnectUser(t.Context(), r.project(t), "v")
		}, []string{"leave room:x c2 to c1"}},
		{"a connection that died in silence, once a message finds it", func(t *testing.T, r *rig) error {
			r.over = []string{"c2"}
			return errors.Join(r.send(t, "room", `1`), r.send(t, "room", `2`))
		}, []string{"leave room:x c2 to c1"}},
		{"one found by a message in another channel", func(t *testing.T, r *rig) error {
			if _, err := r.Subscribe(t.Context(), "c2", open); err != nil {
				return err
			}
			r.over = []string{"c2"}
			return r.publish(t, "")
		}, []string{"leave room:x c2 to c1"}},
		{"one who is somebody else now, after a token has expired", func(t *testing.T, r *rig) error {
			short := hub.Identity{User: "w", Expires: r.now.Add(time.Minute)}
			if err := r.Connect(t.Context(), hub.Handshake{Connection: "c3"}); err != nil {
				return err
			}
			auth := func(id hub.Identity) error {
				return r.Authenticate(t.Context(), hub.Credentials{
					Connection: "c3", Protocol: hub.Classic, Project: projectID, User: id.User, Token: token(t, id), Permissions: all,
				})
			}
			if err := auth(short); err != nil {
				return err
			}
			if _, err := r.Subscribe(t.Context(), "c3", room); err != nil {
				return err
			}
			r.now = r.now.Add(time.Minute)
			return auth(hub.Identity{User: "x"})
		}, []string{"join room:x c3 to c1 c2 c3", "leave room:x c3 to c1 c2"}},
		{"one found by telling of another", func(t *testing.T, r *rig) error {
			r.over = []string{"c2"}
			r.enter(t, "c3", "w", room)
			return nil
		}, []string{"join room:x c3 to c1 c3", "leave room:x c2 to c1 c3"}},
		{"all of many that died together, to whoever is left alone", func(t *testing.T, r *rig) error {
			r.enter(t, "c3", "w", room)
			r.told = nil
			r.over = []string{"c2", "c3"}
			return r.send(t, "room", `1`)
		}, []string{"leave room:x c2 to c1", "leave room:x c3 to c1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, hub.ProjectOptions{})
			r.enter(t, "c1", "u", room)
			r.enter(t, "c2", "v", room)
			r.told = nil
			if err := tt.do(t, r); err != nil {
				t.Fatal(err)
			}
			slices.Sort(r.told) // they are told side by side
			if diff := cmp.Diff(tt.told, r.told); diff != "" {
				t.Errorf("-want +told\n%s", diff)
			}
		})
	}
}

func TestTheFeed(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{Origins: []string{"https://good.example"}})
	feed := hub.Selection{"": {"feed"}}
	watch := func(r *rig, connection string, granted *hub.Permissions) (hub.Selection, error) {
		t.Helper()
		// The pages of administrators are on an origin that the project does not list.
		if err := r.Connect(t.Context(), hub.Handshake{Connection: connection, Origin: "https://admin.example"}); err != nil {
			t.Fatal(err)
		}
		if err := r.Authenticate(t.Context(), hub.Credentials{
			Connection: connection, Protocol: hub.Classic, Project: projectID,
			Token: token(t, hub.Identity{Permissions: granted}), Permissions: all,
		}); err != nil {
			return nil, err
		}
		return r.Subscribe(t.Context(), connection, feed)
	}
	granted := confirmed(hub.Permissions{Feed: true})
	if refused, err := watch(r, "admin", &granted); err != nil || len(refused) > 0 {
		t.Fatalf("refused %v, error %v", refused, err)
	}

	t.Run("gets the messages of watched categories, whoever sent them", func(t *testing.T) {
		r.enter(t, "c1", "u", hub.Selection{"watched": {"x"}, "open": {"x"}})
		if err := r.send(t, "watched", `1`); err != nil || !slices.Equal(r.received, []string{"c1", "admin"}) {
			t.Errorf("%v received, error %v", r.received, err)
		}
		err := r.Broadcast(t.Context(), "c1", hub.Publication{Category: "watched", Channel: "y", Data: json.RawMessage(`{}`)})
		if err != nil || !slices.Equal(r.received, []string{"admin"}) {
			t.Errorf("%v received, error %v", r.received, err)
		}
	})
	t.Run("gets no others", func(t *testing.T) {
		if err := r.send(t, "open", `1`); err != nil || !slices.Equal(r.received, []string{"c1"}) {
			t.Errorf("%v received, error %v", r.received, err)
		}
	})
	t.Run("is not counted as a channel", func(t *testing.T) {
		usage, err := r.Usage(t.Context(), r.project(t), "")
		if _, listed := usage.Subscribers[hub.Feed(projectID)]; err != nil || listed {
			t.Errorf("%v, error %v", usage.Subscribers, err)
		}
	})
	t.Run("takes no messages", func(t *testing.T) {
		_, err := r.Publish(t.Context(), r.project(t), hub.Publication{Channel: "feed", Data: json.RawMessage(`1`)}, "")
		if !errors.Is(err, hub.ErrCategoryNotFound) {
			t.Errorf("published: error %v", err)
		}
		err = r.Broadcast(t.Context(), "admin", hub.Publication{Channel: "feed", Data: json.RawMessage(`{}`)})
		if !errors.Is(err, hub.ErrCategoryDenied) {
			t.Errorf("broadcast: error %v", err)
		}
	})
	everything := confirmed(hub.Permissions{Everything: true})
	named := confirmed(hub.Permissions{Categories: map[string]hub.Grant{"": {Whole: true}}})
	for name, granted := range map[string]*hub.Permissions{
		"is not part of everything": &everything, "is not granted by its name": &named,
	} {
		t.Run(name, func(t *testing.T) {
			if refused, err := watch(newRig(t, hub.ProjectOptions{}), "c", granted); err != nil || !slices.Equal(refused[""], feed[""]) {
				t.Errorf("refused %v, error %v", refused, err)
			}
		})
	}
	t.Run("cannot be wished for, whatever the application answers", func(t *testing.T) {
		r := newRig(t, hub.ProjectOptions{ValidateURL: "https://example.com/validate"})
		r.answer = hub.Answer{Permissions: granted.Narrow(granted)}
		if err := r.Connect(t.Context(), hub.Handshake{Connection: "c"}); err != nil {
			t.Fatal(err)
		}
		if err := r.Authenticate(t.Context(), hub.Credentials{
			Connection: "c", Protocol: hub.Classic, Project: projectID, User: "u", Token: token(t, hub.Identity{User: "u"}), Permissions: granted,
		}); err != nil {
			t.Fatal(err)
		}
		if refused, err := r.Subscribe(t.Context(), "c", feed); err != nil || !slices.Equal(refused[""], feed[""]) {
			t.Errorf("refused %v, error %v", refused, err)
		}
	})
	t.Run("has one channel", func(t *testing.T) {
		if _, err := r.Subscribe(t.Context(), "admin", hub.Selection{"": {"other"}}); !errors.Is(err, hub.ErrBadRequest) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("does not open a project to another origin that is granted more", func(t *testing.T) {
		r := newRig(t, hub.ProjectOptions{Origins: []string{"https://good.example"}})
		more := confirmed(hub.Permissions{Feed: true, Categories: map[string]hub.Grant{"open": {Whole: true}}})
		if err := r.Connect(t.Context(), hub.Handshake{Connection: "c", Origin: "https://admin.example"}); err != nil {
			t.Fatal(err)
		}
		err := r.Authenticate(t.Context(), hub.Credentials{
			Connection: "c", Protocol: hub.Classic, Project: projectID, Token: token(t, hub.Identity{Permissions: &more}),
		})
		if !errors.Is(err, hub.ErrPermissionDenied) {
			t.Errorf("error %v", err)
		}
	})
}

func TestClientPresence(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	r.enter(t, "c1", "u", hub.Selection{"room": {"x"}})
	r.enter(t, "c2", "v", hub.Selection{"room": {"x"}, "open": {"x"}})
	t.Run("names everybody in a channel", func(t *testing.T) {
		clients, err := r.ClientPresence(t.Context(), "c1", "room", "x")
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
		{"not before auth", "c3", "room", "x", hub.ErrUnauthorized},
		{"not of a category without presence", "c1", "open", "x", hub.ErrNotAvailable},
		{"not of a category that does not exist", "c1", "none", "x", hub.ErrCategoryDenied},
		{"not of the feed", "c1", "", "feed", hub.ErrCategoryDenied},
		{"not of a private category without a grant", "c1", "closed", "x", hub.ErrCategoryDenied},
		{"not of a channel without a name", "c1", "room", "", hub.ErrBadRequest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := r.ClientPresence(t.Context(), tt.connection, tt.category, tt.channel); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
	t.Run("not of a channel that was not granted", func(t *testing.T) {
		if err := r.Authenticate(t.Context(), hub.Credentials{
			Connection: "c3", Protocol: hub.Classic, Project: projectID, User: "w", Token: token(t, hub.Identity{User: "w", Permissions: &only}),
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.ClientPresence(t.Context(), "c3", "room", "x"); !errors.Is(err, hub.ErrChannelDenied) {
			t.Errorf("error %v", err)
		}
	})
}

func TestWhoIsThereFitsIntoAnAnswer(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	info := json.RawMessage(`"` + strings.Repeat("x", hub.MaxInfoBytes-2) + `"`)
	for n := range 40 { // 160 KB
		c := hub.Connection{ID: fmt.Sprint("c", n), Project: projectID, User: "u", Info: info, Expires: r.now.Add(time.Hour)}
		if err := r.store.OpenConnection(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if _, err := r.store.Authenticate(t.Context(), c, r.now); err != nil {
			t.Fatal(err)
		}
		if err := r.store.Subscribe(t.Context(), c, map[hub.Channel]int{{Project: projectID, Category: "room", Name: "big"}: 1}); err != nil {
			t.Fatal(err)
		}
	}
	r.enter(t, "asks", "v", hub.Selection{"room": {"x"}})
	if _, err := r.ClientPresence(t.Context(), "asks", "room", "big"); !errors.Is(err, hub.ErrLimitExceeded) {
		t.Errorf("a client: error %v", err)
	}
	clients, err := r.Presence(t.Context(), r.project(t), hub.Channel{Project: projectID, Category: "room", Name: "big"})
	if len(clients) != 40 || err != nil {
		t.Errorf("an application: %d clients, error %v", len(clients), err)
	}
}

func TestMessagesAreCounted(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	r.enter(t, "c1", "u", hub.Selection{"open": {"x"}})
	r.enter(t, "c2", "v", hub.Selection{"open": {"x"}, "room": {"x"}})
	began := r.now
	for _, step := range []func() error{
		func() error { return r.publish(t, "") },
		func() error { return r.send(t, "room", `1`) },
		func() error { r.now = r.now.Add(time.Minute); return r.publish(t, "") },
		func() error {
			return r.Broadcast(t.Context(), "c1", hub.Publication{Category: "open", Channel: "x", Data: json.RawMessage(`{}`)})
		},
		func() error { // what was refused is no message
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

func TestHooksGetWhatWasDelivered(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	broken := errors.New("the table is gone")
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
	if len(r.emitted) != 1 || r.emitted[0].Channel.String() != "hooked:x" || string(r.emitted[0].Data) != `{"a":1}` {
		t.Errorf("emitted %+v", r.emitted)
	}
}

func TestDataIsCleaned(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	if err := r.send(t, "cleaned", `"<b>"`); err != nil || r.data != `"clean for example.com: 5"` {
		t.Errorf("sent %s, error %v", r.data, err)
	}
	// 27 bytes are within the limit of 30, and would be without cleaning.
	if err := r.send(t, "cleaned", `"`+strings.Repeat("x", 29)+`"`); !errors.Is(err, hub.ErrTooLarge) {
		t.Errorf("error %v", err)
	}
	r.Clean = func(json.RawMessage, []string) (json.RawMessage, error) {
		return json.RawMessage(`"` + strings.Repeat("&amp;", 10) + `"`), nil
	}
	if err := r.send(t, "cleaned", `"&&&&&&&&&&"`); !errors.Is(err, hub.ErrTooLarge) {
		t.Errorf("what cleaning makes too long is sent: error %v", err)
	}
}
