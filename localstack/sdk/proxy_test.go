package sdk_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/centrifugal/centrifuge-go"
	"github.com/coder/websocket"
	"github.com/golang-jwt/jwt/v5"

	"centrifuge/localstack/stack"
	"centrifuge/pkg/callback"
	"centrifuge/pkg/hub"
)

// asked is what an application is asked by a proxy.
type asked struct {
	// proxy is the path of the URL.
	proxy  string
	Client string
	User   string
	Channel, Method, Name,
	Transport, Protocol, Encoding string
	Data, Meta json.RawMessage
}

// application answers proxies. It checks the signatures.
type application struct {
	url string
	mu  sync.Mutex
	// replies are by the proxy, and by the proxy and the channel or method after a space.
	replies map[string]string
	asked   []asked
}

func newApplication(t *testing.T, replies map[string]string) *application {
	t.Helper()
	a := &application{replies: replies}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		mac := hmac.New(sha256.New, []byte(secret))
		fmt.Fprintf(mac, "%s.%s\n", r.Header.Get("X-Centrifuge-Timestamp"), body)
		if want := "sha256=" + hex.EncodeToString(mac.Sum(nil)); r.Header.Get("X-Centrifuge-Signature") != want {
			t.Errorf("%s: wrong signature", r.URL.Path)
		}
		q := asked{proxy: strings.TrimPrefix(r.URL.Path, "/")}
		if err := json.Unmarshal(body, &q); err != nil {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		if q.Transport != "websocket" || q.Protocol != "json" || q.Encoding != "json" || q.Client == "" {
			t.Errorf("%s: %s", r.URL.Path, body)
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		a.asked = append(a.asked, q)
		reply, ok := a.replies[q.proxy+" "+q.Channel+q.Method]
		if !ok {
			reply = a.replies[q.proxy]
		}
		if reply == "" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = io.WriteString(w, reply)
	}))
	t.Cleanup(server.Close)
	a.url = server.URL
	return a
}

// set changes a reply.
func (a *application) set(proxy, reply string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.replies[proxy] = reply
}

// take returns what a proxy has asked since the last take.
func (a *application) take(proxy string) (taken []asked) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var left []asked
	for _, q := range a.asked {
		if q.proxy == proxy {
			taken = append(taken, q)
		} else {
			left = append(left, q)
		}
	}
	a.asked = left
	return taken
}

// seed is a seed file of a project whose application answers these proxies.
func (a *application) seed(proxies ...string) []byte {
	var options []string
	for _, p := range proxies {
		options = append(options, fmt.Sprintf(`"proxy_%s_url": "%s/%s"`, p, a.url, p))
	}
	return fmt.Appendf(nil, `{"projects": [{"id": "sdk", "name": "sdk", "secret": "sdk-secret", "options": {%s}, "categories": [
		{"name": "chat", "private": true, "subscribe_proxy_enabled": true, "publish_proxy_enabled": true, "sub_refresh_proxy_enabled": true,
		 "presence": true, "allow_presence_for_subscriber": true, "allow_user_limited_channels": true},
		{"name": "log", "private": true, "subscribe_proxy_enabled": true, "history_size": 10, "history_ttl": 60000, "publish_proxy_enabled": true},
		{"name": "news"}]}]}`, strings.Join(options, ", "))
}

// withoutToken returns a client that sends no token.
func withoutToken(t *testing.T, s *stack.Stack, data string) *centrifuge.Client {
	t.Helper()
	c := centrifuge.NewJsonClient(s.WebSocketURL+"?project="+projectID, centrifuge.Config{Data: []byte(data), Name: "sdk"})
	t.Cleanup(c.Close)
	return c
}

// connected connects a client and returns the event.
func withToken(t *testing.T, s *stack.Stack) *centrifuge.Client {
	t.Helper()
	c := centrifuge.NewJsonClient(s.WebSocketURL+"?project="+projectID, centrifuge.Config{Token: token(t, jwt.MapClaims{"sub": "ann"})})
	t.Cleanup(c.Close)
	return c
}

