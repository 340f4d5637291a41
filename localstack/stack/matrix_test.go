package stack_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"centrifuge/localstack/iam"
	"centrifuge/localstack/stack"
	"centrifuge/pkg/app/publisher"
	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
	"centrifuge/pkg/store/storetest"
)

// faults are the faults of the matrix. Those of a group meet one stack, one after the other.
// A request that hangs takes seconds, so these have a group of their own.
var faults = map[string]map[string]iam.Fault{
	"answered": {"refused": iam.Refuse, "throttled": iam.Throttle, "failed": iam.Fail, "carried out without an answer": iam.Lose},
	"hung":     {"hung": iam.Hang},
	"killed":   {"before": iam.KillBefore, "after": iam.KillAfter},
}

// operation is a row of the matrix: what a function does, at every request that it makes.
type operation struct {
	function string
	// run prepares the operation, carries it out by calling do, and checks the invariants.
	// id is unique.
	run func(t *testing.T, m *matrix, id string, do func(func()))
}

// matrix is a stack whose functions are processes, and a hub whose clock is ahead by the
// lease of a close, which finishes what a process that died has begun.
type matrix struct {
	*processes
	later *hub.Publisher
}

func newMatrix(t *testing.T) *matrix {
	t.Helper()
	p := startProcesses(t, stack.Lambda{}, stack.Options{})
	if err := p.App.Store.PutCategory(t.Context(), "demo", hub.Category{
		ID: "hooked", Name: "hooked", CategoryOptions: hub.CategoryOptions{Hooks: true},
	}); err != nil {
		t.Fatal(err)
	}
	o, err := publisher.Options(p.App.Base)
	if err != nil {
		t.Fatal(err)
	}
	o.Now = func() time.Time { return time.Now().Add(hub.CloseLease + time.Second) }
	later, err := hub.NewPublisher(o)
	if err != nil {
		t.Fatal(err)
	}
	return &matrix{p, later}
}

// TestFaultMatrix injects every fault into every request that the functions make to
// DynamoDB, to the management API and to the event bus, one at a time. Whatever fails:
// every command is answered, a success is true, a repeated command succeeds, nothing that
// was published after an acknowledged unsubscribe or disconnect is delivered, an
// acknowledged subscribe delivers the next message, and nothing is left that the next
// message does not remove.
func TestFaultMatrix(t *testing.T) {
	var total atomic.Int32
	t.Cleanup(func() { t.Logf("%d cells", total.Load()) })
	for name, o := range map[string]operation{
		"connect":            {"connect", matrixConnect},
		"auth":               {"auth", matrixAuth},
		"token renewal":      {"auth", matrixRenewal},
		"subscribe":          {"subscribe", matrixSubscribe},
		"unsubscribe":        {"unsubscribe", matrixUnsubscribe},
		"disconnect":         {"disconnect", matrixDisconnect},
		"presence":           {"message", matrixPresence},
		"broadcast":          {"broadcast", matrixBroadcast},
		"publish":            {"publish", matrixPublish("chat")},
		"publish with hooks": {"publish", matrixPublish("hooked")},
		"publish, one gone":  {"publish", matrixGone},
		"unsubscribe a user": {"publish", matrixUnsubscribeUser},
		"disconnect a user":  {"publish", matrixDisconnectUser},
		"save a category":    {"admin", matrixCategory},
		"create a project":   {"admin", matrixProject},
	} {
		for group, faults := range faults {
			t.Run(name+" "+group, func(t *testing.T) {
				t.Parallel()
				m := newMatrix(t)
				cells := 0
				for n, more := 1, true; more; n++ {
					more = false
					for fault, f := range faults {
						var at iam.Request
						requests := 0
						ok := t.Run(fmt.Sprintf("request %d %s", n, fault), func(t *testing.T) {
							o.run(t, m, fmt.Sprintf("%d-%d", n, f), func(do func()) {
								m.arm(o.function, f, func(q iam.Request) bool {
									requests++
									at = q
									return requests == n
								})
								do()
								if m.disarm() {
									cells++
									more = true
								}
							})
						})
						if !ok {
							t.Logf("request %d was %s:%s %s", n, at.Service, at.Action, at.Body)
						}
					}
				}
				total.Add(int32(cells))
				if cells < len(faults) {
					t.Errorf("%d cells", cells)
				}
			})
		}
	}
}

