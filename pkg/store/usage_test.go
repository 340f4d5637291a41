package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"centrifuge/pkg/hub"
)

func TestUsage(t *testing.T) {
	s := newRig(t)
	s.putProject(t, &hub.Project{ID: "p", Name: "n", Secret: "s", Categories: map[string]hub.Category{"chat": {Name: "chat"}}})
	if _, err := s.Claim(t.Context(), channel("x"), "k", "m", s.Clock.Now()); err != nil {
		t.Fatal(err)
	}
	odd, big := hub.Channel{Project: "p", Category: "a#", Name: "%\x00é"}, channel("big")
	for i := range 30 {
		id := fmt.Sprint("c", i)
		s.enter(t, id, fmt.Sprint("user", i%7))
		s.subscribe(t, id, map[hub.Channel]int{big: i % 8})
	}
	s.enter(t, "anonymous", "")
	s.subscribe(t, "anonymous", map[hub.Channel]int{odd: 0})
	s.open(t, "not authenticated")
	for _, project := range []string{"p#", "pp", "q"} {
		s.open(t, project)
		s.authenticate(t, hub.Connection{ID: project, Project: project, User: "u"})
		s.subscribe(t, project, map[hub.Channel]int{{Project: project, Category: "chat", Name: "x"}: 0})
	}
	s.open(t, "token")
	s.authenticate(t, hub.Connection{ID: "token", Project: "p", User: "guest", TokenExpires: s.Clock.Now().Add(time.Minute)})
	s.subscribe(t, "token", map[hub.Channel]int{big: 7})

	usage := func(want hub.Usage) {
		t.Helper()
		got, err := s.Usage(t.Context(), "p", hub.Bound{}, all)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "usage", got, want)
	}
	users := map[string]int{"user0": 5, "user1": 5, "user2": 4, "user3": 4, "user4": 4, "user5": 4, "user6": 4, "guest": 1}
	usage(hub.Usage{Clients: 32, Users: users, Subscribers: map[hub.Channel]int{big: 31, odd: 1}})
	s.Clock.Advance(time.Minute)
	delete(users, "guest")
	usage(hub.Usage{Clients: 31, Users: users, Subscribers: map[hub.Channel]int{big: 30, odd: 1}})

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Usage(ctx, "p", hub.Bound{}, all); err == nil {
		t.Error("no error after the context ended")
	}

	s.Clock.Advance(hub.MaxConnectionAge)
	usage(hub.Usage{Users: map[string]int{}, Subscribers: map[hub.Channel]int{}})
}

func TestUsageBound(t *testing.T) {
	s := newRig(t)
	const connections, users = 60, 7
	for i := range connections {
		s.enter(t, fmt.Sprint("c", i), fmt.Sprint("user", i%users))
	}
	for _, tt := range []struct {
		name    string
		within  hub.Bound
		clients func(int) bool
		partial bool
	}{
		{"limits above the table", hub.Bound{Items: 10_000, Time: time.Hour}, func(n int) bool { return n == connections }, false},
		{"items", hub.Bound{Items: 20}, func(n int) bool { return n > 0 && n <= 20 }, true},
		{"time", hub.Bound{Time: 1}, func(n int) bool { return n == 0 }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := s.Usage(t.Context(), "p", tt.within, all)
			if err != nil || !tt.clients(got.Clients) || got.Partial != tt.partial {
				t.Errorf("%d clients, partial %t, error %v", got.Clients, got.Partial, err)
			}
		})
	}
	t.Run("context that ends", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Usage(ctx, "p", hub.Bound{Items: 1, Time: time.Hour}, all); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
}

// TestChannels lists channels of several shards, projects and categories, page by page.
func TestChannels(t *testing.T) {
	s := newRig(t)
	names := []string{"a", "b", "b#", "c", "é"}
	for i, name := range names {
		for n := range i + 1 {
			id := fmt.Sprint(name, n)
			s.enter(t, id, "u")
			s.subscribe(t, id, map[hub.Channel]int{{Project: "p", Category: "chat", Name: name}: 4})
		}
	}
	s.subscribe(t, "a0", map[hub.Channel]int{{Project: "p", Category: "zoo", Name: "a"}: 1})
	s.open(t, "other")
	s.authenticate(t, hub.Connection{ID: "other", Project: "pp", User: "u"})
	s.subscribe(t, "other", map[hub.Channel]int{{Project: "pp", Category: "chat", Name: "other"}: 1})
	for _, tt := range []struct {
		name, after string
		limit       int
		matches     hub.Counted
		want        string
		more        bool
	}{
		{"all channels", "", 6, all, "map[chat:a:1 chat:b:2 chat:b#:3 chat:c:4 chat:é:5 zoo:a:1]", false},
		{"a first page", "", 2, all, "map[chat:a:1 chat:b:2]", true},
		{"a page in the middle", "chat:b", 2, all, "map[chat:b#:3 chat:c:4]", true},
		{"a last page", "chat:c", 2, all, "map[chat:é:5 zoo:a:1]", false},
		{"a page after a channel that does not exist", "chat:bb", 1, all, "map[chat:c:4]", true},
		{"a page after the last channel", "zoo:a", 1, all, "map[]", false},
		{"channels that match", "", 1, func(ch hub.Channel, _ hub.Basis) bool { return ch.Category == "zoo" }, "map[zoo:a:1]", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			page, err := s.Channels(t.Context(), "p", tt.after, tt.limit, tt.matches)
			if err != nil {
				t.Fatal(err)
			}
			got := make(map[string]int)
			for ch, n := range page.Subscribers {
				got[ch.String()] = n
			}
			if fmt.Sprint(got) != tt.want || page.More != tt.more {
				t.Errorf("%v, more %t", got, page.More)
			}
		})
	}
	s.Clock.Advance(hub.MaxConnectionAge)
	if page, err := s.Channels(t.Context(), "p", "", 1, all); err != nil || len(page.Subscribers) > 0 || page.More {
		t.Errorf("%v after all expired, error %v", page, err)
	}
}