func connected(t *testing.T, c *centrifuge.Client) centrifuge.ConnectedEvent {
	t.Helper()
	events := make(chan centrifuge.ConnectedEvent, 10)
	c.OnConnected(func(e centrifuge.ConnectedEvent) { events <- e })
	c.OnError(func(e centrifuge.ErrorEvent) { t.Log("error", e.Error) })
	c.OnDisconnected(func(e centrifuge.DisconnectedEvent) { t.Log("disconnected", e) })
	if err := c.Connect(); err != nil {
		t.Fatal(err)
	}
	return got(t, "connected", events)
}

// proxied is a subscription of which an application is asked, and what it receives.
type proxied struct {
	*centrifuge.Subscription
	subscribed   chan centrifuge.SubscribedEvent
	unsubscribed chan centrifuge.UnsubscribedEvent
	published    chan centrifuge.PublicationEvent
	errs         chan error
}

func subscribe(t *testing.T, c *centrifuge.Client, channel string, config ...centrifuge.SubscriptionConfig) *proxied {
	t.Helper()
	sub, err := c.NewSubscription(channel, config...)
	if err != nil {
		t.Fatal(err)
	}
	s := &proxied{
		sub, make(chan centrifuge.SubscribedEvent, 10), make(chan centrifuge.UnsubscribedEvent, 10), make(chan centrifuge.PublicationEvent, 10), make(chan error, 100),
	}
	sub.OnSubscribed(func(e centrifuge.SubscribedEvent) { s.subscribed <- e })
	sub.OnUnsubscribed(func(e centrifuge.UnsubscribedEvent) { s.unsubscribed <- e })
	sub.OnPublication(func(e centrifuge.PublicationEvent) { s.published <- e })
	sub.OnError(func(e centrifuge.SubscriptionErrorEvent) { s.errs <- e.Error })
	if err := sub.Subscribe(); err != nil {
		t.Fatal(err)
	}
	return s
}

const allowed = `{"result":{}}`

func TestProxyConnect(t *testing.T) {
	a := newApplication(t, map[string]string{
		"connect": `{"result":{"user":"ann","info":{"name":"Ann"},"meta":{"plan":"gold"},"data":{"motd":"hi"},"expire_at":4102444800,
			"subs":{"news:own":{"data":{"unread":3}}}}}`,
		"rpc": `{"result":{"data":{"price":12.5}}}`,
	})
	s := startWith(t, stack.Options{Seed: a.seed("connect", "refresh", "rpc")})
	c := withoutToken(t, s, `{"session":"5f1c"}`)
	server := make(chan centrifuge.ServerSubscribedEvent, 1)
	c.OnSubscribed(func(e centrifuge.ServerSubscribedEvent) { server <- e })
	if e := connected(t, c); string(e.Data) != `{"motd":"hi"}` {
		t.Errorf("connected with %s", e.Data)
	}
	if e := got(t, "subscription by the server", server); e.Channel != "news:own" || string(e.Data) != `{"unread":3}` {
		t.Errorf("subscribed to %s with %s", e.Channel, e.Data)
	}
	asked := a.take("connect")
	if len(asked) != 1 || string(asked[0].Data) != `{"session":"5f1c"}` || asked[0].Name != "sdk" {
		t.Errorf("asked %+v", asked)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	r, err := c.RPC(ctx, "getCurrentPrice", []byte(`{"coin":"x"}`))
	if err != nil || string(r.Data) != `{"price":12.5}` {
		t.Errorf("rpc: %s, %v", r.Data, err)
	}
	asked = a.take("rpc")
	if len(asked) != 1 || asked[0].User != "ann" || asked[0].Method != "getCurrentPrice" || string(asked[0].Data) != `{"coin":"x"}` || string(asked[0].Meta) != `{"plan":"gold"}` {
		t.Errorf("asked %+v", asked)
	}
}

func TestProxyConnectIsNotAskedAboutToken(t *testing.T) {
	a := newApplication(t, map[string]string{})
	s := startWith(t, stack.Options{Seed: a.seed("connect")})
	connected(t, withToken(t, s))
	if asked := a.take("connect"); len(asked) != 0 {
		t.Errorf("asked %+v", asked)
	}
}

func TestProxyConnectRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		reply  string
		code   uint32
		reason string
	}{
		"with an error of its own":    {`{"error":{"code":1000,"message":"not you"}}`, 1000, "not you"},
		"with a code of the service":  {`{"error":{"code":410,"message":"gone"}}`, 410, "gone"},
		"with a disconnect":           {`{"disconnect":{"code":4500,"reason":"banned"}}`, 4500, "banned"},
		"with an end that has passed": {`{"result":{"user":"ann","expire_at":1}}`, 110, "expired"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApplication(t, map[string]string{"connect": c.reply})
			s := startWith(t, stack.Options{Seed: a.seed("connect")})
			disconnected := make(chan centrifuge.DisconnectedEvent, 1)
			client := withoutToken(t, s, "{}")
			client.OnDisconnected(func(e centrifuge.DisconnectedEvent) { disconnected <- e })
			if err := client.Connect(); err != nil {
				t.Fatal(err)
			}
			if e := got(t, "disconnected", disconnected); e.Code != c.code || e.Reason != c.reason {
				t.Errorf("%+v", e)
			}
		})
	}
}

