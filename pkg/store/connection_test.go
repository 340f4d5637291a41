package store_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"centrifuge/pkg/hub"
)

func TestIdentity(t *testing.T) {
	s := newRig(t)
	now := s.Clock.Now().Truncate(time.Second)
	opened := hub.Connection{ID: "c", Origin: "https://o", Scope: "p#", Expires: now.Add(hub.MaxConnectionAge)}
	identity := hub.Connection{
		ID: "c", Origin: opened.Origin, Scope: opened.Scope, Expires: opened.Expires,
		Project: "p#", User: "u#%\x00é", Info: json.RawMessage(`{"name":"<ü>"}`), Meta: json.RawMessage(`{"m":"<ü>"}`), Protocol: hub.Classic, Batch: true,
		Permissions: hub.Permissions{
			Confirmed:  true,
			Categories: map[string]hub.Grant{"chat": {Whole: true}, "a<&>#": {Channels: []string{"x", "\x00"}}, "none": {}},
		},
		TokenExpires: now.Add(time.Hour), Secret: "0123456789abcdef", MD5: true, AnyOrigin: true, Proof: "proof",
		Channels: map[hub.Channel]int{
			{Project: "p#", Category: "chat", Name: "x"}:                          0,
			{Project: "p#", Category: "chat", Incarnation: "89abcdef", Name: "x"}: 63,
			{Project: "p#", Category: ":admin", Name: "feed"}:                     0,
		},
		Order: hub.Order{
			Latest: map[string]int64{"0011223344556677": now.UnixMilli()}, Floor: now.UnixMilli() - 1,
			Numbered: map[string]hub.Numbered{":auth": {Number: math.MaxUint32, At: now.UnixMilli()}, "7766554433221100": {Number: 1, At: 1}},
		},
	}
	other := hub.Connection{ID: "c", Origin: opened.Origin, Scope: opened.Scope, Expires: opened.Expires, Project: "q", Protocol: "other"}
	if err := s.OpenConnection(t.Context(), opened); err != nil {
		t.Fatal(err)
	}
	same(t, "opened", s.connection(t, "c"), opened)
	before := opened
	for i, next := range []hub.Connection{identity, other, identity} {
		got, after, err := s.ChangeConnection(t.Context(), before, func(hub.Connection) (hub.Change, error) {
			// The store ignores the fields that do not belong to the state.
			change := hub.Change{Connection: next}
			change.ID, change.Origin, change.Scope, change.Expires, change.Revision = "x", "x", "x", now, 99
			return change, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		next.Revision = i + 1
		same(t, "before", got, before)
		same(t, "after", after, next)
		same(t, "connection", s.connection(t, "c"), next)
		for ch, shard := range identity.Channels {
			_, in := next.Channels[ch]
			same(t, "subscribers", len(s.subscribers(t, ch, shard)) == 1, in)
		}
		before = next
	}
	if got, err := s.UserConnections(t.Context(), identity.Project, identity.User); len(got) != 1 || err != nil {
		t.Errorf("connections of the user: %v, %v", got, err)
	}
}

func TestConnectionNotFound(t *testing.T) {
	s := newRig(t)
	s.open(t, "closed")
	s.open(t, "being closed")
	s.enter(t, "old", "u")
	if err := s.end(t.Context(), "closed"); err != nil {
		t.Fatal(err)
	}
	if c, exists, err := s.BeginClose(t.Context(), "being closed", s.Clock.Now()); c.ID == "" || !exists || err != nil {
		t.Fatal(c, exists, err)
	}
	s.Clock.Advance(hub.MaxConnectionAge)
	s.enter(t, "new", "u")
	for _, id := range []string{"never", "closed", "being closed", "old"} {
		t.Run(id, func(t *testing.T) {
			_, err := s.Connection(t.Context(), id)
			fails(t, err, hub.ErrConnectionNotFound)
			_, _, err = s.Spend(t.Context(), id, time.Second, time.Minute, s.Clock.Now())
			fails(t, err, hub.ErrConnectionNotFound)
			stale := hub.Connection{ID: id, Project: "p", Expires: s.Clock.Now().Add(time.Hour), Revision: 1}
			for what, p := range map[string]plan{"join": join(channelsNamed(1, "x")), "become": become(hub.Connection{Project: "p", User: "v"})} {
				before, after, err := s.ChangeConnection(t.Context(), stale, p)
				fails(t, err, hub.ErrConnectionNotFound)
				same(t, what+": before", before, hub.Connection{})
				same(t, what+": after", after, hub.Connection{})
			}
			if got := s.subscribers(t, channel("x0"), 0); len(got) > 0 {
				t.Errorf("subscriptions: %v", got)
			}
		})
	}
	s.connection(t, "new")
}

func TestConnectionExpiresInWholeSeconds(t *testing.T) {
	s := newRig(t)
	start := s.Clock.Now().Truncate(time.Second)
	s.Clock.Advance(start.Sub(s.Clock.Now()))
	if err := s.OpenConnection(t.Context(), hub.Connection{ID: "c", Expires: start.Add(time.Hour + 900*time.Millisecond)}); err != nil {
		t.Fatal(err)
	}
	s.Clock.Advance(time.Hour - 1)
	s.connection(t, "c")
	s.Clock.Advance(1)
	_, err := s.Connection(t.Context(), "c")
	fails(t, err, hub.ErrConnectionNotFound)
}

// TestLargestConnection checks that a connection with the largest values that the hub lets
// pass fits into an item.
func TestLargestConnection(t *testing.T) {
	s := newRig(t)
	s.open(t, "c")
	c := hub.Connection{
		ID: "c", Project: "p", User: strings.Repeat("#", hub.MaxNameBytes), Info: json.RawMessage(`"` + strings.Repeat("i", hub.MaxInfoBytes-2) + `"`),
		Permissions: hub.Permissions{Categories: map[string]hub.Grant{}},
		Channels:    make(map[hub.Channel]int), Order: hub.Order{Latest: make(map[string]int64)},
	}
	for i := range hub.MaxPermissions {
		c.Permissions.Categories[fmt.Sprintf("%s%03d", strings.Repeat("#", hub.MaxPermissionBytes/hub.MaxPermissions-3), i)] = hub.Grant{}
	}
	for i := range hub.MaxChannels {
		name := fmt.Sprintf("%s%03d", strings.Repeat("#", hub.MaxChannelBytes/hub.MaxChannels-3-len("chat")), i)
		c.Channels[hub.Channel{Project: "p", Category: "chat", Incarnation: "89abcdef", Name: name}] = hub.MaxShards - 1
	}
	for i := range 2 * hub.MaxChannels {
		c.Order.Latest[fmt.Sprintf("%016d", i)] = s.Clock.Now().UnixMilli()
	}
	opened := s.connection(t, "c")
	_, after, err := s.ChangeConnection(t.Context(), opened, func(hub.Connection) (hub.Change, error) { return hub.Change{Connection: c}, nil })
	if err != nil {
		t.Fatal(err)
	}
	same(t, "connection", s.connection(t, "c"), after)
	same(t, "channels", after.Channels, c.Channels)
	same(t, "revision", after.Revision, 2) // two transactions
}

func TestClose(t *testing.T) {
	channels := channelsNamed(60, "x")
	type closing struct {
		Connection hub.Connection
		Exists     bool
	}
	begin := func(t *testing.T, s *rig, id string) closing {
		t.Helper()
		c, exists, err := s.BeginClose(t.Context(), id, s.Clock.Now())
		if err != nil {
			t.Fatal(err)
		}
		return closing{c, exists}
	}
	finish := func(t *testing.T, s *rig, c hub.Connection) {
		t.Helper()
		if err := s.FinishClose(t.Context(), []hub.Connection{c}); err != nil {
			t.Fatal(err)
		}
	}

	t.Run("one of two connections", func(t *testing.T) {
		s := newRig(t)
		s.enter(t, "c", "u")
		s.enter(t, "other", "u")
		s.subscribe(t, "c", channels)
		s.subscribe(t, "other", channels)
		want := s.connection(t, "c")
		same(t, "closing", begin(t, s, "c"), closing{want, true})
		same(t, "subscriptions before the end", len(s.stored(t)["c"]), len(channels))
		finish(t, s, want)
		s.agree(t, "c", "other")
		same(t, "closed", begin(t, s, "c"), closing{})
		same(t, "subscriptions", len(s.stored(t)["other"]), len(channels))
		finish(t, s, want)
	})

	t.Run("expired connection", func(t *testing.T) {
		s := newRig(t)
		s.enter(t, "c", "u")
		s.subscribe(t, "c", channels)
		want := s.connection(t, "c")
		s.Clock.Advance(hub.MaxConnectionAge)
		same(t, "closing", begin(t, s, "c"), closing{want, true})
		finish(t, s, want)
		same(t, "subscriptions", len(s.stored(t)), 0)
	})

	t.Run("lease", func(t *testing.T) {
		s := newRig(t)
		s.Clock.Advance(s.Clock.Now().Truncate(time.Second).Sub(s.Clock.Now()))
		s.enter(t, "c", "u")
		s.subscribe(t, "c", channels)
		want := closing{s.connection(t, "c"), true}
		same(t, "first closer", begin(t, s, "c"), want)
		same(t, "second closer", begin(t, s, "c"), closing{Exists: true})
		s.Clock.Advance(hub.CloseLease - time.Second)
		same(t, "closer within the lease", begin(t, s, "c"), closing{Exists: true})
		s.Clock.Advance(time.Second)
		same(t, "closer after the lease", begin(t, s, "c"), want)
		same(t, "closer within the second lease", begin(t, s, "c"), closing{Exists: true})
		finish(t, s, want.Connection)
		same(t, "closed", begin(t, s, "c"), closing{})
		same(t, "subscriptions", len(s.stored(t)), 0)
	})

	t.Run("user whose connection is being closed", func(t *testing.T) {
		s := newRig(t)
		s.enter(t, "c", "u")
		begin(t, s, "c")
		if got, err := s.UserConnections(t.Context(), "p", "u"); len(got) != 1 || !got[0].Closing || err != nil {
			t.Errorf("%v, %v", got, err)
		}
	})
}

func TestHideSubscriptions(t *testing.T) {
	s := newRig(t)
	channels := channelsNamed(30, "x")
	for _, id := range []string{"c", "d"} {
		s.enter(t, id, "u")
		s.subscribe(t, id, channels)
	}
	var places []hub.Place
	for ch := range channels {
		places = append(places, hub.Place{Channel: ch})
	}
	if err := s.HideSubscriptions(t.Context(), map[string][]hub.Place{"c": places}); err != nil {
		t.Fatal(err)
	}
	for ch := range channels {
		for page, err := range s.Subscribers(t.Context(), ch, 0) {
			if err != nil {
				t.Fatal(err)
			}
			same(t, "subscribers", page, []hub.Subscriber{{Connection: "c", Hidden: true}, {Connection: "d", Protocol: hub.Classic}})
		}
		for page, err := range s.Presence(t.Context(), ch, 0) {
			if err != nil {
				t.Fatal(err)
			}
			same(t, "presence", page, []hub.Present{{Client: hub.Client{Connection: "d", User: "u"}}})
		}
	}
	s.Clock.Advance(hub.MaxConnectionAge)
	same(t, "subscribers", s.subscribers(t, channel("x0"), 0), []string(nil))
}

// TestSpend checks the debt of a connection: it grows by the cost of each command and
// shrinks as time passes.
func TestSpend(t *testing.T) {
	const cost, limit = 20 * time.Millisecond, 100 * time.Millisecond
	s := newRig(t)
	s.Clock.Advance(s.Clock.Now().Truncate(time.Millisecond).Sub(s.Clock.Now()))
	want := s.enter(t, "c", "u")
	for _, step := range []struct {
		name       string
		after      time.Duration
		cost, debt time.Duration
		requests   string
	}{
		{"first command", 0, cost, cost, "1 UpdateItem"},
		{"command in debt", 0, cost, 2 * cost, "2 UpdateItem"},
		{"dear command", 0, 2 * cost, 4 * cost, "2 UpdateItem"},
		{"command up to the limit", 0, cost, limit, "2 UpdateItem"},
		{"command above the limit", 0, cost, limit + cost, "2 UpdateItem"},
		{"command above the limit that is not added", 0, cost, limit + cost, "2 UpdateItem"},
		{"command a millisecond too early", cost - time.Millisecond, cost, limit + cost, "2 UpdateItem"},
		{"command when there is room", time.Millisecond, cost, limit, "2 UpdateItem"},
		{"command when a part of the debt is paid", 3 * cost, cost, 3 * cost, "2 UpdateItem"},
		{"command when the debt is paid", 3 * cost, cost, cost, "1 UpdateItem"},
		{"command long after", time.Hour, cost, cost, "1 UpdateItem"},
	} {
		s.Clock.Advance(step.after)
		s.Requests.Sent()
		c, debt, err := s.Spend(t.Context(), "c", step.cost, limit, s.Clock.Now())
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		same(t, step.name+": requests", s.Requests.Sent(), step.requests)
		same(t, step.name+": connection", c, want)
		if over := step.debt > limit; over != (debt > limit) || !over && debt != step.debt {
			t.Errorf("%s: debt %v, want %v", step.name, debt, step.debt)
		}
	}
	s.subscribe(t, "c", channelsNamed(1, "x"))
	c, _, err := s.Spend(t.Context(), "c", cost, limit, s.Clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	same(t, "connection as the last write left it", c, s.connection(t, "c"))
	fails(t, s.change(t.Context(), "c", func(c hub.Connection) (hub.Change, error) {
		c.Meta = json.RawMessage(`1`)
		return hub.Change{Connection: c, Paid: true}, nil
	}), nil)
	s.Requests.Sent()
	_, debt, err := s.Spend(t.Context(), "c", cost, limit, s.Clock.Now())
	fails(t, err, nil)
	same(t, "debt after it was paid", debt, cost)
	same(t, "requests after it was paid", s.Requests.Sent(), "1 UpdateItem")

	// It is paid between the two requests of a command.
	updates := 0
	s.Requests.Intercept = func(string, *http.Request) (*http.Response, error) {
		if updates++; updates == 2 {
			fails(t, s.change(t.Context(), "c", func(c hub.Connection) (hub.Change, error) {
				c.Meta = json.RawMessage(`2`)
				return hub.Change{Connection: c, Paid: true}, nil
			}), nil)
		}
		return nil, nil
	}
	_, debt, err = s.Spend(t.Context(), "c", cost, limit, s.Clock.Now())
	fails(t, err, nil)
	same(t, "debt that was paid meanwhile", debt, cost)
}

func TestUserConnections(t *testing.T) {
	ids := func(cs []hub.Connection) (ids []string) {
		for _, c := range cs {
			ids = append(ids, c.ID)
		}
		slices.Sort(ids)
		return ids
	}

	t.Run("user of the project", func(t *testing.T) {
		s := newRig(t)
		s.enter(t, "a", "u")
		want := s.enter(t, "b", "u")
		s.enter(t, "other user", "v")
		s.enter(t, "anonymous", "")
		s.open(t, "not authenticated")
		s.open(t, "other project")
		s.authenticate(t, hub.Connection{ID: "other project", Project: "q", User: "u"})
		s.subscribe(t, "b", channelsNamed(3, "x"))
		got, err := s.UserConnections(t.Context(), "p", "u")
		if err != nil {
			t.Fatal(err)
		}
		same(t, "ids", ids(got), []string{"a", "b"})
		for _, c := range got {
			if c.ID == "b" {
				want.Channels, want.Revision = channelsNamed(3, "x"), 2
				same(t, "connection", c, want)
			}
		}
	})

	t.Run("a connection whose client may not have the reply to its login", func(t *testing.T) {
		s := newRig(t)
		s.open(t, "c")
		s.authenticate(t, hub.Connection{ID: "c", Project: "p", User: "u", LoggingIn: true})
		if c := s.connection(t, "c"); c.User != "u" || !c.LoggingIn {
			t.Errorf("user %q, logging in %t", c.User, c.LoggingIn)
		}
		if got, err := s.UserConnections(t.Context(), "p", "u"); len(got) != 1 || !got[0].LoggingIn || err != nil {
			t.Errorf("%v, %v", got, err)
		}
		s.authenticate(t, hub.Connection{ID: "c", Project: "p", User: "u"})
		if got, err := s.UserConnections(t.Context(), "p", "u"); len(got) != 1 || got[0].LoggingIn || err != nil {
			t.Errorf("%v, %v", got, err)
		}
	})

	t.Run("anonymous user", func(t *testing.T) {
		s := newRig(t)
		s.enter(t, "a", "")
		s.Requests.Sent()
		if got, err := s.UserConnections(t.Context(), "p", ""); len(got) > 0 || err != nil {
			t.Errorf("%v, %v", got, err)
		}
		same(t, "requests", s.Requests.Sent(), "")
	})

	t.Run("separator in project and user", func(t *testing.T) {
		s := newRig(t)
		s.open(t, "c")
		s.authenticate(t, hub.Connection{ID: "c", Project: "a#b", User: "c"})
		if got, err := s.UserConnections(t.Context(), "a", "b#c"); len(got) > 0 || err != nil {
			t.Errorf("%v, %v", got, err)
		}
	})

	t.Run("index entry of a former user", func(t *testing.T) {
		s := newRig(t)
		s.open(t, "c")
		s.authenticate(t, hub.Connection{ID: "c", Project: "p", User: "former", TokenExpires: s.Clock.Now().Add(time.Minute)})
		var index []byte // the response before the change
		s.Requests.Intercept = func(operation string, r *http.Request) (*http.Response, error) {
			if operation != "Query" {
				return nil, nil
			}
			resp, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				return nil, err
			}
			defer resp.Body.Close()
			if index, err = io.ReadAll(resp.Body); err != nil {
				return nil, err
			}
			resp.Body = io.NopCloser(bytes.NewReader(index))
			return resp, nil
		}
		if got, err := s.UserConnections(t.Context(), "p", "former"); len(got) != 1 || err != nil {
			t.Fatalf("%v, %v", got, err)
		}
		s.Clock.Advance(time.Minute)
		s.authenticate(t, hub.Connection{ID: "c", Project: "p", User: "other"})
		s.Requests.Intercept = func(operation string, r *http.Request) (*http.Response, error) {
			if operation != "Query" {
				return nil, nil
			}
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(index)), Header: http.Header{}, Request: r}, nil
		}
		s.Requests.Sent()
		if got, err := s.UserConnections(t.Context(), "p", "former"); len(got) > 0 || err != nil {
			t.Errorf("%v, %v", got, err)
		}
		same(t, "requests", s.Requests.Sent(), "1 BatchGetItem, 1 Query")
	})

	t.Run("expired connections", func(t *testing.T) {
		s := newRig(t)
		s.enter(t, "old", "u")
		s.Clock.Advance(hub.MaxConnectionAge)
		s.enter(t, "new", "u")
		got, err := s.UserConnections(t.Context(), "p", "u")
		if err != nil {
			t.Fatal(err)
		}
		same(t, "ids", ids(got), []string{"new"})
	})
}
