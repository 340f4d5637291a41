package stack_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/coder/websocket"

	"centrifuge/functions"
	"centrifuge/localstack/iam"
	"centrifuge/localstack/stack"
	"centrifuge/pkg/app/publisher"
	"centrifuge/pkg/auth"
	"centrifuge/pkg/delivery"
	"centrifuge/pkg/hub"
	"centrifuge/pkg/store"
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
	// run prepares the operation, carries it out by calling cell.do, and checks the
	// invariants.
	run func(t *testing.T, c cell)
}

// operations are the rows of the matrix.
var operations = map[string]operation{
	"connect":                  {"connect", connects},
	"auth":                     {"auth", authenticates},
	"token renewal":            {"auth", renews},
	"auth, token expired":      {"auth", renewsExpired},
	"subscribe":                {"subscribe", subscribes},
	"subscribe, token expired": {"subscribe", commandsExpired(subscribeFrame)},
	"unsubscribe":              {"unsubscribe", unsubscribes},
	"broadcast":                {"broadcast", broadcasts},
	"broadcast, token expired": {"broadcast", commandsExpired(broadcastFrame)},
	"presence":                 {"message", readsPresence},
	"presence, token expired":  {"message", commandsExpired(presenceFrame)},
	"command of a flood":       {"message", floods},
	"disconnect":               {"disconnect", disconnects},
	"publish":                  {"publish", publishesWithKey("chat")},
	"publish with hooks":       {"publish", publishesWithKey("hooked")},
	"publish, one gone":        {"publish", publishesToGone},
	"publish to the feed":      {"publish", publishesToFeed},
	"publish to a stream":      {"publish", publishesToStream},
	"broadcast to a stream":    {"broadcast", broadcastsToStream},
	"dispatch":                 {functions.Dispatch, dispatches},
	"api history":              {"publish", readsHistory},
	"api history_remove":       {"publish", removesHistory},
	"rpc broadcast":            {"publish", broadcastsByRPC},
	"api presence":             {"publish", reads("presence", `{"channel":"chat:x"}`, `"user":"ada"`)},
	"api presence_stats":       {"publish", reads("presence_stats", `{"channel":"chat:x"}`, `{"result":{"num_clients":1,"num_users":1}}`)},
	"api channels":             {"publish", reads("channels", `{}`, `"chat:x":{"num_clients":1}`)},
	"api info":                 {"publish", reads("info", `{}`, `"num_clients":1,"num_users":1,"num_channels":1,"num_subs":1`)},
	"unsubscribe a user":       {"publish", unsubscribesUser},
	"disconnect a user":        {"publish", disconnectsUser},
	"webhook":                  {"webhook", notifies},
	"create a category":        {"admin", createsCategory},
	"make a category private":  {"admin", changesCategory(hub.CategoryOptions{Private: true}, false)},
	"raise shards":             {"admin", changesCategory(hub.CategoryOptions{Shards: 4}, true)},
	"delete a category":        {"admin", deletesCategory},
	"create a project":         {"admin", createsProject},
	"delete a project":         {"admin", deletesProject},
	"rotate the secret":        {"admin", rotatesSecret},
	"create an API key":        {"admin", createsAPIKey},
	"revoke an API key":        {"admin", revokesAPIKey},
}

// matrix is a stack whose functions are processes, and a hub whose clock is ahead by the
// lease of a close, and further than the lease of a stream, which finishes what a process that
// died has begun.
type matrix struct {
	*processes
	later *hub.Publisher
	// session is a session of the admin pages, for the rows of the function admin.
	session *http.Client
}

func newMatrix(t *testing.T) *matrix {
	t.Helper()
	p := startProcesses(t, stack.Lambda{Options: webhookRetries}, stack.Options{})
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
	m := &matrix{processes: p}
	o.Streams = delivery.NewLeased(delivery.LeasedOptions{
		Streams: store.New(m.client(), p.App.Config.Table, store.Options{Now: o.Now}), Invoker: dispatchFunction(t, p.Stack), Now: o.Now,
	})
	later, err := hub.NewPublisher(o)
	if err != nil {
		t.Fatal(err)
	}
	m.later = later
	return m
}

