package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"centrifuge/pkg/hub"
)

// TestLostResponse loses the response to each request of each write, which is carried out:
// the write ends, and the table is, as if it had been answered.
func TestLostResponse(t *testing.T) {
	ch := channel("x0")
	renewed := hub.Connection{Project: "p", User: "u", Info: json.RawMessage(`1`)}
	for _, c := range []struct {
		name      string
		operation string
		requests  int
		// prepare makes what do writes, and do returns what it results in.
		prepare func(*testing.T, *rig)
		do      func(context.Context, *rig) (any, error)
	}{
		{"open a connection", "PutItem", 1, func(*testing.T, *rig) {}, func(ctx context.Context, s *rig) (any, error) {
			return nil, s.OpenConnection(ctx, hub.Connection{ID: "new", Expires: s.Clock.Now().Add(time.Hour)})
		}},
		{"authenticate", "UpdateItem", 1, func(t *testing.T, s *rig) { s.open(t, "c") }, changed(become(renewed))},
		{"subscribe", "TransactWriteItems", 1, func(t *testing.T, s *rig) { s.enter(t, "c", "u") }, changed(join(channelsNamed(3, "x")))},
		{"subscribe to 128 channels", "TransactWriteItems", 2, func(t *testing.T, s *rig) { s.enter(t, "c", "u") }, changed(join(channelsNamed(128, "x")))},
		{"unsubscribe", "TransactWriteItems", 1, in(3), changed(leave(ch))},
		{"renew a token with 3 channels", "TransactWriteItems", 1, in(3), changed(become(renewed))},
		{"renew a token with 128 channels", "TransactWriteItems", 2, in(128), changed(become(renewed))},
		{"begin to close", "UpdateItem", 1, in(3), func(ctx context.Context, s *rig) (any, error) {
			c, exists, err := s.BeginClose(ctx, "c", s.Clock.Now())
			return []any{c, exists}, err
		}},
		{"close a connection in 30 channels", "BatchWriteItem", 2, in(30), func(ctx context.Context, s *rig) (any, error) { return nil, s.end(ctx, "c") }},
		{"hide subscriptions", "BatchWriteItem", 1, in(3), func(ctx context.Context, s *rig) (any, error) {
			return nil, s.HideSubscriptions(ctx, map[string][]hub.Place{"c": {{Channel: ch}}})
		}},
		{"remove subscribers", "BatchWriteItem", 1, in(3), func(ctx context.Context, s *rig) (any, error) {
			return nil, s.RemoveSubscribers(ctx, []hub.Gone{{Channel: ch, Connection: "c"}})
		}},
		{"occupy a channel", "UpdateItem", 2, func(*testing.T, *rig) {}, func(ctx context.Context, s *rig) (any, error) {
			o, occupied, err := s.Occupy(ctx, ch, s.Clock.Now())
			return []any{o, occupied}, err
		}},
		{"vacate a channel", "UpdateItem", 1, func(t *testing.T, s *rig) {
			if _, _, err := s.Occupy(t.Context(), ch, s.Clock.Now()); err != nil {
				t.Fatal(err)
			}
		}, func(ctx context.Context, s *rig) (any, error) {
			o, vacated, err := s.Vacate(ctx, ch, hub.Occupancy{Version: 1}, s.Clock.Now())
			return []any{o, vacated}, err
		}},
		{"claim a key", "UpdateItem", 1, func(*testing.T, *rig) {}, claimed(0)},
		{"claim a key that was released", "UpdateItem", 1, func(t *testing.T, s *rig) {
			if _, err := claimed(0)(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			if err := s.Release(t.Context(), ch, "k"); err != nil {
				t.Fatal(err)
			}
		}, claimed(0)},
		{"claim a key that has expired", "UpdateItem", 2, func(t *testing.T, s *rig) {
			if err := s.Settle(t.Context(), ch, "k", hub.Claim{Settled: &hub.Result{}, Message: "m0"}, s.Clock.Now()); err != nil {
				t.Fatal(err)
			}
		}, claimed(hub.IdempotencyWindow)},
		{"settle a key", "PutItem", 1, func(*testing.T, *rig) {}, func(ctx context.Context, s *rig) (any, error) {
			return nil, s.Settle(ctx, ch, "k", hub.Claim{Settled: &hub.Result{Delivered: 1}, Message: "m"}, s.Clock.Now())
		}},
		{"release a key", "UpdateItem", 1, func(t *testing.T, s *rig) {
			if _, err := claimed(0)(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}, func(ctx context.Context, s *rig) (any, error) { return nil, s.Release(ctx, ch, "k") }},
		{"append the first publication", "PutItem", 1, func(*testing.T, *rig) {}, appended(hub.AppendOptions{})},
		{"append a publication", "PutItem", 1, published, appended(hub.AppendOptions{})},
		{"append under a key", "TransactWriteItems", 1, published, appended(hub.AppendOptions{IdempotencyKey: "k"})},
		{"append the first publication under a key", "TransactWriteItems", 1, func(*testing.T, *rig) {}, appended(hub.AppendOptions{IdempotencyKey: "k"})},
		{"append a version", "TransactWriteItems", 1, published, appended(hub.AppendOptions{Version: 1})},
		{"append the first version under a key", "TransactWriteItems", 1, func(*testing.T, *rig) {}, appended(hub.AppendOptions{Version: 1, IdempotencyKey: "k"})},
		{"announce the first publication", "PutItem", 2, func(*testing.T, *rig) {}, announced(hub.AppendOptions{})},
		{"announce under a key where another epoch has begun", "TransactWriteItems", 2, func(*testing.T, *rig) {}, moved(hub.AppendOptions{IdempotencyKey: "k"})},
		{"announce where another epoch has begun", "DeleteItem", 1, func(*testing.T, *rig) {}, moved(hub.AppendOptions{})},
		{"append where another epoch has begun", "PutItem", 5, func(*testing.T, *rig) {}, moved(hub.AppendOptions{})},
		{"remove a history", "UpdateItem", 1, published, func(ctx context.Context, s *rig) (any, error) {
			return nil, s.RemoveHistory(ctx, streamOf("x0"))
		}},
		{"take over a lease", "UpdateItem", 1, func(t *testing.T, s *rig) {
			leased(t, s)
			s.Clock.Advance(hub.LeaseTime + hub.LeaseSlack)
		}, changedHead(func(ctx context.Context, s *rig, st hub.Stream) (hub.Head, bool, error) {
			return s.TakeOver(ctx, st, s.lease("other"), "l", 7)
		})},
		{"open a stream", "PutItem", 1, func(*testing.T, *rig) {}, func(ctx context.Context, s *rig) (any, error) { return s.OpenStream(ctx, streamOf("x0")) }},
		{"lose a subscriber", "UpdateItem", 1, func(t *testing.T, s *rig) {
			s.enter(t, "c", "u")
			if err := s.change(t.Context(), "c", with(ch, hub.Membership{ID: "1"})); err != nil {
				t.Fatal(err)
			}
		}, func(ctx context.Context, s *rig) (any, error) {
			subscriber, ok, err := s.LoseSubscriber(ctx, hub.Lost{Gone: hub.Gone{Connection: "c", Channel: ch}, ID: "1"}, hub.Mark{Lease: "l", Era: 7})
			return []any{subscriber, ok}, err
		}},
		{"take a lease", "UpdateItem", 1, published, changedHead(func(ctx context.Context, s *rig, st hub.Stream) (hub.Head, bool, error) {
			return s.TakeLease(ctx, st, s.lease("l"))
		})},
		{"take a turn", "UpdateItem", 1, leased, changedHead(func(ctx context.Context, s *rig, st hub.Stream) (hub.Head, bool, error) {
			return s.TakeTurn(ctx, st, hub.Turn{Request: "r", Until: s.lease("").Until})
		})},
		{"renew a lease", "UpdateItem", 1, leased, changedHead(func(ctx context.Context, s *rig, st hub.Stream) (hub.Head, bool, error) {
			return s.RenewLease(ctx, st, hub.Progress{Lease: "l", Done: 2}, s.lease("").Until)
		})},
		{"release a lease", "UpdateItem", 1, leased, changedHead(func(ctx context.Context, s *rig, st hub.Stream) (hub.Head, bool, error) {
			return s.ReleaseLease(ctx, st, hub.Progress{Lease: "l", Done: 2}, 1)
		})},
		{"drop a lease", "UpdateItem", 1, leased, changedHead(func(ctx context.Context, s *rig, st hub.Stream) (hub.Head, bool, error) {
			return s.DropLease(ctx, st, hub.Progress{Lease: "l", Done: 2}, hub.Turn{})
		})},
		{"grant a lease", "UpdateItem", 1, leased, changedHead(func(ctx context.Context, s *rig, st hub.Stream) (hub.Head, bool, error) {
			return s.DropLease(ctx, st, hub.Progress{Lease: "l", Done: 2, Batch: 8}, hub.Turn{Request: "r"})
		})},
		{"create a category", "PutItem", 1, func(*testing.T, *rig) {}, func(ctx context.Context, s *rig) (any, error) {
			return nil, s.PutCategory(ctx, "p", hub.Category{Name: "c"})
		}},
		{"change a category", "PutItem", 1, func(t *testing.T, s *rig) {
			if err := s.PutCategory(t.Context(), "p", hub.Category{Name: "c"}); err != nil {
				t.Fatal(err)
			}
		}, func(ctx context.Context, s *rig) (any, error) {
			return nil, s.PutCategory(ctx, "p", hub.Category{Name: "c", Revision: 1, CategoryOptions: hub.CategoryOptions{Shards: 2, AllowedDomains: []string{"d"}}})
		}},
	} {
		for n := range c.requests {
			t.Run(fmt.Sprint(c.name, ", request ", n), func(t *testing.T) {
				t.Parallel() // the SDK waits before it repeats a request
				answered, lost := newRig(t), newRig(t)
				lost.Clock.Advance(answered.Clock.Now().Sub(lost.Clock.Now()))
				c.prepare(t, answered)
				c.prepare(t, lost)
				want, err := c.do(t.Context(), answered)
				if err != nil {
					t.Fatal(err)
				}
				lost.loseResponse(c.operation, int32(n))
				got, err := c.do(t.Context(), lost)
				if err != nil {
					t.Fatal(err)
				}
				lost.Requests.Intercept = nil
				same(t, "result", withoutDrawn(got), withoutDrawn(want))
				same(t, "table", lost.dump(t), answered.dump(t))
			})
		}
	}
}

// changed changes connection c and returns the channels before and the state after.
func changed(p plan) func(context.Context, *rig) (any, error) {
	return func(ctx context.Context, s *rig) (any, error) {
		c, err := s.Connection(ctx, "c")
		if err != nil {
			return nil, err
		}
		before, after, err := s.ChangeConnection(ctx, c, p)
		return []any{before.Channels, after}, err
	}
}

// in lets connection c enter and subscribe to channels.
func in(channels int) func(*testing.T, *rig) {
	return func(t *testing.T, s *rig) {
		s.enter(t, "c", "u")
		s.subscribe(t, "c", channelsNamed(channels, "x"))
	}
}

func claimed(after time.Duration) func(context.Context, *rig) (any, error) {
	return func(ctx context.Context, s *rig) (any, error) {
		return s.Claim(ctx, channel("x0"), "k", "m", s.Clock.Now().Add(after))
	}
}

// published publishes a first message in stream x0, and leased takes its lease.
func published(t *testing.T, s *rig) { s.publish(t, streamOf("x0"), "m1") }

func leased(t *testing.T, s *rig) {
	published(t, s)
	if _, ok, err := s.TakeLease(t.Context(), streamOf("x0"), s.lease("l")); !ok || err != nil {
		t.Fatal(ok, err)
	}
}

// appended appends a message to stream x0, by a process that knows nothing of it.
func appended(o hub.AppendOptions) func(context.Context, *rig) (any, error) {
	return func(ctx context.Context, s *rig) (any, error) {
		return s.another().Append(ctx, streamOf("x0"), said("m"), o)
	}
}

func announced(o hub.AppendOptions) func(context.Context, *rig) (any, error) {
	return func(ctx context.Context, s *rig) (any, error) {
		a, err := s.Append(ctx, streamOf("x0"), said("m"), o)
		if err != nil {
			return nil, err
		}
		return s.Announce(ctx, streamOf("x0"), a, s.lease("l"))
	}
}

// moved announces a message that was appended before another one began the stream.
func moved(o hub.AppendOptions) func(context.Context, *rig) (any, error) {
	return func(ctx context.Context, s *rig) (any, error) {
		mine, err := s.another().Append(ctx, streamOf("x0"), said("mine"), o)
		if err != nil {
			return nil, err
		}
		if _, err := announced(hub.AppendOptions{})(ctx, s); err != nil {
			return nil, err
		}
		return s.Announce(ctx, streamOf("x0"), mine, s.lease("other"))
	}
}

// changedHead changes the head of stream x0.
func changedHead(change func(context.Context, *rig, hub.Stream) (hub.Head, bool, error)) func(context.Context, *rig) (any, error) {
	return func(ctx context.Context, s *rig) (any, error) {
		h, ok, err := change(ctx, s, streamOf("x0"))
		return []any{h, ok}, err
	}
}

// drawn are ids that hub.NewID, and eras that hub.NewEra has drawn.
var drawn = regexp.MustCompile(`[0-9a-f]{24}|Era:[0-9]+`)

// withoutDrawn is the text of a value without what is drawn in it.
func withoutDrawn(v any) string { return drawn.ReplaceAllString(fmt.Sprintf("%+v", v), "drawn") }

// dump is the items of the table, by key, without what is random.
func (s *rig) dump(tb testing.TB) map[string]string {
	tb.Helper()
	all := make(map[string]string)
	pages := dynamodb.NewScanPaginator(s.Client, &dynamodb.ScanInput{TableName: &s.Table, ConsistentRead: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(tb.Context())
		if err != nil {
			tb.Fatal(err)
		}
		for _, i := range page.Items {
			key := ""
			for _, name := range []string{"PK", "SK"} {
				key += i[name].(*types.AttributeValueMemberS).Value + " "
			}
			for _, name := range []string{"PK", "SK", "holder", "closing", "incarnation", "era", "by"} {
				delete(i, name)
			}
			if set, ok := i["channels"].(*types.AttributeValueMemberSS); ok {
				slices.Sort(set.Value)
			}
			b, err := json.Marshal(i)
			if err != nil {
				tb.Fatal(err)
			}
			all[drawn.ReplaceAllString(key, "drawn")] = drawn.ReplaceAllString(string(b), "drawn")
		}
	}
	return all
}

// TestInterruptedChange ends a change that takes several transactions after each of them:
// connection and subscriptions agree, the states before and after name what was done, and a
// repeat does the rest.
func TestInterruptedChange(t *testing.T) {
	all := channelsNamed(hub.MaxChannels, "x")
	moved := make(map[hub.Channel]int)
	for ch := range channelsNamed(hub.MaxChannels, "x") {
		ch.Project = "q"
		moved[ch] = 1
	}
	for _, c := range []struct {
		name       string
		subscribed int
		plan       plan
		// channels are the number of channels after each transaction, and renewed is whether
		// the connection has its new identity then.
		channels []int
		renewed  []bool
	}{
		{"subscribe", 0, join(all), []int{99, 128}, []bool{false, false}},
		{"unsubscribe", 128, leave(slices.Collect(maps.Keys(all))...), []int{29, 0}, []bool{false, false}},
		{"renewed token", 128, become(hub.Connection{Project: "p", User: "v", Info: json.RawMessage(`1`)}), []int{128, 128}, []bool{false, true}},
		{"other project", 128, func(hub.Connection) (hub.Change, error) {
			return hub.Change{Connection: hub.Connection{Project: "q", User: "v", Channels: moved}}, nil
		}, []int{29, 70, 128}, []bool{false, true, true}},
	} {
		for n := range c.channels {
			t.Run(fmt.Sprint(c.name, ", after transaction ", n+1), func(t *testing.T) {
				s := newRig(t)
				in(c.subscribed)(t, s)
				start := s.connection(t, "c")
				ctx, cancel := context.WithCancel(t.Context())
				var seen atomic.Int32
				s.Requests.Intercept = func(op string, _ *http.Request) (*http.Response, error) {
					if op == "TransactWriteItems" && int(seen.Add(1)) > n+1 {
						cancel()
						return nil, ctx.Err()
					}
					return nil, nil
				}
				before, after, err := s.ChangeConnection(ctx, start, c.plan)
				if last := n == len(c.channels)-1; last != (err == nil) {
					t.Fatalf("error %v", err)
				}
				s.Requests.Intercept = nil
				same(t, "before", before, start)
				same(t, "after", after, s.connection(t, "c"))
				same(t, "channels", len(after.Channels), c.channels[n])
				same(t, "new identity", after.User == "v", c.renewed[n])
				s.named(t, "c")
				if err := s.change(t.Context(), "c", c.plan); err != nil {
					t.Fatal(err)
				}
				same(t, "channels after a repeat", len(s.connection(t, "c").Channels), c.channels[len(c.channels)-1])
				s.agree(t, "c")
			})
		}
	}
}

// named checks that a connection names all its subscriptions, whose content may be newer
// than its own.
func (s *rig) named(tb testing.TB, id string) {
	tb.Helper()
	got := make(map[hub.Channel]int)
	for ch, sub := range s.stored(tb)[id] {
		got[ch] = sub.Shard
	}
	want := s.connection(tb, id).Channels
	same(tb, "subscriptions", got, want)
}

// TestChangeBetweenTransactions changes a connection between the transactions of another
// change: both are done, and each call returns its own joins and leaves.
func TestChangeBetweenTransactions(t *testing.T) {
	s := newRig(t)
	in(10)(t, s)
	start := s.connection(t, "c")
	big := channelsNamed(hub.MaxChannels-20, "y")
	var seen atomic.Int32
	s.Requests.Intercept = func(op string, _ *http.Request) (*http.Response, error) {
		if op == "TransactWriteItems" && seen.Add(1) == 2 {
			fails(t, s.change(t.Context(), "c", leave(channel("x0"), channel("x1"))), nil)
			fails(t, s.change(t.Context(), "c", join(channelsNamed(2, "z"))), nil)
		}
		return nil, nil
	}
	before, after, err := s.ChangeConnection(t.Context(), start, join(big))
	if err != nil {
		t.Fatal(err)
	}
	s.Requests.Intercept = nil
	want := channelsNamed(10, "x")
	delete(want, channel("x0"))
	delete(want, channel("x1"))
	maps.Copy(want, channelsNamed(2, "z"))
	same(t, "before", before.Channels, want)
	maps.Copy(want, big)
	same(t, "after", after.Channels, want)
	s.agree(t, "c")
}
