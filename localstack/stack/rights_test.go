package stack_test

import (
	"bufio"
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
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"centrifuge/localstack/dynamodb"
	"centrifuge/localstack/stack"
	"centrifuge/pkg/hub"
)

// recorder is a DynamoDB that notes which actions it is asked for.
type recorder struct {
	mu      sync.Mutex
	actions map[string]bool
}

func (r *recorder) reset() map[string]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := r.actions
	r.actions = make(map[string]bool)
	return seen
}

// record starts a proxy before a DynamoDB and returns its address.
func (r *recorder) record(t *testing.T) string {
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
		_, action, _ := strings.Cut(q.Header.Get("X-Amz-Target"), ".")
		r.mu.Lock()
		r.actions[action] = true
		r.mu.Unlock()
		proxy.ServeHTTP(w, q)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// granted reads what each function may do with the table from the record of the
// CDK stack with every option on.
func granted(t *testing.T) map[string][]string {
	t.Helper()
	f, err := os.Open("../../infra/testdata/full.golden")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rights, function := make(map[string][]string), ""
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, ok := strings.CutPrefix(lines.Text(), "function "); ok {
			function = name
			rights[function] = nil
		}
		may, ok := strings.CutPrefix(strings.TrimSpace(lines.Text()), "may ")
		if !ok {
			continue
		}
		for _, word := range strings.Fields(may) {
			if action, ok := strings.CutPrefix(word, "dynamodb:"); ok && !slices.Contains(rights[function], action) {
				rights[function] = append(rights[function], action)
			}
		}
	}
	for _, actions := range rights {
		slices.Sort(actions)
	}
	return rights
}

// TestRightsAreWhatIsUsed has every function do all that it can do, and compares
// the actions with what the CDK stack grants: one more would be refused on AWS, one
// less is a right that nobody needs.
func TestRightsAreWhatIsUsed(t *testing.T) {
	const in, subscribed = "connect/open auth/sha256-token", "connect/open auth/sha256-token subscribe/two-categories"
	// does lists, for every function, what comes before, after a crowd, and then its own
	// events.
	does := map[string]struct{ before, events string }{
		"connect":     {"", "connect/project"},
		"auth":        {"", "auth/wrong-token auth/sha256-token"},
		"subscribe":   {in, "subscribe/join-leave"},
		"unsubscribe": {"", "unsubscribe/join-leave"},
		"broadcast":   {subscribed, "broadcast/bidirectional"},
		"disconnect":  {"", "disconnect/going-away"},
		"message":     {"", "message/presence"},
		"publish":     {subscribed, "publish/api-publish"},
		"demo":        {"", "demo/token"},
		"webhook":     {"", "webhook/message"},
		"admin":       {subscribed, "admin/wrong-password"},
	}
	// calls are further calls of the server API: with a key, so that a claim is made,
	// with one that fails, so that it is freed, and all that concerns users.
	calls := []struct{ method, body string }{
		{"publish", `{"channel":"news:today","data":1,"idempotency_key":"a"}`},
		{"publish", `{"channel":"news:today","data":"` + strings.Repeat("x", 40_000) + `","idempotency_key":"b"}`},
		{"channels", `{}`},
		{"unsubscribe", `{"user":"2694","channel":"chat:lobby"}`},
		{"disconnect", `{"user":"2694"}`},
	}
	rights := granted(t)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(rights)), slices.Sorted(maps.Keys(does))); diff != "" {
		t.Fatalf("-granted to +tested:\n%s", diff)
	}
	for function, do := range does {
		t.Run(function, func(t *testing.T) {
			r := &recorder{actions: make(map[string]bool)}
			endpoint := r.record(t)
			before := start(t, stack.Options{DynamoDBEndpoint: endpoint})
			prepare := func() {
				crowd(t, before, function == "auth")
				for _, event := range strings.Fields(do.before) {
					invoke(t, before, event)
				}
			}
			prepare()
			// A process of its own, which has read nothing yet.
			s := start(t, stack.Options{DynamoDBEndpoint: endpoint})
			r.reset()
			for _, event := range strings.Fields(do.events) {
				invoke(t, s, event)
			}
			used := r.reset()
			switch function {
			case "admin":
				administer(t, s, func() {
					maps.Copy(used, r.reset())
					prepare()
					r.reset()
				})
				maps.Copy(used, r.reset())
			case "demo":
				applaud(t, s)
				maps.Copy(used, r.reset())
			case "publish":
				for _, call := range calls {
					prepare()
					r.reset()
					var event map[string]any
					if err := json.Unmarshal(read(t, "publish/api-publish"), &event); err != nil {
						t.Fatal(err)
					}
					event["rawPath"], event["body"] = "/api/"+call.method, call.body
					payload, err := json.Marshal(event)
					if err != nil {
						t.Fatal(err)
					}
					if _, err := s.Functions[function].Invoke(t.Context(), payload); err != nil {
						t.Fatal(err)
					}
					maps.Copy(used, r.reset())
				}
			}
			if diff := cmp.Diff(rights[function], slices.Sorted(maps.Keys(used))); diff != "" {
				t.Errorf("-granted +used:\n%s", diff)
			}
		})
	}
}

// crowd puts two into the channel room:lobby: one that the events are about, whose
// token may have expired, and one who is told of that. Neither has a socket, so that
// both turn out to be over.
func crowd(t *testing.T, s *stack.Stack, expired bool) {
	t.Helper()
	ch := hub.Channel{Project: "demo", Category: "room", Name: "lobby"}
	var about events.APIGatewayWebsocketProxyRequest
	if err := json.Unmarshal(read(t, "disconnect/going-away"), &about); err != nil {
		t.Fatal(err)
	}
	for id, user := range map[string]string{about.RequestContext.ConnectionID: "2694", "other": "u"} {
		c := hub.Connection{
			ID: id, Project: "demo", User: user, Protocol: hub.Classic,
			Permissions: hub.Permissions{Everything: true}, Expires: time.Now().Add(time.Hour),
		}
		if expired && id != "other" {
			c.TokenExpires = time.Now().Add(-time.Minute)
		}
		if err := s.App.Store.OpenConnection(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.App.Store.Authenticate(t.Context(), c, time.Now()); err != nil {
			t.Fatal(err)
		}
		if err := s.App.Store.Subscribe(t.Context(), c, map[hub.Channel]int{ch: 1}); err != nil {
			t.Fatal(err)
		}
	}
}

// administer does what the admin pages can do beyond what their events do, through
// the gateway: for these addresses it invokes no other function.
func administer(t *testing.T, s *stack.Stack, prepare func()) {
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
	tooLarge := url.Values{"channel": {"news:today"}, "data": {`"` + strings.Repeat("x", 40_000) + `"`}, "idempotency_key": {"b"}}
	do(http.MethodPost, "projects/demo/actions/publish", tooLarge.Encode())
}

// applaud has the example application count.
func applaud(t *testing.T, s *stack.Stack) {
	t.Helper()
	ask(t, http.DefaultClient, http.MethodPost, s.HTTPURL+"/demo/applaud", `{}`)
	ask(t, http.DefaultClient, http.MethodGet, s.HTTPURL+"/demo/live", "")
}

// ask makes a request that has to succeed.
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
