package cent_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"centrifuge/localstack/stack"
	"centrifuge/localstack/stack/stacktest"
	"centrifuge/pkg/auth"
	"centrifuge/pkg/cent"
)

// start starts a stack with the demo project and presence in its category chat.
func start(t *testing.T) *stack.Stack {
	t.Helper()
	return stacktest.Start(t, stack.Options{Seed: stacktest.Seed(t, `"name": "chat",`, `"name": "chat", "presence": true,`)})
}

func client(t *testing.T, o cent.Options) *cent.Client {
	t.Helper()
	if o.APIKey == "" {
		o.APIKey = "demo-key"
	}
	if o.BackOff == 0 {
		o.BackOff = time.Millisecond
	}
	c, err := cent.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// join connects a user and subscribes to channels of the category chat.
func join(t *testing.T, s *stack.Stack, user string, channels ...string) *websocket.Conn {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), s.WebSocketURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	for _, command := range []map[string]any{
		{"id": "1", "method": "auth", "params": map[string]any{
			"token": auth.SignToken("demo-secret", user, "demo"), "user": user, "project_id": "demo", "permissions": struct{}{}}},
		{"id": "2", "method": "subscribe", "params": map[string]any{"to": map[string]any{"chat": channels}}},
	} {
		b, err := json.Marshal(command)
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.Write(t.Context(), websocket.MessageText, b); err != nil {
			t.Fatal(err)
		}
		if reply := read(t, conn); reply["result"] != true {
			t.Fatalf("%s is refused: %v", b, reply)
		}
	}
	return conn
}

func read(t *testing.T, conn *websocket.Conn) map[string]any {
	t.Helper()
	_, b, err := conn.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var frame map[string]any
	if err := json.Unmarshal(b, &frame); err != nil {
		t.Fatal(err)
	}
	return frame
}

// received returns the messages before the message "last".
func received(t *testing.T, conn *websocket.Conn) []string {
	t.Helper()
	var all []string
	for {
		f := read(t, conn)
		if f["data"] == "last" {
			return all
		}
		all = append(all, fmt.Sprintf("%s %v", f["channel"], f["data"]))
	}
}