// succeededIn reports whether a frame or a body is a success. The test fails when it is no
// answer at all.
func succeededIn(t *testing.T, answer string) bool {
	t.Helper()
	switch {
	case strings.Contains(answer, succeeded), strings.HasPrefix(answer, `{"result":`), strings.Contains(answer, `"created":`):
		return true
	case strings.Contains(answer, killed), strings.Contains(answer, `"error":`), strings.Contains(answer, `"message":"Service Unavailable"`):
		return false
	}
	t.Fatalf("answered %s", answer)
	return false
}

// until calls command until it succeeds: once more where it failed.
func until(t *testing.T, what string, command func() string) {
	t.Helper()
	if answer := command(); !succeededIn(t, answer) {
		t.Errorf("%s, repeated: %s", what, answer)
	}
}

// publishes publishes to a channel of the category chat, and checks how many receive it.
func (m *matrix) publishes(t *testing.T, channel string, want int, receivers ...*websocket.Conn) {
	t.Helper()
	got := publish(t, m.Stack, channel)
	if got.Delivered != want || len(got.Gone)+len(got.Ended) != 0 {
		t.Errorf("publish in %s: %+v, want %d delivered", channel, got, want)
	}
	for _, r := range receivers[:min(want, len(receivers))] {
		receive(t, r)
	}
}

func subscribeFrame(channel string) string {
	return `{"method":"subscribe","params":{"to":{"chat":["` + channel + `"]}}}`
}

func unsubscribeFrame(channel string) string {
	return `{"method":"unsubscribe","params":{"from":{"chat":["` + channel + `"]}}}`
}

func matrixConnect(t *testing.T, m *matrix, _ string, do func(func())) {
	handshake := func() int {
		conn, response, err := websocket.Dial(t.Context(), m.WebSocketURL, nil)
		if err == nil {
			t.Cleanup(func() { _ = conn.CloseNow() })
		}
		if response == nil {
			t.Fatal(err)
		}
		return response.StatusCode
	}
	do(func() {
		if status := handshake(); !slices.Contains([]int{http.StatusSwitchingProtocols, http.StatusInternalServerError, http.StatusBadGateway}, status) {
			t.Errorf("status %d", status)
		}
	})
	// A connection that was written has no socket. It is in no channel, and expires.
	if status := handshake(); status != http.StatusSwitchingProtocols {
		t.Errorf("repetition: status %d", status)
	}
}

func matrixAuth(t *testing.T, m *matrix, id string, do func(func())) {
	conn := dial(t, m.Stack)
	ok := false
	do(func() { ok = succeededIn(t, command(t, conn, authFrame(""))) })
	if !ok {
		until(t, "auth", func() string { return command(t, conn, authFrame("")) })
	}
	until(t, "subscribe", func() string { return command(t, conn, subscribeFrame(id)) })
	m.publishes(t, id, 1, conn)
}

// matrixRenewal renews a token with one that grants one of the two channels that the
// connection is in. It never loses the other, and loses this one when the renewal is
// acknowledged.
func matrixRenewal(t *testing.T, m *matrix, id string, do func(func())) {
	kept, lost := id, id+"b"
	frame := func(exp time.Duration, channels ...string) string {
		token, err := auth.SignJWT("demo-secret", map[string]any{
			"sub": "ada", "exp": time.Now().Add(exp).Unix(), "permissions": map[string]any{"chat": channels},
		})
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf(`{"method":"auth","params":{"token":%q,"user":"ada","project_id":"demo","permissions":{}}}`, token)
	}
	conn := dial(t, m.Stack)
	until(t, "auth", func() string { return command(t, conn, frame(time.Hour, kept, lost)) })
	for _, channel := range []string{kept, lost} {
		until(t, "subscribe", func() string { return command(t, conn, subscribeFrame(channel)) })
	}
	ok := false
	renewal := frame(2*time.Hour, kept)
	do(func() { ok = succeededIn(t, command(t, conn, renewal)) })
	m.publishes(t, kept, 1, conn)
	if !ok {
		until(t, "auth", func() string { return command(t, conn, renewal) })
	}
	m.publishes(t, kept, 1, conn)
	m.publishes(t, lost, 0)
	if reply := command(t, conn, subscribeFrame(lost)); !strings.Contains(reply, `"refused"`) {
		t.Errorf("subscribe without a grant: %s", reply)
	}
}

