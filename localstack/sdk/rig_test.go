package sdk_test

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/centrifugal/centrifuge-go"
	"github.com/centrifugal/gocent/v3"
	"github.com/golang-jwt/jwt/v5"

	"centrifuge/localstack/stack"
	"centrifuge/localstack/stack/stacktest"
)

// The projects of the conversations.
const (
	projectID, secret, apiKey = "sdk", "sdk-secret", "sdk-key"
	insecure                  = "insecure"
)

//go:embed seed.json
var seed []byte

// limit is how long a conversation may wait for something. It ends a test that hangs; nothing is
// measured with it.
const limit = 30 * time.Second

// rig is a stack, and the server API of the project.
type rig struct {
	*stack.Stack
	api *gocent.Client
}

func start(t *testing.T, o stack.Options) rig {
	t.Helper()
	o.Seed, o.Log, o.LogLevel = seed, t.Output(), "error"
	s := stacktest.Start(t, o)
	return rig{s, gocent.New(gocent.Config{Addr: s.HTTPURL + "/api", Key: apiKey, HTTPClient: &http.Client{Timeout: limit}})}
}

// token signs claims with the secret of the project.
func token(t *testing.T, claims jwt.MapClaims) string {
	t.Helper()
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(secret))
	if err != nil {
		t.Error(err)
	}
	return text
}

// events are values that came from a client, in their order. A conversation reads all that it
// waits for; the buffer holds the rest.
type events[T any] chan T

func newEvents[T any]() events[T] { return make(events[T], 10_000) }

func (e events[T]) add(v T) { e <- v }

// next waits for the next value.
func (e events[T]) next(t *testing.T, what string) T {
	t.Helper()
	return got(t, what, e)
}

// got waits for the next value of a channel.
func got[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case v := <-from:
		return v
	case <-timer.C:
		t.Fatalf("no %s within %v", what, limit)
		panic("unreachable")
	}
}

// client is a client of centrifuge-go, and what it said.
type client struct {
	*centrifuge.Client
	connecting   events[centrifuge.ConnectingEvent]
	connected    events[centrifuge.ConnectedEvent]
	disconnected events[centrifuge.DisconnectedEvent]
	errors       events[error]
	messages     events[string]
	// Those of subscriptions by the server.
	subscribed   events[centrifuge.ServerSubscribedEvent]
	unsubscribed events[string]
	published    events[centrifuge.ServerPublicationEvent]

	network *network
}

// network is what a client dials with. It can be down.
type network struct {
	// arrives, where set, gets what arrives, before the client reads it, and may change it.
	arrives func([]byte)

	mu    sync.Mutex
	down  bool
	conns []net.Conn
}

var errDown = errors.New("the network is down")

func (n *network) dial(ctx context.Context, kind, address string) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down {
		return nil, errDown
	}
	conn, err := new(net.Dialer).DialContext(ctx, kind, address)
	if err != nil {
		return nil, err
	}
	n.conns = append(n.conns, conn)
	if n.arrives != nil {
		conn = arriving{conn, n.arrives}
	}
	return conn, nil
}

// arriving is a connection that shows what arrives.
type arriving struct {
	net.Conn
	arrives func([]byte)
}

func (c arriving) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.arrives(b[:n])
	return n, err
}

// cut closes all connections. The network is down until up is called, where the client may not
// come back at once.
func (n *network) cut(down bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = down
	for _, conn := range n.conns {
		_ = conn.Close()
	}
	n.conns = nil
}

func (n *network) up() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = false
}

// client returns a client that is not connected, and is closed with the test.
func (r rig) client(t *testing.T, config centrifuge.Config) *client {
	t.Helper()
	return newClient(t, r.WebSocketURL+"?project="+projectID, config)
}

func newClient(t *testing.T, url string, config centrifuge.Config) *client {
	t.Helper()
	c := &client{
		connecting: newEvents[centrifuge.ConnectingEvent](), connected: newEvents[centrifuge.ConnectedEvent](),
		disconnected: newEvents[centrifuge.DisconnectedEvent](), errors: newEvents[error](), messages: newEvents[string](),
		subscribed: newEvents[centrifuge.ServerSubscribedEvent](), unsubscribed: newEvents[string](),
		published: newEvents[centrifuge.ServerPublicationEvent](), network: &network{},
	}
	config.NetDialContext = c.network.dial
	// A machine that also does something else is slower than the time-outs of the SDK allow.
	config.HandshakeTimeout, config.ReadTimeout = limit, limit
	c.Client = centrifuge.NewJsonClient(url, config)
	t.Cleanup(c.Close)
	c.OnConnecting(c.connecting.add)
	c.OnConnected(c.connected.add)
	c.OnDisconnected(c.disconnected.add)
	c.OnError(func(e centrifuge.ErrorEvent) { c.errors.add(e.Error) })
	c.OnMessage(func(e centrifuge.MessageEvent) { c.messages.add(string(e.Data)) })
	c.OnSubscribed(c.subscribed.add)
	c.OnUnsubscribed(func(e centrifuge.ServerUnsubscribedEvent) { c.unsubscribed.add(e.Channel) })
	c.OnPublication(c.published.add)
	return c
}

