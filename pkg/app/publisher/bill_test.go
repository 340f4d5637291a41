package publisher_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	diff "github.com/google/go-cmp/cmp"

	"centrifuge/pkg/app/publisher"
	"centrifuge/pkg/config"
	"centrifuge/pkg/hub"
	"centrifuge/pkg/store/storetest"
)

// ledger is a proxy of DynamoDB that adds up what is billed to one process. DynamoDB says what
// a request consumed, with its indexes. It does not say it of a write whose condition fails:
// that one is billed by the item that is there, at least one unit, and two for each item of a
// transaction. All items here have less than 1 KB, so it is one or two.
type ledger struct {
	proxy http.Handler

	mu    sync.Mutex
	bills map[string]*bill // by what the items are
}

// bill is what is billed for one kind of item.
type bill struct {
	reads, writes float64
	requests      map[string]int
}

// kinds are the kinds of items by the beginning of their partition key.
var kinds = map[string]string{"P": "project", "S": "subscribers", "H": "stream", "I": "key", "U": "counters", "N": "connection", "G": "pings"}

var partition = regexp.MustCompile(`"S":"([A-Z])#`)

func newLedger(t *testing.T, endpoint string) (_ *ledger, address string) {
	t.Helper()
	target, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	l := &ledger{bills: make(map[string]*bill)}
	proxy := httputil.NewSingleHostReverseProxy(target)
	l.proxy, proxy.ModifyResponse = proxy, l.enter
	server := httptest.NewServer(l)
	t.Cleanup(server.Close)
	return l, server.URL
}

