package store_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"centrifuge/pkg/hub"
)

func TestAuthenticate(t *testing.T) {
	s := newRig(t)
	now := s.Clock.Now().Truncate(time.Second)
	identity := hub.Connection{
		ID: "c", Project: "p#", User: "u#%\x00é", Info: json.RawMessage(`{"name":"<ü>"}`), Protocol: hub.Classic,
		Permissions: hub.Permissions{
			Confirmed:  true,
			Categories: map[string]hub.Grant{"chat": {Whole: true}, "a<&>#": {Channels: []string{"x", "\x00"}}, "none": {}},
		},
		TokenExpires: now.Add(time.Hour),
	}

	t.Run("open and authenticate", func(t *testing.T) {
		want := hub.Connection{ID: "c", Origin: "https://o", Expires: now.Add(hub.MaxConnectionAge)}
		if err := s.OpenConnection(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		same(t, "opened", s.connection(t, "c"), want)
		s.authenticate(t, identity)
		full := identity
		full.Origin, full.Expires = want.Origin, want.Expires
		same(t, "authenticated", s.connection(t, "c"), full)
	})

	t.Run("second identity while the first is valid", func(t *testing.T) {
		before := s.connection(t, "c")
		replaced, after, err := s.Authenticate(t.Context(), hub.Connection{ID: "c", Project: "p", User: "other"}, now.Add(time.Hour-1))
		if err != nil {
			t.Fatal(err)
		}
		same(t, "after", after, hub.Connection{})
		same(t, "replaced", replaced, hub.Connection{})
		same(t, "connection", s.connection(t, "c"), before)
	})

	t.Run("same identity again", func(t *testing.T) {
		replaced, after, err := s.Authenticate(t.Context(), identity, now.Add(time.Hour-1))
		if err != nil {
			t.Fatal(err)
		}
		same(t, "replaced", replaced, hub.Connection{})
		same(t, "after", after, s.connection(t, "c"))
	})

	t.Run("second identity after the first expired", func(t *testing.T) {
		s.subscribe(t, "c", map[hub.Channel]int{{Project: "p#", Category: "chat", Name: "x"}: 1})
		before := s.connection(t, "c")
		replaced, after, err := s.Authenticate(t.Context(), hub.Connection{ID: "c", Project: "q", Protocol: "other"}, identity.TokenExpires)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "after", after, s.connection(t, "c"))
		same(t, "replaced", replaced, before)
		same(t, "connection", s.connection(t, "c"), hub.Connection{
			ID: "c", Origin: "https://o", Expires: now.Add(hub.MaxConnectionAge), Project: "q", Protocol: "other",
		})
		if got, err := s.UserConnections(t.Context(), identity.Project, identity.User); len(got) > 0 || err != nil {
			t.Errorf("connections of the former user: %v, %v", got, err)
		}
		// An identity without an expiry is valid until the connection ends.
		if _, _, err := s.Authenticate(t.Context(), identity, now.Add(2*time.Hour)); err != nil {
			t.Error(err)
		}
		same(t, "project", s.connection(t, "c").Project, "q")
	})

	t.Run("unknown, closed and expired connections", func(t *testing.T) {
		s := newRig(t)
		s.open(t, "closed")
		s.enter(t, "old", "u")
		if _, err := s.CloseConnection(t.Context(), "closed"); err != nil {
			t.Fatal(err)
		}
		s.Clock.Advance(hub.MaxConnectionAge)
		s.enter(t, "new", "u")
		for _, id := range []string{"never", "closed", "old"} {
			_, err := s.Connection(t.Context(), id)
			fails(t, err, hub.ErrConnectionNotFound)
			_, _, err = s.Authenticate(t.Context(), hub.Connection{ID: id, Project: "p"}, s.Clock.Now())
			fails(t, err, hub.ErrConnectionNotFound)
			err = s.Subscribe(t.Context(), hub.Connection{ID: id, Project: "p", Expires: s.Clock.Now().Add(time.Hour)}, channelsNamed(1, "x"))
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

	t.Run("expiry in whole seconds", func(t *testing.T) {
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
	})

	t.Run("size limit of an item", func(t *testing.T) {
		s := newRig(t)
		s.open(t, "c")
		p := hub.Permissions{Categories: map[string]hub.Grant{}}
		for i := range hub.MaxPermissions {
			p.Categories[fmt.Sprintf("%0255d", i)] = hub.Grant{}
		}
		_, _, err := s.Authenticate(t.Context(), hub.Connection{ID: "c", Project: "p", Permissions: p}, s.Clock.Now())
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
	s := newRig(t)
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
	same(t, "connection", closed, want)
	for ch := range channels {
		same(t, "subscribers", s.subscribers(t, ch, 0), []string{"other"})
	}
	again, err := s.CloseConnection(t.Context(), "c")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "connection, second close", again, hub.Connection{})
}

func TestCloseExpiredConnection(t *testing.T) {
	s := newRig(t)
	s.enter(t, "c", "u")
	want := s.connection(t, "c")
	s.Clock.Advance(hub.MaxConnectionAge)
	closed, err := s.CloseConnection(t.Context(), "c")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "connection", closed, want)
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
				want.Channels = map[hub.Channel]int{channel("x0"): 0, channel("x1"): 0, channel("x2"): 0}
				same(t, "connection", c, want)
			}
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
