package store_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store"
	"centrifuge/pkg/store/schema"
	"centrifuge/pkg/store/storetest"
)

// rig is a store over a table of its own without a cache.
type rig struct{ *storetest.Store }

func newRig(tb testing.TB) *rig {
	tb.Helper()
	return &rig{storetest.New(tb, store.Options{CacheFor: -1})}
}

// takeBody decodes the body of a request or response and closes it.
func takeBody(tb testing.TB, body io.ReadCloser) map[string]any {
	tb.Helper()
	defer body.Close()
	var v map[string]any
	if err := json.NewDecoder(body).Decode(&v); err != nil {
		tb.Error(err)
	}
	return v
}

// body encodes the body of a request or response, and returns its length.
func body(tb testing.TB, v any) (io.ReadCloser, int64) {
	tb.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		tb.Error(err)
	}
	return io.NopCloser(bytes.NewReader(b)), int64(len(b))
}

// record is an item without its keys.
type record = map[string]types.AttributeValue

func str(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func num(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

// putRaw writes an item without the store.
func (s *rig) putRaw(tb testing.TB, partition, sort string, attributes record) {
	tb.Helper()
	i := maps.Clone(attributes)
	i[schema.PartitionKey], i[schema.SortKey] = str(partition), str(sort)
	if _, err := s.Client.PutItem(tb.Context(), &dynamodb.PutItemInput{TableName: &s.Table, Item: i}); err != nil {
		tb.Fatal(err)
	}
}

// all counts everything.
func all(hub.Channel, hub.Basis) bool { return true }

// channel is a channel of the tests' usual project and category.
func channel(name string) hub.Channel {
	return hub.Channel{Project: "p", Category: "chat", Name: name}
}

// channelsNamed are n channels in shard 0.
func channelsNamed(n int, prefix string) map[hub.Channel]int {
	m := make(map[hub.Channel]int)
	for i := range n {
		m[channel(fmt.Sprintf("%s%d", prefix, i))] = 0
	}
	return m
}

type plan = func(hub.Connection) (hub.Change, error)

// join subscribes to channels, whose subscriptions are written also where the connection is
// in them.
func join(channels map[hub.Channel]int) plan {
	return func(c hub.Connection) (hub.Change, error) {
		all := maps.Clone(channels)
		maps.Copy(all, c.Channels)
		c.Channels = all
		return hub.Change{Connection: c, Renew: slices.Collect(maps.Keys(channels))}, nil
	}
}

func leave(channels ...hub.Channel) plan {
	return func(c hub.Connection) (hub.Change, error) {
		c.Channels = maps.Clone(c.Channels)
		for _, ch := range channels {
			delete(c.Channels, ch)
		}
		return hub.Change{Connection: c}, nil
	}
}

// become gives a connection the identity of another, and keeps its channels.
func become(identity hub.Connection) plan {
	return func(c hub.Connection) (hub.Change, error) {
		identity.Channels = c.Channels
		return hub.Change{Connection: identity}, nil
	}
}

// change reads a connection and changes it.
func (s *rig) change(ctx context.Context, id string, p plan) error {
	c, err := s.Connection(ctx, id)
	if err != nil {
		return err
	}
	_, _, err = s.ChangeConnection(ctx, c, p)
	return err
}

func (s *rig) open(tb testing.TB, id string) {
	tb.Helper()
	err := s.OpenConnection(tb.Context(), hub.Connection{ID: id, Origin: "https://o", Expires: s.Clock.Now().Add(hub.MaxConnectionAge)})
	if err != nil {
		tb.Fatal(err)
	}
}

// enter opens a connection and authenticates it as a user of project p.
func (s *rig) enter(tb testing.TB, id, user string) hub.Connection {
	tb.Helper()
	s.open(tb, id)
	s.authenticate(tb, hub.Connection{ID: id, Project: "p", User: user, Protocol: hub.Classic})
	return s.connection(tb, id)
}

func (s *rig) authenticate(tb testing.TB, c hub.Connection) {
	tb.Helper()
	if err := s.change(tb.Context(), c.ID, become(c)); err != nil {
		tb.Fatalf("authenticate %s: %v", c.ID, err)
	}
}

func (s *rig) connection(tb testing.TB, id string) hub.Connection {
	tb.Helper()
	c, err := s.Connection(tb.Context(), id)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func (s *rig) subscribe(tb testing.TB, id string, channels map[hub.Channel]int) {
	tb.Helper()
	if err := s.change(tb.Context(), id, join(channels)); err != nil {
		tb.Fatal(err)
	}
}

// end closes a connection as the hub does, and does nothing where it is over.
func (s *rig) end(ctx context.Context, id string) error {
	c, _, err := s.BeginClose(ctx, id, s.Clock.Now())
	if err != nil || c.ID == "" {
		return err
	}
	return s.FinishClose(ctx, []hub.Connection{c})
}

// subscription is the item of a subscription without its keys and its expiry.
type subscription struct {
	Shard      int
	User, Info string
}

// stored are all subscriptions in the table, by connection, whatever connections name.
func (s *rig) stored(tb testing.TB) map[string]map[hub.Channel]subscription {
	tb.Helper()
	all := make(map[string]map[hub.Channel]subscription)
	pages := dynamodb.NewScanPaginator(s.Client, &dynamodb.ScanInput{TableName: &s.Table, ConsistentRead: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(tb.Context())
		if err != nil {
			tb.Fatal(err)
		}
		for _, i := range page.Items {
			text := func(name string) string {
				v, _ := i[name].(*types.AttributeValueMemberS)
				if v == nil {
					return ""
				}
				return v.Value
			}
			parts := strings.Split(text(schema.PartitionKey), "#")
			if parts[0] != "S" {
				continue
			}
			shard, err := strconv.Atoi(parts[4])
			if err != nil {
				tb.Fatal(err)
			}
			category, incarnation, _ := strings.Cut(parts[2], ":")
			ch := hub.Channel{Project: parts[1], Category: category, Incarnation: incarnation, Name: parts[3]}
			id := text(schema.SortKey)
			if all[id] == nil {
				all[id] = make(map[hub.Channel]subscription)
			}
			if other, twice := all[id][ch]; twice {
				tb.Errorf("%s is in shards %d and %d of %s", id, other.Shard, shard, ch)
			}
			all[id][ch] = subscription{Shard: shard, User: text("u"), Info: text("i")}
		}
	}
	return all
}

// agree checks that these connections name all subscriptions in the table, that there are
// no others, and that each has the user and info of its connection.
func (s *rig) agree(tb testing.TB, ids ...string) {
	tb.Helper()
	want := make(map[string]map[hub.Channel]subscription)
	for _, id := range ids {
		c, err := s.Connection(tb.Context(), id)
		if errors.Is(err, hub.ErrConnectionNotFound) {
			continue
		}
		if err != nil {
			tb.Fatal(err)
		}
		for ch, shard := range c.Channels {
			if want[id] == nil {
				want[id] = make(map[hub.Channel]subscription)
			}
			want[id][ch] = subscription{Shard: shard, User: c.User, Info: string(c.Info)}
		}
	}
	same(tb, "subscriptions of "+strings.Join(ids, ", "), s.stored(tb), want)
}

// loseResponse carries out the nth request of an operation, from 0, and answers it by an
// error: the SDK repeats it.
func (s *rig) loseResponse(operation string, n int32) {
	var seen atomic.Int32
	s.Requests.Intercept = func(op string, r *http.Request) (*http.Response, error) {
		if op != operation || seen.Add(1) != n+1 {
			return nil, nil
		}
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		resp.Body.Close()
		return nil, errors.New("connection reset by peer")
	}
}

// subscribers are the sorted connection ids of a channel's subscribers in a shard.
func (s *rig) subscribers(tb testing.TB, ch hub.Channel, shard int) []string {
	tb.Helper()
	var ids []string
	for page, err := range s.Subscribers(tb.Context(), ch, shard) {
		if err != nil {
			tb.Fatal(err)
		}
		for _, sub := range page {
			ids = append(ids, sub.Connection)
		}
	}
	slices.Sort(ids)
	return ids
}

func same(tb testing.TB, what string, got, want any) {
	tb.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		tb.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func fails(tb testing.TB, err, want error) {
	tb.Helper()
	if !errors.Is(err, want) {
		tb.Errorf("error %v, want %v", err, want)
	}
}

// deleteRaw deletes an item without the store.
func (s *rig) deleteRaw(tb testing.TB, partition, sort string) {
	tb.Helper()
	if _, err := s.Client.DeleteItem(tb.Context(), &dynamodb.DeleteItemInput{TableName: &s.Table, Key: record{schema.PartitionKey: str(partition), schema.SortKey: str(sort)}}); err != nil {
		tb.Fatal(err)
	}
}

func object(m record) types.AttributeValue { return &types.AttributeValueMemberM{Value: m} }

func boolean(b bool) types.AttributeValue { return &types.AttributeValueMemberBOOL{Value: b} }