// cell is one fault at one request of an operation.
type cell struct {
	*matrix
	// id is unique in the stack.
	id string
	// do carries the operation out, while the function meets the fault.
	do func(func())
}

// converges carries an operation out by calling it with the fault, and once more where that
// fails: then it must succeed. It returns the last answer.
func (c cell) converges(t *testing.T, what string, call func() answer) answer {
	t.Helper()
	var a answer
	c.do(func() { a = call() })
	if !a.success {
		if a = call(); !a.success {
			t.Errorf("%s, repeated: %s", what, a.text)
		}
	}
	return a
}

// reportVariable names the file that TestFaultMatrix writes its size and result to, as a
// line of JSON: go test prints nothing of a test that passes.
const reportVariable = "MATRIX_REPORT"

// size is the size and the result of the matrix.
type size struct {
	mu         sync.Mutex
	Operations int `json:"operations"`
	// Requests are those that the operations make, each counted once, Cells the faults that
	// were injected into them, and Failed the groups of cells with a failure.
	Requests int     `json:"requests"`
	Cells    int     `json:"cells"`
	Failed   int     `json:"failed"`
	Seconds  float64 `json:"seconds"`
}

func (s *size) report(t *testing.T) {
	t.Helper()
	line, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", line)
	if path := os.Getenv(reportVariable); path != "" {
		if err := os.WriteFile(path, append(line, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// maxConcurrentStacks bounds the stacks of the matrix. Most of them wait, for requests that
// hang and for processes that start.
const maxConcurrentStacks = 8

// TestFaultMatrix injects every fault into every request that the functions make to
// DynamoDB, to the management API and to the event bus, one at a time. Whatever fails:
// every command is answered or its connection ends, a success is true, a repeated command
// succeeds, nothing that was published after an acknowledged unsubscribe or disconnect, or
// after the end of a right, is delivered, an acknowledged subscribe delivers the next
// message, nothing is left that the next message does not remove, and a secret is shown or
// does not exist.
func TestFaultMatrix(t *testing.T) {
	began := time.Now()
	total := size{Operations: len(operations)}
	slots := make(chan struct{}, maxConcurrentStacks)
	var running sync.WaitGroup
	for name, o := range operations {
		counted := 0 // of the requests of the operation
		for group, faults := range faults {
			running.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				requests, cells := 0, 0
				ok := t.Run(name+" "+group, func(t *testing.T) {
					requests, cells = o.meet(t, faults)
				})
				total.mu.Lock()
				defer total.mu.Unlock()
				total.Requests += max(requests-counted, 0)
				counted = max(requests, counted)
				total.Cells += cells
				if !ok {
					total.Failed++
				}
			})
		}
	}
	running.Wait()
	total.Seconds = time.Since(began).Round(time.Second / 10).Seconds()
	total.report(t)
}

// meet injects the faults into every request of the operation, on a stack of its own. It
// returns the number of requests and the number of cells.
func (o operation) meet(t *testing.T, faults map[string]iam.Fault) (requests, cells int) {
	m := newMatrix(t)
	if o.function == "admin" {
		m.session = signIn(t, m.processes)
		m.session.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	for n, more := 1, true; more; n++ {
		more = false
		for fault, f := range faults {
			var at iam.Request
			made := 0
			ok := t.Run(fmt.Sprintf("request %d %s", n, fault), func(t *testing.T) {
				o.run(t, cell{m, fmt.Sprintf("%d-%d", n, f), func(do func()) {
					m.arm(o.function, f, func(q iam.Request) bool {
						made++
						at = q
						return made == n
					})
					do()
					if m.disarm() {
						requests = n
						cells++
						more = true
					}
				}})
			})
			if !ok {
				t.Logf("request %d was %s:%s %s", n, at.Service, at.Action, at.Body)
			}
		}
	}
	if cells < len(faults) {
		t.Errorf("%d cells", cells)
	}
	return requests, cells
}

// TestFaultMatrixDocumented checks the number of operations in the documents.
func TestFaultMatrixDocumented(t *testing.T) {
	for _, document := range []string{"README.md", "../pkg/auth/README.md"} {
		text, err := os.ReadFile(filepath.Join("..", document))
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("%d operations", len(operations)); !strings.Contains(strings.Join(strings.Fields(string(text)), " "), want) {
			t.Errorf("localstack/%s does not say that the matrix has %s", document, want)
		}
	}
}

// answer is what a command or a request got.
type answer struct {
	text    string
	success bool
}

// succeededIn reports whether a frame or a body is a success. The test fails when it is no
// answer at all.
func succeededIn(t *testing.T, text string) bool {
	t.Helper()
	switch {
	case strings.Contains(text, succeeded), strings.HasPrefix(text, `{"result":`):
		return true
	case strings.Contains(text, killed), strings.Contains(text, `"error":`), strings.Contains(text, `"message":"Service Unavailable"`):
		return false
	}
	t.Fatalf("answered %s", text)
	return false
}

// reply sends a frame and returns what it got.
func reply(t *testing.T, conn *websocket.Conn, frame string) answer {
	t.Helper()
	text := command(t, conn, frame)
	return answer{text, succeededIn(t, text)}
}

// succeeds sends a frame that must succeed.
func succeeds(t *testing.T, conn *websocket.Conn, frame string) {
	t.Helper()
	if a := reply(t, conn, frame); !a.success {
		t.Errorf("%s was answered %s", frame, a.text)
	}
}

// tenant is a project, with its secret and an API key.
type tenant struct{ id, secret, key string }

// demoTenant is the project that the cells of a stack share.
var demoTenant = tenant{"demo", "demo-secret", "demo-key"}

// member is a client of the project.
func (p tenant) member(category, user string) member {
	return member{p.id, auth.SignToken(p.secret, user, p.id), category, user}
}

// tenant creates a project with the categories, in which no process has cached anything.
func (m *matrix) tenant(t *testing.T, id string, o hub.ProjectOptions, categories ...hub.Category) tenant {
	t.Helper()
	p := tenant{id, "secret of " + id, "key of " + id}
	if err := m.App.Store.PutProject(t.Context(), &hub.Project{
		ID: p.id, Name: p.id, Secret: p.secret, APIKeyHashes: []string{auth.HashAPIKey(p.key)}, Options: o,
	}); err != nil {
		t.Fatal(err)
	}
	for _, category := range categories {
		category.ID = category.Name
		if err := m.App.Store.PutCategory(t.Context(), p.id, category); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// recreate creates a category that was deleted, at once: no process has the deleted one
// cached.
func (m *matrix) recreate(t *testing.T, project string, category hub.Category) {
	t.Helper()
	m.forget()
	category.ID = category.Name
	uncached := store.New(m.client(), m.App.Config.Table, store.Options{CacheFor: -1})
	if err := uncached.PutCategory(t.Context(), project, category); err != nil {
		t.Fatal(err)
	}
}

// client is a client of the database.
func (m *matrix) client() *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{
		Region: "us-east-1", BaseEndpoint: &m.DynamoDBEndpoint, Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	})
}

// project returns a project as the last write left it.
func (m *matrix) project(t *testing.T, id string) *hub.Project {
	t.Helper()
	p, err := m.App.Store.ReadProject(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// delivers publishes to a channel of a project, "category:name", and checks how many receive
// it.
func (m *matrix) delivers(t *testing.T, project, channel string, want int, receivers ...*websocket.Conn) {
	t.Helper()
	m.deliversTo(t, m.project(t, project), channel, want, receivers...)
}

// deliversTo is delivers of a publisher that knows the project as it was.
func (m *matrix) deliversTo(t *testing.T, p *hub.Project, channel string, want int, receivers ...*websocket.Conn) {
	t.Helper()
	ch, err := hub.ParseChannel(p.ID, channel)
	if err != nil {
		t.Fatal(err)
	}
	got, err := m.App.Hub.Publish(t.Context(), p, ch, json.RawMessage(`{}`), hub.PublishOptions{})
	if err != nil || got.Delivered != want || len(got.Gone) != 0 {
		t.Errorf("publish in %s: %+v, want %d delivered, error %v", channel, got, want, err)
	}
	for _, r := range receivers[:min(want, len(receivers))] {
		receive(t, r)
	}
}

// publishes is delivers in a channel of the category chat of the project demo, where no
// right has ended.
func (m *matrix) publishes(t *testing.T, channel string, want int, receivers ...*websocket.Conn) {
	t.Helper()
	m.delivers(t, "demo", "chat:"+channel, want, receivers...)
}

// room is the channel of a cell that announces joins and leaves.
func (c cell) room() hub.Channel { return hub.Channel{Category: "room", Name: c.id} }

// roomWithout sends messages to the room, of which only ada remains, and checks that what is
// left of others is removed, and that ada gets as many leaves as connections have left: once
// each, or twice where a process died.
func (c cell) roomWithout(t *testing.T, ada *websocket.Conn, left int) {
	t.Helper()
	p := c.project(t, "demo")
	for _, data := range []string{`"first"`, `"end"`} {
		if _, err := c.later.Publish(t.Context(), p, c.room(), json.RawMessage(data), hub.PublishOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	leaves := make(map[string]int)
	for frame := ""; !strings.Contains(frame, `"data":"end"`); {
		frame = receive(t, ada)
		var push struct {
			Event  string
			Client struct{ Client string }
		}
		if err := json.Unmarshal([]byte(frame), &push); err == nil && push.Event == "leave" {
			leaves[push.Client.Client]++
		}
	}
	if len(leaves) != left {
		t.Errorf("leaves of %v, want %d", leaves, left)
	}
	for connection, n := range leaves {
		if n > 2 {
			t.Errorf("%d leaves of %s", n, connection)
		}
	}
	clients, err := c.App.Hub.Presence(t.Context(), p, c.room())
	if err != nil || len(clients) != 1 || clients[0].User != "ada" {
		t.Errorf("present are %+v, error %v", clients, err)
	}
	for page, err := range c.App.Store.Subscribers(t.Context(), p.Locate(c.room()), 0) {
		if err != nil || len(page) != 1 {
			t.Errorf("subscribers %+v, error %v", page, err)
		}
	}
}

// joins connects a user to the room.
func (c cell) joins(t *testing.T, user string) *websocket.Conn {
	t.Helper()
	return joinWith(t, c.Stack, demoTenant.member("room", user), c.id)
}

// connectionOf returns the connection of a user who has one.
func (c cell) connectionOf(t *testing.T, project, user string) hub.Connection {
	t.Helper()
	connections, err := c.App.Store.UserConnections(t.Context(), project, user)
	if err != nil || len(connections) != 1 {
		t.Fatalf("connections %+v, error %v", connections, err)
	}
	return connections[0]
}

// arrivals reads the event ids of the messages with hello until the one with the data
// "end".
func arrivals(t *testing.T, conn *websocket.Conn) (ids []string) {
	t.Helper()
	for {
		var push struct {
			EventID string `json:"event_id"`
			Data    json.RawMessage
			Push    struct {
				Pub struct{ Data hub.FeedEntry }
			}
		}
		frame := receive(t, conn)
		if err := json.Unmarshal([]byte(frame), &push); err != nil {
			t.Fatal(err)
		}
		if entry := push.Push.Pub.Data; entry.ID != "" {
			push.EventID, push.Data = entry.ID, json.RawMessage(entry.Text)
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

// arrive sends the last message of a test to receivers of a channel, and checks that hello
// has reached one of them, and none of them more than copies times. It returns the event
// ids. A post that API Gateway refuses for one subscriber fails no message.
func (c cell) arrive(t *testing.T, project, channel string, copies int, receivers ...*websocket.Conn) (all []string) {
	t.Helper()
	end(t, c.Stack, project, channel)
	for _, r := range receivers {
		ids := arrivals(t, r)
		if len(ids) > copies {
			t.Errorf("%d copies", len(ids))
		}
		all = append(all, ids...)
	}
	if len(all) == 0 {
		t.Error("nobody was reached")
	}
	return all
}

// api calls the server API of a project.
func (m *matrix) api(t *testing.T, key, method, body string) answer {
	t.Helper()
	_, text := request(t, http.DefaultClient, http.MethodPost, m.HTTPURL+"/api/"+method, body, "X-API-Key", key)
	return answer{text, succeededIn(t, text)}
}

// enter puts a connection into the table that has no socket.
func (m *matrix) enter(t *testing.T, c hub.Connection) {
	t.Helper()
	if err := storetest.Enter(t.Context(), m.App.Store, c); err != nil {
		t.Fatal(err)
	}
}
