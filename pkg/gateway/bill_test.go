package gateway_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/hub"
)

// bill adds up what DynamoDB bills for requests. It says what a request consumes, but not of a write
// whose condition fails: that one is billed by the item that is there, one unit, and two for each
// item of a transaction, since all items here have less than 1 KB. Reads of the project, which a
// function caches for 5 s, and counters, which it writes once a second, are left out.
type bill struct {
	mu            sync.Mutex
	reads, writes float64
	requests      map[string]int
}

// intercept is a storetest.Requests.Intercept.
func (b *bill) intercept(operation string, q *http.Request) (*http.Response, error) {
	var request map[string]json.RawMessage
	if err := json.NewDecoder(q.Body).Decode(&request); err != nil {
		return nil, err
	}
	apart := bytes.Contains(request["ExpressionAttributeValues"], []byte(`"P#`)) || bytes.Contains(request["Key"], []byte(`"U#`))
	var transaction []json.RawMessage
	if items, ok := request["TransactItems"]; ok {
		if err := json.Unmarshal(items, &transaction); err != nil {
			return nil, err
		}
	}
	request["ReturnConsumedCapacity"] = json.RawMessage(`"TOTAL"`)
	body, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	q.Body, q.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	response, err := http.DefaultTransport.RoundTrip(q)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(answer))
	if apart {
		return response, nil
	}
	var consumed float64
	switch {
	case response.StatusCode == http.StatusOK:
		if consumed, err = capacity(answer); err != nil {
			return nil, err
		}
	case len(transaction) > 0:
		consumed = 2 * float64(len(transaction))
	default:
		consumed = 1
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests[operation]++
	if operation == "Query" || operation == "GetItem" || operation == "BatchGetItem" {
		b.reads += consumed
	} else {
		b.writes += consumed
	}
	return response, nil
}

// capacity is what a response says that its request consumed.
func capacity(answer []byte) (sum float64, err error) {
	type consumed struct{ CapacityUnits float64 }
	var one struct{ ConsumedCapacity consumed }
	if json.Unmarshal(answer, &one) == nil {
		return one.ConsumedCapacity.CapacityUnits, nil
	}
	var several struct{ ConsumedCapacity []consumed }
	if err := json.Unmarshal(answer, &several); err != nil {
		return 0, err
	}
	for _, c := range several.ConsumedCapacity {
		sum += c.CapacityUnits
	}
	return sum, nil
}

func (b *bill) String() string {
	return fmt.Sprintf("%g written, %g read (%s)", b.writes, b.reads, b.made())
}

// made are the requests, by their kind.
func (b *bill) made() string {
	var requests []string
	for _, operation := range slices.Sorted(maps.Keys(b.requests)) {
		requests = append(requests, fmt.Sprintf("%d %s", b.requests[operation], operation))
	}
	return strings.Join(requests, ", ")
}

// Frames of a connection of the user u1.
const (
	connects = `{"id":1,"connect":{"token":"JWT{"sub":"u1"}"}}`
	expires  = `{"id":1,"connect":{"token":"JWT{"sub":"u1","exp":1800000600}"}}`
	auths    = `{"id":"1","method":"auth","params":{"token":"JWT{"sub":"u1","exp":1900000000}","user":"u1","project_id":"p","permissions":{}}}`
	// joins subscribes to a channel without a history, follows to a stream. publishes publishes to
	// that stream.
	joins     = `{"id":2,"subscribe":{"channel":"plain:N"}}`
	follows   = `{"id":3,"subscribe":{"channel":"log:N","recoverable":true}}`
	publishes = `{"id":2,"publish":{"channel":"log:N","data":1}}`
)

