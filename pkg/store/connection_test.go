package store

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"centrifuge/pkg/hub"
)

func TestConnection(t *testing.T) {
	s := newStage(t)
	now := s.clock.Now().Truncate(time.Second)
	who := hub.Connection{
		ID: "c", Project: "p#", User: "u#%\x00é", Info: json.RawMessage(`{"name":"<ü>"}`), Protocol: hub.Classic,
		Permissions: hub.Permissions{
			Confirmed:  true,
			Categories: map[string]hub.Grant{"chat": {Whole: true}, "a<&>#": {Channels: []string{"x", "\x00"}}, "none": {}},
		},
		TokenExpires: now.Add(time.Hour),
	}

	t.Run("a connection comes back as it was opened, then as it authenticated", func(t *testing.T) {
		want := hub.Connection{ID: "c", Origin: "https://o", Expires: now.Add(hub.MaxConnectionAge)}
		if err := s.OpenConnection(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		same(t, "opened", s.connection(t, "c"), want)
		s.authenticate(t, who)
		full := who
		full.Origin, full.Expires = want.Origin, want.Expires
		same(t, "authenticated", s.connection(t, "c"), full)
	})

	t.Run("a second authentication changes nothing while the first is good", func(t *testing.T) {
		before := s.connection(t, "c")
		replaced, err := s.Authenticate(t.Context(), hub.Connection{ID: "c", Project: "p", User: "other"}, now.Add(time.Hour-1))
		if err != nil {
			t.Fatal(err)
		}
		same(t, "replaced", replaced, hub.Connection{})
		same(t, "connection", s.connection(t, "c"), before)
	})

	t.Run("after its token has expired another identity replaces the whole of it", func(t *testing.T) {
		s.subscribe(t, "c", map[hub.Channel]int{{Project: "p#", Category: "chat", Name: "x"}: 1})
		before := s.connection(t, "c")
		replaced, err := s.Authenticate(t.Context(), hub.Connection{ID: "c", Project: "q", Protocol: "other"}, who.TokenExpires)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "replaced", replaced, before)
		same(t, "connection", s.connection(t, "c"), hub.Connection{
			ID: "c", Origin: "https://o", Expires: now.Add(hub.MaxConnectionAge), Project: "q", Protocol: "other",
		})
		if got, err := s.UserConnections(t.Context(), who.Project, who.User); len(got) > 0 || err != nil {
			t.Errorf("the former user still has it: %v, %v", got, err)
		}
		// Without an expiry it is good for as long as the connection.
		if _, err := s.Authenticate(t.Context(), who, now.Add(2*time.Hour)); err != nil {
			t.Error(err)
		}
		same(t, "project", s.connection(t, "c").Project, "q")
	})

	t.Run("a connection that was never opened, is closed or has expired is not found", func(t *testing.T) {
		s := newStage(t)
		s.open(t, "closed")
		s.enter(t, "old", "u")
		if _, err := s.CloseConnection(t.Context(), "closed"); err != nil {
			t.Fatal(err)
		}
		s.clock.advance(hub.MaxConnectionAge)
		s.enter(t, "new", "u")
		for _, id := range []string{"never", "closed", "old"} {
			_, err := s.Connection(t.Context(), id)
			fails(t, err, hub.ErrConnectionNotFound)
			_, err = s.Authenticate(t.Context(), hub.Connection{ID: id, Project: "p"}, s.clock.Now())
			fails(t, err, hub.ErrConnectionNotFound)
			err = s.Subscribe(t.Context(), hub.Connection{ID: id, Project: "p", Expires: s.clock.Now().Add(time.Hour)}, channelsNamed(1, "x"))
			fails(t, err, hub.ErrConnectionNotFound)
			if got := s.subscribers(t, channel("x0"), 0); len(got) > 0 {
				t.Errorf("%s left subscriptions: %v", id, got)
			}
			if _, err := s.CloseConnection(t.Context(), id); err != nil {
				t.Errorf("closing %s: %v", id, err)
			}
		}
		s.connection(t, "new")
	})

	t.Run("nothing is seen once its second has come, and all until the second before", func(t *testing.T) {
		s := newStage(t)
		start := s.clock.Now().Truncate(time.Second)
		s.clock.advance(start.Sub(s.clock.Now()))
		if err := s.OpenConnection(t.Context(), hub.Connection{ID: "c", Expires: start.Add(time.Hour + 900*time.Millisecond)}); err != nil {
			t.Fatal(err)
		}
		s.clock.advance(time.Hour - 1)
		s.connection(t, "c")
		s.clock.advance(1)
		_, err := s.Connection(t.Context(), "c")
		fails(t, err, hub.ErrConnectionNotFound)
	})

	t.Run("the largest permissions are kept, larger ones refused", func(t *testing.T) {
		s := newStage(t)
		s.open(t, "c")
		p := hub.Permissions{Categories: map[string]hub.Grant{}}
		for i := range hub.MaxPermissions {
			p.Categories[fmt.Sprintf("%0255d", i)] = hub.Grant{}
		}
		_, err := s.Authenticate(t.Context(), hub.Connection{ID: "c", Project: "p", Permissions: p}, s.clock.Now())
		fails(t, err, hub.ErrLimitExceeded)
		for i := range 100 {
			delete(p.Categories, fmt.Sprintf("%0255d", i))
		}
		info := json.RawMessage(`"` + strings.Repeat("i", hub.MaxInfoBytes-2) + `"`)
		s.authenticate(t, hub.Connection{ID: "c", Project: "p", Permissions: p, Info: info})
		all := make(map[hub.Channel]int)
		for i := range hub.MaxChannels {
			all[channel(fmt.Sprintf("%s%03d", strings.Repeat("#", 247), i))] = 64
		}
		s.subscribe(t, "c", all)
		c := s.connection(t, "c")
		same(t, "permissions", c.Permissions, p)
		same(t, "channels", len(c.Channels), hub.MaxChannels)
	})
}

