package hub_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store"
)

func granting(channels ...string) *hub.Permissions {
	p := confirmed(hub.Permissions{Categories: map[string]hub.Grant{"room": {Channels: channels}}})
	return &p
}

// TestTokenRenewal sends a second auth on a connection of user u that is in room:a and room:b
// with a JWT of one minute, and then publishes to both, before and after the minute.
func TestTokenRenewal(t *testing.T) {
	type identity = hub.Identity
	start := time.Unix(1_800_000_000, 0)
	short := identity{User: "u", Permissions: granting("a", "b"), Expires: start.Add(time.Minute), Info: json.RawMessage(`{"v":1}`)}
	for _, tt := range []struct {
		name    string
		project string
		auth    identity
		token   string // "" for that of auth
		fails   error
		refused []string
		before  []string // channels in which it receives before the minute is over
		after   []string // and after it
	}{
		{name: "the same user with a later end", auth: identity{User: "u", Permissions: granting("a", "b"), Expires: start.Add(time.Hour)},
			before: []string{"a", "b"}, after: []string{"a", "b"}},
		{name: "the same user without an end", auth: identity{User: "u", Permissions: granting("a", "b")},
			before: []string{"a", "b"}, after: []string{"a", "b"}},
		{name: "the same token", auth: short, before: []string{"a", "b"}},
		{name: "fewer permissions", auth: identity{User: "u", Permissions: granting("b", "c"), Expires: start.Add(time.Hour)},
			refused: []string{"room:a"}, before: []string{"b"}, after: []string{"b"}},
		{name: "an earlier end", auth: identity{User: "u", Permissions: granting("a", "b"), Expires: start.Add(time.Second)},
			fails: hub.ErrIdentity, before: []string{"a", "b"}},
		{name: "another user", auth: identity{User: "v", Permissions: granting("a", "b"), Expires: start.Add(time.Hour)},
			fails: hub.ErrIdentity, before: []string{"a", "b"}},
		{name: "another project", project: "other", auth: identity{User: "u", Permissions: granting("a", "b"), Expires: start.Add(time.Hour)},
			fails: hub.ErrIdentity, before: []string{"a", "b"}},
		{name: "an invalid token", auth: identity{User: "u"}, token: "bad", fails: hub.ErrInvalidToken, before: []string{"a", "b"}},
		{name: "an expired token", auth: identity{User: "u", Expires: start.Add(-time.Second)}, fails: hub.ErrTokenExpired, before: []string{"a", "b"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, hub.ProjectOptions{})
			if err := r.store.PutProject(t.Context(), &hub.Project{ID: "other", Name: "O", Secret: "s"}); err != nil {
				t.Fatal(err)
			}
			r.open(t)
			if err := r.auth(t, short, all); err != nil {
				t.Fatal(err)
			}
			if refused, err := r.Subscribe(t.Context(), by(conn), in("room:a", "room:b")); err != nil || len(refused) > 0 {
				t.Fatal(refused, err)
			}
			before, err := r.store.Connection(t.Context(), conn)
			if err != nil {
				t.Fatal(err)
			}
			r.announced = nil
			cr := hub.Credentials{Command: by(conn), Protocol: hub.Classic, Project: projectID, User: tt.auth.User, Token: token(t, tt.auth)}
			if tt.project != "" {
				cr.Project = tt.project
			}
			if tt.token != "" {
				cr.Token = tt.token
			}
			refused, err := r.Authenticate(t.Context(), cr)
			if diff := cmp.Diff(tt.refused, names(refused)); !errors.Is(err, tt.fails) || err != nil && tt.fails == nil || diff != "" {
				t.Fatalf("error %v, -want +refused:\n%s", err, diff)
			}
			after, err := r.store.Connection(t.Context(), conn)
			if err != nil {
				t.Fatal(err)
			}
			if tt.fails != nil {
				if diff := cmp.Diff(before, after); diff != "" {
					t.Errorf("the connection changed: %s", diff)
				}
			}
			if len(r.announced) != len(tt.refused) {
				t.Errorf("announced %v", r.announced)
			}
			receives := func() (channels []string) {
				for _, name := range []string{"a", "b"} {
					r.received = nil
					if _, err := r.Publish(t.Context(), r.project(t), hub.Channel{Category: "room", Name: name}, []byte(`1`), hub.PublishOptions{}); err != nil {
						t.Fatal(err)
					}
					if slices.Contains(r.received, conn) {
						channels = append(channels, name)
					}
				}
				return channels
			}
			if diff := cmp.Diff(tt.before, receives()); diff != "" {
				t.Errorf("before the minute is over, -want +receives:\n%s", diff)
			}
			r.now = r.now.Add(time.Minute)
			if diff := cmp.Diff(tt.after, receives()); diff != "" {
				t.Errorf("after it, -want +receives:\n%s", diff)
			}
		})
	}
}