// acts are what a connection does, and what that costs: the units and requests of DynamoDB, the
// requests to the management API, and the frames that the client gets, with a part of them. In frames
// N and M are names that no other act has, E is the epoch of the stream news:N. "$connect" and
// "$disconnect" are no frames, and "$publish" publishes to news:N as the application does.
var acts = []struct {
	name   string
	before []string
	frame  string
	bill   string
	posts  int
	gets   int
	part   string
}{
	{"handshake", nil, "$connect", "1 written, 0 read (1 PutItem)", 0, 0, ``},
	{"connect", nil, connects, "4 written, 0 read (3 UpdateItem)", 1, 1, `"connect":{`},
	{"connect of an anonymous user", nil, `{"id":1,"connect":{"token":"JWT{"sub":""}"}}`, "2 written, 0 read (2 UpdateItem)", 0, 1, `"connect":{`},
	{"connect with two subscriptions of the token", nil, `{"id":1,"connect":{"token":"JWT{"sub":"u1","channels":["plain:N","plain:M"]}"}}`, "11 written, 0 read (1 TransactWriteItems, 4 UpdateItem)", 1, 1, `"plain:mN":{}`},
	{"connect with a stream of the token", []string{"$publish"}, `{"id":1,"connect":{"token":"JWT{"sub":"u1","channels":["news:N"]}"}}`, "10 written, 2 read (2 Query, 1 TransactWriteItems, 5 UpdateItem)", 1, 1, `"subs":{"news:N":{"recoverable":true`},
	{"connect and two subscribes, in one frame", nil, connects + "\n" + joins + "\n" + `{"id":3,"subscribe":{"channel":"plain:M"}}`, "12 written, 0 read (1 TransactWriteItems, 5 UpdateItem)", 1, 1, `{"id":3,"subscribe":{}}`},
	{"connect that is refused", nil, `{"id":1,"connect":{"token":"x"}}`, "3 written, 1 read (1 BatchWriteItem, 1 GetItem, 2 UpdateItem)", 2, 1, `"error":{"code":3500`},
	{"subscribe", []string{connects}, joins, "5 written, 0 read (1 TransactWriteItems, 1 UpdateItem)", 0, 1, `"subscribe":{}`},
	{"subscribe again", []string{connects, joins}, `{"id":3,"subscribe":{"channel":"plain:N"}}`, "5 written, 0 read (1 TransactWriteItems, 1 UpdateItem)", 0, 1, `"subscribe":{}`},
	{"ten subscribes, in one frame", []string{connects}, subscribes(10), "23 written, 0 read (1 TransactWriteItems, 1 UpdateItem)", 0, 1, `{"id":11,"subscribe":{}}`},
	{"subscribe with join and leave", []string{connects}, `{"id":2,"subscribe":{"channel":"chat:N","join_leave":true}}`, "5 written, 1 read (1 Query, 1 TransactWriteItems, 1 UpdateItem)", 2, 2, `"join":{`},
	{"subscribe to a new stream", []string{connects}, follows, "9 written, 2 read (1 PutItem, 2 Query, 1 TransactWriteItems, 4 UpdateItem)", 1, 1, `"recoverable":true`},
	{"subscribe to a stream", []string{connects, publishes}, follows, "8 written, 2 read (2 Query, 1 TransactWriteItems, 4 UpdateItem)", 1, 1, `"offset":1`},
	{"subscribe to a stream, with recovery of one publication", []string{connects, "$publish"}, `{"id":3,"subscribe":{"channel":"news:N","recover":true,"epoch":"E","offset":0}}`, "8 written, 3 read (3 Query, 1 TransactWriteItems, 4 UpdateItem)", 1, 1, `"publications":[{"data":1`},
	{"unsubscribe", []string{connects, joins}, `{"id":3,"unsubscribe":{"channel":"plain:N"}}`, "5 written, 0 read (1 TransactWriteItems, 1 UpdateItem)", 0, 1, `"unsubscribe":{}`},
	{"unsubscribe from a stream", []string{connects, publishes, follows}, `{"id":4,"unsubscribe":{"channel":"log:N"}}`, "5 written, 0 read (1 TransactWriteItems, 1 UpdateItem)", 0, 1, `"unsubscribe":{}`},
	{"unsubscribe from a channel that it is not in", []string{connects}, `{"id":2,"unsubscribe":{"channel":"plain:N"}}`, "2 written, 0 read (2 UpdateItem)", 0, 1, `"unsubscribe":{}`},
	{"publish, to nobody", []string{connects}, `{"id":2,"publish":{"channel":"chat:N","data":1}}`, "1 written, 1 read (1 Query, 1 UpdateItem)", 0, 1, `"publish":{}`},
	{"publish with the info of a subscription", []string{connects, `{"id":2,"subscribe":{"channel":"chat:N","token":"JWT{"sub":"u1","channel":"chat:N","info":1}"}}`}, `{"id":3,"publish":{"channel":"chat:N","data":1}}`, "1 written, 2 read (2 Query, 1 UpdateItem)", 1, 2, `"pub":{`},
	{"publish, to itself", []string{connects, `{"id":2,"subscribe":{"channel":"chat:N"}}`}, `{"id":3,"publish":{"channel":"chat:N","data":1}}`, "1 written, 1 read (1 Query, 1 UpdateItem)", 1, 2, `"pub":{`},
	{"first publish to a stream", []string{connects}, publishes, "4 written, 2 read (2 PutItem, 2 Query, 2 UpdateItem)", 0, 1, `"publish":{}`},
	{"publish to a stream", []string{connects, publishes}, `{"id":3,"publish":{"channel":"log:N","data":1}}`, "4 written, 1 read (1 PutItem, 1 Query, 3 UpdateItem)", 0, 1, `"publish":{}`},
	{"presence", []string{connects}, `{"id":2,"presence":{"channel":"chat:N"}}`, "1 written, 1 read (1 Query, 1 UpdateItem)", 0, 1, `"presence":{}`},
	{"presence_stats", []string{connects}, `{"id":2,"presence_stats":{"channel":"chat:N"}}`, "1 written, 1 read (1 Query, 1 UpdateItem)", 0, 1, `"num_clients":0`},
	{"history of one publication", []string{connects, publishes}, `{"id":3,"history":{"channel":"log:N","limit":1}}`, "1 written, 2 read (2 Query, 1 UpdateItem)", 0, 1, `"publications":[{"data":1`},
	{"refresh", []string{expires}, `{"id":2,"refresh":{"token":"JWT{"sub":"u1","exp":1800003600}"}}`, "2 written, 0 read (2 UpdateItem)", 0, 1, `"ttl":`},
	{"refresh with one subscription", []string{expires, joins}, `{"id":3,"refresh":{"token":"JWT{"sub":"u1","exp":1800003600}"}}`, "5 written, 0 read (1 TransactWriteItems, 1 UpdateItem)", 0, 1, `"ttl":`},
	{"sub_refresh", []string{connects, `{"id":2,"subscribe":{"channel":"plain:N","token":"JWT{"sub":"u1","channel":"plain:N","exp":1800000600}"}}`}, `{"id":3,"sub_refresh":{"channel":"plain:N","token":"JWT{"sub":"u1","channel":"plain:N","exp":1800003600}"}}`, "2 written, 0 read (2 UpdateItem)", 0, 1, `"ttl":`},
	{"rpc without an application", []string{connects}, `{"id":2,"rpc":{"method":"m"}}`, "1 written, 0 read (1 UpdateItem)", 0, 1, `"error":{"code":108`},
	{"send, which closes the connection", []string{connects}, `{"send":{"data":1}}`, "4 written, 1 read (1 BatchWriteItem, 1 GetItem, 2 UpdateItem)", 2, 1, `"disconnect":{"code":3508`},
	{"ping", []string{connects}, `{"id":2,"ping":{}}`, "1 written, 0 read (1 UpdateItem)", 0, 1, `"ping":{}`},
	{"pong", []string{connects}, `{}`, "1 written, 0 read (1 UpdateItem)", 0, 0, ``},
	{"disconnect without a subscription", []string{connects}, "$disconnect", "3 written, 0 read (1 BatchWriteItem, 1 UpdateItem)", 0, 0, ``},
	{"disconnect with one subscription", []string{connects, joins}, "$disconnect", "4 written, 0 read (1 BatchWriteItem, 1 UpdateItem)", 0, 0, ``},
	{"disconnect with one subscription to a stream", []string{connects, publishes, follows}, "$disconnect", "4 written, 0 read (1 BatchWriteItem, 1 UpdateItem)", 0, 0, ``},
	{"classic auth", nil, auths, "3 written, 0 read (2 UpdateItem)", 0, 1, `"result":`},
	{"classic subscribe", []string{auths}, `{"id":"2","method":"subscribe","params":{"to":{"plain":["N"]}}}`, "5 written, 0 read (1 TransactWriteItems, 1 UpdateItem)", 0, 1, `"result":`},
	{"classic subscribe to a stream", []string{auths}, `{"id":"2","method":"subscribe","params":{"to":{"news":["N"]}}}`, "5 written, 0 read (1 TransactWriteItems, 1 UpdateItem)", 0, 1, `"result":`},
	{"classic unsubscribe", []string{auths, `{"id":"2","method":"subscribe","params":{"to":{"plain":["N"]}}}`}, `{"id":"2","method":"unsubscribe","params":{"from":{"plain":["N"]}}}`, "5 written, 0 read (1 TransactWriteItems, 1 UpdateItem)", 0, 1, `"result":`},
	{"classic broadcast", []string{auths}, `{"id":"2","method":"broadcast","params":{"category":"chat","channel":"N","data":{}}}`, "1 written, 1 read (1 Query, 1 UpdateItem)", 0, 1, `"result":`},
	{"classic presence", []string{auths}, `{"id":"2","method":"presence","params":{"category":"chat","channel":"N"}}`, "1 written, 1 read (1 Query, 1 UpdateItem)", 0, 1, `"result":`},
}

