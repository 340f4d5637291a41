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

func TestSubscriptions(t *testing.T) {
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
		same(t, "channels", s.connection(t, "c").Channels, channelsNamed(1, "x"))
		for _, ch := range []hub.Channel{
			channel("x"), channel("x0#"), {Project: "q", Category: "chat", Name: "x0"}, {Project: "p", Category: "chat", Incarnation: "89abcdef", Name: "x0"},
		} {
			if got := s.subscribers(t, ch, 0); len(got) > 0 {
				t.Errorf("%+v has %v", ch, got)
			}
		}
	})

	t.Run("some channels left", func(t *testing.T) {
		s := newRig(t)
		s.enter(t, "c", "u")
		s.subscribe(t, "c", channelsNamed(40, "x"))
		err := s.change(t.Context(), "c", leave(channel("x0"), channel("never"), channel("x0"), hub.Channel{Project: "q", Category: "chat", Name: "x1"}))
		if err != nil {
			t.Fatal(err)
		}
		same(t, "subscribers", s.subscribers(t, channel("x0"), 0), []string(nil))
		same(t, "channels", len(s.connection(t, "c").Channels), 39)
		s.agree(t, "c")
	})

	t.Run("all channels left", func(t *testing.T) {
		s := newRig(t)
		s.enter(t, "c", "u")
		all := channelsNamed(hub.MaxChannels, "x")
		s.subscribe(t, "c", all)
		s.agree(t, "c")
		if err := s.change(t.Context(), "c", leave(slices.Collect(maps.Keys(all))...)); err != nil {
			t.Fatal(err)
		}
		same(t, "channels", len(s.connection(t, "c").Channels), 0)
		s.agree(t, "c")
	})

	t.Run("another shard of a channel", func(t *testing.T) {
		s := newRig(t)
		s.enter(t, "c", "u")
		for _, shard := range []int{0, 63, 0} {
			err := s.change(t.Context(), "c", func(c hub.Connection) (hub.Change, error) {
				c.Channels = map[hub.Channel]int{channel("x"): shard}
				return hub.Change{Connection: c}, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			same(t, "channels", s.connection(t, "c").Channels, map[hub.Channel]int{channel("x"): shard})
			s.agree(t, "c")
		}
	})

	t.Run("renewed identity", func(t *testing.T) {
		s := newRig(t)
		s.open(t, "c")
		s.authenticate(t, hub.Connection{ID: "c", Project: "p", TokenExpires: s.Clock.Now().Add(time.Minute)})
		s.subscribe(t, "c", channelsNamed(1, "x"))
		renewed := hub.Connection{
			ID: "c", Origin: "https://o", Project: "p", User: "u", Info: json.RawMessage(`{"a":1}`), Protocol: hub.Classic, TokenExpires: s.Clock.Now().Add(time.Hour),
			Secret: "0123456789abcdef", MD5: true, Permissions: hub.Permissions{Confirmed: true},
		}
		s.authenticate(t, renewed)
		s.agree(t, "c")
		s.Clock.Advance(time.Minute)
		basis := hub.Basis{Secret: "0123456789abcdef", Origin: "https://o", MD5: true, Confirmed: true}
		for page, err := range s.Subscribers(t.Context(), channel("x0"), 0) {
			if err != nil {
				t.Fatal(err)
			}
			same(t, "subscribers", page, []hub.Subscriber{{Connection: "c", Protocol: hub.Classic, Basis: basis}})
		}
		for page, err := range s.Presence(t.Context(), channel("x0"), 0) {
			if err != nil {
				t.Fatal(err)
			}
			same(t, "presence", page, []hub.Present{{
				Client: hub.Client{Connection: "c", User: "u", Info: json.RawMessage(`{"a":1}`)}, Basis: basis,
			}})
		}
		s.Clock.Advance(time.Hour)
		same(t, "subscribers with an expired token", s.subscribers(t, channel("x0"), 0), []string(nil))
	})

	t.Run("batch turned on and off", func(t *testing.T) {
		s := newRig(t)
		s.open(t, "c")
		c := hub.Connection{ID: "c", Project: "p", User: "u", Protocol: hub.Classic}
		s.authenticate(t, c)
		s.subscribe(t, "c", channelsNamed(2, "x"))
		for _, step := range []struct {
			batch    bool
			requests string
		}{
			{true, "1 TransactWriteItems"}, // the connection and both subscriptions
			{true, ""},
			{false, "1 TransactWriteItems"},
		} {
			c.Batch = step.batch
			before := s.connection(t, "c")
			s.Requests.Sent()
			if _, _, err := s.ChangeConnection(t.Context(), before, become(c)); err != nil {
				t.Fatal(err)
			}
			same(t, "requests", s.Requests.Sent(), step.requests)
			same(t, "connection", s.connection(t, "c").Batch, step.batch)
			for ch := range channelsNamed(2, "x") {
				for page, err := range s.Subscribers(t.Context(), ch, 0) {
					if err != nil {
						t.Fatal(err)
					}
					same(t, "subscribers", page, []hub.Subscriber{{Connection: "c", Protocol: hub.Classic, Batch: step.batch}})
				}
			}
		}
		s.subscribe(t, "c", channelsNamed(3, "x"))
		s.agree(t, "c")
	})

	t.Run("subscription that the connection does not name", func(t *testing.T) {
		s := newRig(t)
		s.enter(t, "c", "u")
		s.subscribe(t, "c", channelsNamed(2, "x"))
		if err := s.HideSubscriptions(t.Context(), map[string][]hub.Place{"c": {{Channel: channel("ghost"), Shard: 3}}}); err != nil {
			t.Fatal(err)
		}
		same(t, "subscribers", s.subscribers(t, channel("ghost"), 3), []string{"c"})
		err := s.change(t.Context(), "c", func(c hub.Connection) (hub.Change, error) {
			ghost := hub.Place{Channel: channel("ghost"), Shard: 3}
			// A client may name a channel twice. One that the connection is in stays.
			return hub.Change{Connection: c, Remove: []hub.Place{ghost, ghost, {Channel: channel("x0")}}}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		s.agree(t, "c")
		same(t, "channels", s.connection(t, "c").Channels, channelsNamed(2, "x"))
	})

	t.Run("refused change", func(t *testing.T) {
		s := newRig(t)
		c := s.enter(t, "c", "u")
		s.Requests.Sent()
		before, after, err := s.ChangeConnection(t.Context(), c, func(hub.Connection) (hub.Change, error) { return hub.Change{}, hub.ErrLimitExceeded })
		fails(t, err, hub.ErrLimitExceeded)
		same(t, "before", before, after)
		same(t, "requests", s.Requests.Sent(), "")
	})

	t.Run("change that is planned with an old state", func(t *testing.T) {
		s := newRig(t)
		old := s.enter(t, "c", "u")
		s.subscribe(t, "c", channelsNamed(2, "x"))
		var seen []int
		before, after, err := s.ChangeConnection(t.Context(), old, func(c hub.Connection) (hub.Change, error) {
			seen = append(seen, c.Revision)
			return join(channelsNamed(1, "y"))(c)
		})
		if err != nil {
			t.Fatal(err)
		}
		same(t, "revisions planned with", seen, []int{1, 2})
		same(t, "before", before.Channels, channelsNamed(2, "x"))
		same(t, "after", len(after.Channels), 3)
		same(t, "connection", s.connection(t, "c"), after)
		s.agree(t, "c")
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
			orphan := hub.Gone{Channel: channel("x0"), Connection: "c"}
			// Concurrent dispatches find the same subscription.
			if err := s.RemoveSubscribers(t.Context(), []hub.Gone{orphan, orphan, {Channel: orphan.Channel, Connection: "c", Hidden: true}}); err != nil {
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
				few := min(few, len(writes))
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
		s.subscribe(t, "c", channelsNamed(24, "x"))
		refuse(t, s, "BatchWriteItem", "UnprocessedItems", 3, 4)
		s.Requests.Sent()
		if err := s.end(t.Context(), "c"); err != nil {
			t.Fatal(err)
		}
		same(t, "requests", s.Requests.Sent(), "5 BatchWriteItem, 1 UpdateItem")
		s.agree(t, "c")
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
		fails(t, s.FinishClose(ctx, []hub.Connection{c}), context.Canceled)
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
		s.subscribe(t, id, map[hub.Channel]int{ch: 0})
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