// TestCallbackOnRenewal checks when a connection that is in is asked about again.
// TestBatchRenewal sends auths with and without batch, all with the same token, on a connection
// that is in room:a.
func TestBatchRenewal(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	r.open(t)
	id := hub.Identity{User: "u", Permissions: granting("a", "b")}
	// check authenticates at received, and checks that batch is recorded with the connection and
	// its subscriptions.
	check := func(name string, sent bool, received time.Time, want bool) {
		t.Helper()
		refused, err := r.Authenticate(t.Context(), hub.Credentials{
			Command:  hub.Command{Connection: conn, Received: received},
			Protocol: hub.Classic, Batch: sent, Project: projectID, User: id.User, Token: token(t, id),
		})
		if err != nil || len(refused) > 0 {
			t.Fatal(name, refused, err)
		}
		c, err := r.store.Connection(t.Context(), conn)
		if err != nil || c.Batch != want {
			t.Errorf("%s: connection %t, error %v, expected %t", name, c.Batch, err, want)
		}
		for ch, shard := range c.Channels {
			for page, err := range r.store.Subscribers(t.Context(), ch, shard) {
				if err != nil || len(page) != 1 || page[0].Batch != want {
					t.Errorf("%s: subscribers of %s %v, error %v, expected one with batch %t", name, ch, page, err, want)
				}
			}
		}
	}
	subscribe := func(name string) {
		t.Helper()
		if refused, err := r.Subscribe(t.Context(), by(conn), in(name)); err != nil || len(refused) > 0 {
			t.Fatal(refused, err)
		}
	}
	at := func(ms time.Duration) time.Time { return r.now.Add((ms - 10) * time.Millisecond) }
	check("the first auth", true, at(0), true)
	subscribe("room:a")
	check("a repeat", true, at(1), true)
	check("turned off", false, at(2), false)
	subscribe("room:b")
	check("turned on", true, at(4), true)
	check("turned off by an auth that was received before", false, at(3), true)
}

func TestCallbackOnRenewal(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{ValidateURL: "https://example.com/validate"})
	r.confirmation = hub.Confirmation{Permissions: confirmed(all)}
	r.open(t)
	rooms := hub.Permissions{Categories: map[string]hub.Grant{"room": {Whole: true}}}
	for _, step := range []struct {
		name     string
		identity hub.Identity
		request  hub.Permissions
		asked    int
	}{
		{"the first auth", hub.Identity{User: "u"}, all, 1},
		{"the same again", hub.Identity{User: "u"}, all, 1},
		{"other permissions", hub.Identity{User: "u"}, rooms, 2},
		{"the same again", hub.Identity{User: "u"}, rooms, 2},
		{"another token", hub.Identity{User: "u", Info: json.RawMessage(`1`)}, rooms, 3},
	} {
		if err := r.auth(t, step.identity, step.request); err != nil || r.asked != step.asked {
			t.Errorf("%s: asked %d times, error %v", step.name, r.asked, err)
		}
	}
	r.change(t, func(p *hub.Project) { p.Secret = "rotated" })
	if err := r.auth(t, hub.Identity{User: "u", Info: json.RawMessage(`1`)}, rooms); err != nil || r.asked != 4 {
		t.Errorf("after the secret was rotated: asked %d times, error %v", r.asked, err)
	}
}

