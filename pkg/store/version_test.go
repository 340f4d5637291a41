package store_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"centrifuge/pkg/hub"
)

// Functions of the version before revisions share the table during a deployment. It wrote
// connections without rev, changed their channels alone, and wrote the subscriptions after
// them, and removed them before.

// enterEarlier writes a connection in channels as that version left it.
func (s *rig) enterEarlier(tb testing.TB, id, user string, channels map[hub.Channel]int) {
	tb.Helper()
	expires := num(s.Clock.Now().Add(hub.MaxConnectionAge).Unix())
	c := record{
		"exp": expires, "origin": str("https://o"), "project": str("p"), "user": str("p#" + user),
		"permissions": str(`{"e":true}` + "\n"), "protocol": str(string(hub.Classic)),
	}
	if len(channels) > 0 {
		c["channels"] = memberSet(channels)
	}
	s.putRaw(tb, "N#"+id, "-", c)
	for ch, shard := range channels {
		s.putRaw(tb, fmt.Sprintf("S#p#%s#%s#%d", ch.Category, ch.Name, shard), id, record{"exp": expires, "p": str(string(hub.Classic)), "u": str(user)})
	}
}

// memberSet is the attribute channels of that version.
func memberSet(channels map[hub.Channel]int) *types.AttributeValueMemberSS {
	set := &types.AttributeValueMemberSS{}
	for ch, shard := range channels {
		set.Value = append(set.Value, fmt.Sprintf("%s#%s#%d", ch.Category, ch.Name, shard))
	}
	return set
}

// updateEarlier adds channels to a connection, or deletes them, as that version did.
func (s *rig) updateEarlier(tb testing.TB, id, action string, channels map[hub.Channel]int) {
	tb.Helper()
	_, err := s.Client.UpdateItem(tb.Context(), &dynamodb.UpdateItemInput{
		TableName: &s.Table, Key: record{"PK": str("N#" + id), "SK": str("-")},
		UpdateExpression: aws.String(action + " channels :set"), ExpressionAttributeValues: record{":set": memberSet(channels)},
	})
	if err != nil {
		tb.Fatal(err)
	}
}

func TestConnectionOfEarlierVersion(t *testing.T) {
	s := newRig(t)
	old := channelsNamed(30, "x")
	enter := func(t *testing.T, id string) hub.Connection {
		t.Helper()
		s.enterEarlier(t, id, "u", old)
		return s.connection(t, id)
	}
	for name, c := range map[string]struct {
		plan plan
		want int
	}{
		"subscribe":   {join(channelsNamed(40, "x")), 40},
		"unsubscribe": {leave(slices.Collect(maps.Keys(channelsNamed(10, "x")))...), 20},
		"renew": {become(hub.Connection{
			Project: "p", User: "u", Protocol: hub.Classic, Secret: "0123456789abcdef", TokenExpires: s.Clock.Now().Add(time.Hour).Truncate(time.Second),
		}), 30},
	} {
		t.Run(name, func(t *testing.T) {
			before := enter(t, name)
			same(t, "read", before, hub.Connection{
				ID: name, Origin: "https://o", Expires: before.Expires, Project: "p", User: "u", Protocol: hub.Classic,
				Permissions: hub.Permissions{Everything: true}, Channels: old,
			})
			got, after, err := s.ChangeConnection(t.Context(), before, c.plan)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "before", got, before)
			same(t, "after", after, s.connection(t, name))
			same(t, "channels", len(after.Channels), c.want)
			same(t, "revision", after.Revision, 1)
			s.named(t, name)
			if err := s.end(t.Context(), name); err != nil {
				t.Fatal(err)
			}
			s.agree(t)
		})
	}

	t.Run("close", func(t *testing.T) {
		enter(t, "closed")
		if err := s.end(t.Context(), "closed"); err != nil {
			t.Fatal(err)
		}
		s.agree(t)
	})

	t.Run("member with an incarnation", func(t *testing.T) {
		// The category got one since: the old subscription and the new one are two.
		enter(t, "both")
		in := channel("x0")
		in.Incarnation = "89abcdef"
		s.subscribe(t, "both", map[hub.Channel]int{in: 0})
		same(t, "channels", len(s.connection(t, "both").Channels), 31)
		s.named(t, "both")
		if err := s.change(t.Context(), "both", leave(channel("x0"))); err != nil {
			t.Fatal(err)
		}
		same(t, "subscribers of the earlier one", s.subscribers(t, channel("x0"), 0), []string(nil))
		same(t, "subscribers", s.subscribers(t, in, 0), []string{"both"})
	})
}

// TestEarlierVersionWritesBetween lets that version change the channels of a connection
// after it was read and before it is written: the change is planned again.
func TestEarlierVersionWritesBetween(t *testing.T) {
	for name, enter := range map[string]func(*testing.T, *rig){
		"connection of that version": func(t *testing.T, s *rig) { s.enterEarlier(t, "c", "u", channelsNamed(2, "x")) },
		"connection of this version": in(2),
	} {
		for action, channels := range map[string]map[hub.Channel]int{"ADD": channelsNamed(1, "y"), "DELETE": channelsNamed(1, "x")} {
			for _, c := range []struct {
				name string
				plan plan
			}{
				{"renewed with the subscriptions", become(hub.Connection{Project: "p", User: "v"})},
				{"renewed alone", func(c hub.Connection) (hub.Change, error) {
					c.Proof = "new"
					return hub.Change{Connection: c}, nil
				}},
				{"joined", join(channelsNamed(1, "z"))},
				{"left", leave(channel("x1"))},
			} {
				t.Run(fmt.Sprintf("%s, %s, %s", name, action, c.name), func(t *testing.T) {
					s := newRig(t)
					enter(t, s)
					var began atomic.Bool
					var planned atomic.Int32
					stale := s.connection(t, "c")
					s.Requests.Intercept = func(string, *http.Request) (*http.Response, error) {
						if !began.CompareAndSwap(false, true) {
							return nil, nil
						}
						s.updateEarlier(t, "c", action, channels)
						for ch := range channels {
							if action == "ADD" {
								s.putRaw(t, "S#p#chat#"+ch.Name+"#0", "c", record{"exp": num(s.Clock.Now().Add(time.Hour).Unix()), "p": str("classic"), "u": str("u")})
								continue
							}
							gone := hub.Gone{Channel: ch, Connection: "c"}
							fails(t, s.RemoveSubscribers(t.Context(), []hub.Gone{gone}), nil)
						}
						return nil, nil
					}
					_, after, err := s.ChangeConnection(t.Context(), stale, func(c2 hub.Connection) (hub.Change, error) {
						planned.Add(1)
						return c.plan(c2)
					})
					if err != nil {
						t.Fatal(err)
					}
					s.Requests.Intercept = nil
					same(t, "plans", planned.Load(), int32(2))
					for ch := range channels {
						_, in := after.Channels[ch]
						same(t, "channel of the other version", in, action == "ADD")
					}
					s.agree(t, "c")
				})
			}
		}
	}
}
