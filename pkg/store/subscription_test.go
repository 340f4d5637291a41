package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store/schema"
)

func TestSubscribe(t *testing.T) {
	t.Run("one channel", func(t *testing.T) {
		s := newRig(t)
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

	t.Run("channel limit", func(t *testing.T) {
		s := newRig(t)
		s.enter(t, "c", "u")
		all := channelsNamed(hub.MaxChannels, "x")
		s.subscribe(t, "c", all)
		for ch := range all {
			same(t, "subscribers", s.subscribers(t, ch, 0), []string{"c"})
		}
		err := s.Subscribe(t.Context(), s.connection(t, "c"), channelsNamed(1, "y"))
		fails(t, err, hub.ErrLimitExceeded)
		if got := s.subscribers(t, channel("y0"), 0); len(got) > 0 {
			t.Errorf("subscribed despite the refusal: %v", got)
		}
		s.subscribe(t, "c", all)
		s.enter(t, "d", "u")
		err = s.Subscribe(t.Context(), s.connection(t, "d"), channelsNamed(hub.MaxChannels+1, "x"))
		fails(t, err, hub.ErrLimitExceeded)
		if got := s.connection(t, "d").Channels; len(got) > 0 {
			t.Errorf("%d channels despite the refusal", len(got))
		}
	})

	t.Run("channel limit counts a channel once", func(t *testing.T) {
		s := newRig(t)
		before := s.enter(t, "c", "u")
		s.subscribe(t, "c", channelsNamed(100, "x"))
		if err := s.Subscribe(t.Context(), before, channelsNamed(hub.MaxChannels, "x")); err != nil {
			t.Fatal(err)
		}
		same(t, "channels", len(s.connection(t, "c").Channels), hub.MaxChannels)
		fails(t, s.Subscribe(t.Context(), before, channelsNamed(hub.MaxChannels, "y")), hub.ErrLimitExceeded)
	})

	t.Run("more shards", func(t *testing.T) {
		s := newRig(t)
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

	t.Run("recorded shard differs from the computed one", func(t *testing.T) {
		s := newRig(t)
		ch, other := channel("big"), channel("other")
		const id, shard = "connection-1", 43 // of 64
		before := s.enter(t, id, "")
		s.subscribe(t, id, map[hub.Channel]int{ch: 1})
		if err := s.Subscribe(t.Context(), before, map[hub.Channel]int{ch: 64, other: 64}); err != nil {
			t.Fatal(err)
		}
		same(t, "subscribers", s.subscribers(t, ch, 0), []string{id})
		if got := s.subscribers(t, ch, shard); len(got) > 0 {
			t.Errorf("two shards: %v", got)
		}
		same(t, "channels", s.connection(t, id).Channels, map[hub.Channel]int{ch: 0, other: shard})
	})

	t.Run("second subscribe after a new identity", func(t *testing.T) {
		s := newRig(t)
		s.open(t, "c")
		s.authenticate(t, hub.Connection{ID: "c", Project: "p", TokenExpires: s.Clock.Now().Add(time.Minute)})
		s.subscribe(t, "c", channelsNamed(1, "x"))
		s.Clock.Advance(time.Minute)
		if got := s.subscribers(t, channel("x0"), 0); len(got) > 0 {
			t.Errorf("subscribers with an expired token: %v", got)
		}
		s.authenticate(t, hub.Connection{ID: "c", Project: "p", Protocol: hub.Classic})
		if got := s.connection(t, "c").Channels; len(got) > 0 {
			t.Errorf("channels of the former identity: %v", got)
		}
		s.subscribe(t, "c", channelsNamed(1, "x"))
		same(t, "subscribers", s.subscribers(t, channel("x0"), 0), []string{"c"})
	})

	t.Run("connection that moved to another project", func(t *testing.T) {
		s := newRig(t)
		s.open(t, "c")
		s.authenticate(t, hub.Connection{ID: "c", Project: "p", TokenExpires: s.Clock.Now().Add(time.Minute)})
		before := s.connection(t, "c")
		s.Clock.Advance(time.Minute)
		s.authenticate(t, hub.Connection{ID: "c", Project: "q"})
		fails(t, s.Subscribe(t.Context(), before, channelsNamed(1, "x")), hub.ErrUnauthorized)
	})

	t.Run("user and info of a subscriber", func(t *testing.T) {
		s := newRig(t)
		s.open(t, "c")
		s.authenticate(t, hub.Connection{ID: "c", Project: "p", User: "u", Info: json.RawMessage(`{"a":1}`)})
		s.subscribe(t, "c", channelsNamed(1, "x"))
		for page, err := range s.Presence(t.Context(), channel("x0"), 0) {
			if err != nil {
				t.Fatal(err)
			}
			same(t, "presence", page, []hub.Client{{Connection: "c", User: "u", Info: json.RawMessage(`{"a":1}`)}})
		}
	})
}

// copySubscription adds n subscribers to the channel of a connection that is in one
// channel: copies of its subscription.
func (s *rig) copySubscription(tb testing.TB, connection string, n int) {
	tb.Helper()
	isConnection := map[string]types.AttributeValue{":c": &types.AttributeValueMemberS{Value: connection}}
	found, err := s.Client.Scan(tb.Context(), &dynamodb.ScanInput{
		TableName: &s.Table, FilterExpression: aws.String(schema.SortKey + " = :c"), ExpressionAttributeValues: isConnection,
	})
	if err != nil || len(found.Items) != 1 {
		tb.Fatalf("%d subscriptions of %s, %v", len(found.Items), connection, err)
	}
	var requests []types.WriteRequest
	for i := range n {
		item := maps.Clone(found.Items[0])
		item[schema.SortKey] = &types.AttributeValueMemberS{Value: fmt.Sprintf("%s%04d", connection, i)}
		requests = append(requests, types.WriteRequest{PutRequest: &types.PutRequest{Item: item}})
	}
	for batch := range slices.Chunk(requests, 25) {
		out, err := s.Client.BatchWriteItem(tb.Context(), &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{s.Table: batch}})
		if err != nil || len(out.UnprocessedItems) > 0 {
			tb.Fatalf("%d unprocessed, %v", len(out.UnprocessedItems), err)
		}
	}
}

func TestUnsubscribe(t *testing.T) {
	s := newRig(t)
	s.enter(t, "c", "u")
	s.subscribe(t, "c", channelsNamed(40, "x"))
	c := s.connection(t, "c")

	t.Run("some channels", func(t *testing.T) {
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

	t.Run("all channels", func(t *testing.T) {
		c := s.connection(t, "c")
		if err := s.Unsubscribe(t.Context(), c, slices.Collect(maps.Keys(c.Channels))); err != nil {
			t.Fatal(err)
		}
		if got := s.connection(t, "c").Channels; len(got) > 0 {
			t.Errorf("channels %v", got)
		}
		s.subscribe(t, "c", channelsNamed(hub.MaxChannels, "y"))
	})

	t.Run("closed connection", func(t *testing.T) {
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
	t.Run("more than one page", func(t *testing.T) {
		s := newRig(t)
		const n = 1200
		s.open(t, "c")
		s.authenticate(t, hub.Connection{ID: "c", Project: "p", Info: json.RawMessage(`"` + strings.Repeat("i", 2000) + `"`)})
		s.subscribe(t, "c", channelsNamed(1, "big"))
		s.copySubscription(t, "c", n-1)
		s.Requests.Sent()
		seen := make(map[string]int)
		pages := 0
		for page, err := range s.Subscribers(t.Context(), channel("big0"), 0) {
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
				t.Errorf("%s was returned %d times", id, times)
			}
		}
		same(t, "requests", s.Requests.Sent(), fmt.Sprintf("%d Query", pages))
		for range s.Subscribers(t.Context(), channel("big0"), 0) {
			break
		}
		same(t, "requests", s.Requests.Sent(), "1 Query")
	})

	t.Run("pages of expired subscriptions", func(t *testing.T) {
		s := newRig(t)
		s.open(t, "a")
		s.authenticate(t, hub.Connection{
			ID: "a", Project: "p", TokenExpires: s.Clock.Now().Add(time.Minute), Info: json.RawMessage(`"` + strings.Repeat("i", 2000) + `"`),
		})
		s.subscribe(t, "a", channelsNamed(1, "old"))
		s.copySubscription(t, "a", 799)
		s.Clock.Advance(time.Minute)
		s.enter(t, "live", "")
		s.subscribe(t, "live", channelsNamed(1, "old"))
		same(t, "subscribers", s.subscribers(t, channel("old0"), 0), []string{"live"})
	})

	t.Run("error", func(t *testing.T) {
		s := newRig(t)
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

	t.Run("consistent reads", func(t *testing.T) {
		s := newRig(t)
		s.Requests.Intercept = func(op string, r *http.Request) (*http.Response, error) {
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
		s.Requests.Intercept = nil
	})

	t.Run("removed subscriber", func(t *testing.T) {
		s := newRig(t)
		s.enter(t, "c", "")
		s.enter(t, "d", "")
		s.subscribe(t, "c", channelsNamed(1, "x"))
		s.subscribe(t, "d", channelsNamed(1, "x"))
		for range 2 {
			if err := s.RemoveSubscriber(t.Context(), channel("x0"), 0, "c"); err != nil {
				t.Fatal(err)
			}
		}
		same(t, "subscribers", s.subscribers(t, channel("x0"), 0), []string{"d"})
	})
}

func TestBatches(t *testing.T) {
	// refuse leaves all but the first few items of a batch unprocessed in the first
	// responses, as a throttled table does.
	refuse := func(t *testing.T, s *rig, operation, undone string, few, times int) {
		s.Requests.Intercept = func(op string, r *http.Request) (*http.Response, error) {
			if op != operation || times == 0 {
				return nil, nil
			}
			times--
			in := takeBody(t, r.Body)
			tables := in["RequestItems"].(map[string]any)
			var rest any
			if table, ok := tables[s.Table].(map[string]any); ok { // BatchGetItem
				keys := table["Keys"].([]any)
				table["Keys"] = keys[:few]
				rest = map[string]any{"Keys": keys[few:], "ConsistentRead": true}
			} else {
				writes := tables[s.Table].([]any)
				tables[s.Table], rest = writes[:few], writes[few:]
			}
			r.Body, r.ContentLength = body(t, in)
			resp, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				return nil, err
			}
			out := takeBody(t, resp.Body)
			out[undone] = map[string]any{s.Table: rest}
			resp.Body, resp.ContentLength = body(t, out)
			resp.Header.Del("Content-Length")
			resp.Header.Del("X-Amz-Crc32")
			return resp, nil
		}
	}

	t.Run("unprocessed writes", func(t *testing.T) {
		s := newRig(t)
		s.enter(t, "c", "u")
		refuse(t, s, "BatchWriteItem", "UnprocessedItems", 3, 4)
		channels := channelsNamed(25, "x")
		s.Requests.Sent()
		s.subscribe(t, "c", channels)
		same(t, "requests", s.Requests.Sent(), "5 BatchWriteItem, 1 GetItem, 1 UpdateItem")
		for ch := range channels {
			same(t, "subscribers", s.subscribers(t, ch, 0), []string{"c"})
		}
	})

	t.Run("unprocessed reads", func(t *testing.T) {
		s := newRig(t)
		for i := range 10 {
			s.enter(t, fmt.Sprint(i), "u")
		}
		refuse(t, s, "BatchGetItem", "UnprocessedKeys", 3, 2)
		got, err := s.UserConnections(t.Context(), "p", "u")
		if err != nil || len(got) != 10 {
			t.Errorf("%d connections, %v", len(got), err)
		}
	})

	t.Run("nothing processed until the context ends", func(t *testing.T) {
		s := newRig(t)
		c := s.enter(t, "c", "u")
		ctx, cancel := context.WithCancel(t.Context())
		attempts := 0
		s.Requests.Intercept = func(op string, r *http.Request) (*http.Response, error) {
			if op != "BatchWriteItem" {
				return nil, nil
			}
			if attempts++; attempts == 4 {
				cancel()
			}
			in := takeBody(t, r.Body)
			out, n := body(t, map[string]any{"UnprocessedItems": in["RequestItems"]})
			return &http.Response{StatusCode: http.StatusOK, Body: out, ContentLength: n, Header: http.Header{}, Request: r}, nil
		}
		fails(t, s.Subscribe(ctx, c, channelsNamed(1, "x")), context.Canceled)
		if attempts != 4 {
			t.Errorf("%d attempts", attempts)
		}
	})
}

func TestPresence(t *testing.T) {
	s := newRig(t)
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
	s.Clock.Advance(hub.MaxConnectionAge)
	same(t, "presence of expired connections", read(), map[string]string{})
}
