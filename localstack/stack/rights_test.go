package stack_test

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"centrifuge/functions"
	"centrifuge/localstack/dynamodb"
	"centrifuge/localstack/stack"
	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
	"centrifuge/pkg/store/schema"
	"centrifuge/pkg/store/storetest"
)

// recorder is a proxy of a DynamoDB that records the requests of one function.
type recorder struct {
	function functions.Function
	ignore   []string // prefixes of partition keys

	mu   sync.Mutex
	used map[string]bool
}

// reset returns the rights that were used since the last reset.
func (r *recorder) reset() map[string]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	used := r.used
	r.used = make(map[string]bool)
	return used
}

// start starts the proxy and returns its address.
func (r *recorder) start(t *testing.T) string {
	t.Helper()
	database, err := dynamodb.Start(t.Context(), dynamodb.Options{Progress: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { database.Stop() })
	target, err := url.Parse(database.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			t.Error(err)
		}
		q.Body = io.NopCloser(bytes.NewReader(body))
		_, action, _ := strings.Cut(q.Header.Get("X-Amz-Target"), ".")
		if !r.ignored(string(body)) {
			r.mu.Lock()
			for _, right := range rights(r.function, action, body) {
				r.used[right] = true
			}
			r.mu.Unlock()
		}
		proxy.ServeHTTP(w, q)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func (r *recorder) ignored(body string) bool {
	return slices.ContainsFunc(r.ignore, func(prefix string) bool { return strings.Contains(body, `{"S":"`+prefix) })
}

// rights renders the rights that a request needs: a transaction needs those of its items.
func rights(f functions.Function, action string, body []byte) (all []string) {
	if action != "TransactWriteItems" {
		return []string{right(f, action, string(body))}
	}
	var transaction struct {
		TransactItems []map[string]json.RawMessage
	}
	if json.Unmarshal(body, &transaction) != nil {
		return []string{action}
	}
	for _, item := range transaction.TransactItems {
		for kind, item := range item {
			all = append(all, right(f, kind+"Item", string(item)))
		}
	}
	return all
}

// right renders the right that a request needs.
func right(f functions.Function, action, body string) string {
	if strings.Contains(body, `"IndexName"`) {
		return action + " on the index"
	}
	for _, p := range f.Partitions {
		prefix, wildcard := strings.CutSuffix(p.Key, "*")
		if !wildcard {
			prefix += `"`
		}
		if strings.Contains(body, `{"S":"`+prefix) {
			return action + " on " + p.Key
		}
	}
	return action
}

// granted renders the rights of a function.
func granted(f functions.Function) []string {
	rights := slices.Clone(f.Table)
	for _, action := range f.Index {
		rights = append(rights, action+" on the index")
	}
	for _, p := range f.Partitions {
		for _, action := range p.Actions {
			rights = append(rights, action+" on "+p.Key)
		}
	}
	slices.Sort(rights)
	return rights
}

// TestRights makes every function do everything it can do, and compares the requests
// to DynamoDB with the rights in functions/routes.go. AWS would refuse a request
// without a right. A right without a request is not needed.
func TestRights(t *testing.T) {
	const authenticated, subscribed = "connect/open auth/sha256-token", "connect/open auth/sha256-token subscribe/two-categories"
	// runs lists, for every function, the events that prepare a run, the events of the
	// function, what else it can do, and partitions that other functions use then.
	runs := map[string]struct {
		before, events string
		more           func(t *testing.T, s *stack.Stack, prepare func(setup ...func()))
		ignore         []string
	}{
		"connect":     {"", "connect/project", nil, nil},
		"auth":        {"", "auth/wrong-token auth/sha256-token", renew, nil},
		"subscribe":   {authenticated, "subscribe/join-leave", leaveFormer, nil},
		"unsubscribe": {"", "unsubscribe/join-leave", nil, nil},
		"broadcast":   {subscribed, "broadcast/bidirectional", broadcastAll, nil},
		"disconnect":  {"", "disconnect/going-away", nil, nil},
		"message":     {"", "message/presence", converse, nil},
		"publish":     {subscribed, "publish/api-publish", callServerAPI, nil},
		"demo":        {"", "demo/token", applaud, []string{"S#", "U#"}}, // it publishes through the function publish
		"dispatch":    {"", "", drain, nil},
		"ping":        {"", "", sweep, nil},
		"webhook":     {"", "", failOnce, nil},
		"admin":       {subscribed, "admin/wrong-password", administer, nil},
	}
	for _, f := range functions.All {
		t.Run(f.Name, func(t *testing.T) {
			run, ok := runs[f.Name]
			if !ok {
				t.Fatal("the function has no run")
			}
			r := &recorder{function: f, ignore: run.ignore, used: make(map[string]bool)}
			endpoint := r.start(t)
			before := start(t, stack.Options{DynamoDBEndpoint: endpoint})
			used := make(map[string]bool)
			var s *stack.Stack
			prepare := func(setup ...func()) {
				if s != nil {
					s.Wait() // the connections are entered again
				}
				maps.Copy(used, r.reset())
				crowd(t, before, f.Name == "auth")
				hook(t, before)
				for _, event := range strings.Fields(run.before) {
					invoke(t, before, event)
				}
				for _, set := range setup {
					set()
				}
				r.reset()
			}
			prepare()
			// A second stack, whose caches are empty.
			s = start(t, stack.Options{DynamoDBEndpoint: endpoint})
			r.reset()
			clear(used)
			for _, event := range strings.Fields(run.events) {
				invoke(t, s, event)
			}
			if run.more != nil {
				run.more(t, s, prepare)
			}
			s.Wait()
			maps.Copy(used, r.reset())
			if diff := cmp.Diff(granted(f), slices.Sorted(maps.Keys(used))); diff != "" {
				t.Errorf("(-granted +used):\n%s", diff)
			}
		})
	}
}

// renew authenticates a connection, whose token has expired, as another user.
func renew(t *testing.T, s *stack.Stack, prepare func(setup ...func())) {
	t.Helper()
	prepare(func() {
		about := connectionOf(t, "disconnect/going-away")
		if err := s.App.Store.FinishClose(t.Context(), []hub.Connection{{ID: about}}); err != nil {
			t.Fatal(err)
		}
		if err := storetest.Enter(t.Context(), s.App.Store, hub.Connection{
			ID: about, Project: "demo", User: "former", Protocol: hub.Classic, Expires: time.Now().Add(time.Hour),
			TokenExpires: time.Now().Add(-time.Minute), Channels: map[hub.Channel]int{locate(t, s, "room:lobby"): 0},
		}); err != nil {
			t.Fatal(err)
		}
	})
	invoke(t, s, "auth/sha256-token")
}

// leaveFormer subscribes a connection that is in a channel of a former incarnation.
func leaveFormer(t *testing.T, s *stack.Stack, prepare func(setup ...func())) {
	t.Helper()
	const event = "subscribe/join-leave"
	prepare(func() {
		former := locate(t, s, "chat:lobby")
		former.Incarnation = "former"
		if err := storetest.Enter(t.Context(), s.App.Store, hub.Connection{
			ID: connectionOf(t, event), Project: "demo", Protocol: hub.Classic, Expires: time.Now().Add(time.Hour),
			Permissions: hub.Permissions{Everything: true}, Channels: map[hub.Channel]int{former: 0},
		}); err != nil {
			t.Fatal(err)
		}
	})
	invoke(t, s, event)
}

// converse floods, and uses Centrifugo's protocol.
func converse(t *testing.T, s *stack.Stack, prepare func(setup ...func())) {
	t.Helper()
	flood(t, s, prepare)
	token, err := auth.SignJWT("demo-secret", map[string]any{"sub": "ann", "exp": time.Now().Add(time.Hour).Unix()})
	if err != nil {
		t.Fatal(err)
	}
	var conn *websocket.Conn
	prepare(func() {
		keepHistory(t, s, "log")
		if conn, _, err = websocket.Dial(t.Context(), s.WebSocketURL+"?project=demo", nil); err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(func() { _ = conn.CloseNow() })
	for _, exchange := range [][2]string{
		{`{"id":1,"connect":{"token":"` + token + `"}}`, `"id":1`},
		{`{"id":2,"subscribe":{"channel":"log:x"}}`, `"id":2`},
		{`{"id":3,"publish":{"channel":"log:x","data":1}}`, `"id":3`},
		{`{"id":5,"history":{"channel":"log:x"}}`, `"id":5`},
		{`{}`, ""},
		{`{"id":6,"subscribe":{"channel":"log:x"}}`, `"id":6`},
		{`{"id":7,"unsubscribe":{"channel":"log:x"}}`, `"id":7`},
	} {
		if err := conn.Write(t.Context(), websocket.MessageText, []byte(exchange[0])); err != nil {
			t.Fatal(err)
		}
		for exchange[1] != "" {
			_, frame, err := conn.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(frame), `"error"`) {
				t.Fatalf("%s is answered %s", exchange[0], frame)
			}
			if strings.Contains(string(frame), exchange[1]) {
				break
			}
		}
	}
}

// flood makes a connection send faster than it may, so that it is closed.
func flood(t *testing.T, s *stack.Stack, prepare func(setup ...func())) {
	t.Helper()
	const event, hour = "message/presence", time.Hour
	prepare(func() {
		if err := storetest.Enter(t.Context(), s.App.Store, hub.Connection{
			ID: connectionOf(t, event), Project: "demo", Protocol: hub.Classic, Expires: time.Now().Add(hour),
			Permissions: hub.Permissions{Everything: true}, Channels: map[hub.Channel]int{locate(t, s, "room:lobby"): 0},
		}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.App.Store.Spend(t.Context(), connectionOf(t, event), hour, hour, time.Now()); err != nil {
			t.Fatal(err)
		}
	})
	invoke(t, s, event)
}

// broadcastAll broadcasts in a private category, and in one with history.
func broadcastAll(t *testing.T, s *stack.Stack, prepare func(setup ...func())) {
	t.Helper()
	const event = "broadcast/bidirectional"
	prepare(func() { enterPrivate(t, s, connectionOf(t, event)) })
	invoke(t, s, event)
	prepare(func() {
		enterPrivate(t, s, connectionOf(t, event))
		keepHistory(t, s, "chat")
	})
	invoke(t, s, event)
}

// drain drains a stream with two messages, whose dispatcher has died.
func drain(t *testing.T, s *stack.Stack, prepare func(setup ...func())) {
	t.Helper()
	var ch hub.Channel
	prepare(func() {
		enterPrivate(t, s, "other")
		keepHistory(t, s, "chat")
		ch = locate(t, s, "chat:lobby")
		appendDead(t, s, ch, 1, 2)
	})
	dispatch(t, s, ch)
	prepare(func() {
		p, err := s.App.Store.Project(t.Context(), "demo")
		if err != nil {
			t.Fatal(err)
		}
		stream, _ := p.Stream(ch)
		if head, err := s.App.Store.StreamHead(t.Context(), stream); err != nil || head.Done != 2 || head.Lease.ID != "" {
			t.Errorf("the head is %+v, error %v", head, err)
		}
	})
}

// sweep sends pings to connections without sockets: one whose token has ended, one that has renewed
// it, and one that stays.
func sweep(t *testing.T, s *stack.Stack, prepare func(setup ...func())) {
	t.Helper()
	prepare(func() {
		past, future := time.Now().Add(-time.Minute), time.Now().Add(time.Hour)
		for id, ends := range map[string]time.Time{"ended": past, "renewed": future, "stays": {}} {
			if err := storetest.Enter(t.Context(), s.App.Store, hub.Connection{
				ID: id, Project: "demo", Protocol: hub.Centrifugo, Expires: future, TokenExpires: ends, PingMinutes: 1,
				Channels: map[hub.Channel]int{locate(t, s, "room:lobby"): 0},
			}); err != nil {
				t.Fatal(err)
			}
			p := hub.Ping{Connection: id, Minutes: 1, Ends: ends}
			if id == "renewed" {
				p.Ends = past
			}
			if err := s.App.Store.PutPing(t.Context(), p, future); err != nil {
				t.Fatal(err)
			}
		}
	})
	if _, err := s.Functions[functions.Ping].Invoke(inInvocation(t), scheduled(t)); err != nil {
		t.Fatal(err)
	}
}

// appendDead appends numbers to the stream of a channel. Who announced them has died.
func appendDead(t *testing.T, s *stack.Stack, ch hub.Channel, numbers ...int) {
	t.Helper()
	p, err := s.App.Store.Project(t.Context(), ch.Project)
	if err != nil {
		t.Fatal(err)
	}
	stream, _ := p.Stream(ch)
	for _, n := range numbers {
		a, err := s.App.Store.Append(t.Context(), stream, hub.Message{ID: hub.NewID(time.Now()), Channel: ch, Data: json.RawMessage(strconv.Itoa(n))}, hub.AppendOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.App.Store.Announce(t.Context(), stream, a, hub.Lease{ID: hub.NewID(time.Now()), Until: time.Now().Add(-time.Minute)}); err != nil {
			t.Fatal(err)
		}
	}
}

// dispatch invokes the function dispatch for a channel.
func dispatch(t *testing.T, s *stack.Stack, ch hub.Channel) {
	t.Helper()
	event, err := json.Marshal(ch)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Functions[functions.Dispatch].Invoke(inInvocation(t), event); err != nil {
		t.Fatal(err)
	}
}

// keepHistory makes the channels of a category streams, whose subscribers may read the history.
func keepHistory(t *testing.T, s *stack.Stack, category string) {
	t.Helper()
	p, err := s.App.Store.ReadProject(t.Context(), "demo")
	if err != nil {
		t.Fatal(err)
	}
	c := p.Categories[category]
	c.HistorySize, c.HistoryTTL, c.AllowHistoryForSubscriber = 10, hub.Duration(time.Hour), true
	if err := s.App.Store.PutCategory(t.Context(), "demo", c); err != nil {
		t.Fatal(err)
	}
}

// enterPrivate makes the category chat private, and subscribes three connections to
// chat:lobby: a confirmed one, one whose right has ended, and one whose renewal was
// interrupted.
func enterPrivate(t *testing.T, s *stack.Stack, confirmed string) {
	t.Helper()
	p, err := s.App.Store.ReadProject(t.Context(), "demo")
	if err != nil {
		t.Fatal(err)
	}
	chat := p.Categories["chat"]
	chat.Private = true
	if err := s.App.Store.PutCategory(t.Context(), "demo", chat); err != nil {
		t.Fatal(err)
	}
	for id, ok := range map[string]bool{confirmed: true, "ended": false, "stale": true} {
		if err := storetest.Enter(t.Context(), s.App.Store, hub.Connection{
			ID: id, Project: "demo", Secret: p.SecretID(), Protocol: hub.Classic, Expires: time.Now().Add(time.Hour),
			Permissions: hub.Permissions{Everything: true, Confirmed: ok}, Channels: map[hub.Channel]int{locate(t, s, "chat:lobby"): 0},
		}); err != nil {
			t.Fatal(err)
		}
	}
	makeStale(t, s, locate(t, s, "chat:lobby"), "stale")
}

// makeStale replaces the basis of a subscription, as an interrupted renewal leaves it.
func makeStale(t *testing.T, s *stack.Stack, ch hub.Channel, connection string) {
	t.Helper()
	client := sdk.New(sdk.Options{
		Region: "us-east-1", BaseEndpoint: &s.DynamoDBEndpoint, Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	text := func(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
	partition := strings.Join([]string{"S", ch.Project, ch.Category + ":" + ch.Incarnation, ch.Name, "0"}, "#")
	if _, err := client.UpdateItem(t.Context(), &sdk.UpdateItemInput{
		TableName: aws.String(stack.Table), Key: map[string]types.AttributeValue{schema.PartitionKey: text(partition), schema.SortKey: text(connection)},
		UpdateExpression: aws.String("SET b = :b"), ConditionExpression: aws.String("attribute_exists(b)"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":b": text("former  ")},
	}); err != nil {
		t.Fatal(err)
	}
}

// connectionOf is the id of the connection that an event is about.
func connectionOf(t *testing.T, event string) string {
	t.Helper()
	var e events.APIGatewayWebsocketProxyRequest
	if err := json.Unmarshal(read(t, event), &e); err != nil {
		t.Fatal(err)
	}
	return e.RequestContext.ConnectionID
}

// callServerAPI calls the server API: publish with an idempotency key that succeeds
// and that fails, the methods about channels and users, and publish in a category with history.
func callServerAPI(t *testing.T, s *stack.Stack, prepare func(setup ...func())) {
	t.Helper()
	for _, call := range []struct{ method, body string }{
		{"publish", `{"channel":"live:today","data":1}`},
		{"publish", `{"channel":"live:today","data":1,"idempotency_key":"a"}`},
		{"publish", `{"channel":"news:today","data":1,"idempotency_key":"a"}`},
		{"publish", `{"channel":"news:today","data":"` + strings.Repeat("x", 40_000) + `","idempotency_key":"b"}`},
		{"channels", `{}`},
		{"unsubscribe", `{"user":"2694","channel":"chat:lobby"}`},
		{"disconnect", `{"user":"2694"}`},
	} {
		prepare(func() { keepHistory(t, s, "live") })
		var event map[string]any
		if err := json.Unmarshal(read(t, "publish/api-publish"), &event); err != nil {
			t.Fatal(err)
		}
		event["rawPath"], event["body"] = "/api/"+call.method, call.body
		payload, err := json.Marshal(event)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Functions["publish"].Invoke(t.Context(), payload); err != nil {
			t.Fatal(err)
		}
	}
}

// locate returns a channel of the project demo, "category:name", in the present incarnation
// of its category.
func locate(t *testing.T, s *stack.Stack, name string) hub.Channel {
	t.Helper()
	p, err := s.App.Store.Project(t.Context(), "demo")
	if err != nil {
		t.Fatal(err)
	}
	ch, err := hub.ParseChannel(p.ID, name)
	if err != nil {
		t.Fatal(err)
	}
	return p.Locate(ch)
}

// crowd subscribes two connections to the channel room:lobby: the one that the events
// are about, whose token may have expired, and another one that gets announcements.
// Neither has a socket, so posts to both answer 410.
func crowd(t *testing.T, s *stack.Stack, expired bool) {
	t.Helper()
	ch := locate(t, s, "room:lobby")
	for id, user := range map[string]string{connectionOf(t, "disconnect/going-away"): "2694", "other": "u"} {
		c := hub.Connection{
			ID: id, Project: "demo", User: user, Protocol: hub.Classic,
			Permissions: hub.Permissions{Everything: true}, Expires: time.Now().Add(time.Hour),
		}
		if expired && id != "other" {
			c.TokenExpires = time.Now().Add(-time.Minute)
		}
		// One channel is in a former incarnation of its category.
		former := ch
		former.Incarnation, former.Name = "former", "x"
		c.Channels = map[hub.Channel]int{ch: 0, former: 0}
		if err := storetest.Enter(t.Context(), s.App.Store, c); err != nil {
			t.Fatal(err)
		}
	}
}

// hook gives the project demo a webhook that fails the first time.
func hook(t *testing.T, s *stack.Stack) {
	t.Helper()
	var posts atomic.Int32
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if posts.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(receiver.Close)
	p, err := s.App.Store.ReadProject(t.Context(), "demo")
	if err != nil {
		t.Fatal(err)
	}
	p.Options.WebhookURL = receiver.URL
	if err := s.App.Store.PutProject(t.Context(), p); err != nil {
		t.Fatal(err)
	}
}

// failOnce posts a message to the webhook of hook, which fails, and posts it again.
func failOnce(t *testing.T, s *stack.Stack, _ func(setup ...func())) {
	t.Helper()
	if _, err := s.Functions["webhook"].Invoke(t.Context(), read(t, "webhook/message")); err == nil {
		t.Error("the first post did not fail")
	}
	invoke(t, s, "webhook/message")
}

// administer uses the admin pages through the gateway, which invokes only the function
// admin for these addresses.
func administer(t *testing.T, s *stack.Stack, prepare func(setup ...func())) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar}
	do := func(method, path, body string) {
		t.Helper()
		ask(t, client, method, s.HTTPURL+"/admin/"+path, body)
	}
	do(http.MethodPost, "api/sign-in", `{"password":"`+s.AdminPassword+`"}`)
	do(http.MethodPut, "api/projects/p", `{"id":"p","name":"p","options":{}}`)
	do(http.MethodPut, "api/projects/p/categories/c", `{"name":"c"}`)
	do(http.MethodDelete, "api/projects/p/categories/c", "")
	do(http.MethodDelete, "api/projects/p", "")
	for action, form := range map[string]url.Values{
		"publish":     {"channel": {"news:today"}, "data": {"1"}, "idempotency_key": {"a"}},
		"channels":    {},
		"unsubscribe": {"user": {"2694"}, "channel": {"chat:lobby"}},
		"disconnect":  {"user": {"2694"}},
	} {
		prepare()
		do(http.MethodPost, "projects/demo/actions/"+action, form.Encode())
	}
	prepare(func() { keepHistory(t, s, "live") })
	do(http.MethodPost, "projects/demo/actions/publish", url.Values{"channel": {"live:today"}, "data": {"1"}, "idempotency_key": {"a"}}.Encode())
	tooLarge := url.Values{"channel": {"news:today"}, "data": {`"` + strings.Repeat("x", 40_000) + `"`}, "idempotency_key": {"b"}}
	do(http.MethodPost, "projects/demo/actions/publish", tooLarge.Encode())
}

// applaud makes the example application count.
func applaud(t *testing.T, s *stack.Stack, _ func(setup ...func())) {
	t.Helper()
	ask(t, http.DefaultClient, http.MethodPost, s.HTTPURL+"/demo/applaud", `{}`)
	ask(t, http.DefaultClient, http.MethodGet, s.HTTPURL+"/demo/live", "")
}

// ask makes a request that must succeed.
func ask(t *testing.T, client *http.Client, method, address, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if strings.HasPrefix(body, "{") {
		r.Header.Set("Content-Type", "application/json")
	}
	w, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	answer, err := io.ReadAll(w.Body)
	if err != nil || w.StatusCode >= 300 || strings.Contains(string(answer), `"problems":{`) {
		t.Fatalf("%s %s: status %d, error %v: %s", method, address, w.StatusCode, err, answer)
	}
}