// connect returns a connected client of a user.
func (r rig) connect(t *testing.T, user string) *client {
	t.Helper()
	c := r.client(t, centrifuge.Config{Token: token(t, jwt.MapClaims{"sub": user, "info": map[string]string{"name": user}})})
	c.connect(t)
	return c
}

func (c *client) connect(t *testing.T) centrifuge.ConnectedEvent {
	t.Helper()
	if err := c.Connect(); err != nil {
		t.Fatal(err)
	}
	return c.connected.next(t, "connected")
}

// subscription is a subscription of centrifuge-go, and what it said.
type subscription struct {
	*centrifuge.Subscription
	subscribing  events[centrifuge.SubscribingEvent]
	subscribed   events[centrifuge.SubscribedEvent]
	unsubscribed events[centrifuge.UnsubscribedEvent]
	errors       events[error]
	published    events[centrifuge.PublicationEvent]
	joins        events[centrifuge.ClientInfo]
	leaves       events[centrifuge.ClientInfo]
}

// subscription returns one that has not begun.
func (c *client) subscription(t *testing.T, channel string, config centrifuge.SubscriptionConfig) *subscription {
	t.Helper()
	sub, err := c.NewSubscription(channel, config)
	if err != nil {
		t.Fatal(err)
	}
	s := &subscription{
		Subscription: sub,
		subscribing:  newEvents[centrifuge.SubscribingEvent](), subscribed: newEvents[centrifuge.SubscribedEvent](),
		unsubscribed: newEvents[centrifuge.UnsubscribedEvent](), errors: newEvents[error](),
		published: newEvents[centrifuge.PublicationEvent](), joins: newEvents[centrifuge.ClientInfo](), leaves: newEvents[centrifuge.ClientInfo](),
	}
	sub.OnSubscribing(s.subscribing.add)
	sub.OnSubscribed(s.subscribed.add)
	sub.OnUnsubscribed(s.unsubscribed.add)
	sub.OnError(func(e centrifuge.SubscriptionErrorEvent) { s.errors.add(e.Error) })
	sub.OnPublication(s.published.add)
	sub.OnJoin(func(e centrifuge.JoinEvent) { s.joins.add(e.ClientInfo) })
	sub.OnLeave(func(e centrifuge.LeaveEvent) { s.leaves.add(e.ClientInfo) })
	return s
}

// subscribe returns a subscription that has begun.
func (c *client) subscribe(t *testing.T, channel string, config ...centrifuge.SubscriptionConfig) *subscription {
	t.Helper()
	s := c.subscription(t, channel, append(config, centrifuge.SubscriptionConfig{})[0])
	s.subscribe(t)
	return s
}

func (s *subscription) subscribe(t *testing.T) centrifuge.SubscribedEvent {
	t.Helper()
	if err := s.Subscribe(); err != nil {
		t.Fatal(err)
	}
	return s.subscribed.next(t, "subscribed")
}

// expect waits for publications with these data, and fails where another comes.
func (s *subscription) expect(t *testing.T, data ...string) {
	t.Helper()
	for _, want := range data {
		if p := s.published.next(t, "publication "+want); string(p.Data) != want {
			t.Fatalf("got publication %s, expected %s", p.Data, want)
		}
	}
}

// publish publishes as the application does.
func (r rig) publish(t *testing.T, channel string, data ...string) {
	t.Helper()
	for _, d := range data {
		if _, err := r.api.Publish(bounded(t), channel, []byte(d)); err != nil {
			t.Fatal(err)
		}
	}
}

// bounded is a context for one call.
func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

// code is that of an error of the server, 0 for any other.
func code(err error) uint32 {
	var e *centrifuge.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

// users are those of a presence.
func users(p centrifuge.PresenceResult) map[string]int {
	count := make(map[string]int)
	for _, c := range p.Clients {
		count[c.User]++
	}
	return count
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
