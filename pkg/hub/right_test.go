package hub_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store"
	"centrifuge/pkg/store/schema"
)

func TestRule(t *testing.T) {
	rule := hub.Rule{Secret: "s1", Origins: []string{"https://good.example"}, AllowMD5: true}
	basis := hub.Basis{Secret: "s1", Origin: "https://good.example"}
	for _, tt := range []struct {
		name  string
		rule  func(*hub.Rule)
		basis func(*hub.Basis)
		want  bool
	}{
		{"all as it was", func(*hub.Rule) {}, func(*hub.Basis) {}, true},
		{"another secret", func(r *hub.Rule) { r.Secret = "s2" }, func(*hub.Basis) {}, false},
		{"the previous secret before it ends", func(r *hub.Rule) { r.Secret, r.Others = "s2", []string{"s0", "s1"} }, func(*hub.Basis) {}, true},
		{"an origin that is listed no more", func(r *hub.Rule) { r.Origins = []string{"https://other.example"} }, func(*hub.Basis) {}, false},
		{"no list of origins any more", func(r *hub.Rule) { r.Origins = nil }, func(*hub.Basis) {}, true},
		{"no origin", func(*hub.Rule) {}, func(b *hub.Basis) { b.Origin = "" }, true},
		{"MD5 where it is allowed", func(*hub.Rule) {}, func(b *hub.Basis) { b.MD5 = true }, true},
		{"MD5 where it is allowed no more", func(r *hub.Rule) { r.AllowMD5 = false }, func(b *hub.Basis) { b.MD5 = true }, false},
		{"a private category without a confirmed grant", func(r *hub.Rule) { r.Private = true }, func(*hub.Basis) {}, false},
		{"a private category with a confirmed grant", func(r *hub.Rule) { r.Private = true }, func(b *hub.Basis) { b.Confirmed = true }, true},
		{"a user-limited channel that lists the user", func(r *hub.Rule) { r.Private, r.Listed = true, true }, func(b *hub.Basis) { b.Listed = true }, true},
		{"a user-limited channel that does not list the user", func(r *hub.Rule) { r.Private, r.Listed = true, true }, func(*hub.Basis) {}, false},
		{"a user-limited channel of another user with a confirmed grant", func(r *hub.Rule) { r.Private, r.Listed = true, true }, func(b *hub.Basis) { b.Confirmed = true }, true},
		{"a private channel that lists the user", func(r *hub.Rule) { r.Private = true }, func(b *hub.Basis) { b.Listed = true }, false},
		{"a subscription of an earlier version", func(r *hub.Rule) { *r = hub.Rule{Secret: "s2", Private: true} }, func(b *hub.Basis) { *b = hub.Basis{} }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, b := rule, basis
			tt.rule(&r)
			tt.basis(&b)
			if got := r.Admits(b); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

// recreate deletes a category and creates one of its name.
func (r *rig) recreate(t *testing.T, c hub.Category) {
	t.Helper()
	if err := r.store.DeleteCategory(t.Context(), projectID, c.Name); err != nil {
		t.Fatal(err)
	}
	if err := r.store.PutCategory(t.Context(), projectID, c); err != nil {
		t.Fatal(err)
	}
}

// change writes the project or a category after edit.
func (r *rig) change(t *testing.T, edit func(*hub.Project)) {
	t.Helper()
	p, err := r.store.ReadProject(t.Context(), projectID)
	if err != nil {
		t.Fatal(err)
	}
	before := fmt.Sprint(p.Categories)
	edit(p)
	if fmt.Sprint(p.Categories) == before {
		if err := r.store.PutProject(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, c := range p.Categories {
		if err := r.store.PutCategory(t.Context(), projectID, c); err != nil {
			t.Fatal(err)
		}
	}
}

// replaceSecret replaces the secret of the project, keeps the previous one for grace, and reads
// the project, so that it is cached.
func (r *rig) replaceSecret(t *testing.T, grace time.Duration) {
	t.Helper()
	r.change(t, func(p *hub.Project) {
		if err := p.ReplaceSecret("another", grace, r.now); err != nil {
			t.Fatal(err)
		}
	})
	if _, err := r.store.Project(t.Context(), projectID); err != nil {
		t.Fatal(err)
	}
}

// TestRightsEnd changes a project under two connections that are in room:x: c1, with a
// confirmed grant from a JWT and without an origin, and c2, whose grant is not confirmed, whose
// token is of MD5, and whose page is at https://page.example.
func TestRightsEnd(t *testing.T) {
	for _, tt := range []struct {
		name     string
		change   func(t *testing.T, r *rig)
		received []string // of a message in room:x
		closed   []string // connections that the message closes
		left     []string // connections that the message takes out of room:x
		refused  string   // why c2 may not subscribe to room:y
	}{
		{"nothing", func(*testing.T, *rig) {}, []string{"c1", "c2"}, nil, nil, "<nil>"},
		{"the category becomes private", func(t *testing.T, r *rig) {
			r.change(t, func(p *hub.Project) {
				c := p.Categories["room"]
				c.Private = true
				p.Categories["room"] = c
			})
		}, []string{"c1"}, nil, []string{"c2"}, "category does not exist or permission denied"},
		{"the category is deleted and created again", func(t *testing.T, r *rig) {
			r.recreate(t, hub.Category{ID: "3", Name: "room", CategoryOptions: hub.CategoryOptions{JoinLeave: true, Presence: true}})
		}, nil, nil, nil, "<nil>"},
		{"the project is deleted and created again", func(t *testing.T, r *rig) {
			if err := r.store.DeleteProject(t.Context(), projectID); err != nil {
				t.Fatal(err)
			}
			if err := r.store.PutProject(t.Context(), &hub.Project{ID: projectID, Name: "another tenant", Secret: "another secret"}); err != nil {
				t.Fatal(err)
			}
			r.recreate(t, hub.Category{ID: "3", Name: "room", CategoryOptions: hub.CategoryOptions{JoinLeave: true, Presence: true}})
		}, nil, nil, nil, "invalid token"},
		{"the secret is rotated", func(t *testing.T, r *rig) {
			r.change(t, func(p *hub.Project) { p.Secret = "rotated" })
		}, nil, []string{"c1", "c2"}, nil, "invalid token"},
		{"the secret is replaced, and the previous one has a second left", func(t *testing.T, r *rig) {
			r.replaceSecret(t, time.Minute)
			r.now = r.now.Add(time.Minute - time.Second)
		}, []string{"c1", "c2"}, nil, nil, "<nil>"},
		{"the secret is replaced, and the previous one has just ended", func(t *testing.T, r *rig) {
			r.replaceSecret(t, time.Minute)
			r.now = r.now.Add(time.Minute)
		}, nil, []string{"c1", "c2"}, nil, "invalid token"},
		{"the origin is removed", func(t *testing.T, r *rig) {
			r.change(t, func(p *hub.Project) { p.Options.Origins = []string{"https://other.example"} })
		}, []string{"c1"}, []string{"c2"}, nil, "permission denied: the project does not list this origin"},
		{"MD5 is disabled", func(t *testing.T, r *rig) {
			r.change(t, func(p *hub.Project) { p.Options.AllowMD5 = false })
		}, []string{"c1"}, []string{"c2"}, nil, "invalid token"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, hub.ProjectOptions{Origins: []string{"https://page.example"}, AllowMD5: true})
			granted := confirmed(all)
			for connection, id := range map[string]hub.Identity{"c1": {User: "u", Permissions: &granted}, "c2": {User: "v", MD5: true}} {
				hs := hub.Handshake{Connection: connection}
				if connection == "c2" {
					hs.Origin = "https://page.example"
				}
				if err := r.Connect(t.Context(), hs); err != nil {
					t.Fatal(err)
				}
				if _, err := r.Authenticate(t.Context(), hub.Credentials{
					Command: by(connection), Protocol: hub.Classic, Project: projectID, User: id.User, Token: token(t, id), Permissions: all,
				}); err != nil {
					t.Fatal(err)
				}
				if refused, err := r.Subscribe(t.Context(), by(connection), in("room:x", "open:x")); err != nil || len(refused) > 0 {
					t.Fatal(refused, err)
				}
			}
			tt.change(t, r)
			clients, err := r.Presence(t.Context(), r.project(t), in("room:x")[0])
			if err != nil {
				t.Fatal(err)
			}
			var present []string
			for _, c := range clients {
				present = append(present, c.Connection)
			}
			slices.Sort(present)
			if diff := cmp.Diff(tt.received, present); diff != "" {
				t.Errorf("-want +present\n%s", diff)
			}
			r.received = nil
			if err := r.send(t, "room", `1`); err != nil {
				t.Fatal(err)
			}
			slices.Sort(r.received)
			if diff := cmp.Diff(tt.received, r.received); diff != "" {
				t.Errorf("-want +received\n%s", diff)
			}
			slices.Sort(r.disconnected)
			if diff := cmp.Diff(tt.closed, r.disconnected); diff != "" {
				t.Errorf("-want +closed\n%s", diff)
			}
			for _, connection := range tt.left {
				c, err := r.store.Connection(t.Context(), connection)
				if _, in := c.Channels[r.project(t).Locate(in("room:x")[0])]; err != nil || in || len(c.Channels) != 1 {
					t.Errorf("%s is in %v, error %v", connection, c.Channels, err)
				}
			}
			if slices.Contains(tt.closed, "c2") {
				if _, err := r.store.Connection(t.Context(), "c2"); !errors.Is(err, hub.ErrConnectionNotFound) {
					t.Errorf("the closed connection remains: %v", err)
				}
				return
			}
			refused, err := r.Subscribe(t.Context(), by("c2"), in("room:y"))
			if len(refused) > 0 {
				err = refused[0].Reason
			}
			if got := fmt.Sprint(err); got != tt.refused {
				t.Errorf("subscribe: %s, want %s", got, tt.refused)
			}
		})
	}
}

// TestStaleProject publishes, and reads presence, with a project that was read before a
// change that admits more: it reaches who subscribed after the change.
func TestStaleProject(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before hub.ProjectOptions
		change func(p *hub.Project)
	}{
		{"another secret", hub.ProjectOptions{}, func(p *hub.Project) { p.Secret = "rotated" }},
		{"another origin", hub.ProjectOptions{Origins: []string{"https://other.example"}}, func(p *hub.Project) {
			p.Options.Origins = []string{"https://page.example"}
		}},
		{"a category that was private", hub.ProjectOptions{}, func(p *hub.Project) {
			c := p.Categories["room"]
			c.Private = false
			p.Categories["room"] = c
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, tt.before)
			r.change(t, func(p *hub.Project) {
				c := p.Categories["room"]
				c.Private = tt.name == "a category that was private"
				p.Categories["room"] = c
			})
			stale := r.project(t)
			r.change(t, tt.change)
			if err := r.Connect(t.Context(), hub.Handshake{Connection: conn, Origin: "https://page.example"}); err != nil {
				t.Fatal(err)
			}
			if err := r.auth(t, hub.Identity{User: "u"}, all); err != nil {
				t.Fatal(err)
			}
			if refused, err := r.Subscribe(t.Context(), by(conn), in("room:x")); err != nil || len(refused) > 0 {
				t.Fatal(refused, err)
			}
			result, err := r.Publish(t.Context(), stale, in("room:x")[0], []byte(`1`), hub.PublishOptions{})
			if err != nil || result.Delivered != 1 || !slices.Equal(r.received, []string{conn}) {
				t.Errorf("%v received, %d delivered, error %v", r.received, result.Delivered, err)
			}
			clients, err := r.Presence(t.Context(), stale, in("room:x")[0])
			if err != nil || len(clients) != 1 {
				t.Errorf("present are %v, error %v", clients, err)
			}
			c, err := r.store.Connection(t.Context(), conn)
			if err != nil || len(c.Channels) != 1 {
				t.Errorf("channels %v, error %v", c.Channels, err)
			}
		})
	}
}

// TestStaleProjectOfDeletedCategory publishes, and reads presence, with a project that was read
// before a private category was deleted, in which a client without a confirmed grant had been.
func TestStaleProjectOfDeletedCategory(t *testing.T) {
	for _, earlier := range []bool{false, true} {
		t.Run(fmt.Sprintf("category of an earlier version %v", earlier), func(t *testing.T) {
			r := newRig(t, hub.ProjectOptions{})
			if earlier {
				key := map[string]types.AttributeValue{
					schema.PartitionKey: &types.AttributeValueMemberS{Value: "P#p"}, schema.SortKey: &types.AttributeValueMemberS{Value: "C#room"},
				}
				remove := "REMOVE incarnation"
				if _, err := r.store.Client.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{TableName: &r.store.Table, Key: key, UpdateExpression: &remove}); err != nil {
					t.Fatal(err)
				}
			}
			r.enter(t, "c1", "u", "room:x")
			r.change(t, func(p *hub.Project) {
				c := p.Categories["room"]
				c.Private = true
				p.Categories["room"] = c
			})
			stale := r.project(t)
			if err := r.store.DeleteCategory(t.Context(), projectID, "room"); err != nil {
				t.Fatal(err)
			}
			if clients, err := r.Presence(t.Context(), stale, in("room:x")[0]); err != nil || len(clients) > 0 {
				t.Errorf("present are %v, error %v", clients, err)
			}
			if _, err := r.Publish(t.Context(), stale, in("room:x")[0], []byte(`1`), hub.PublishOptions{}); err != nil || len(r.received) > 0 {
				t.Errorf("%v received, error %v", r.received, err)
			}
		})
	}
}

