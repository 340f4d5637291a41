package stack_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"centrifuge/localstack/lambda"
	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
)

// The rows of the matrix that begin with an application.

// publishOnce publishes hello in a channel of a project, "category:name", under an
// idempotency key, with the fault, and until it is published.
func (c cell) publishOnce(t *testing.T, p tenant, channel string) {
	t.Helper()
	c.converges(t, "publish", func() answer {
		a := c.api(t, p.key, "publish", `{"channel":"`+channel+`","data":`+hello+`,"idempotency_key":"k"}`)
		if !strings.Contains(a.text, hub.ErrConflict.Message) {
			return a
		}
		// Where the process died, its claim holds the key until its lease ends.
		ch, err := hub.ParseChannel(p.id, channel)
		if err == nil {
			_, err = c.later.Publish(t.Context(), c.project(t, p.id), ch, json.RawMessage(hello), hub.PublishOptions{IdempotencyKey: "k"})
		}
		return answer{fmt.Sprint("after the lease: ", err), err == nil}
	})
}

// publishesWithKey publishes in a category under an idempotency key.
func publishesWithKey(category string) func(*testing.T, cell) {
	return func(t *testing.T, c cell) {
		channel := hub.Channel{Category: category, Name: c.id}.String()
		var receivers []*websocket.Conn
		for range 2 {
			receivers = append(receivers, joinWith(t, c.Stack, demoTenant.member(category, ""), c.id))
		}
		c.publishOnce(t, demoTenant, channel)
		all := c.arrive(t, "demo", channel, 2, receivers...)
		if slices.Sort(all); len(slices.Compact(all)) > 1 {
			t.Errorf("the same key went out under several event ids: %v", all)
		}
	}
}

// publishesToGone publishes to a room of which one connection is gone and did not
// disconnect.
func publishesToGone(t *testing.T, c cell) {
	ada, p := c.joins(t, "ada"), c.project(t, "demo")
	c.enter(t, hub.Connection{
		ID: "gone" + c.id + "=", Project: "demo", User: "bob", Protocol: hub.Classic, Expires: time.Now().Add(time.Hour),
		Secret: p.SecretID(), Permissions: hub.Permissions{Everything: true}, Channels: map[hub.Channel]int{p.Locate(c.room()): 0},
	})
	c.do(func() { c.api(t, demoTenant.key, "publish", `{"channel":"room:`+c.id+`","data":`+hello+`}`) })
	c.roomWithout(t, ada, 1)
}

// publishesToFeed publishes in a category whose messages administrators see. Their feed
// fails no publish, and the next message is in it.
func publishesToFeed(t *testing.T, c cell) {
	p := c.tenant(t, "p"+c.id, hub.ProjectOptions{}, hub.Category{Name: "chat", CategoryOptions: hub.CategoryOptions{PublishToAdmins: true}})
	token, err := auth.SignJWT(p.secret, map[string]any{"sub": "", "exp": time.Now().Add(time.Hour).Unix(), "feed": true})
	if err != nil {
		t.Fatal(err)
	}
	feed, _, err := websocket.Dial(t.Context(), c.WebSocketURL+"?project="+p.id, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = feed.CloseNow() })
	if reply := command(t, feed, fmt.Sprintf(`{"id":1,"connect":{"token":%q}}`, token)); !strings.Contains(reply, `"subs":{":admin:feed":{}}`) {
		t.Fatalf("connect was answered %s", reply)
	}
	receiver := joinWith(t, c.Stack, p.member("chat", ""), "x")
	c.publishOnce(t, p, "chat:x")
	ids := c.arrive(t, p.id, "chat:x", 2, receiver)
	for _, id := range arrivals(t, feed) {
		if id != ids[0] {
			t.Errorf("the feed has the event id %s, the subscriber %s", id, ids[0])
		}
	}
}