// TestLaterCommandWins carries out commands on room:x in another order than API Gateway
// received them.
func TestLaterCommandWins(t *testing.T) {
	at := func(r *rig, offset time.Duration) hub.Command {
		return hub.Command{Connection: conn, Received: r.now.Add(offset)}
	}
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, r *rig) []error
		in   bool
	}{
		{"subscribe, overtaken by unsubscribe", func(t *testing.T, r *rig) []error {
			first := r.Unsubscribe(t.Context(), at(r, -1*time.Millisecond), in("room:x"))
			_, second := r.Subscribe(t.Context(), at(r, -2*time.Millisecond), in("room:x"))
			return []error{first, second}
		}, false},
		{"unsubscribe, overtaken by subscribe", func(t *testing.T, r *rig) []error {
			_, first := r.Subscribe(t.Context(), at(r, -3*time.Millisecond), in("room:x"))
			_, second := r.Subscribe(t.Context(), at(r, -1*time.Millisecond), in("room:x"))
			return []error{first, second, r.Unsubscribe(t.Context(), at(r, -2*time.Millisecond), in("room:x"))}
		}, true},
		{"unsubscribe of an application, after a subscribe that is still on its way", func(t *testing.T, r *rig) []error {
			r.enter(t, "c9", "u", "room:x")
			r.now = r.now.Add(time.Second)
			_, first := r.Subscribe(t.Context(), at(r, -10*time.Millisecond), in("room:x"))
			second := r.UnsubscribeUser(t.Context(), r.project(t), "u", hub.UnsubscribeRequest{From: hub.Selection{"room": {"x"}}})
			_, third := r.Subscribe(t.Context(), at(r, -5*time.Millisecond), in("room:x"))
			return []error{first, second, third}
		}, false},
		{"unsubscribe of an application from a channel that it names, overtaking a subscribe", func(t *testing.T, r *rig) []error {
			r.now = r.now.Add(time.Second)
			first := r.UnsubscribeUser(t.Context(), r.project(t), "u", hub.UnsubscribeRequest{From: hub.Selection{"room": {"x"}}})
			_, second := r.Subscribe(t.Context(), at(r, -5*time.Millisecond), in("room:x"))
			return []error{first, second}
		}, false},
		{"unsubscribe of an application from a category, overtaking a subscribe", func(t *testing.T, r *rig) []error {
			r.now = r.now.Add(time.Second)
			first := r.UnsubscribeUser(t.Context(), r.project(t), "u", hub.UnsubscribeRequest{From: hub.Selection{"room": nil}})
			_, second := r.Subscribe(t.Context(), at(r, -5*time.Millisecond), in("room:x"))
			return []error{first, second}
		}, false},
		{"unsubscribe of an application from everything, overtaking a subscribe", func(t *testing.T, r *rig) []error {
			r.now = r.now.Add(time.Second)
			first := r.UnsubscribeUser(t.Context(), r.project(t), "u", hub.UnsubscribeRequest{})
			_, second := r.Subscribe(t.Context(), at(r, -5*time.Millisecond), in("room:x"))
			return []error{first, second}
		}, false},
		{"unsubscribe of an application from 200 channels, overtaking a subscribe", func(t *testing.T, r *rig) []error {
			r.now = r.now.Add(time.Second)
			many := []string{"x"}
			for n := range 199 {
				many = append(many, fmt.Sprint(n))
			}
			first := r.UnsubscribeUser(t.Context(), r.project(t), "u", hub.UnsubscribeRequest{From: hub.Selection{"room": many}})
			_, second := r.Subscribe(t.Context(), at(r, -5*time.Millisecond), in("room:x"))
			return []error{first, second}
		}, false},
		{"subscribe, unsubscribe and subscribe in order", func(t *testing.T, r *rig) []error {
			_, first := r.Subscribe(t.Context(), at(r, -3*time.Millisecond), in("room:x"))
			second := r.Unsubscribe(t.Context(), at(r, -2*time.Millisecond), in("room:x"))
			_, third := r.Subscribe(t.Context(), at(r, -1*time.Millisecond), in("room:x"))
			return []error{first, second, third}
		}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, hub.ProjectOptions{})
			r.open(t)
			if err := r.auth(t, hub.Identity{User: "u"}, all); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(tt.do(t, r)...); err != nil {
				t.Fatal(err)
			}
			c, err := r.store.Connection(t.Context(), conn)
			if err != nil {
				t.Fatal(err)
			}
			if _, named := c.Channels[r.project(t).Locate(in("room:x")[0])]; named != tt.in {
				t.Errorf("the connection is in the channel: %v", named)
			}
			if err := r.send(t, "room", `1`); err != nil || slices.Contains(r.received, conn) != tt.in {
				t.Errorf("%v received, error %v", r.received, err)
			}
		})
	}
}

// TestLaterAuthWins carries out two auths in another order than API Gateway received them.
// The first has permissions for room:a, the second for room:b.
func TestLaterAuthWins(t *testing.T) {
	for _, tt := range []struct {
		name   string
		second string // what the auth that was received first grants
		fails  error
	}{
		{"another token", "a", hub.ErrConflict},
		{"the same token", "b", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, hub.ProjectOptions{})
			r.open(t)
			auth := func(name string, received time.Time) error {
				id := hub.Identity{User: "u", Permissions: granting(name)}
				_, err := r.Authenticate(t.Context(), hub.Credentials{
					Command:  hub.Command{Connection: conn, Received: received},
					Protocol: hub.Classic, Project: projectID, User: "u", Token: token(t, id),
				})
				return err
			}
			if err := auth("b", r.now); err != nil {
				t.Fatal(err)
			}
			if err := auth(tt.second, r.now.Add(-time.Millisecond)); !errors.Is(err, tt.fails) || err != nil && tt.fails == nil {
				t.Errorf("error %v", err)
			}
			refused, err := r.Subscribe(t.Context(), by(conn), in("room:a", "room:b"))
			if diff := cmp.Diff([]string{"room:a"}, names(refused)); err != nil || diff != "" {
				t.Errorf("error %v, -want +refused:\n%s", err, diff)
			}
		})
	}
}

