package store

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"centrifuge/pkg/hub"
)

func TestSubscribe(t *testing.T) {
	t.Run("a subscriber is seen in its channel with its protocol, and nowhere else", func(t *testing.T) {
		s := newStage(t)
		s.enter(t, "c", "u")
		s.subscribe(t, "c", channelsNamed(1, "x"))
		for page, err := range s.Subscribers(t.Context(), channel("x0"), 0) {
			if err != nil {
				t.Fatal(err)
			}
			same(t, "page", page, []hub.Subscriber{{Connection: "c", Protocol: hub.Classic}})
		}
		same(t, "channels", s.connection(t, "c").Channels, map[hub.Channel]int{channel("x0"): 0})
		for _, ch := range []hub.Channel{channel("x"), channel("x0#"), {Project: "q", Category: "chat", Name: "x0"}} {
			if got := s.subscribers(t, ch, 0); len(got) > 0 {
				t.Errorf("%+v has %v", ch, got)
			}
		}
	})

	t.Run("all the channels a connection may have, at once, and not one more", func(t *testing.T) {
		s := newStage(t)
		s.enter(t, "c", "u")
		all := channelsNamed(hub.MaxChannels, "x")
		s.subscribe(t, "c", all)
		for ch := range all {
			same(t, "subscribers", s.subscribers(t, ch, 0), []string{"c"})
		}
		err := s.Subscribe(t.Context(), s.connection(t, "c"), channelsNamed(1, "y"))
		fails(t, err, hub.ErrLimitExceeded)
		if got := s.subscribers(t, channel("y0"), 0); len(got) > 0 {
			t.Errorf("refused and yet in: %v", got)
		}
		s.subscribe(t, "c", all)
		s.enter(t, "d", "u")
		err = s.Subscribe(t.Context(), s.connection(t, "d"), channelsNamed(hub.MaxChannels+1, "x"))
		fails(t, err, hub.ErrLimitExceeded)
		if got := s.connection(t, "d").Channels; len(got) > 0 {
			t.Errorf("refused and yet in %d", len(got))
		}
	})

	t.Run("one who does not know that it is in a channel already is not refused for it", func(t *testing.T) {
		s := newStage(t)
		before := s.enter(t, "c", "u")
		s.subscribe(t, "c", channelsNamed(100, "x"))
		if err := s.Subscribe(t.Context(), before, channelsNamed(hub.MaxChannels, "x")); err != nil {
			t.Fatal(err)
		}
		same(t, "channels", len(s.connection(t, "c").Channels), hub.MaxChannels)
		fails(t, s.Subscribe(t.Context(), before, channelsNamed(hub.MaxChannels, "y")), hub.ErrLimitExceeded)
	})

	t.Run("shards spread connections, and one stays where it is when they are raised", func(t *testing.T) {
		s := newStage(t)
		ch := channel("big")
		ids := make([]string, 24)
		used := make(map[int]bool)
		for i := range ids {
			ids[i] = fmt.Sprintf("connection-%d", i)
			s.enter(t, ids[i], "")
			s.subscribe(t, ids[i], map[hub.Channel]int{ch: 4})
			used[s.connection(t, ids[i]).Channels[ch]] = true
		}
		same(t, "shards used", slices.Sorted(maps.Keys(used)), []int{0, 1, 2, 3})
		for _, id := range ids {
			s.subscribe(t, id, map[hub.Channel]int{ch: 64})
		}
		var all []string
		for shard := range 64 {
			all = append(all, s.subscribers(t, ch, shard)...)
		}
		slices.Sort(all)
		slices.Sort(ids)
		same(t, "subscribers of all shards", all, ids)
	})

	t.Run("where shards were raised in between, the recorded shard is kept", func(t *testing.T) {
		s := newStage(t)
		ch, other := channel("big"), channel("other")
		const id = "connection-1" // of shard 0 in 1, not of shard 0 in 64
		before := s.enter(t, id, "")
		s.subscribe(t, id, map[hub.Channel]int{ch: 1})
		if err := s.Subscribe(t.Context(), before, map[hub.Channel]int{ch: 64, other: 64}); err != nil {
			t.Fatal(err)
		}
		if shardOf(id, 64) == 0 {
			t.Fatal("the test shows nothing")
		}
		same(t, "subscribers", s.subscribers(t, ch, 0), []string{id})
		if got := s.subscribers(t, ch, shardOf(id, 64)); len(got) > 0 {
			t.Errorf("it is in two shards: %v", got)
		}
		same(t, "channels", s.connection(t, id).Channels, map[hub.Channel]int{ch: 0, other: shardOf(id, 64)})
	})

	t.Run("the hash of a connection never changes", func(t *testing.T) {
		same(t, "shards", []int{shardOf("", 64), shardOf("a", 64), shardOf("Zf3kLcXoIAMCJHQ=", 64), shardOf("Zf3kLcXoIAMCJHQ=", 0)}, []int{34, 22, 22, 0})
	})

	t.Run("subscribing again renews, with the identity of now", func(t *testing.T) {
		s := newStage(t)
		s.open(t, "c")
		s.authenticate(t, hub.Connection{ID: "c", Project: "p", TokenExpires: s.clock.Now().Add(time.Minute)})
		s.subscribe(t, "c", channelsNamed(1, "x"))
		s.clock.advance(time.Minute)
		if got := s.subscribers(t, channel("x0"), 0); len(got) > 0 {
			t.Errorf("subscribers past their token: %v", got)
		}
		s.authenticate(t, hub.Connection{ID: "c", Project: "p", Protocol: hub.Classic})
		if got := s.connection(t, "c").Channels; len(got) > 0 {
			t.Errorf("a new identity is in the channels of the former: %v", got)
		}
		s.subscribe(t, "c", channelsNamed(1, "x"))
		same(t, "subscribers", s.subscribers(t, channel("x0"), 0), []string{"c"})
	})

	t.Run("one that has gone to another project meanwhile is refused", func(t *testing.T) {
		s := newStage(t)
		s.open(t, "c")
		s.authenticate(t, hub.Connection{ID: "c", Project: "p", TokenExpires: s.clock.Now().Add(time.Minute)})
		before := s.connection(t, "c")
		s.clock.advance(time.Minute)
		s.authenticate(t, hub.Connection{ID: "c", Project: "q"})
		fails(t, s.Subscribe(t.Context(), before, channelsNamed(1, "x")), hub.ErrUnauthorized)
	})

	t.Run("user and info are kept with the subscription", func(t *testing.T) {
		s := newStage(t)
		s.open(t, "c")
		s.authenticate(t, hub.Connection{ID: "c", Project: "p", User: "u", Info: json.RawMessage(`{"a":1}`)})
		s.subscribe(t, "c", channelsNamed(1, "x"))
		items, err := s.read(t.Context(), []item{key(subscriptionKey(channel("x0"), 0), "c")})
		if err != nil || len(items) != 1 {
			t.Fatal(items, err)
		}
		same(t, "user", textOf(items[0], "u"), "u")
		same(t, "info", textOf(items[0], "i"), `{"a":1}`)
	})
}