func matrixSubscribe(t *testing.T, m *matrix, id string, do func(func())) {
	conn := join(t, m.Stack, "", id+"c")
	ok := false
	do(func() { ok = succeededIn(t, command(t, conn, subscribeFrame(id))) })
	if !ok {
		until(t, "subscribe", func() string { return command(t, conn, subscribeFrame(id)) })
	}
	m.publishes(t, id, 1, conn)
	until(t, "unsubscribe", func() string { return command(t, conn, unsubscribeFrame(id)) })
	m.publishes(t, id, 0)
	m.publishes(t, id+"c", 1, conn)
	m.hangUp(t, conn)
	m.publishes(t, id+"c", 0)
}

func matrixUnsubscribe(t *testing.T, m *matrix, id string, do func(func())) {
	conn := join(t, m.Stack, "", id, id+"b")
	ok := false
	do(func() { ok = succeededIn(t, command(t, conn, unsubscribeFrame(id))) })
	if !ok {
		until(t, "unsubscribe", func() string { return command(t, conn, unsubscribeFrame(id)) })
	}
	m.publishes(t, id, 0)
	m.publishes(t, id+"b", 1, conn)
}

// matrixDisconnect ends a connection that is in a channel that announces joins and leaves.
// The next message finishes what is left, and the leave is announced.
func matrixDisconnect(t *testing.T, m *matrix, id string, do func(func())) {
	ada, bob := joinWith(t, m.Stack, "demo-secret", "room", "ada", id), joinWith(t, m.Stack, "demo-secret", "room", "bob", id)
	do(func() { m.hangUp(t, bob) })
	m.roomWithout(t, id, ada, "bob")
}

