package gateway_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"centrifuge/pkg/hub"
)

// bill adds up what DynamoDB says that requests consume: it says nothing of a write whose
// condition fails. Reads of the project, which a function caches for 5 s, and counters, which it
// writes once a second, are left out.
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
	consumed, err := capacity(answer)
	if err != nil {
		return nil, err
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
	var requests []string
	for _, operation := range slices.Sorted(maps.Keys(b.requests)) {
		requests = append(requests, fmt.Sprintf("%d %s", b.requests[operation], operation))
	}
	return fmt.Sprintf("%g written, %g read (%s)", b.writes, b.reads, strings.Join(requests, ", "))
}

// TestBill counts what frames cost: the units and requests of DynamoDB, and the posts. A reply that
// is the response of the route is no post.
func TestBill(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	const connect = `{"id":1,"connect":{"token":"JWT{"sub":"u1"}"}}`
	const auth = `{"id":"1","method":"auth","params":{"token":"JWT{"sub":"u1","exp":1900000000}","user":"u1","project_id":"p","permissions":{}}}`
	for i, c := range []struct {
		name   string
		before []string // frames of the connection
		frame  string
		bill   string
		posts  int
	}{
		{"connect", nil, connect, "4 written, 0 read (3 UpdateItem)", 1},
		{"connect of an anonymous user", nil, `{"id":1,"connect":{"token":"JWT{"sub":""}"}}`, "2 written, 0 read (2 UpdateItem)", 0},
		{"connect with two subscriptions of a token", nil, `{"id":1,"connect":{"token":"JWT{"sub":"u1","channels":["plain:N","plain:M"]}"}}`, "11 written, 0 read (1 TransactWriteItems, 4 UpdateItem)", 1},
		{"connect and two subscribes", nil, connect + "\n" + `{"id":2,"subscribe":{"channel":"plain:N"}}` + "\n" + `{"id":3,"subscribe":{"channel":"plain:M"}}`, "12 written, 0 read (1 TransactWriteItems, 5 UpdateItem)", 1},
		{"subscribe", []string{connect}, `{"id":2,"subscribe":{"channel":"plain:N"}}`, "5 written, 0 read (1 TransactWriteItems, 1 UpdateItem)", 0},
		{"subscribe again", []string{connect, `{"id":2,"subscribe":{"channel":"plain:N"}}`}, `{"id":3,"subscribe":{"channel":"plain:N"}}`, "5 written, 0 read (1 TransactWriteItems, 1 UpdateItem)", 0},
		{"ten subscribes", []string{connect}, subscribes(10), "23 written, 0 read (1 TransactWriteItems, 1 UpdateItem)", 0},
		{"subscribe with join and leave", []string{connect}, `{"id":2,"subscribe":{"channel":"chat:N","join_leave":true}}`, "5 written, 1 read (1 Query, 1 TransactWriteItems, 1 UpdateItem)", 2},
		{"subscribe to a new stream", []string{connect}, `{"id":2,"subscribe":{"channel":"news:N"}}`, "9 written, 2 read (1 PutItem, 2 Query, 1 TransactWriteItems, 4 UpdateItem)", 1},
		{"subscribe to a stream, with recovery", []string{connect, `{"id":2,"subscribe":{"channel":"news:N"}}`}, `{"id":3,"subscribe":{"channel":"news:N","recover":true}}`, "8 written, 3 read (1 GetItem, 2 Query, 1 TransactWriteItems, 4 UpdateItem)", 1},
		{"unsubscribe", []string{connect, `{"id":2,"subscribe":{"channel":"plain:N"}}`}, `{"id":3,"unsubscribe":{"channel":"plain:N"}}`, "5 written, 0 read (1 TransactWriteItems, 1 UpdateItem)", 0},
		{"unsubscribe of an unknown channel", []string{connect}, `{"id":2,"unsubscribe":{"channel":"plain:N"}}`, "2 written, 0 read (2 UpdateItem)", 0},
		{"publish", []string{connect}, `{"id":2,"publish":{"channel":"chat:N","data":1}}`, "1 written, 1 read (1 Query, 1 UpdateItem)", 0},
		{"publish with the info of a subscription", []string{connect, `{"id":2,"subscribe":{"channel":"chat:N","token":"JWT{"sub":"u1","channel":"chat:N","info":1}"}}`}, `{"id":3,"publish":{"channel":"chat:N","data":1}}`, "1 written, 2 read (2 Query, 1 UpdateItem)", 1},
		{"publish to a stream", []string{connect}, `{"id":2,"publish":{"channel":"log:N","data":1}}`, "4 written, 2 read (2 PutItem, 2 Query, 2 UpdateItem)", 0},
		{"presence", []string{connect}, `{"id":2,"presence":{"channel":"chat:N"}}`, "1 written, 1 read (1 Query, 1 UpdateItem)", 0},
		{"presence_stats", []string{connect}, `{"id":2,"presence_stats":{"channel":"chat:N"}}`, "1 written, 1 read (1 Query, 1 UpdateItem)", 0},
		{"history", []string{connect, `{"id":2,"publish":{"channel":"log:N","data":1}}`}, `{"id":3,"history":{"channel":"log:N","limit":1}}`, "1 written, 2 read (2 Query, 1 UpdateItem)", 0},
		{"ping", []string{connect}, `{"id":2,"ping":{}}`, "1 written, 0 read (1 UpdateItem)", 0},
		{"pong", []string{connect}, `{}`, "1 written, 0 read (1 UpdateItem)", 0},
		{"rpc", []string{connect}, `{"id":2,"rpc":{"method":"m"}}`, "1 written, 0 read (1 UpdateItem)", 0},
		{"refresh", []string{connect, `{"id":2,"subscribe":{"channel":"plain:N"}}`}, `{"id":3,"refresh":{"token":"JWT{"sub":"u1","exp":1800003600}"}}`, "5 written, 0 read (1 TransactWriteItems, 1 UpdateItem)", 0},
		{"sub_refresh", []string{connect, `{"id":2,"subscribe":{"channel":"plain:N","token":"JWT{"sub":"u1","channel":"plain:N"}"}}`}, `{"id":3,"sub_refresh":{"channel":"plain:N","token":"JWT{"sub":"u1","channel":"plain:N"}"}}`, "2 written, 0 read (2 UpdateItem)", 0},
		{"send", []string{connect}, `{"send":{"data":1}}`, "4 written, 1 read (1 BatchWriteItem, 1 GetItem, 2 UpdateItem)", 2},
		{"connect that is refused", nil, `{"id":1,"connect":{"token":"x"}}`, "3 written, 1 read (1 BatchWriteItem, 1 GetItem, 2 UpdateItem)", 2},
		{"classic auth", nil, auth, "3 written, 0 read (2 UpdateItem)", 0},
		{"classic subscribe", []string{auth}, `{"id":"2","method":"subscribe","params":{"to":{"plain":["N"]}}}`, "5 written, 0 read (1 TransactWriteItems, 1 UpdateItem)", 0},
		{"classic subscribe to a stream", []string{auth}, `{"id":"2","method":"subscribe","params":{"to":{"news":["N"]}}}`, "5 written, 0 read (1 TransactWriteItems, 1 UpdateItem)", 0},
		{"classic unsubscribe", []string{auth, `{"id":"2","method":"subscribe","params":{"to":{"plain":["N"]}}}`}, `{"id":"2","method":"unsubscribe","params":{"from":{"plain":["N"]}}}`, "5 written, 0 read (1 TransactWriteItems, 1 UpdateItem)", 0},
		{"classic broadcast", []string{auth}, `{"id":"2","method":"broadcast","params":{"category":"chat","channel":"N","data":{}}}`, "1 written, 1 read (1 Query, 1 UpdateItem)", 0},
		{"classic presence", []string{auth}, `{"id":"2","method":"presence","params":{"category":"chat","channel":"N"}}`, "1 written, 1 read (1 Query, 1 UpdateItem)", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			connection := fmt.Sprintf("c%d", i)
			send := func(frame string) {
				r.advance(time.Second) // the debt of the frame before is paid
				r.send(t, connection, signed(t, secret, strings.NewReplacer("N", connection, "M", "m"+connection).Replace(frame)))
			}
			r.open(t, connection, projectID, "")
			for _, frame := range c.before {
				send(frame)
			}
			b := &bill{requests: make(map[string]int)}
			posts := 0
			r.store.Requests.Intercept, r.posting = b.intercept, func(string) { posts++ }
			send(c.frame)
			r.store.Requests.Intercept, r.posting = nil, nil
			r.take()
			if b.String() != c.bill || posts != c.posts {
				t.Errorf("billed %s and %d posts, want %s and %d", b, posts, c.bill, c.posts)
			}
		})
	}
}

// subscribes is a frame with n subscribes.
func subscribes(n int) string {
	var lines []string
	for i := range n {
		lines = append(lines, fmt.Sprintf(`{"id":%d,"subscribe":{"channel":"plain:N-%d"}}`, i+2, i))
	}
	return strings.Join(lines, "\n")
}