// ServeHTTP asks for what the request consumes.
func (l *ledger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var request map[string]json.RawMessage
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	request["ReturnConsumedCapacity"] = json.RawMessage(`"INDEXES"`)
	body, err := json.Marshal(request)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if m := partition.FindSubmatch(body); m != nil { // others are about the table
		_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		var transaction []json.RawMessage
		_ = json.Unmarshal(request["TransactItems"], &transaction)
		r = r.WithContext(context.WithValue(r.Context(), requestKey{}, requested{kinds[string(m[1])], operation, len(transaction)}))
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	l.proxy.ServeHTTP(w, r)
}

type requestKey struct{}

// requested is what the ledger knows of a request.
type requested struct {
	kind, operation string
	// items are those of a transaction.
	items int
}

// enter adds a response to the bill.
func (l *ledger) enter(response *http.Response) error {
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	q, ok := response.Request.Context().Value(requestKey{}).(requested)
	if !ok {
		return nil
	}
	var consumed float64
	switch {
	case response.StatusCode == http.StatusOK:
		if consumed, err = capacity(body); err != nil {
			return fmt.Errorf("%s: %w", q.operation, err)
		}
	case q.items > 0:
		consumed = 2 * float64(q.items)
	default:
		consumed = 1
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.bills[q.kind]
	if b == nil {
		b = &bill{requests: make(map[string]int)}
		l.bills[q.kind] = b
	}
	b.requests[q.operation]++
	if q.operation == "Query" || q.operation == "GetItem" {
		b.reads += consumed
	} else {
		b.writes += consumed
	}
	return nil
}

// capacity is what DynamoDB says that a request consumed.
func capacity(body []byte) (float64, error) {
	var response struct{ ConsumedCapacity json.RawMessage }
	if err := json.Unmarshal(body, &response); err != nil {
		return 0, err
	}
	type consumed struct{ CapacityUnits float64 }
	var one consumed
	if err := json.Unmarshal(response.ConsumedCapacity, &one); err == nil {
		return one.CapacityUnits, nil
	}
	var all []consumed
	if err := json.Unmarshal(response.ConsumedCapacity, &all); err != nil || len(all) != 1 {
		return 0, fmt.Errorf("ConsumedCapacity %s: %w", response.ConsumedCapacity, err)
	}
	return all[0].CapacityUnits, nil
}

// billed returns what was billed since the last call. Reads of the project, which is cached
// for 5 s, and the counters, which are written once a second, are apart: they depend on the
// time.
func (l *ledger) billed() (message, apart string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var parts, others []string
	for _, kind := range slices.Sorted(maps.Keys(l.bills)) {
		b := l.bills[kind]
		var units, requests []string
		if b.writes > 0 {
			units = append(units, fmt.Sprintf("%g written", b.writes))
		}
		if b.reads > 0 {
			units = append(units, fmt.Sprintf("%g read", b.reads))
		}
		for _, operation := range slices.Sorted(maps.Keys(b.requests)) {
			requests = append(requests, fmt.Sprintf("%d %s", b.requests[operation], operation))
		}
		line := fmt.Sprintf("%s %s (%s)", kind, strings.Join(units, ", "), strings.Join(requests, ", "))
		if kind == "project" || kind == "counters" {
			others = append(others, line)
		} else {
			parts = append(parts, line)
		}
	}
	l.bills = make(map[string]*bill)
	return strings.Join(parts, "; "), strings.Join(others, "; ")
}

// process is one Lambda environment that publishes.
type process struct {
	*publisher.App
	*ledger
}

// plant is a table with a project, the management API and Lambda.
type plant struct {
	endpoint, table    string
	management, lambda string

	mu      sync.Mutex
	invoked int
	// posts, if not nil, get each post, which is answered when its channel is closed.
	posts chan chan struct{}
}

func newPlant(t *testing.T) *plant {
	t.Helper()
	p := &plant{}
	p.endpoint, p.table = storetest.Table(t)
	management := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		p.mu.Lock()
		posts := p.posts
		p.mu.Unlock()
		if posts != nil {
			answer := make(chan struct{})
			posts <- answer
			<-answer
		}
	}))
	t.Cleanup(management.Close)
	lambda := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		p.mu.Lock()
		p.invoked++
		p.mu.Unlock()
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(lambda.Close)
	p.management, p.lambda = management.URL, lambda.URL

	s := p.process(t).Store
	if err := s.CreateTable(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.PutProject(t.Context(), &hub.Project{ID: "p", Name: "n", Secret: "s"}); err != nil {
		t.Fatal(err)
	}
	for name, ordered := range map[string]bool{"direct": false, "stream": true} {
		err := s.PutCategory(t.Context(), "p", hub.Category{Name: name, CategoryOptions: hub.CategoryOptions{Ordered: ordered}})
		if err != nil {
			t.Fatal(err)
		}
	}
	project, err := s.ReadProject(t.Context(), "p")
	if err != nil {
		t.Fatal(err)
	}
	err = storetest.Enter(t.Context(), s, hub.Connection{
		ID: "client", Project: "p", User: "u", Protocol: hub.Classic, Expires: time.Now().Add(time.Hour), TokenExpires: time.Now().Add(time.Hour),
		Channels: map[hub.Channel]int{p.channel(project, "direct"): 0, p.channel(project, "stream"): 0},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *plant) channel(project *hub.Project, category string) hub.Channel {
	return project.Locate(hub.Channel{Category: category, Name: "c"})
}

// process starts a process that knows nothing.
func (p *plant) process(t *testing.T) *process {
	t.Helper()
	l, address := newLedger(t, p.endpoint)
	a, err := publisher.New(func(name string) string {
		return map[string]string{
			config.Table: p.table, config.ManagementURL: p.management, config.DispatchFunction: "dispatch", config.PingFunction: "ping", config.LambdaEndpoint: p.lambda,
			config.DynamoDBEndpoint: address, config.Region: "us-east-1", config.AccessKeyID: "a", config.SecretAccessKey: "s",
		}[name]
	}, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	return &process{a, l}
}

// publish publishes as the server API does: it reads the project first.
func (q *process) publish(ctx context.Context, category string, o hub.PublishOptions) error {
	project, err := q.Store.Project(ctx, "p")
	if err != nil {
		return err
	}
	_, err = q.Hub.Publish(ctx, project, hub.Channel{Category: category, Name: "c"}, json.RawMessage(`"hello"`), o)
	return err
}

// append appends to the stream without an announcement.
func (q *process) append(ctx context.Context) error {
	project, err := q.Store.Project(ctx, "p")
	if err != nil {
		return err
	}
	s, _ := project.Stream(hub.Channel{Category: "stream", Name: "c"})
	_, err = q.Store.Append(ctx, s, hub.Message{ID: hub.NewID(time.Now()), Data: json.RawMessage(`"hello"`)}, hub.AppendOptions{})
	return err
}

// join makes a client of Centrifugo's protocol join the stream of a plant.
func (p *plant) join(q *process) error {
	ctx := context.Background()
	project, err := q.Store.Project(ctx, "p")
	if err != nil {
		return err
	}
	ch := p.channel(project, "stream")
	c := hub.Connection{ID: "joiner", Project: "p", Protocol: hub.Centrifugo, Expires: time.Now().Add(time.Hour), Channels: map[hub.Channel]int{ch: 0}}
	present, err := q.Store.Connection(ctx, c.ID)
	if errors.Is(err, hub.ErrConnectionNotFound) {
		present, err = hub.Connection{ID: c.ID, Expires: c.Expires}, q.Store.OpenConnection(ctx, c)
	}
	if err == nil {
		_, _, err = q.Store.ChangeConnection(ctx, present, func(hub.Connection) (hub.Change, error) {
			return hub.Change{Connection: c, Memberships: map[hub.Channel]hub.Membership{ch: {ID: "1", Joining: true, Since: time.Now()}}}, nil
		})
	}
	return err
}

// admit admits the client to the stream, this far behind its top.
func (q *process) admit(ctx context.Context, behind uint64) error {
	project, err := q.Store.Project(ctx, "p")
	if err != nil {
		return err
	}
	s, _ := project.Stream(hub.Channel{Category: "stream", Name: "c"})
	top, err := q.Store.OpenStream(ctx, s)
	if err != nil {
		return err
	}
	q.billed()
	top.Offset -= behind
	return q.Hub.Admit(ctx, s, hub.Admission{Place: hub.Place{Channel: s.Channel}, Connection: "joiner", ID: "1", Position: top})
}

// dispatch is an invocation of the function dispatch.
func (q *process) dispatch(ctx context.Context, request string) error {
	project, err := q.Store.Project(ctx, "p")
	if err != nil {
		return err
	}
	return q.Hub.DispatchStream(ctx, project.Locate(hub.Channel{Category: "stream", Name: "c"}), request)
}

// during calls do while a post of begin waits for its answer.
func (p *plant) during(begin, do func() error) error {
	posts := make(chan chan struct{}, 1)
	p.hold(posts)
	ended := make(chan error, 1)
	go func() { ended <- begin() }()
	var answer chan struct{}
	select {
	case answer = <-posts:
	case err := <-ended:
		return errors.Join(errors.New("no post was begun"), err)
	}
	p.hold(nil)
	err := do()
	close(answer)
	if ended := <-ended; ended != nil {
		return ended
	}
	return err
}

func (p *plant) hold(posts chan chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.posts = posts
}

func (p *plant) invocations() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.invoked
	p.invoked = 0
	return n
}

// TestBill counts what a publish costs in the units that DynamoDB bills, over the whole
// application: hub, store and dispatch.
func TestBill(t *testing.T) {
	p := newPlant(t)
	one, other, durable := p.process(t), p.process(t), p.process(t)
	plain := func(q *process, category string) func() error {
		return func() error { return q.publish(t.Context(), category, hub.PublishOptions{}) }
	}
	keyed := func(q *process, category, key string) func() error {
		return func() error { return q.publish(t.Context(), category, hub.PublishOptions{IdempotencyKey: key}) }
	}
	dispatch := func(request string) func() error {
		return func() error { return durable.dispatch(t.Context(), request) }
	}
	// forget appends a message as a publisher that dies before it announces it.
	forget := func() error { return other.append(t.Context()) }
	const audience = "; subscribers 1 read (1 Query)"
	type bills struct{ One, Other, Durable string }
	for _, c := range []struct {
		name    string
		before  func() error // costs nothing
		do      func() error
		want    bills
		invoked int // durable dispatchers
	}{
		{name: "a direct publish writes nothing", do: plain(one, "direct"), want: bills{One: "subscribers 1 read (1 Query)"}},
		{
			name: "a direct publish with a key writes two units", do: keyed(one, "direct", "k1"),
			want: bills{One: "key 2 written (1 PutItem, 1 UpdateItem)" + audience},
		},
		{
			name: "the first publish to a stream writes three units and reads one more", do: plain(one, "stream"),
			want: bills{One: "stream 3 written, 1 read (2 PutItem, 1 Query, 1 UpdateItem)" + audience},
		},
		{
			name: "a publish to a stream writes three units", do: plain(one, "stream"),
			want: bills{One: "stream 3 written (1 PutItem, 2 UpdateItem)" + audience},
		},
		{
			name: "a publish to a stream with a key writes three units more", do: keyed(one, "stream", "k2"),
			want: bills{One: "stream 6 written (1 TransactWriteItems, 2 UpdateItem)" + audience},
		},
		{
			name: "a repeat with a key writes six units and reads no subscribers", do: keyed(one, "stream", "k2"),
			want: bills{One: "stream 6 written, 1 read (1 Query, 1 TransactWriteItems, 2 UpdateItem)"},
		},
		{
			name: "the first publish of a process to a stream reads one unit more", do: plain(other, "stream"),
			want: bills{Other: "stream 3 written, 1 read (1 PutItem, 1 Query, 2 UpdateItem)" + audience},
		},
		{
			name: "a publish that loses a race writes one unit more", do: plain(one, "stream"),
			want: bills{One: "stream 4 written (2 PutItem, 2 UpdateItem)" + audience},
		},
		{
			name: "a publish with a key that loses a race writes four units more", do: keyed(other, "stream", "k3"),
			want: bills{Other: "stream 10 written (2 TransactWriteItems, 2 UpdateItem)" + audience},
		},
		{
			name: "a publish while a durable dispatcher posts writes two units", before: forget,
			do: func() error { return p.during(dispatch("r1"), plain(other, "stream")) },
			want: bills{
				Other:   "stream 2 written (1 PutItem, 1 UpdateItem)",
				Durable: "stream 4 written, 2 read (2 Query, 4 UpdateItem); subscribers 2 read (2 Query)",
			},
		},
		{
			name: "a publish while another publisher posts writes two units, and one for each of two lost races", before: plain(one, "stream"),
			do: func() error { return p.during(plain(one, "stream"), plain(other, "stream")) },
			want: bills{
				One:   "stream 5 written, 1 read (1 PutItem, 1 Query, 4 UpdateItem); subscribers 2 read (2 Query)",
				Other: "stream 4 written (3 PutItem, 1 UpdateItem)",
			},
			invoked: 1,
		},
		{
			name: "a durable dispatcher that finds nothing writes two units", do: dispatch("r2"),
			want: bills{Durable: "stream 2 written, 1 read (1 Query, 2 UpdateItem)"},
		},
		{
			name: "an admission to a stream writes three units", before: func() error { return p.join(one) }, do: func() error { return one.admit(t.Context(), 0) },
			want: bills{One: "stream 2 written, 1 read (1 Query, 2 UpdateItem); subscribers 1 written (1 UpdateItem)"},
		},
		{
			name: "an admission behind the stream reads what it missed", before: func() error {
				if err := p.join(one); err != nil {
					return err
				}
				return plain(one, "stream")()
			}, do: func() error { return one.admit(t.Context(), 1) },
			want: bills{One: "stream 2 written, 2 read (2 Query, 2 UpdateItem); subscribers 1 written (1 UpdateItem)"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.before != nil {
				if err := c.before(); err != nil {
					t.Fatal(err)
				}
				for _, q := range []*process{one, other, durable} {
					q.billed()
				}
			}
			if err := c.do(); err != nil {
				t.Fatal(err)
			}
			var got bills
			for _, q := range []struct {
				name    string
				process *process
				message *string
			}{{"one", one, &got.One}, {"other", other, &got.Other}, {"durable", durable, &got.Durable}} {
				var apart string
				*q.message, apart = q.process.billed()
				if *q.message+apart != "" {
					t.Logf("%s: %s; apart: %s", q.name, *q.message, cmp.Or(apart, "nothing"))
				}
			}
			if d := diff.Diff(c.want, got); d != "" {
				t.Errorf("billed (-want +got):\n%s", d)
			}
			if n := p.invocations(); n != c.invoked {
				t.Errorf("%d durable dispatchers were invoked, want %d", n, c.invoked)
			}
		})
	}
}