// TestProxyConnectWithoutAnswer checks that the client connects again until there is an answer.
func TestProxyConnectWithoutAnswer(t *testing.T) {
	a := newApplication(t, map[string]string{})
	s := startWith(t, stack.Options{Seed: a.seed("connect")})
	c := withoutToken(t, s, "{}")
	events, errs := make(chan centrifuge.ConnectedEvent, 1), make(chan error, 100)
	c.OnConnected(func(e centrifuge.ConnectedEvent) { events <- e })
	c.OnError(func(e centrifuge.ErrorEvent) { errs <- e.Error })
	if err := c.Connect(); err != nil {
		t.Fatal(err)
	}
	if err := got(t, "error", errs); !strings.Contains(err.Error(), "internal server error") {
		t.Errorf("error %v", err)
	}
	a.set("connect", allowed)
	got(t, "connected", events)
}

func TestProxySubscribe(t *testing.T) {
	a := newApplication(t, map[string]string{
		"connect":              `{"result":{"user":"ann","meta":{"plan":"gold"}}}`,
		"subscribe chat:room":  `{"result":{"info":{"role":"guest"},"data":{"topic":"tea"}}}`,
		"subscribe log:1":      `{"result":{"override":{"force_recovery":{"value":true}}}}`,
		"subscribe chat:no":    `{"error":{"code":1001,"message":"no"}}`,
		"subscribe chat:later": `{"error":{"code":1002,"message":"later","temporary":true}}`,
	})
	s := startWith(t, stack.Options{Seed: a.seed("connect", "subscribe")})
	c := withoutToken(t, s, "{}")
	connected(t, c)

	room := subscribe(t, c, "chat:room", centrifuge.SubscriptionConfig{Data: []byte(`{"invitation":"x"}`)})
	if e := got(t, "subscribed", room.subscribed); string(e.Data) != `{"topic":"tea"}` {
		t.Errorf("subscribed with %s", e.Data)
	}
	asked := a.take("subscribe")
	if len(asked) != 1 || asked[0].User != "ann" || asked[0].Channel != "chat:room" || string(asked[0].Data) != `{"invitation":"x"}` || string(asked[0].Meta) != `{"plan":"gold"}` {
		t.Errorf("asked %+v", asked)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	present, err := room.Presence(ctx)
	if err != nil || len(present.Clients) != 1 {
		t.Fatalf("presence %v, %v", present, err)
	}
	for _, info := range present.Clients {
		if string(info.ChanInfo) != `{"role":"guest"}` {
			t.Errorf("presence with %s", info.ChanInfo)
		}
	}
	if e := got(t, "subscribed to a stream", subscribe(t, c, "log:1").subscribed); !e.Recoverable {
		t.Error("the override has no effect")
	}
	if e := got(t, "unsubscribed", subscribe(t, c, "chat:no").unsubscribed); e.Code != 1001 || e.Reason != "no" {
		t.Errorf("%+v", e)
	}
	later := subscribe(t, c, "chat:later")
	got(t, "temporary error", later.errs)
	a.set("subscribe chat:later", allowed)
	got(t, "subscribed later", later.subscribed)
	a.take("subscribe")

	// The name decides.
	got(t, "subscribed to a user-limited channel", subscribe(t, c, "chat:own#ann").subscribed)
	if e := got(t, "unsubscribed", subscribe(t, c, "chat:own#bob").unsubscribed); e.Code != 103 {
		t.Errorf("%+v", e)
	}
	if e := got(t, "unsubscribed", subscribe(t, c, "$chat:x").unsubscribed); e.Code != 103 {
		t.Errorf("%+v", e)
	}
	if asked := a.take("subscribe"); len(asked) != 0 {
		t.Errorf("asked %+v", asked)
	}
}

// TestProxySubscribeTogether checks that the application is asked concurrently.
func TestProxySubscribeTogether(t *testing.T) {
	const channels = 33
	var (
		mu      sync.Mutex
		waiting int
		all     = make(chan struct{})
	)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		if waiting++; waiting == channels {
			close(all)
		}
		mu.Unlock()
		select {
		case <-all:
		case <-r.Context().Done():
		}
		_, _ = io.WriteString(w, allowed)
	}))
	t.Cleanup(server.Close)
	a := &application{url: server.URL}
	s := startWith(t, stack.Options{Seed: a.seed("subscribe")})
	socket := dial(t, s)
	frame := fmt.Sprintf(`{"id":1,"connect":{"token":"%s"}}`, token(t, map[string]any{"sub": "ann"}))
	for i := range channels {
		frame += fmt.Sprintf("\n"+`{"id":%d,"subscribe":{"channel":"chat:%d"}}`, i+2, i)
	}
	for id, reply := range exchange(t, socket, frame, channels+1) {
		if strings.Contains(reply, "error") {
			t.Errorf("reply %d: %s", id, reply)
		}
	}
}