func TestCloseConnection(t *testing.T) {
	s := newStage(t)
	s.enter(t, "c", "u")
	s.enter(t, "other", "u")
	channels := channelsNamed(60, "x")
	s.subscribe(t, "c", channels)
	s.subscribe(t, "other", channels)
	want := s.connection(t, "c")
	closed, err := s.CloseConnection(t.Context(), "c")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the connection as it was", closed, want)
	for ch := range channels {
		same(t, "subscribers", s.subscribers(t, ch, 0), []string{"other"})
	}
	again, err := s.CloseConnection(t.Context(), "c")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the connection, the second time", again, hub.Connection{})
}

func TestCloseExpiredConnection(t *testing.T) {
	s := newStage(t)
	s.enter(t, "c", "u")
	want := s.connection(t, "c")
	s.clock.advance(hub.MaxConnectionAge)
	closed, err := s.CloseConnection(t.Context(), "c")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the connection as it was", closed, want)
}

func TestUserConnections(t *testing.T) {
	ids := func(cs []hub.Connection) (ids []string) {
		for _, c := range cs {
			ids = append(ids, c.ID)
		}
		slices.Sort(ids)
		return ids
	}

	t.Run("it finds those of the named user in the project, as they are", func(t *testing.T) {
		s := newStage(t)
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
				want.Channels = map[hub.Channel]int{channel("x0"): 0, channel("x1"): 0, channel("x2"): 0}
				same(t, "connection", c, want)
			}
		}
	})

	t.Run("nobody is the anonymous user", func(t *testing.T) {
		s := newStage(t)
		s.enter(t, "a", "")
		s.wire.calls()
		if got, err := s.UserConnections(t.Context(), "p", ""); len(got) > 0 || err != nil {
			t.Errorf("%v, %v", got, err)
		}
		same(t, "calls", s.wire.calls(), "")
	})

	t.Run("projects and users that run together are told apart", func(t *testing.T) {
		s := newStage(t)
		s.open(t, "c")
		s.authenticate(t, hub.Connection{ID: "c", Project: "a#b", User: "c"})
		if got, err := s.UserConnections(t.Context(), "a", "b#c"); len(got) > 0 || err != nil {
			t.Errorf("%v, %v", got, err)
		}
	})

	t.Run("one that the index still lists under its former user is left out", func(t *testing.T) {
		s := newStage(t)
		s.enter(t, "c", "now another's")
		s.wire.tamper = func(op string, r *http.Request) (*http.Response, error) {
			if op != "Query" {
				return nil, nil
			}
			stale := map[string]any{"PK": map[string]any{"S": connectionKey("c")}, "SK": map[string]any{"S": only}}
			out, n := body(t, map[string]any{"Items": []any{stale}, "Count": 1, "ScannedCount": 1})
			return &http.Response{StatusCode: http.StatusOK, Body: out, ContentLength: n, Header: http.Header{}, Request: r}, nil
		}
		if got, err := s.UserConnections(t.Context(), "p", "u"); len(got) > 0 || err != nil {
			t.Errorf("%v, %v", got, err)
		}
		same(t, "calls", strings.Contains(s.wire.calls(), "1 BatchGetItem"), true)
	})

	t.Run("expired ones are left out", func(t *testing.T) {
		s := newStage(t)
		s.enter(t, "old", "u")
		s.clock.advance(hub.MaxConnectionAge)
		s.enter(t, "new", "u")
		got, err := s.UserConnections(t.Context(), "p", "u")
		if err != nil {
			t.Fatal(err)
		}
		same(t, "ids", ids(got), []string{"new"})
	})
}