func TestClientMethods(t *testing.T) {
	s := start(t)
	c := client(t, cent.Options{URL: s.HTTPURL + "/"})
	ctx := t.Context()
	alice, bob := join(t, s, "alice", "lobby", "den"), join(t, s, "bob", "lobby")

	if _, err := c.Publish(ctx, "chat:lobby", map[string]string{"text": "<hi>"}, cent.PublishOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, conn := range []*websocket.Conn{alice, bob} {
		if diff := cmp.Diff(map[string]any{"text": "<hi>"}, read(t, conn)["data"]); diff != "" {
			t.Error(diff)
		}
	}
	outcomes, err := c.Broadcast(ctx, []string{"chat:den", "nowhere:x", "chat:lobby"}, 1, cent.PublishOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range outcomes {
		outcomes[i].Result = cent.Result{} // not every server reports it; see TestDelivered
	}
	want := []cent.Outcome{
		{Channel: "chat:den"},
		{Channel: "nowhere:x", Error: &cent.Error{Code: cent.CodeCategoryNotFound, Message: "category not found: create the category, or correct its name"}},
		{Channel: "chat:lobby"},
	}
	if diff := cmp.Diff(want, outcomes); diff != "" {
		t.Error(diff)
	}
	if f := read(t, bob); f["channel"] != "lobby" || f["data"] != 1.0 {
		t.Errorf("bob received %v", f)
	}

	found, err := c.Channels(ctx, "chat:*")
	if diff := cmp.Diff(map[string]int{"chat:lobby": 2, "chat:den": 1}, found); diff != "" || err != nil {
		t.Error(diff, err)
	}
	nodes, err := c.Info(ctx)
	if err != nil || len(nodes) != 1 {
		t.Fatalf("nodes %v, error %v", nodes, err)
	}
	nodes[0].UID, nodes[0].Version = "", ""
	if diff := cmp.Diff(cent.Node{Name: "centrifuge", Clients: 2, Users: 2, Channels: 2, Subscriptions: 3}, nodes[0]); diff != "" {
		t.Error(diff)
	}

	members, err := c.Presence(ctx, "chat:lobby")
	if err != nil {
		t.Fatal(err)
	}
	users := map[string]string{}
	for id, m := range members {
		if m.Client != id {
			t.Errorf("%s is listed as %s", m.Client, id)
		}
		users[m.User] = string(m.Info)
	}
	if diff := cmp.Diff(map[string]string{"alice": `{"name":"alice"}`, "bob": `{"name":"bob"}`}, users); diff != "" {
		t.Error(diff)
	}
	stats, err := c.PresenceStats(ctx, "chat:lobby")
	if diff := cmp.Diff(cent.PresenceStats{Clients: 2, Users: 2}, stats); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if _, err := c.Presence(ctx, "news:x"); !errors.Is(err, &cent.Error{Code: cent.CodeNotAvailable}) {
		t.Errorf("presence of a category without it: %v", err)
	}

	if err := c.Unsubscribe(ctx, "alice", "chat:lobby"); err != nil {
		t.Error(err)
	}
	if err := c.Disconnect(ctx, "bob"); err != nil {
		t.Error(err)
	}
	found, err = c.Channels(ctx, "")
	if diff := cmp.Diff(map[string]int{"chat:den": 1}, found); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if _, _, err := bob.Read(ctx); err == nil {
		t.Error("bob is still connected")
	}
}

// TestPublishAfterLostResponses calls through a proxy that forwards requests and drops
// the first two responses: it closes the connection, then responds like a gateway
// after a timeout.
func TestPublishAfterLostResponses(t *testing.T) {
	s := start(t)
	target, err := url.Parse(s.HTTPURL)
	if err != nil {
		t.Fatal(err)
	}
	var requests atomic.Int32
	behind := httputil.NewSingleHostReverseProxy(target)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		response := httptest.NewRecorder()
		behind.ServeHTTP(response, r)
		switch requests.Add(1) {
		case 1:
			panic(http.ErrAbortHandler)
		case 2:
			http.Error(w, `{"message":"Service Unavailable"}`, http.StatusServiceUnavailable)
		default:
			w.WriteHeader(response.Code)
			w.Write(response.Body.Bytes())
		}
	}))
	defer proxy.Close()
	lossy, direct := client(t, cent.Options{URL: proxy.URL}), client(t, cent.Options{URL: s.HTTPURL})
	conn := join(t, s, "alice", "a", "b")

	if _, err := lossy.Publish(t.Context(), "chat:a", "one", cent.PublishOptions{}); err != nil {
		t.Fatal(err)
	}
	if n := requests.Swap(0); n != 3 {
		t.Fatalf("%d requests for a publish, expected 3", n)
	}
	outcomes, err := lossy.Broadcast(t.Context(), []string{"chat:a", "chat:b"}, "two", cent.PublishOptions{})
	for i := range outcomes {
		outcomes[i].Result = cent.Result{}
	}
	if diff := cmp.Diff([]cent.Outcome{{Channel: "chat:a"}, {Channel: "chat:b"}}, outcomes); diff != "" || err != nil {
		t.Fatal(diff, err)
	}
	if _, err := direct.Publish(t.Context(), "chat:a", "last", cent.PublishOptions{}); err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, m := range received(t, conn) {
		counts[m]++
	}
	if diff := cmp.Diff(map[string]int{"a one": 1, "a two": 1, "b two": 1}, counts); diff != "" {
		t.Error(diff)
	}
}

func TestNewInvalidOptions(t *testing.T) {
	for name, o := range map[string]cent.Options{
		"no URL":                    {APIKey: "k"},
		"a URL without a host":      {URL: "https:///x", APIKey: "k"},
		"a WebSocket":               {URL: "wss://host", APIKey: "k"},
		"a password in the URL":     {URL: "https://u:hidden@host", APIKey: "k"},
		"a URL with a query":        {URL: "https://host?x=hidden", APIKey: "k"},
		"an invalid URL":            {URL: "https://u:hidden@ho st", APIKey: "k"},
		"no key":                    {URL: "https://host"},
		"a timeout above the limit": {URL: "https://host", APIKey: "k", Timeout: time.Hour},
		"attempts above the limit":  {URL: "https://host", APIKey: "k", Attempts: 11},
		"a negative back-off":       {URL: "https://host", APIKey: "k", BackOff: -1},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := cent.New(o); err == nil || strings.Contains(err.Error(), "hidden") {
				t.Errorf("error %v", err)
			}
		})
	}
}

// TestAddress checks what is said of addresses that cannot be used, once and with a cure.
func TestAddress(t *testing.T) {
	for address, want := range map[string]string{
		"127.0.0.1:8080":            "cent: URL is invalid: write it as https://HOST, or http://127.0.0.1:8080 for make run",
		"localhost:8080":            "cent: URL is not an http or https address: set the output HTTPURL of the deployment, or http://127.0.0.1:8080 for make run",
		"http://127.0.0.1:8080/api": "cent: URL ends in /api: leave that out",
	} {
		if _, err := cent.New(cent.Options{URL: address, APIKey: "k"}); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", address, err, want)
		}
	}
}