func TestProxyPublish(t *testing.T) {
	a := newApplication(t, map[string]string{
		"subscribe":         allowed,
		"publish chat:room": `{"result":{"data":{"text":"hello"},"tags":{"lang":"en"}}}`,
		"publish log:1":     `{"result":{"skip_history":true}}`,
		"publish chat:no":   `{"error":{"code":1003,"message":"spam"}}`,
		"publish chat:out":  `{"disconnect":{"code":4501,"reason":"spammer"}}`,
	})
	s := startWith(t, stack.Options{Seed: a.seed("subscribe", "publish")})
	c := withToken(t, s)
	disconnected := make(chan centrifuge.DisconnectedEvent, 1)
	connected(t, c)
	c.OnDisconnected(func(e centrifuge.DisconnectedEvent) { disconnected <- e })
	room, log := subscribe(t, c, "chat:room"), subscribe(t, c, "log:1")
	got(t, "subscribed", room.subscribed)
	got(t, "subscribed", log.subscribed)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if _, err := c.Publish(ctx, "chat:room", []byte(`{"text":"helo"}`)); err != nil {
		t.Fatal(err)
	}
	if p := got(t, "publication", room.published); string(p.Data) != `{"text":"hello"}` || p.Tags["lang"] != "en" || p.Info == nil || p.Info.User != "ann" {
		t.Errorf("publication %+v", p)
	}
	if asked := a.take("publish"); len(asked) != 1 || asked[0].User != "ann" || asked[0].Channel != "chat:room" || string(asked[0].Data) != `{"text":"helo"}` {
		t.Errorf("asked %+v", asked)
	}
	if _, err := c.Publish(ctx, "log:1", []byte(`1`)); err != nil {
		t.Fatal(err)
	}
	if p := got(t, "publication", log.published); string(p.Data) != `1` || p.Offset != 0 {
		t.Errorf("publication %+v", p)
	}
	var refused *centrifuge.Error
	if _, err := c.Publish(ctx, "chat:no", []byte(`1`)); !errors.As(err, &refused) || refused.Code != 1003 || refused.Message != "spam" || refused.Temporary {
		t.Errorf("error %v", err)
	}
	if _, err := c.Publish(ctx, "chat:silent", []byte(`1`)); !errors.As(err, &refused) || refused.Code != 100 || !refused.Temporary {
		t.Errorf("error %v", err)
	}
	if _, err := c.Publish(ctx, "chat:out", []byte(`1`)); err == nil {
		t.Error("published after a disconnect")
	}
	if e := got(t, "disconnected", disconnected); e.Code != 4501 || e.Reason != "spammer" {
		t.Errorf("%+v", e)
	}
}

