package store_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store"
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
	few, in25, many, overtaken := in("few", 3), in("in25", 25), in("many", hub.MaxChannels), in("overtaken", 3)
	s.open(t, "opened")
	opened := s.connection(t, "opened")
	for i := range 101 {
		s.enter(t, fmt.Sprint("tab", i), "tabs")
	}
	names := func(c hub.Connection) []hub.Channel { return slices.Collect(maps.Keys(c.Channels)) }
	ch, ctx, now := channel("x0"), t.Context(), s.Clock.Now()
	change := func(c *hub.Connection, p plan) func() error {
		return func() (err error) {
			_, *c, err = s.ChangeConnection(ctx, *c, p)
			return err
		}
	}
	identity := hub.Connection{Project: "p", User: "u", TokenExpires: now.Add(time.Hour)}
	renewed := identity
	renewed.TokenExpires = now.Add(2 * time.Hour)
	stale := opened

	// The streams: that of this process, and another process that knows nothing.
	st, cold := streamOf("busy"), s.another()
	keyed := func(key string) hub.AppendOptions { return hub.AppendOptions{IdempotencyKey: key} }
	publish := func(by *store.Store, id string, o hub.AppendOptions) func() error {
		return func() error {
			a, err := by.Append(ctx, st, said(id), o)
			if err != nil || !a.Pending {
				return err
			}
			announced, err := by.Announce(ctx, st, a, s.lease(id))
			if err != nil || announced.Head.Lease.ID != id {
				return err
			}
			_, ok, err := by.ReleaseLease(ctx, st, hub.Progress{Lease: id, Done: announced.Message.Position.Offset}, announced.Head.Wake)
			if err == nil && !ok {
				return errors.New("the lease was not released")
			}
			return err
		}
	}

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
		{"auth is one write", change(&opened, become(identity)), "1 UpdateItem"},
		{"auth that changes nothing is no request", change(&opened, become(identity)), ""},
		{"auth of a connection that has changed is two writes", func() error {
			_, _, err := s.ChangeConnection(ctx, stale, become(renewed))
			return err
		}, "2 UpdateItem"},
		{"a change that two others overtake is one query more", func() error {
			others := 0
			_, _, err := s.ChangeConnection(ctx, overtaken, func(now hub.Connection) (hub.Change, error) {
				if others++; others <= 2 {
					if _, _, err := s.ChangeConnection(ctx, now, join(channelsNamed(1, fmt.Sprint("other", others, "-")))); err != nil {
						return hub.Change{}, err
					}
				}
				return join(channelsNamed(1, "mine"))(now)
			})
			return err
		}, "1 Query, 5 TransactWriteItems"},
		{"auth of a closed connection is one write", func() error {
			if _, _, err := s.ChangeConnection(ctx, hub.Connection{ID: "gone"}, become(identity)); err == nil {
				return errors.New("no error")
			}
			return nil
		}, "1 UpdateItem"},
		{"a command of a connection without a debt is one write", func() error {
			_, _, err := s.Spend(ctx, "few", time.Second, time.Minute, now)
			return err
		}, "1 UpdateItem"},
		{"a command of a connection in debt is two writes", func() error {
			_, _, err := s.Spend(ctx, "few", time.Second, time.Minute, now)
			return err
		}, "2 UpdateItem"},
		{"a command of a closed connection is one write", func() error {
			if _, _, err := s.Spend(ctx, "gone", time.Second, time.Minute, now); err == nil {
				return errors.New("no error")
			}
			return nil
		}, "1 UpdateItem"},
		{"storing and reading the admin password is one write and one read", func() error {
			if err := s.PutAdminPassword(ctx, "hash"); err != nil {
				return err
			}
			_, err := s.AdminPassword(ctx)
			return err
		}, "1 GetItem, 1 PutItem"},
		{"reading a connection is one read", func() error { _, err := s.Connection(ctx, "few"); return err }, "1 GetItem"},
		{"subscribing to a channel is one transaction", change(&few, join(channelsNamed(1, "y"))), "1 TransactWriteItems"},
		{"subscribing to it again is one transaction", change(&few, join(channelsNamed(1, "y"))), "1 TransactWriteItems"},
		{"subscribing to 99 channels is one transaction", change(&few, join(channelsNamed(99, "z"))), "1 TransactWriteItems"},
		{"unsubscribing from 99 channels is one transaction", change(&few, leave(slices.Collect(maps.Keys(channelsNamed(99, "z")))...)), "1 TransactWriteItems"},
		{"subscribing to 100 channels is two transactions", change(&few, join(channelsNamed(100, "z"))), "2 TransactWriteItems"},
		{"renewing a token with 128 channels is two transactions", change(&many, become(renewed)), "2 TransactWriteItems"},
		{"subscribing a connection that has changed is two transactions", func() error {
			old := few
			old.Revision--
			_, _, err := s.ChangeConnection(ctx, old, join(channelsNamed(1, "y")))
			return err
		}, "2 TransactWriteItems"},
		{"a refused subscribe is no request", func() error {
			if _, _, err := s.ChangeConnection(ctx, few, func(hub.Connection) (hub.Change, error) { return hub.Change{}, hub.ErrLimitExceeded }); err == nil {
				return errors.New("no error")
			}
			return nil
		}, ""},
		{"reading the subscribers of a shard is one query", func() error {
			for _, err := range s.Subscribers(ctx, ch, 0) {
				if err != nil {
					return err
				}
			}
			return nil
		}, "1 Query"},
		{"occupying a channel is two writes", func() error { _, _, err := s.Occupy(ctx, ch, now); return err }, "2 UpdateItem"},
		{"occupying an occupied channel is one write", func() error { _, _, err := s.Occupy(ctx, ch, now); return err }, "1 UpdateItem"},
		{"reading an occupancy is one query", func() error { _, err := s.Occupancy(ctx, ch); return err }, "1 Query"},
		{"finding out whether a shard has a subscriber is one query", func() error {
			has, err := s.HasSubscriber(ctx, ch, 0)
			if !has {
				return errors.Join(errors.New("there is none"), err)
			}
			return err
		}, "1 Query"},
		{"finding out that a shard has no subscriber is one query", func() error { _, err := s.HasSubscriber(ctx, ch, 31); return err }, "1 Query"},
		{"vacating a channel is one write", func() error {
			_, vacated, err := s.Vacate(ctx, ch, hub.Occupancy{Version: 2}, now)
			if !vacated {
				return errors.Join(errors.New("it is not vacated"), err)
			}
			return err
		}, "1 UpdateItem"},
		{"removing 26 subscribers is two writes", func() error {
			orphans := make([]hub.Gone, 26)
			for i := range orphans {
				orphans[i] = hub.Gone{Channel: ch, Connection: fmt.Sprint("absent", i)}
			}
			return s.RemoveSubscribers(ctx, orphans)
		}, "2 BatchWriteItem"},
		{"unsubscribing from other channels is no request", change(&many, leave(channel("other"))), ""},
		{"unsubscribing from a channel is one transaction", change(&many, leave(ch)), "1 TransactWriteItems"},
		{"unsubscribing from all channels is two transactions", change(&many, leave(names(many)...)), "2 TransactWriteItems"},
		{"closing a connection without channels is two writes", func() error { return s.end(ctx, "opened") }, "1 BatchWriteItem, 1 UpdateItem"},
		{"closing a connection in 25 channels is three writes", func() error { return s.end(ctx, in25.ID) }, "2 BatchWriteItem, 1 UpdateItem"},
		{"closing a closed connection is one write", func() error { return s.end(ctx, "opened") }, "1 UpdateItem"},
		{"closing a connection that gets pings is two writes", func() error {
			s.enter(t, "pinged", "u")
			s.authenticate(t, hub.Connection{ID: "pinged", Project: "p", User: "u", Protocol: hub.Centrifugo, PingMinutes: 1})
			s.Requests.Sent()
			return s.end(ctx, "pinged")
		}, "1 BatchWriteItem, 1 UpdateItem"},
		{"a ping is one write", func() error { return s.PutPing(ctx, hub.Ping{Connection: "c", Minutes: 1}, now.Add(time.Hour)) }, "1 PutItem"},
		{"the pings of a slot are one query", func() error {
			for _, err := range s.Pings(ctx, hub.PingSlot{Minutes: 1}) {
				if err != nil {
					return err
				}
			}
			return nil
		}, "1 Query"},
		{"removing 26 pings is two writes", func() error {
			pings := make([]hub.Ping, 26)
			for i := range pings {
				pings[i] = hub.Ping{Connection: fmt.Sprint("c", i), Minutes: 1}
			}
			return s.RemovePings(ctx, pings)
		}, "2 BatchWriteItem"},
		{"hiding 26 subscriptions is two writes", func() error {
			places := make([]hub.Place, 26)
			for i := range places {
				places[i] = hub.Place{Channel: channel(fmt.Sprint("hidden", i))}
			}
			return s.HideSubscriptions(ctx, map[string][]hub.Place{"gone": places})
		}, "2 BatchWriteItem"},
		{"a user without connections is one query", func() error { _, err := s.UserConnections(ctx, "p", "absent"); return err }, "1 Query"},
		{"a user with 101 connections is one query and two reads", func() error {
			got, err := s.UserConnections(ctx, "p", "tabs")
			if err == nil && len(got) != 101 {
				return fmt.Errorf("%d connections", len(got))
			}
			return err
		}, "2 BatchGetItem, 1 Query"},
		{"claiming, settling and releasing a key is one write each", func() error {
			claim, err := s.Claim(ctx, ch, "k", "m", now)
			if err != nil {
				return err
			}
			claim.Settled = &hub.Result{}
			if err := s.Settle(ctx, ch, "k", claim, now); err != nil {
				return err
			}
			return s.Release(ctx, ch, "k")
		}, "1 PutItem, 2 UpdateItem"},
		{"claiming a settled key is one write", func() error { _, err := s.Claim(ctx, ch, "k", "m", now); return err }, "1 UpdateItem"},
		{"claiming a key that has expired is two writes", func() error {
			_, err := s.Claim(ctx, ch, "k", "m", now.Add(hub.IdempotencyWindow))
			return err
		}, "2 UpdateItem"},
		{"the first publish to a stream is a read and three writes", publish(s.Store.Store, "m1", hub.AppendOptions{}), "2 PutItem, 1 Query, 1 UpdateItem"},
		{"a publish to a stream is three writes: append, announce, release", publish(s.Store.Store, "m2", hub.AppendOptions{}), "1 PutItem, 2 UpdateItem"},
		{"a publish of a process that does not know the stream is one read more", publish(cold, "m3", hub.AppendOptions{}), "1 PutItem, 1 Query, 2 UpdateItem"},
		{"a publish after one of another process is one write more", publish(s.Store.Store, "m4", hub.AppendOptions{}), "2 PutItem, 2 UpdateItem"},
		{"a publish under a key is a transaction of two and two writes", publish(s.Store.Store, "m5", keyed("k5")), "1 TransactWriteItems, 2 UpdateItem"},
		{"a repeat under a key is a transaction and two writes", publish(s.Store.Store, "m6", keyed("k5")), "1 TransactWriteItems, 2 UpdateItem"},
		{"a publish of a version is a transaction of two and two writes", publish(s.Store.Store, "m7", hub.AppendOptions{Version: 1}), "1 TransactWriteItems, 2 UpdateItem"},
		{"a publish of a version that is skipped is a transaction and a read", publish(s.Store.Store, "m8", hub.AppendOptions{Version: 1}), "1 Query, 1 TransactWriteItems"},
		{"opening a stream is one read", func() error { _, err := s.OpenStream(ctx, st); return err }, "1 Query"},
		{"opening a stream that does not exist is a read and a write", func() error { _, err := s.OpenStream(ctx, streamOf("unopened")); return err }, "1 PutItem, 1 Query"},
		{"admitting a subscriber is one write", func() error {
			_, _, err := s.AdmitSubscriber(ctx, hub.Admission{Place: hub.Place{Channel: ch}, Connection: "c", ID: "1"}, 0, hub.Mark{})
			return err
		}, "1 UpdateItem"},
		{"losing a subscriber is one write", func() error {
			_, _, err := s.LoseSubscriber(ctx, hub.Lost{Gone: hub.Gone{Connection: "c", Channel: ch}, ID: "1"}, hub.Mark{})
			return err
		}, "1 UpdateItem"},
		{"taking a lease is one write", func() error { _, _, err := s.TakeLease(ctx, st, s.lease("holder")); return err }, "1 UpdateItem"},
		{"a publish to a stream that another one dispatches is two writes", publish(s.Store.Store, "m9", hub.AppendOptions{}), "1 PutItem, 1 UpdateItem"},
		{"taking a lease that another one holds is one write", func() error { _, _, err := s.TakeLease(ctx, st, s.lease("other")); return err }, "1 UpdateItem"},
		{"a turn at the lease is one write", func() error { _, _, err := s.TakeTurn(ctx, st, hub.Turn{Request: "r"}); return err }, "1 UpdateItem"},
		{"renewing a lease is one write", func() error {
			_, _, err := s.RenewLease(ctx, st, hub.Progress{Lease: "holder"}, now)
			return err
		}, "1 UpdateItem"},
		{"a release that comes too late is one write", func() error {
			_, _, err := s.ReleaseLease(ctx, st, hub.Progress{Lease: "holder"}, 0)
			return err
		}, "1 UpdateItem"},
		{"dropping a lease is one write", func() error { _, _, err := s.DropLease(ctx, st, hub.Progress{Lease: "holder"}, hub.Turn{}); return err }, "1 UpdateItem"},
		{"reading a head is one read", func() error { _, err := s.StreamHead(ctx, st); return err }, "1 GetItem"},
		{"reading publications is one read", func() error { _, err := s.Publications(ctx, st, "e", 0, 100); return err }, "1 Query"},
		{"the top of a stream is one read", func() error { _, _, err := s.History(ctx, st, hub.HistoryQuery{}); return err }, "1 Query"},
		{"a history is two reads", func() error { _, _, err := s.History(ctx, st, hub.HistoryQuery{Limit: -1}); return err }, "2 Query"},
		{"removing a history is a read and a write", func() error { return s.RemoveHistory(ctx, st) }, "1 Query, 1 UpdateItem"},
		{"measuring a small table is one scan for each segment", func() error { _, err := s.Usage(ctx, "p", hub.Bound{}, all); return err }, "4 Scan"},
		{"listing channels is one scan for each segment", func() error {
			_, err := s.Channels(ctx, "p", "", 1, all)
			return err
		}, "4 Scan"},
		{"writing a project is two writes and one for each API key", func() error {
			return s.PutProject(ctx, &hub.Project{ID: "p", Name: "n", Secret: "s", Revision: 1, APIKeyHashes: []string{hashOf("k1"), hashOf("k2")}})
		}, "4 PutItem"},
		{"revoking an API key is one write more", func() error {
			return s.PutProject(ctx, &hub.Project{ID: "p", Name: "n", Secret: "s", Revision: 2, APIKeyHashes: []string{hashOf("k1")}})
		}, "1 BatchWriteItem, 3 PutItem"},
		{"creating a category is two reads and a write", func() error { return s.PutCategory(ctx, "p", hub.Category{Name: "c"}) }, "2 GetItem, 1 PutItem"},
		{"writing a category is a read and a write", func() error { return s.PutCategory(ctx, "p", hub.Category{Name: "c", Revision: 1}) }, "1 GetItem, 1 PutItem"},
		{"deleting a category is one transaction", func() error { return s.DeleteCategory(ctx, "p", "c") }, "1 TransactWriteItems"},
		{"reading a project without the cache is one query", func() error { _, err := s.ReadProject(ctx, "p"); return err }, "1 Query"},
		{"listing projects is one query and one for each", func() error { _, err := s.ListProjects(ctx); return err }, "2 Query"},
		{"counting a message is one write", func() error { return s.Count(ctx, "p", now, 1, 10) }, "1 UpdateItem"},
		{"counting another within a second is no request", func() error { return s.Count(ctx, "p", now.Add(time.Second-1), 1, 10) }, ""},
		{"counting one after a second is one write", func() error { return s.Count(ctx, "p", now.Add(time.Second), 1, 10) }, "1 UpdateItem"},
		{"reading counts is one query", func() error { _, err := s.Counted(ctx, "p", now.Add(-24*time.Hour)); return err }, "1 Query"},
		{"a tally is one write", func() error { _, err := s.Tally(ctx, "t", 1, now.Add(time.Hour)); return err }, "1 UpdateItem"},
		{"reading a tally is one read", func() error { _, err := s.Tally(ctx, "t", 0, now.Add(time.Hour)); return err }, "1 GetItem"},
		{"a breaker is one read", func() error { _, err := s.Breaker(ctx, "p", "a"); return err }, "1 GetItem"},
		{"replacing a breaker is one write", func() error {
			_, _, err := s.ReplaceBreaker(ctx, "p", "a", hub.Breaker{}, hub.Breaker{Failures: 1})
			return err
		}, "1 UpdateItem"},
		{"a breaker that is not the old one is one write", func() error {
			_, _, err := s.ReplaceBreaker(ctx, "p", "a", hub.Breaker{}, hub.Breaker{Failures: 2})
			return err
		}, "1 UpdateItem"},
		{"forgetting the failures of a breaker is one write", func() error {
			_, _, err := s.ReplaceBreaker(ctx, "p", "a", hub.Breaker{Failures: 1}, hub.Breaker{})
			return err
		}, "1 DeleteItem"},
		{"deleting a project is a query and two writes", func() error { return s.DeleteProject(ctx, "p") }, "1 BatchWriteItem, 1 Query, 1 TransactWriteItems"},
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
