package stack_test

import (
	"bufio"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"centrifuge/localstack/dynoxide/dynoxidetest"
	"centrifuge/localstack/stack"
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
	target, err := url.Parse(dynoxidetest.Endpoint(t))
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
	// does lists, for every function, what comes before, and then its own events.
	does := map[string]struct{ before, events string }{
		"connect":     {"", "connect/project"},
		"auth":        {"connect/open", "auth/wrong-token auth/sha256-token"},
		"subscribe":   {in, "subscribe/two-categories"},
		"unsubscribe": {subscribed, "unsubscribe/one-channel"},
		"broadcast":   {subscribed, "broadcast/bidirectional"},
		"disconnect":  {subscribed, "disconnect/going-away"},
		"message":     {"", "message/unknown-method"},
		"publish":     {subscribed, "publish/api-publish"},
		"demo":        {"", "demo/token"},
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
			if function == "publish" {
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