// TestProxyBudget checks that the commands of one frame together wait no longer for the
// application than a client waits for a reply.
func TestProxyBudget(t *testing.T) {
	const calls = 8
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	s := startWith(t, stack.Options{Seed: (&application{url: server.URL}).seed("rpc")})
	socket := dial(t, s)
	exchange(t, socket, fmt.Sprintf(`{"id":1,"connect":{"token":"%s"}}`, token(t, map[string]any{"sub": "ann"})), 1)
	var frame []string
	for i := range calls {
		frame = append(frame, fmt.Sprintf(`{"id":%d,"rpc":{"method":"m"}}`, i+2))
	}
	for id, reply := range exchange(t, socket, strings.Join(frame, "\n"), calls) {
		if want := fmt.Sprintf(`{"id":%d,"error":{"code":100,"message":"internal server error","temporary":true}}`, id); reply != want {
			t.Errorf("reply %s, expected %s", reply, want)
		}
	}
	if most := int64(hub.ProxyBudget / callback.ProxyTimeout); requests.Load() > most {
		t.Errorf("%d requests, expected at most %d", requests.Load(), most)
	}
}

func TestProxyRPCRefuses(t *testing.T) {
	a := newApplication(t, map[string]string{"rpc": `{"error":{"code":104,"message":"method not found"}}`})
	s := startWith(t, stack.Options{Seed: a.seed("rpc")})
	c := withToken(t, s)
	connected(t, c)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	var refused *centrifuge.Error
	if _, err := c.RPC(ctx, "missing", nil); !errors.As(err, &refused) || refused.Code != 104 {
		t.Errorf("error %v", err)
	}
}