func TestUnsubscribe(t *testing.T) {
	s := newStage(t)
	s.enter(t, "c", "u")
	s.subscribe(t, "c", channelsNamed(40, "x"))
	c := s.connection(t, "c")

	t.Run("it leaves those channels, and passes over others", func(t *testing.T) {
		leave := []hub.Channel{channel("x0"), channel("never"), channel("x0"), {Project: "q", Category: "chat", Name: "x1"}}
		if err := s.Unsubscribe(t.Context(), c, leave); err != nil {
			t.Fatal(err)
		}
		if got := s.subscribers(t, channel("x0"), 0); len(got) > 0 {
			t.Errorf("subscribers %v", got)
		}
		same(t, "subscribers", s.subscribers(t, channel("x1"), 0), []string{"c"})
		same(t, "channels", len(s.connection(t, "c").Channels), 39)
	})

	t.Run("all of them, and then there is room again", func(t *testing.T) {
		c := s.connection(t, "c")
		if err := s.Unsubscribe(t.Context(), c, slices.Collect(maps.Keys(c.Channels))); err != nil {
			t.Fatal(err)
		}
		if got := s.connection(t, "c").Channels; len(got) > 0 {
			t.Errorf("channels %v", got)
		}
		s.subscribe(t, "c", channelsNamed(hub.MaxChannels, "y"))
	})

	t.Run("a connection that is over is out of everything, and does not come back", func(t *testing.T) {
		c := s.connection(t, "c")
		if _, err := s.CloseConnection(t.Context(), "c"); err != nil {
			t.Fatal(err)
		}
		if err := s.Unsubscribe(t.Context(), c, []hub.Channel{channel("y0")}); err != nil {
			t.Error(err)
		}
		_, err := s.Connection(t.Context(), "c")
		fails(t, err, hub.ErrConnectionNotFound)
	})
}