// roomWithout sends messages to room:id, of which only ada remains, and checks that what
// is left of the other user is removed, and that ada got its leave.
func (m *matrix) roomWithout(t *testing.T, id string, ada *websocket.Conn, user string) {
	t.Helper()
	p, err := m.App.Store.Project(t.Context(), "demo")
	if err != nil {
		t.Fatal(err)
	}
	room := hub.Channel{Category: "room", Name: id}
	for _, data := range []string{`"first"`, `"end"`} {
		if _, err := m.later.Publish(t.Context(), p, room, json.RawMessage(data), hub.PublishOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	leaves := 0
	for frame := ""; !strings.Contains(frame, `"data":"end"`); {
		frame = receive(t, ada)
		if strings.Contains(frame, `"event":"leave"`) && strings.Contains(frame, `"user":"`+user+`"`) {
			leaves++
		}
	}
	if leaves < 1 || leaves > 2 {
		t.Errorf("%d leaves of %s", leaves, user)
	}
	clients, err := m.App.Hub.Presence(t.Context(), p, room)
	if err != nil || len(clients) != 1 || clients[0].User != "ada" {
		t.Errorf("present are %+v, error %v", clients, err)
	}
	for page, err := range m.App.Store.Subscribers(t.Context(), p.Locate(room), 0) {
		if err != nil || len(page) != 1 {
			t.Errorf("subscribers %+v, error %v", page, err)
		}
	}
}

func matrixPresence(t *testing.T, m *matrix, id string, do func(func())) {
	conn := joinWith(t, m.Stack, "demo-secret", "room", "ada", id)
	frame := `{"method":"presence","params":{"category":"room","channel":"` + id + `"}}`
	listed := func() string { return command(t, conn, frame) }
	var reply string
	do(func() { reply = listed() })
	if strings.Contains(reply, killed) || strings.Contains(reply, `"result":null`) {
		reply = listed()
	}
	if !strings.Contains(reply, `"user":"ada"`) {
		t.Errorf("reply %s", reply)
	}
}

// arrivals reads the event ids of the messages with hello until the one with the data
// "end".
func arrivals(t *testing.T, conn *websocket.Conn) (ids []string) {
	t.Helper()
	for {
		var push struct {
			EventID string `json:"event_id"`
			Data    json.RawMessage
		}
		frame := receive(t, conn)
		if err := json.Unmarshal([]byte(frame), &push); err != nil {
			t.Fatal(err)
		}
		switch string(push.Data) {
		case `"end"`:
			return ids
		case hello:
			ids = append(ids, push.EventID)
		default:
			t.Fatalf("received %s", frame)
		}
	}
}

func matrixBroadcast(t *testing.T, m *matrix, id string, do func(func())) {
	sender := join(t, m.Stack, "", id+"c")
	receivers := []*websocket.Conn{join(t, m.Stack, "", id), join(t, m.Stack, "", id)}
	frame := `{"method":"broadcast","params":{"category":"chat","channel":"` + id + `","data":` + hello + `}}`
	ok := false
	do(func() { ok = succeededIn(t, command(t, sender, frame)) })
	if !ok {
		until(t, "broadcast", func() string { return command(t, sender, frame) })
	}
	end(t, m.Stack, "chat", id)
	reached := 0
	for _, r := range receivers {
		// A client that repeats a broadcast without an answer may send it twice: the classic
		// protocol has no idempotency key. A post without an answer is repeated.
		n := len(arrivals(t, r))
		if n > 0 {
			reached++
		}
		if n > 3 {
			t.Errorf("%d copies", n)
		}
	}
	// A post that API Gateway refuses for one subscriber fails no message.
	if reached == 0 {
		t.Error("nobody was reached")
	}
}

// matrixPublish publishes in a category under an idempotency key.
func matrixPublish(category string) func(*testing.T, *matrix, string, func(func())) {
	return func(t *testing.T, m *matrix, id string, do func(func())) {
		receivers := []*websocket.Conn{joinWith(t, m.Stack, "demo-secret", category, "", id), joinWith(t, m.Stack, "demo-secret", category, "", id)}
		call := func() string {
			_, body := request(t, http.DefaultClient, http.MethodPost, m.HTTPURL+"/api/publish", `{"channel":"`+category+`:`+id+`","data":`+hello+`,"idempotency_key":"k"}`)
			return body
		}
		var answer string
		ok := false
		do(func() { answer = call(); ok = succeededIn(t, answer) })
		if !ok {
			// Where the process died, its claim holds the key until its lease ends.
			if answer = call(); strings.Contains(answer, "conflict") {
				p, err := m.App.Store.Project(t.Context(), "demo")
				if err != nil {
					t.Fatal(err)
				}
				if _, err := m.later.Publish(t.Context(), p, hub.Channel{Category: category, Name: id}, json.RawMessage(hello), hub.PublishOptions{IdempotencyKey: "k"}); err != nil {
					t.Errorf("publish after the lease: %v", err)
				}
			} else if !succeededIn(t, answer) {
				t.Errorf("repetition: %s", answer)
			}
		}
		end(t, m.Stack, category, id)
		var all []string
		for _, r := range receivers {
			ids := arrivals(t, r)
			all = append(all, ids...)
			if len(ids) > 2 {
				t.Errorf("%d copies", len(ids))
			}
		}
		if len(all) == 0 {
			t.Error("nobody was reached")
		}
		if slices.Sort(all); len(slices.Compact(all)) > 1 {
			t.Errorf("the same key went out under several event ids: %v", all)
		}
	}
}

// matrixGone publishes to a room of which one connection is gone and did not disconnect.
func matrixGone(t *testing.T, m *matrix, id string, do func(func())) {
	ada := joinWith(t, m.Stack, "demo-secret", "room", "ada", id)
	p, err := m.App.Store.Project(t.Context(), "demo")
	if err != nil {
		t.Fatal(err)
	}
	ch := p.Locate(hub.Channel{Category: "room", Name: id})
	gone := hub.Connection{
		ID: "gone" + id + "=", Project: "demo", User: "bob", Protocol: hub.Classic, Expires: time.Now().Add(time.Hour),
		Secret: p.SecretID(), Permissions: hub.Permissions{Everything: true}, Channels: map[hub.Channel]int{ch: 0},
	}
	m.enter(t, gone)
	do(func() {
		_, body := request(t, http.DefaultClient, http.MethodPost, m.HTTPURL+"/api/publish", `{"channel":"room:`+id+`","data":`+hello+`}`)
		succeededIn(t, body)
	})
	m.roomWithout(t, id, ada, "bob")
}

func matrixUnsubscribeUser(t *testing.T, m *matrix, id string, do func(func())) {
	conns := []*websocket.Conn{join(t, m.Stack, "u"+id, id), join(t, m.Stack, "u"+id, id)}
	call := func() string {
		_, body := request(t, http.DefaultClient, http.MethodPost, m.HTTPURL+"/api/unsubscribe", `{"user":"u`+id+`","channel":"chat:`+id+`"}`)
		return body
	}
	ok := false
	do(func() { ok = succeededIn(t, call()) })
	if !ok {
		until(t, "unsubscribe", call)
	}
	m.publishes(t, id, 0)
	until(t, "subscribe", func() string { return command(t, conns[0], subscribeFrame(id)) })
	m.publishes(t, id, 1, conns[0])
}

func matrixDisconnectUser(t *testing.T, m *matrix, id string, do func(func())) {
	ada := joinWith(t, m.Stack, "demo-secret", "room", "ada", id)
	for range 2 {
		joinWith(t, m.Stack, "demo-secret", "room", "u"+id, id)
	}
	call := func() string {
		_, body := request(t, http.DefaultClient, http.MethodPost, m.HTTPURL+"/api/disconnect", `{"user":"u`+id+`"}`)
		return body
	}
	ok := false
	do(func() { ok = succeededIn(t, call()) })
	if !ok {
		until(t, "disconnect", call)
	}
	p, err := m.App.Store.Project(t.Context(), "demo")
	if err != nil {
		t.Fatal(err)
	}
	room := hub.Channel{Category: "room", Name: id}
	for _, data := range []string{`"first"`, `"end"`} {
		if _, err := m.later.Publish(t.Context(), p, room, json.RawMessage(data), hub.PublishOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	left := make(map[string]bool)
	for frame := ""; !strings.Contains(frame, `"data":"end"`); {
		frame = receive(t, ada)
		var push struct {
			Event  string
			Client struct{ Client string }
		}
		if err := json.Unmarshal([]byte(frame), &push); err == nil && push.Event == "leave" {
			left[push.Client.Client] = true
		}
	}
	if len(left) != 2 {
		t.Errorf("leaves of %v", left)
	}
	clients, err := m.App.Hub.Presence(t.Context(), p, room)
	if err != nil || len(clients) != 1 || clients[0].User != "ada" {
		t.Errorf("present are %+v, error %v", clients, err)
	}
	connections, err := m.App.Store.UserConnections(t.Context(), "demo", "u"+id)
	if err != nil || len(connections) != 0 {
		t.Errorf("connections %+v, error %v", connections, err)
	}
}

func matrixCategory(t *testing.T, m *matrix, id string, do func(func())) {
	client := signIn(t, m.processes)
	save := func() string {
		_, body := request(t, client, http.MethodPut, m.AdminURL+"api/projects/demo/categories/c"+id, `{"private":true}`)
		return body
	}
	ok := false
	do(func() { ok = succeededIn(t, save()) })
	if !ok {
		until(t, "save", save)
	}
	p, err := m.App.Store.ReadProject(t.Context(), "demo")
	if err != nil {
		t.Fatal(err)
	}
	if c := p.Categories["c"+id]; !c.Private || c.Incarnation == "" {
		t.Errorf("category %+v", c)
	}
}

func matrixProject(t *testing.T, m *matrix, id string, do func(func())) {
	client := signIn(t, m.processes)
	answer := ""
	save := func() string {
		_, answer = request(t, client, http.MethodPut, m.AdminURL+"api/projects/p"+id, `{"name":"P","idempotency_key":"the creation of p`+id+`"}`)
		return answer
	}
	ok := false
	do(func() { ok = succeededIn(t, save()) })
	if !ok {
		until(t, "create", save)
	}
	var made struct {
		Secret string `json:"secret"`
		APIKey string `json:"api_key"`
	}
	if err := json.Unmarshal([]byte(answer), &made); err != nil {
		t.Fatal(err)
	}
	p, err := auth.ProjectByAPIKey(t.Context(), m.App.Store, made.APIKey)
	if err != nil || p.ID != "p"+id || p.Secret != made.Secret || len(p.APIKeyHashes) != 1 {
		t.Errorf("the answer %s is not that of the project %+v, error %v", answer, p, err)
	}
	_, body := request(t, client, http.MethodGet, m.AdminURL+"api/projects", "")
	if !strings.Contains(body, `"id":"p`+id+`"`) {
		t.Errorf("the project is not listed: %s", body)
	}
}

// enter puts a connection into the table that has no socket.
func (m *matrix) enter(t *testing.T, c hub.Connection) {
	t.Helper()
	if err := storetest.Enter(t.Context(), m.App.Store, c); err != nil {
		t.Fatal(err)
	}
}