// TestStreamOfNewCategory publishes to a stream whose category is newer than the project that
// the dispatcher has cached.
func TestStreamOfNewCategory(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	if _, cached := r.project(t).Categories["log"]; cached {
		t.Fatal("the category exists")
	}
	other := r.store.Another(store.Options{Now: func() time.Time { return r.now }})
	if err := other.PutCategory(t.Context(), projectID, hub.Category{ID: "7", Name: "log", CategoryOptions: hub.CategoryOptions{Ordered: true}}); err != nil {
		t.Fatal(err)
	}
	r.enter(t, conn, "u", "log:x")
	p, err := other.ReadProject(t.Context(), projectID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Publish(t.Context(), p, in("log:x")[0], []byte(`1`), hub.PublishOptions{}); err != nil || !slices.Equal(r.received, []string{conn}) {
		t.Errorf("%v received, error %v", r.received, err)
	}
}

// TestSubscribeInNewIncarnation subscribes again after the category was deleted and created
// with fewer shards.
func TestSubscribeInNewIncarnation(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	wide := hub.Category{ID: "9", Name: "wide", CategoryOptions: hub.CategoryOptions{Shards: 64}}
	if err := r.store.PutCategory(t.Context(), projectID, wide); err != nil {
		t.Fatal(err)
	}
	r.enter(t, "c1", "u", "wide:x")
	wide.Shards = 1
	r.recreate(t, wide)
	if refused, err := r.Subscribe(t.Context(), by("c1"), in("wide:x")); err != nil || len(refused) > 0 {
		t.Fatal(refused, err)
	}
	if err := r.send(t, "wide", `1`); err != nil || !slices.Equal(r.received, []string{"c1"}) {
		t.Errorf("%v received, error %v", r.received, err)
	}
	c, err := r.store.Connection(t.Context(), "c1")
	if err != nil || len(c.Channels) != 1 {
		t.Errorf("channels %v, error %v", c.Channels, err)
	}
	if err := r.Unsubscribe(t.Context(), by("c1"), in("wide:x")); err != nil {
		t.Fatal(err)
	}
	r.received = nil
	if err := r.send(t, "wide", `1`); err != nil || len(r.received) > 0 {
		t.Errorf("after unsubscribe %v received, error %v", r.received, err)
	}
}

// TestShardsRaised publishes with a project that was read before shards were raised.
func TestShardsRaised(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	stale := r.project(t)
	r.change(t, func(p *hub.Project) {
		c := p.Categories["open"]
		c.Shards = 64
		p.Categories["open"] = c
	})
	r.enter(t, "c1", "u", "open:x")
	for name, p := range map[string]*hub.Project{"read before": stale, "read now": r.project(t)} {
		r.received = nil
		if _, err := r.Publish(t.Context(), p, in("open:x")[0], []byte(`1`), hub.PublishOptions{}); err != nil || !slices.Equal(r.received, []string{"c1"}) {
			t.Errorf("project %s: %v received, error %v", name, r.received, err)
		}
	}
	r.now = r.now.Add(time.Minute)
	r.enter(t, "c2", "v", "open:x")
	c, err := r.store.Connection(t.Context(), "c2")
	if shard := c.Channels[r.project(t).Locate(in("open:x")[0])]; err != nil || shard == 0 {
		t.Errorf("a minute later the shard is %d, error %v", shard, err)
	}
	r.received = nil
	if err := r.publish(t, ""); err != nil || len(r.received) != 2 {
		t.Errorf("a minute later %v received, error %v", r.received, err)
	}
}

// TestUserLimitedChannels turns the option on under three connections that are in a channel for
// v: c1 with a confirmed grant, c2 of v and c3 of w with grants that nobody confirmed.
func TestUserLimitedChannels(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	limited := hub.Channel{Category: "open", Name: "x#v"}
	granted := confirmed(all)
	for connection, id := range map[string]hub.Identity{"c1": {User: "u", Permissions: &granted}, "c2": {User: "v"}, "c3": {User: "w"}} {
		if err := r.Connect(t.Context(), hub.Handshake{Connection: connection}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Authenticate(t.Context(), hub.Credentials{
			Command: by(connection), Protocol: hub.Classic, Project: projectID, User: id.User, Token: token(t, id), Permissions: all,
		}); err != nil {
			t.Fatal(err)
		}
		if refused, err := r.Subscribe(t.Context(), by(connection), []hub.Channel{limited}); err != nil || len(refused) > 0 {
			t.Fatal(refused, err)
		}
	}
	r.change(t, func(p *hub.Project) {
		c := p.Categories["open"]
		c.AllowUserLimitedChannels, c.Presence = true, true
		p.Categories["open"] = c
	})
	p, want := r.project(t), []string{"c1", "c2"}
	clients, err := r.Presence(t.Context(), p, limited)
	var present []string
	for _, c := range clients {
		present = append(present, c.Connection)
	}
	slices.Sort(present)
	if diff := cmp.Diff(want, present); diff != "" || err != nil {
		t.Errorf("error %v, -want +present\n%s", err, diff)
	}
	usage, err := r.Usage(t.Context(), p, "")
	if n := usage.Subscribers[p.Locate(limited)]; n != 2 || err != nil {
		t.Errorf("%d subscribers, %v", n, err)
	}
	r.received = nil
	if _, err := r.Publish(t.Context(), p, limited, []byte(`1`), hub.PublishOptions{}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(r.received)
	if diff := cmp.Diff(want, r.received); diff != "" {
		t.Errorf("-want +received\n%s", diff)
	}
	for connection, want := range map[string]error{"c1": nil, "c2": nil, "c3": hub.ErrChannelDenied} {
		refused, err := r.Subscribe(t.Context(), by(connection), []hub.Channel{limited})
		if err != nil || (len(refused) > 0) != (want != nil) {
			t.Errorf("%s may subscribe: %v, %v", connection, refused, err)
		}
		if err := r.Broadcast(t.Context(), by(connection), limited, []byte(`1`)); !errors.Is(err, want) {
			t.Errorf("%s broadcasts: %v", connection, err)
		}
		if _, err := r.ClientPresence(t.Context(), by(connection), limited); !errors.Is(err, want) {
			t.Errorf("%s reads presence: %v", connection, err)
		}
	}
}