// TestBill holds acts to what they cost in a warm process.
func TestBill(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	for i, a := range acts {
		t.Run(a.name, func(t *testing.T) {
			connection := fmt.Sprintf("c%d", i)
			act := func(frame string) {
				r.advance(time.Second) // the debt of the frame before is paid
				switch frame {
				case "$connect":
					r.open(t, connection, projectID, "")
				case "$disconnect":
					e := event("$disconnect", connection, "")
					e.RequestContext.EventType = "DISCONNECT"
					if response, err := r.routes["$disconnect"](t.Context(), e); err != nil || response.StatusCode != http.StatusOK {
						t.Fatalf("status %d, %v", response.StatusCode, err)
					}
				case "$publish":
					if err := requests["publish"](t.Context(), r, r.project(t), []string{"news:" + connection, `1`}); err != nil {
						t.Fatal(err)
					}
				default:
					r.send(t, connection, signed(t, secret, frame))
				}
			}
			named := func(frame string) string {
				return strings.NewReplacer("N", connection, "M", "m"+connection).Replace(frame)
			}
			if a.frame != "$connect" {
				act("$connect")
			}
			for _, frame := range a.before {
				act(named(frame))
			}
			frame := named(a.frame)
			if strings.Contains(frame, `"E"`) {
				frame = strings.ReplaceAll(frame, `"E"`, fmt.Sprintf("%q", r.epoch(t, "news:"+connection)))
			}
			r.take()
			b, posts := &bill{requests: make(map[string]int)}, 0
			r.store.Requests.Intercept, r.posting = b.intercept, func(string) { posts++ }
			act(frame)
			r.store.Requests.Intercept, r.posting = nil, nil
			var frames []string
			for _, line := range r.take() {
				if frame, ok := strings.CutPrefix(line, connection+" < "); ok {
					frames = append(frames, frame)
				}
			}
			gets := len(frames)
			if all := strings.Join(frames, "\n"); !strings.Contains(all, named(a.part)) {
				t.Errorf("got %s, want %s in it", all, named(a.part))
			}
			if b.String() != a.bill || posts != a.posts || gets != a.gets {
				t.Errorf("billed %s, %d posts and %d frames, want %s, %d and %d", b, posts, gets, a.bill, a.posts, a.gets)
			}
		})
	}
}