// TestProxyWithoutURL checks that a category that asks opens nothing where the project has no URL.
func TestProxyWithoutURL(t *testing.T) {
	a := newApplication(t, nil)
	s := startWith(t, stack.Options{Seed: a.seed()})
	c := withToken(t, s)
	connected(t, c)
	if e := got(t, "unsubscribed", subscribe(t, c, "chat:room").unsubscribed); e.Code != 108 {
		t.Errorf("%+v", e)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	var refused *centrifuge.Error
	if _, err := c.Publish(ctx, "chat:room", []byte(`1`)); !errors.As(err, &refused) || refused.Code != 108 {
		t.Errorf("error %v", err)
	}
	if _, err := c.RPC(ctx, "m", nil); !errors.As(err, &refused) || refused.Code != 108 {
		t.Errorf("error %v", err)
	}
}

// TestProxyRefresh follows connections whose end is near.
func TestProxyRefresh(t *testing.T) {
	soon := time.Now().Add(20 * time.Second).Unix()
	a := newApplication(t, map[string]string{
		"connect": fmt.Sprintf(`{"result":{"user":"ann","meta":{"plan":"gold"},"expire_at":%d}}`, soon),
		"refresh": `{"result":{"expire_at":4102444800,"meta":{"plan":"free"}}}`,
		"rpc":     allowed,
	})
	s := startWith(t, stack.Options{Seed: a.seed("connect", "refresh", "rpc")})
	socket := dial(t, s)
	connect := exchange(t, socket, `{"id":1,"connect":{}}`, 1)[1]
	if strings.Contains(connect, "expires") {
		t.Errorf("the client is told to send a token: %s", connect)
	}
	// The first command asks, the second does not.
	for id := 2; id < 4; id++ {
		exchange(t, socket, fmt.Sprintf(`{"id":%d,"rpc":{"method":"m"}}`, id), 1)
	}
	if asked := a.take("refresh"); len(asked) != 1 || asked[0].User != "ann" || string(asked[0].Meta) != `{"plan":"gold"}` {
		t.Errorf("asked %+v", asked)
	}
	for _, q := range a.take("rpc") {
		if string(q.Meta) != `{"plan":"free"}` {
			t.Errorf("meta %s", q.Meta)
		}
	}
	if r := exchange(t, socket, `{"id":4,"refresh":{"token":"any"}}`, 1)[4]; strings.Contains(r, "error") || strings.Contains(r, "expires") || len(a.take("refresh")) != 1 {
		t.Errorf("refresh: %s", r)
	}

	// Without an answer a connection goes on.
	silent := dial(t, s)
	exchange(t, silent, `{"id":1,"connect":{}}`, 1)
	a.set("refresh", "")
	for id := 2; id < 4; id++ {
		if r := exchange(t, silent, fmt.Sprintf(`{"id":%d,"rpc":{"method":"m"}}`, id), 1)[id]; strings.Contains(r, "error") {
			t.Errorf("reply %s", r)
		}
	}
	if asked := a.take("refresh"); len(asked) != 1 {
		t.Errorf("asked %+v, expected once: the connection has a minute", asked)
	}

	// The application ends it.
	ended := dial(t, s)
	exchange(t, ended, `{"id":1,"connect":{}}`, 1)
	a.set("refresh", `{"result":{"expired":true}}`)
	write(t, ended, `{"id":2,"rpc":{"method":"m"}}`)
	expectClosed(t, ended)
}

func TestProxySubRefresh(t *testing.T) {
	soon := time.Now().Add(20 * time.Second).Unix()
	a := newApplication(t, map[string]string{
		"subscribe":   fmt.Sprintf(`{"result":{"expire_at":%d}}`, soon),
		"sub_refresh": `{"result":{"expire_at":4102444800,"info":{"role":"member"}}}`,
	})
	s := startWith(t, stack.Options{Seed: a.seed("subscribe", "sub_refresh")})
	socket := dial(t, s)
	exchange(t, socket, fmt.Sprintf(`{"id":1,"connect":{"token":"%s"}}`, token(t, map[string]any{"sub": "ann"})), 1)
	if r := exchange(t, socket, `{"id":2,"subscribe":{"channel":"chat:room"}}`, 1)[2]; r != `{"id":2,"subscribe":{}}` {
		t.Errorf("subscribe: %s", r)
	}
	if r := exchange(t, socket, `{"id":3,"sub_refresh":{"channel":"chat:room","token":"any"}}`, 1)[3]; r != `{"id":3,"sub_refresh":{}}` {
		t.Errorf("sub_refresh: %s", r)
	}
	if asked := a.take("sub_refresh"); len(asked) != 1 || asked[0].User != "ann" || asked[0].Channel != "chat:room" {
		t.Errorf("asked %+v", asked)
	}
	if r := exchange(t, socket, `{"id":4,"presence":{"channel":"chat:room"}}`, 1)[4]; !strings.Contains(r, `"chan_info":{"role":"member"}`) {
		t.Errorf("presence: %s", r)
	}
	a.set("sub_refresh", `{"result":{"expired":true}}`)
	if r := exchange(t, socket, `{"id":5,"sub_refresh":{"channel":"chat:room","token":"any"}}`, 1)[5]; !strings.Contains(r, `"code":110`) {
		t.Errorf("sub_refresh: %s", r)
	}
}

// startWith starts a stack with a seed of its own.
func startWith(t *testing.T, o stack.Options) *stack.Stack {
	t.Helper()
	o.Log = t.Output()
	s, err := stack.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// dial opens a socket without an SDK.
func dial(t *testing.T, s *stack.Stack) *websocket.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	socket, _, err := websocket.Dial(ctx, s.WebSocketURL+"?project="+projectID, nil) //nolint:bodyclose // it is the socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.CloseNow() })
	return socket
}

func write(t *testing.T, socket *websocket.Conn, frame string) {
	t.Helper()
	if err := socket.Write(t.Context(), websocket.MessageText, []byte(frame)); err != nil {
		t.Fatal(err)
	}
}

// exchange sends a frame and returns that many replies by their ids.
func exchange(t *testing.T, socket *websocket.Conn, frame string, count int) map[int]string {
	t.Helper()
	write(t, socket, frame)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	replies := make(map[int]string)
	for len(replies) < count {
		_, b, err := socket.Read(ctx)
		if err != nil {
			t.Fatalf("%d replies of %d: %v", len(replies), count, err)
		}
		for line := range strings.SplitSeq(string(b), "\n") {
			var reply struct{ ID int }
			if err := json.Unmarshal([]byte(line), &reply); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			if reply.ID > 0 {
				replies[reply.ID] = line
			}
		}
	}
	return replies
}

// expectClosed expects that the service closes a socket without another frame.
func expectClosed(t *testing.T, socket *websocket.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	_, b, err := socket.Read(ctx)
	if err == nil {
		t.Errorf("received %s, expected the end", b)
	} else if ctx.Err() != nil {
		t.Error("the socket is not closed")
	}
}