// broadcastsByRPC sends a message that may come more than once: the API of 2013 has no
// idempotency key.
func broadcastsByRPC(t *testing.T, c cell) {
	receivers := []*websocket.Conn{join(t, c.Stack, "", c.id), join(t, c.Stack, "", c.id)}
	body := base64.StdEncoding.EncodeToString([]byte(broadcastFrame(c.id)))
	c.converges(t, "broadcast", func() answer {
		_, text := request(t, http.DefaultClient, http.MethodPost, c.HTTPURL+"/rpc/demo", body,
			"X-Centrifuge-Auth", auth.SignRequest("demo-secret", "demo", []byte(body)))
		return answer{text, succeededIn(t, text)}
	})
	c.arrive(t, "demo", "chat:"+c.id, 3, receivers...)
}

// reads calls a method of the server API for a project in which ada is in the channel
// chat:x. Its result contains want.
func reads(method, body, want string) func(*testing.T, cell) {
	return func(t *testing.T, c cell) {
		p := c.tenant(t, "p"+c.id, hub.ProjectOptions{}, hub.Category{Name: "chat", CategoryOptions: hub.CategoryOptions{Presence: true}})
		joinWith(t, c.Stack, p.member("chat", "ada"), "x")
		a := c.converges(t, method, func() answer { return c.api(t, p.key, method, body) })
		if !strings.Contains(a.text, want) {
			t.Errorf("answered %s, want %s", a.text, want)
		}
	}
}

func unsubscribesUser(t *testing.T, c cell) {
	conns := []*websocket.Conn{join(t, c.Stack, "u"+c.id, c.id), join(t, c.Stack, "u"+c.id, c.id)}
	c.converges(t, "unsubscribe", func() answer {
		return c.api(t, demoTenant.key, "unsubscribe", `{"user":"u`+c.id+`","channel":"chat:`+c.id+`"}`)
	})
	c.publishes(t, c.id, 0)
	succeeds(t, conns[0], subscribeFrame(c.id))
	c.publishes(t, c.id, 1, conns[0])
}

func disconnectsUser(t *testing.T, c cell) {
	ada := c.joins(t, "ada")
	for range 2 {
		c.joins(t, "u"+c.id)
	}
	c.converges(t, "disconnect", func() answer { return c.api(t, demoTenant.key, "disconnect", `{"user":"u`+c.id+`"}`) })
	c.roomWithout(t, ada, 2)
	connections, err := c.App.Store.UserConnections(t.Context(), "demo", "u"+c.id)
	if err != nil || len(connections) != 0 {
		t.Errorf("connections %+v, error %v", connections, err)
	}
}

// webhookRetries repeats failed invocations of the function webhook at once.
var webhookRetries = lambda.Options{QueueOptions: lambda.QueueOptions{RetryDelays: [2]time.Duration{time.Nanosecond, time.Nanosecond}}}

// notify publishes a message in a category with hooks, and returns when the function webhook
// has succeeded.
func (m *matrix) notify(t *testing.T, p tenant) {
	t.Helper()
	succeeded := func(line string) bool {
		return strings.HasPrefix(line, "[webhook] REPORT") && !strings.Contains(line, "Status")
	}
	before := m.log.matching(succeeded)
	if a := m.api(t, p.key, "publish", `{"channel":"hooked:x","data":`+hello+`}`); !a.success {
		t.Errorf("publish: %s", a.text)
	}
	m.log.until(t, "a success of the function webhook", before+1, succeeded)
}

// notifies posts a message to a webhook that refuses the first attempt, as one that was
// down does, and the next message, which it takes.
func notifies(t *testing.T, c cell) {
	a := c.newApplication(t, "webhook", "")
	p := c.tenant(t, "p"+c.id, hub.ProjectOptions{WebhookURL: a.URL}, hub.Category{Name: "hooked", CategoryOptions: hub.CategoryOptions{Hooks: true}})
	a.faults <- applicationFaults["failed"]
	c.do(func() { c.notify(t, p) })
	// The last post may be repeated.
	ids := a.events(t)
	if n := len(ids); n < 2 || n > 3 || len(slices.Compact(ids)) > 1 {
		t.Errorf("the webhook got %v", ids)
	}
	c.notify(t, p)
	if next := a.events(t); len(next) != 1 || next[0] == ids[0] {
		t.Errorf("the webhook got %v after %v", next, ids)
	}
}