// project is the project of a rig.
func (r *rig) project(t *testing.T) *hub.Project {
	t.Helper()
	p, err := r.store.Project(t.Context(), projectID)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// epoch is that of a stream.
func (r *rig) epoch(t *testing.T, channel string) string {
	t.Helper()
	ch, err := hub.ParseChannel(projectID, channel)
	if err != nil {
		t.Fatal(err)
	}
	_, top, err := r.hub.History(t.Context(), r.project(t), ch, hub.HistoryQuery{})
	if err != nil {
		t.Fatal(err)
	}
	return top.Epoch
}

// subscribes is a frame with n subscribes.
func subscribes(n int) string {
	var lines []string
	for i := range n {
		lines = append(lines, fmt.Sprintf(`{"id":%d,"subscribe":{"channel":"plain:N-%d"}}`, i+2, i))
	}
	return strings.Join(lines, "\n")
}

// List prices in us-east-1, in dollars for a million. COST.md states the sources.
const (
	writePrice      = 0.625
	readPrice       = 0.125
	framePrice      = 1.00
	invocationPrice = 0.20
	minutePrice     = 0.25
)

// price is what a million of an act cost, without the time of the function: its units, the frames
// to and from the client, and an invocation.
func price(t *testing.T, name string) (writes, reads float64, frames int, dollars float64) {
	t.Helper()
	for _, a := range acts {
		if a.name != name {
			continue
		}
		if _, err := fmt.Sscanf(a.bill, "%g written, %g read", &writes, &reads); err != nil {
			t.Fatal(err)
		}
		frames = a.gets
		if !strings.HasPrefix(a.frame, "$") {
			frames++
		}
		return writes, reads, frames, writes*writePrice + reads*readPrice + float64(frames)*framePrice + invocationPrice
	}
	t.Fatalf("there is no act %q", name)
	return 0, 0, 0, 0
}

var update = flag.Bool("update", false, "write the bill into infra/COST.md")

// TestBillDocument compares the tables in infra/COST.md with the acts.
func TestBillDocument(t *testing.T) {
	var bills strings.Builder
	bills.WriteString("| what a client does | write units | read units | frames | $ a million |\n|---|---|---|---|---|\n")
	for _, a := range acts {
		if !strings.HasPrefix(a.name, "classic") {
			writes, reads, frames, dollars := price(t, a.name)
			fmt.Fprintf(&bills, "| %s | %g | %g | %d | %.2f |\n", a.name, writes, reads, frames, dollars)
		}
	}
	thousand := func(names ...string) (sum float64) {
		for _, name := range names {
			_, _, _, dollars := price(t, name)
			sum += dollars / 1000
		}
		return sum
	}
	ends := "disconnect with one subscription to a stream"
	var hour strings.Builder
	hour.WriteString("| 1,000 clients, each in one stream | $ |\n|---|---|\n")
	for _, row := range []struct {
		what    string
		dollars float64
	}{
		{"an hour of connection", 1000 * 60 * minutePrice / 1e6},
		{"each connects, subscribes and leaves", thousand("handshake", "connect", "subscribe to a stream", ends)},
		{"an hour in which none sends a frame: six times closed and back, with recovery",
			6 * thousand("handshake", "connect", "subscribe to a stream, with recovery of one publication", ends)},
		{"a publication reaches all of them", 1000 * framePrice / 1e6},
		{"each publishes once, without those who get it", thousand("publish to a stream")},
		{"each renews its token once", thousand("refresh with one subscription")},
	} {
		fmt.Fprintf(&hour, "| %s | %.4f |\n", row.what, row.dollars)
	}
	path := filepath.Join("..", "..", "infra", "COST.md")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	document := string(content)
	for _, table := range []string{bills.String(), hour.String()} {
		head, _, _ := strings.Cut(table, "\n")
		begin := strings.Index(document, head)
		if begin < 0 {
			t.Fatalf("infra/COST.md has no table %s", head)
		}
		end := begin + strings.Index(document[begin:]+"\n\n", "\n\n") + 1
		if document[begin:end] != table && !*update {
			t.Errorf("run go test ./pkg/gateway -run TestBillDocument -update: (-document +acts)\n%s", cmp.Diff(document[begin:end], table))
		}
		document = document[:begin] + table + document[end:]
	}
	if *update {
		if err := os.WriteFile(path, []byte(document), 0o644); err != nil { //nolint:gosec // a document
			t.Fatal(err)
		}
	}
}