func TestSubscribers(t *testing.T) {
	t.Run("more than a megabyte comes page by page, each once, and the rest is not read", func(t *testing.T) {
		s := newStage(t)
		const n = 1200
		var requests []types.WriteRequest
		for i := range n {
			x := key(subscriptionKey(channel("big"), 0), fmt.Sprintf("c%04d", i))
			x[attrSubscriberProtocol], x["exp"] = text("classic"), &types.AttributeValueMemberN{Value: strconv.FormatInt(s.clock.Now().Add(time.Hour).Unix(), 10)}
			x[attrSubscriberInfo] = text(strings.Repeat("i", 2000))
			requests = append(requests, put(x))
		}
		if err := s.write(t.Context(), requests); err != nil {
			t.Fatal(err)
		}
		s.wire.calls()
		seen := make(map[string]int)
		pages := 0
		for page, err := range s.Subscribers(t.Context(), channel("big"), 0) {
			if err != nil {
				t.Fatal(err)
			}
			pages++
			for _, sub := range page {
				seen[sub.Connection]++
			}
		}
		if len(seen) != n || pages < 3 {
			t.Errorf("%d subscribers in %d pages", len(seen), pages)
		}
		for id, times := range seen {
			if times != 1 {
				t.Errorf("%s came %d times", id, times)
			}
		}
		same(t, "calls", s.wire.calls(), fmt.Sprintf("%d Query", pages))
		for range s.Subscribers(t.Context(), channel("big"), 0) {
			break
		}
		same(t, "calls", s.wire.calls(), "1 Query")
	})

	t.Run("expired ones are not seen, even where whole pages are", func(t *testing.T) {
		s := newStage(t)
		var requests []types.WriteRequest
		for i := range 800 {
			x := key(subscriptionKey(channel("old"), 0), fmt.Sprintf("c%04d", i))
			x["exp"] = &types.AttributeValueMemberN{Value: strconv.FormatInt(s.clock.Now().Unix(), 10)}
			x[attrSubscriberInfo] = text(strings.Repeat("i", 2000))
			requests = append(requests, put(x))
		}
		if err := s.write(t.Context(), requests); err != nil {
			t.Fatal(err)
		}
		s.enter(t, "live", "")
		s.subscribe(t, "live", map[hub.Channel]int{channel("old"): 1})
		same(t, "subscribers", s.subscribers(t, channel("old"), 0), []string{"live"})
	})

	t.Run("after an error it yields nothing more", func(t *testing.T) {
		s := newStage(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		errs := 0
		for page, err := range s.Subscribers(ctx, channel("x"), 0) {
			if page != nil || err == nil {
				t.Errorf("page %v, error %v", page, err)
			}
			errs++
		}
		same(t, "errors", errs, 1)
	})

	t.Run("an acknowledged subscribe counts for the next message: the reads ask for that", func(t *testing.T) {
		s := newStage(t)
		s.wire.tamper = func(op string, r *http.Request) (*http.Response, error) {
			in := takeBody(t, r.Body)
			if in["ConsistentRead"] != true {
				t.Errorf("%s is eventually consistent", op)
			}
			r.Body, r.ContentLength = body(t, in)
			return nil, nil
		}
		s.subscribers(t, channel("x"), 0)
		_, err := s.Connection(t.Context(), "absent")
		fails(t, err, hub.ErrConnectionNotFound)
		s.wire.tamper = nil
	})

	t.Run("a ghost is dropped, and again is no error", func(t *testing.T) {
		s := newStage(t)
		s.enter(t, "c", "")
		s.enter(t, "d", "")
		s.subscribe(t, "c", channelsNamed(1, "x"))
		s.subscribe(t, "d", channelsNamed(1, "x"))
		for range 2 {
			if err := s.DropSubscriber(t.Context(), hub.Place{Channel: channel("x0"), Connection: "c"}); err != nil {
				t.Fatal(err)
			}
		}
		same(t, "subscribers", s.subscribers(t, channel("x0"), 0), []string{"d"})
	})
}

func TestBatches(t *testing.T) {
	// refuse leaves all but the first few items of a batch undone, as a throttled
	// table does, in the first answers.
	refuse := func(t *testing.T, s *stage, operation, undone string, few, times int) {
		s.wire.tamper = func(op string, r *http.Request) (*http.Response, error) {
			if op != operation || times == 0 {
				return nil, nil
			}
			times--
			in := takeBody(t, r.Body)
			tables := in["RequestItems"].(map[string]any)
			var rest any
			if table, ok := tables[s.table].(map[string]any); ok { // BatchGetItem
				keys := table["Keys"].([]any)
				table["Keys"] = keys[:few]
				rest = map[string]any{"Keys": keys[few:], "ConsistentRead": true}
			} else {
				writes := tables[s.table].([]any)
				tables[s.table], rest = writes[:few], writes[few:]
			}
			r.Body, r.ContentLength = body(t, in)
			resp, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				return nil, err
			}
			out := takeBody(t, resp.Body)
			out[undone] = map[string]any{s.table: rest}
			resp.Body, resp.ContentLength = body(t, out)
			resp.Header.Del("Content-Length")
			resp.Header.Del("X-Amz-Crc32")
			return resp, nil
		}
	}

	t.Run("what a batch leaves unwritten is written by the next", func(t *testing.T) {
		s := newStage(t)
		s.enter(t, "c", "u")
		refuse(t, s, "BatchWriteItem", "UnprocessedItems", 3, 4)
		channels := channelsNamed(25, "x")
		s.wire.calls()
		s.subscribe(t, "c", channels)
		same(t, "calls", s.wire.calls(), "5 BatchWriteItem, 1 GetItem, 1 UpdateItem")
		for ch := range channels {
			same(t, "subscribers", s.subscribers(t, ch, 0), []string{"c"})
		}
	})

	t.Run("what a batch leaves unread is read by the next", func(t *testing.T) {
		s := newStage(t)
		for i := range 10 {
			s.enter(t, fmt.Sprint(i), "u")
		}
		refuse(t, s, "BatchGetItem", "UnprocessedKeys", 3, 2)
		got, err := s.UserConnections(t.Context(), "p", "u")
		if err != nil || len(got) != 10 {
			t.Errorf("%d connections, %v", len(got), err)
		}
	})

	t.Run("a table that does nothing is asked until the context ends", func(t *testing.T) {
		s := newStage(t)
		c := s.enter(t, "c", "u")
		ctx, cancel := context.WithCancel(t.Context())
		asked := 0
		s.wire.tamper = func(op string, r *http.Request) (*http.Response, error) {
			if op != "BatchWriteItem" {
				return nil, nil
			}
			if asked++; asked == 4 {
				cancel()
			}
			in := takeBody(t, r.Body)
			out, n := body(t, map[string]any{"UnprocessedItems": in["RequestItems"]})
			return &http.Response{StatusCode: http.StatusOK, Body: out, ContentLength: n, Header: http.Header{}, Request: r}, nil
		}
		fails(t, s.Subscribe(ctx, c, channelsNamed(1, "x")), context.Canceled)
		if asked != 4 {
			t.Errorf("asked %d times", asked)
		}
	})
}

func TestPresenceIsWhatSubscriptionsSay(t *testing.T) {
	s := newStage(t)
	ch := channel("room")
	for id, user := range map[string]string{"c1": "ada", "c2": ""} {
		s.enter(t, id, user)
		s.subscribe(t, id, map[hub.Channel]int{ch: 1})
	}
	read := func() map[string]string {
		users := make(map[string]string)
		for page, err := range s.Presence(t.Context(), ch, 0) {
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range page {
				users[c.Connection] = c.User
			}
		}
		return users
	}
	same(t, "presence", read(), map[string]string{"c1": "ada", "c2": ""})
	s.clock.advance(hub.MaxConnectionAge)
	same(t, "presence after the connections' end", read(), map[string]string{})
}
