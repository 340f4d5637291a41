package store_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"centrifuge/pkg/hub"
)

// TestRequestCounts checks the requests that each operation sends: an operator pays for
// them and a client waits for them.
func TestRequestCounts(t *testing.T) {
	s := newRig(t)
	s.putProject(t, &hub.Project{
		ID: "p", Name: "n", Secret: "s", APIKeyHashes: []string{hashOf("k1"), hashOf("k2")},
		Categories: map[string]hub.Category{"a": {Name: "a"}, "b": {Name: "b"}},
	})
	in := func(id string, channels int) hub.Connection {
		s.enter(t, id, "user of "+id)
		if channels > 0 {
			s.subscribe(t, id, channelsNamed(channels, "x"))
		}
		return s.connection(t, id)
	}
	fresh, few, many := in("fresh", 0), in("few", 3), in("many", 51)
	s.open(t, "opened")
	for i := range 101 {
		s.enter(t, fmt.Sprint("tab", i), "tabs")
	}
	names := func(c hub.Connection) []hub.Channel { return slices.Collect(maps.Keys(c.Channels)) }
	ch, ctx, now := channel("x0"), t.Context(), s.Clock.Now()

	for _, c := range []struct {
		name string
		do   func() error
		want string
	}{
		{"$connect is one write", func() error {
			return s.OpenConnection(ctx, hub.Connection{ID: "new", Expires: now.Add(hub.MaxConnectionAge)})
		}, "1 PutItem"},
		{"a project is one query with its categories", func() error { _, err := s.Project(ctx, "p"); return err }, "1 Query"},
		{"an API key is a read and its project", func() error { _, err := s.ProjectByAPIKeyHash(ctx, hashOf("k1")); return err }, "1 GetItem, 1 Query"},
		{"auth is one write", func() error {
			_, _, err := s.Authenticate(ctx, hub.Connection{ID: "opened", Project: "p"}, now)
			return err
		}, "1 UpdateItem"},
		{"auth that changes nothing is one write", func() error {
			_, _, err := s.Authenticate(ctx, hub.Connection{ID: "opened", Project: "p"}, now)
			return err
		}, "1 UpdateItem"},
		{"auth of a closed connection is one write", func() error {
			if _, _, err := s.Authenticate(ctx, hub.Connection{ID: "gone", Project: "p"}, now); err == nil {
				return errors.New("no error")
			}
			return nil
		}, "1 UpdateItem"},
		{"reading a connection is one read", func() error { _, err := s.Connection(ctx, "few"); return err }, "1 GetItem"},
		{"subscribing to a channel is two writes", func() error {
			return s.Subscribe(ctx, fresh, channelsNamed(1, "x"))
		}, "1 BatchWriteItem, 1 UpdateItem"},
		{"subscribing to 25 channels is two writes", func() error {
			return s.Subscribe(ctx, fresh, channelsNamed(25, "x"))
		}, "1 BatchWriteItem, 1 UpdateItem"},
		{"subscribing to 26 channels is three writes", func() error {
			return s.Subscribe(ctx, fresh, channelsNamed(26, "x"))
		}, "2 BatchWriteItem, 1 UpdateItem"},
		{"subscribing to more channels than the limit is no request", func() error {
			if err := s.Subscribe(ctx, fresh, channelsNamed(hub.MaxChannels+1, "x")); err == nil {
				return errors.New("no error")
			}
			return nil
		}, ""},
		{"subscribing beyond the limit is one write", func() error {
			if err := s.Subscribe(ctx, many, channelsNamed(hub.MaxChannels, "y")); err == nil {
				return errors.New("no error")
			}
			return nil
		}, "1 UpdateItem"},
		{"reading the subscribers of a shard is one query", func() error {
			for _, err := range s.Subscribers(ctx, ch, 0) {
				if err != nil {
					return err
				}
			}
			return nil
		}, "1 Query"},
		{"removing a subscriber is one write", func() error { return s.RemoveSubscriber(ctx, ch, 0, "few") }, "1 DeleteItem"},
		{"unsubscribing is two writes", func() error { return s.Unsubscribe(ctx, few, names(few)) }, "1 BatchWriteItem, 1 UpdateItem"},
		{"unsubscribing from other channels is no request", func() error {
			return s.Unsubscribe(ctx, few, []hub.Channel{channel("z")})
		}, ""},
		{"unsubscribing from 26 channels is three writes", func() error {
			return s.Unsubscribe(ctx, many, names(many)[:26])
		}, "2 BatchWriteItem, 1 UpdateItem"},
		{"closing a connection without channels is one write", func() error { _, err := s.CloseConnection(ctx, "few"); return err }, "1 DeleteItem"},
		{"closing a closed connection is one write", func() error { _, err := s.CloseConnection(ctx, "few"); return err }, "1 DeleteItem"},
		{"closing a connection in 26 channels is three writes", func() error { _, err := s.CloseConnection(ctx, "fresh"); return err }, "2 BatchWriteItem, 1 DeleteItem"},
		{"a user without connections is one query", func() error { _, err := s.UserConnections(ctx, "p", "absent"); return err }, "1 Query"},
		{"a user with 101 connections is one query and two reads", func() error {
			got, err := s.UserConnections(ctx, "p", "tabs")
			if err == nil && len(got) != 101 {
				return fmt.Errorf("%d connections", len(got))
			}
			return err
		}, "2 BatchGetItem, 1 Query"},
		{"claiming, settling and releasing a key is one write each", func() error {
			if _, err := s.Claim(ctx, ch, "k", now); err != nil {
				return err
			}
			if err := s.Settle(ctx, ch, "k", hub.Result{}, now); err != nil {
				return err
			}
			return s.Release(ctx, ch, "k")
		}, "1 DeleteItem, 2 PutItem"},
		{"measuring a small table is one scan for each segment", func() error { _, err := s.Usage(ctx, "p"); return err }, "4 Scan"},
		{"listing channels is one scan for each segment", func() error {
			_, err := s.Channels(ctx, "p", "", 1, func(hub.Channel) bool { return true })
			return err
		}, "4 Scan"},
		{"writing a project is two writes and one for each API key", func() error {
			return s.PutProject(ctx, &hub.Project{ID: "p", Name: "n", Secret: "s", Revision: 1, APIKeyHashes: []string{hashOf("k1"), hashOf("k2")}})
		}, "4 PutItem"},
		{"revoking an API key is one write more", func() error {
			return s.PutProject(ctx, &hub.Project{ID: "p", Name: "n", Secret: "s", Revision: 2, APIKeyHashes: []string{hashOf("k1")}})
		}, "1 BatchWriteItem, 3 PutItem"},
		{"writing a category is one write", func() error { return s.PutCategory(ctx, "p", hub.Category{Name: "c"}) }, "1 PutItem"},
		{"deleting a category is one write", func() error { return s.DeleteCategory(ctx, "p", "c") }, "1 DeleteItem"},
		{"reading a project without the cache is one query", func() error { _, err := s.ReadProject(ctx, "p"); return err }, "1 Query"},
		{"listing projects is one query and one for each", func() error { _, err := s.ListProjects(ctx); return err }, "2 Query"},
		{"counting a message is one write", func() error { return s.Count(ctx, "p", now, 1, 10) }, "1 UpdateItem"},
		{"counting another within a second is no request", func() error { return s.Count(ctx, "p", now.Add(time.Second-1), 1, 10) }, ""},
		{"counting one after a second is one write", func() error { return s.Count(ctx, "p", now.Add(time.Second), 1, 10) }, "1 UpdateItem"},
		{"reading counts is one query", func() error { _, err := s.Counted(ctx, "p", now.Add(-24*time.Hour)); return err }, "1 Query"},
		{"a tally is one write", func() error { _, err := s.Tally(ctx, "t", 1, now.Add(time.Hour)); return err }, "1 UpdateItem"},
		{"reading a tally is one read", func() error { _, err := s.Tally(ctx, "t", 0, now.Add(time.Hour)); return err }, "1 GetItem"},
		{"deleting a project is a query and three writes", func() error { return s.DeleteProject(ctx, "p") }, "3 BatchWriteItem, 1 Query"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.Requests.Sent()
			if err := c.do(); err != nil {
				t.Fatal(err)
			}
			same(t, "requests", s.Requests.Sent(), c.want)
		})
	}
}