// TestAuthDuringSubscribe carries out an auth between what a subscribe to room:a reads and
// what it writes. The connection is in room:b, to which it lost its right before where room
// has become private.
func TestAuthDuringSubscribe(t *testing.T) {
	for _, tt := range []struct {
		name    string
		first   *hub.Permissions // nil for requested ones, which are not confirmed
		private bool
		during  *hub.Permissions
		refused []string
		in      []string
	}{
		{"it grants both channels still", granting("a", "b"), false, granting("a", "b", "c"), nil, []string{"a", "b"}},
		{"it does not grant the channel of the subscribe", granting("a", "b"), false, granting("b"), []string{"room:a"}, []string{"b"}},
		{"it grants nothing", granting("a", "b"), false, granting(), []string{"room:a"}, nil},
		{"it confirms both channels of a private category", nil, true, granting("a", "b"), nil, []string{"a", "b"}},
		{"it confirms the other channel of a private category", nil, true, granting("b"), []string{"room:a"}, []string{"b"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, hub.ProjectOptions{})
			r.open(t)
			if err := r.auth(t, hub.Identity{User: "u", Permissions: tt.first}, all); err != nil {
				t.Fatal(err)
			}
			if refused, err := r.Subscribe(t.Context(), by(conn), in("room:b")); err != nil || len(refused) > 0 {
				t.Fatal(refused, err)
			}
			if tt.private {
				r.change(t, func(p *hub.Project) {
					c := p.Categories["room"]
					c.Private = true
					p.Categories["room"] = c
				})
			}
			r.store.Requests.Intercept = func(op string, _ *http.Request) (*http.Response, error) {
				if op == "TransactWriteItems" {
					r.store.Requests.Intercept = nil
					return nil, r.auth(t, hub.Identity{User: "u", Permissions: tt.during}, all)
				}
				return nil, nil
			}
			refused, err := r.Subscribe(t.Context(), by(conn), in("room:a", "open:x"))
			refused = slices.DeleteFunc(refused, func(r hub.Refusal) bool { return r.Channel.Category == "open" })
			if diff := cmp.Diff(tt.refused, names(refused)); err != nil || diff != "" {
				t.Errorf("error %v, -want +refused:\n%s", err, diff)
			}
			var received []string
			for _, name := range []string{"a", "b"} {
				ch := hub.Channel{Project: projectID, Category: "room", Name: name}
				if _, err := r.Publish(t.Context(), r.project(t), ch, json.RawMessage(`1`), hub.PublishOptions{}); err != nil {
					t.Fatal(err)
				}
				if slices.Contains(r.received, conn) {
					received = append(received, name)
				}
			}
			if diff := cmp.Diff(tt.in, received); diff != "" {
				t.Errorf("-want +received:\n%s", diff)
			}
		})
	}
}

// TestRenewalWithStaleProject renews with fewer permissions while the project is cached from
// before its category was created again.
func TestRenewalWithStaleProject(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	r.open(t)
	if err := r.auth(t, hub.Identity{User: "u", Permissions: granting("a")}, all); err != nil {
		t.Fatal(err)
	}
	other := r.store.Another(store.Options{Now: func() time.Time { return r.now }, Wait: func(context.Context, time.Duration) error { return nil }})
	if err := other.DeleteCategory(t.Context(), projectID, "room"); err != nil {
		t.Fatal(err)
	}
	if err := other.PutCategory(t.Context(), projectID, hub.Category{ID: "3", Name: "room"}); err != nil {
		t.Fatal(err)
	}
	// It reads the project, but the cache keeps the one from before.
	if refused, err := r.Subscribe(t.Context(), by(conn), in("room:a")); err != nil || len(refused) > 0 {
		t.Fatal(refused, err)
	}
	id := hub.Identity{User: "u", Permissions: granting("b")}
	refused, err := r.Authenticate(t.Context(), hub.Credentials{Command: by(conn), Protocol: hub.Classic, Project: projectID, User: "u", Token: token(t, id)})
	if diff := cmp.Diff([]string{"room:a"}, names(refused)); err != nil || diff != "" {
		t.Errorf("error %v, -want +refused:\n%s", err, diff)
	}
}
