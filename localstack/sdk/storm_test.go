package sdk_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/centrifugal/centrifuge-go"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/sync/errgroup"

	"centrifuge/localstack/gateway"
	"centrifuge/localstack/stack"
)

// storm is how many clients connect again at the same moment, and stormLimit how long that may
// take: SDKs wait longer and longer between attempts that fail.
const (
	storm      = 500
	stormLimit = time.Minute
)

// TestReconnectStorm cuts the connections of all clients at once. Each must be back in its
// channel, and have what was published while it was away.
func TestReconnectStorm(t *testing.T) {
	r := start(t, stack.Options{})
	type member struct {
		*client
		sub  *subscription
		room string
	}
	members := make([]member, storm)
	const rooms = 10
	began := time.Now()
	for n := range members {
		c := r.client(t, centrifuge.Config{Token: token(t, jwt.MapClaims{"sub": fmt.Sprintf("user-%d", n)})})
		room := fmt.Sprintf("log:storm-%d", n%rooms)
		members[n] = member{c, c.subscription(t, room, centrifuge.SubscriptionConfig{}), room}
	}
	// all waits until every client is subscribed.
	all := func(do func(member) error) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), stormLimit)
		defer cancel()
		var done atomic.Int64
		g, ctx := errgroup.WithContext(ctx)
		for _, m := range members {
			g.Go(func() error {
				if err := do(m); err != nil {
					return err
				}
				select {
				case <-m.sub.subscribed:
					done.Add(1)
					return nil
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatalf("%d of %d clients are subscribed within %v: %v", done.Load(), storm, stormLimit, err)
		}
	}
	all(func(m member) error {
		if err := m.sub.Subscribe(); err != nil {
			return err
		}
		return m.Connect()
	})
	t.Log("connected in", time.Since(began))
	for n := range rooms {
		r.publish(t, fmt.Sprintf("log:storm-%d", n), "1")
	}
	for _, m := range members {
		positions(t, m.sub, 1, 1)
		m.network.cut(true)
	}
	for n := range rooms {
		r.publish(t, fmt.Sprintf("log:storm-%d", n), "2", "3")
	}
	began = time.Now()
	all(func(m member) error {
		m.network.up()
		return nil
	})
	t.Log("connected again in", time.Since(began))
	for n := range rooms {
		r.publish(t, fmt.Sprintf("log:storm-%d", n), "4")
	}
	for _, m := range members {
		positions(t, m.sub, 2, 4)
	}
}

// TestLimitsOfAPIGateway compresses the ten minutes after which API Gateway closes an idle
// connection, and the two hours after which it closes any: a client has every message exactly
// once and in order across them.
func TestLimitsOfAPIGateway(t *testing.T) {
	for name, options := range map[string]gateway.Options{
		"idle":                 {IdleTimeout: 300 * time.Millisecond},
		"lifetime":             {Lifetime: 700 * time.Millisecond},
		"both, with jitter":    {IdleTimeout: 500 * time.Millisecond, Lifetime: 1200 * time.Millisecond, Jitter: 40 * time.Millisecond},
		"lost disconnects too": {Lifetime: 700 * time.Millisecond, LoseDisconnect: func(string) bool { return true }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, stack.Options{Gateway: options})
			ann := r.connect(t, "ann")
			sub := ann.subscribe(t, "log:room")
			n := 0
			for ended := 0; ended < 4; {
				n++
				r.publish(t, "log:room", fmt.Sprint(n))
				select {
				case <-ann.connecting: // the first is that of Connect
					ended++
				default:
				}
			}
			ann.connected.next(t, "connected again")
			positions(t, sub, 1, n)
			if len(ann.disconnected) > 0 || len(sub.unsubscribed) > 0 {
				t.Error("the client has given up")
			}
			for range len(sub.subscribed) {
				if e := <-sub.subscribed; !e.Recovered {
					t.Errorf("subscribed again without recovery: %+v", e)
				}
			}
			t.Log(n, "messages")
		})
	}
}

// TestSlowConsumer publishes to a client that does not read, until its buffers are full and the
// service gives it up. Then it reads again: it has every message exactly once and in order.
func TestSlowConsumer(t *testing.T) {
	t.Parallel()
	const channel = "log:room"
	r := start(t, stack.Options{Gateway: gateway.Options{Buffer: 64 << 10}})
	ann := r.client(t, centrifuge.Config{Token: token(t, jwt.MapClaims{"sub": "ann"})})
	var reads sync.RWMutex // locked while the client does not read
	ann.network.arrives = func([]byte) {
		reads.RLock()
		defer reads.RUnlock()
	}
	ann.connect(t)
	sub := ann.subscribe(t, channel)
	reads.Lock()
	release := sync.OnceFunc(reads.Unlock)
	t.Cleanup(release) // or the client is never closed
	fills := fmt.Sprintf(`{"fills":%q}`, strings.Repeat(".", 30<<10))
	n := 0
	eventually(t, func() bool {
		r.publish(t, channel, fills)
		n++
		stats, err := r.api.PresenceStats(bounded(t), channel)
		return err == nil && stats.NumClients == 0
	})
	filled := n
	for range 3 {
		n++
		r.publish(t, channel, fmt.Sprint(n))
	}
	release()
	for i := 1; i <= n; i++ {
		p := sub.published.next(t, fmt.Sprintf("publication %d", i))
		want := fills
		if i > filled {
			want = fmt.Sprint(i)
		}
		if p.Offset != uint64(i) || string(p.Data) != want { //nolint:gosec // small
			t.Fatalf("got %.20s at %d, expected %.20s at %d", p.Data, p.Offset, want, i)
		}
	}
	r.publish(t, channel, fmt.Sprint(n+1))
	positions(t, sub, n+1, n+1)
	if len(ann.disconnected) > 0 || len(sub.unsubscribed) > 0 {
		t.Error("the client has given up")
	}
	if e := sub.subscribed.next(t, "subscribed again"); !e.Recovered {
		t.Errorf("subscribed again without recovery: %+v", e)
	}
	t.Log(n, "messages")
}
