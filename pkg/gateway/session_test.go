package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/hub"
)

// category adds a category to the project.
func (r *rig) category(t *testing.T, name string, o hub.CategoryOptions) {
	t.Helper()
	if err := r.store.PutCategory(t.Context(), projectID, hub.Category{Name: name, CategoryOptions: o}); err != nil {
		t.Fatal(err)
	}
}

// publish publishes as the application, and runs the dispatchers that it invokes.
func (r *rig) publish(t *testing.T, channel, data string, tags map[string]string) {
	t.Helper()
	p, err := r.store.ReadProject(t.Context(), projectID)
	if err != nil {
		t.Fatal(err)
	}
	ch, err := hub.ParseChannel("", channel)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.hub.Publish(t.Context(), p, ch, json.RawMessage(data), hub.PublishOptions{Tags: tags}); err != nil {
		t.Fatal(err)
	}
	r.drain(t)
}

// expect compares what clients got since the last call.
func (r *rig) expect(t *testing.T, what string, want ...string) {
	t.Helper()
	if got := r.take(); !slices.Equal(got, want) {
		t.Errorf("%s: got\n%s\nexpected\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// enter connects c1 as the user u1, with more claims.
func (r *rig) enter(t *testing.T, claims string) {
	t.Helper()
	r.open(t, "c1", projectID, "")
	r.send(t, "c1", signed(t, secret, `{"id":1,"connect":{"token":"JWT{"sub":"u1"`+claims+`}"}}`))
	if got := r.take(); len(got) != 1 || !strings.HasPrefix(got[0], `c1 < {"id":1,"connect":{"client":"c1"`) {
		t.Fatalf("got %s", got)
	}
}

func TestRightsOfExpiredSubscription(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	r.category(t, "room", hub.CategoryOptions{
		Private: true, Presence: true, HistorySize: 10, HistoryTTL: hub.Duration(time.Hour),
		AllowHistoryForSubscriber: true, AllowPublishForSubscriber: true, AllowPresenceForSubscriber: true,
	})
	r.enter(t, "")
	r.send(t, "c1", signed(t, secret, fmt.Sprintf(`{"id":2,"subscribe":{"channel":"room:x","token":"JWT{"sub":"u1","channel":"room:x","exp":%d}"}}`, start.Unix()+60)))
	r.send(t, "c1", `{"id":3,"presence_stats":{"channel":"room:x"}}`)
	r.expect(t, "before the end", `c1 < {"id":2,"subscribe":{"expires":true,"ttl":50}}`, `c1 < {"id":3,"presence_stats":{"num_clients":1,"num_users":1}}`)
	r.advance(2 * time.Minute)
	r.send(t, "c1", `{"id":4,"history":{"channel":"room:x","limit":1}}`+"\n"+`{"id":5,"publish":{"channel":"room:x","data":1}}`+"\n"+`{"id":6,"presence":{"channel":"room:x"}}`)
	const denied = `"error":{"code":103,"message":"permission denied"}}`
	r.expect(t, "after the end", `c1 < {"id":4,`+denied+`\n{"id":5,`+denied+`\n{"id":6,`+denied)
}

func TestRecoveryThatDoesNotFit(t *testing.T) {
	const many = 5
	for _, tt := range []struct {
		name         string
		data         string
		tags         map[string]string
		publications int
	}{
		{"data", `"` + strings.Repeat("x", 25<<10) + `"`, nil, many},
		{"tags", `1`, map[string]string{"a": strings.Repeat("x", 900)}, 125},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, hub.ProjectOptions{})
			r.category(t, "big", hub.CategoryOptions{HistorySize: 300, HistoryTTL: hub.Duration(time.Hour), ForceRecovery: true})
			for range tt.publications {
				r.publish(t, "big:x", tt.data, tt.tags)
			}
			r.enter(t, "")
			r.send(t, "c1", `{"id":2,"subscribe":{"channel":"big:x","recover":true}}`)
			r.expect(t, "subscribe", fmt.Sprintf(
				`c1 < {"id":2,"subscribe":{"recoverable":true,"epoch":"E","offset":%d,"positioned":true,"was_recovering":true}}`, tt.publications))
			r.publish(t, "big:x", `2`, nil)
			r.expect(t, "the next message", fmt.Sprintf(`c1 < {"push":{"channel":"big:x","pub":{"data":2,"offset":%d,"epoch":"E"}}}`, tt.publications+1))
		})
	}
	t.Run("the newest of two streams in a login", func(t *testing.T) {
		r := newRig(t, hub.ProjectOptions{})
		r.category(t, "last", hub.CategoryOptions{
			HistorySize: 1, HistoryTTL: hub.Duration(time.Hour), ForceRecovery: true, RecoveryMode: hub.CacheRecovery, AutoCacheRecover: true, MaxMessageBytes: 121 << 10,
		})
		for _, channel := range []string{"last:a", "last:b"} {
			r.publish(t, channel, `"`+strings.Repeat("x", 120<<10)+`"`, nil)
		}
		r.open(t, "c1", projectID, "")
		r.send(t, "c1", signed(t, secret, `{"id":1,"connect":{"token":"JWT{"sub":"u1","channels":["last:a","last:b"]}"}}`))
		got := r.take()
		if len(got) != 1 || strings.Contains(got[0], `"error"`) || strings.Count(got[0], `"recovered":true`) != 1 {
			t.Errorf("got %.300q", got)
		}
	})
	t.Run("two subscriptions of a login", func(t *testing.T) {
		r := newRig(t, hub.ProjectOptions{})
		for range many {
			r.publish(t, "news:a", `"`+strings.Repeat("x", 14<<10)+`"`, nil)
			r.publish(t, "news:b", `"`+strings.Repeat("x", 14<<10)+`"`, nil)
		}
		r.open(t, "c1", projectID, "")
		r.send(t, "c1", signed(t, secret,
			`{"id":1,"connect":{"token":"JWT{"sub":"u1","channels":["news:a","news:b"]}","subs":{"news:a":{"recover":true},"news:b":{"recover":true}}}}`))
		got := r.take()
		if len(got) != 1 || strings.Contains(got[0], `"error"`) || strings.Count(got[0], `"recovered":true`) != 1 || strings.Count(got[0], `"was_recovering":true`) != 2 {
			t.Errorf("got %.300q", got)
		}
	})
}

// TestHistoryThatDoesNotFit: a client gets as much as a reply may have, and reads on.
func TestHistoryThatDoesNotFit(t *testing.T) {
	const publications = 20
	tags := map[string]string{"a": strings.Repeat("\x01", 900)}
	for name, publish := range map[string]func(*rig){
		"data": func(r *rig) { r.publish(t, "log:x", `"`+strings.Repeat("x", 25<<10)+`"`, nil) },
		"tags": func(r *rig) { r.publish(t, "long:x", `"`+strings.Repeat("x", 2<<10)+`"`, tags) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, hub.ProjectOptions{})
			r.category(t, "long", hub.CategoryOptions{HistorySize: 300, HistoryTTL: hub.Duration(time.Hour), AllowHistoryForClient: true})
			for range publications {
				publish(r)
			}
			r.enter(t, "")
			channel := map[string]string{"data": "log:x", "tags": "long:x"}[name]
			r.send(t, "c1", fmt.Sprintf(`{"id":2,"history":{"channel":%q,"limit":-1}}`, channel))
			got := r.take()
			if len(got) != 1 || !strings.Contains(got[0], `"epoch":"E","offset":20}}`) || len(got[0]) < 100<<10 || len(got[0]) > hub.MaxMessageBytes {
				t.Errorf("got %d replies, %.300q", len(got), got)
			}
		})
	}
}

// TestRecoveryBesideData: what the application attaches to a subscription is in the same reply.
func TestRecoveryBesideData(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{ProxyConnectURL: "https://a.example", ProxySubscribeURL: "https://a.example"})
	r.category(t, "asked", hub.CategoryOptions{HistorySize: 10, HistoryTTL: hub.Duration(time.Hour), ForceRecovery: true, SubscribeProxyEnabled: true})
	long := `"` + strings.Repeat("x", 30<<10) + `"`
	for range 3 {
		r.publish(t, "news:a", long, nil)
		r.publish(t, "asked:a", long, nil)
	}
	data := json.RawMessage(`"` + strings.Repeat("d", 50<<10) + `"`)
	r.application = func(q hub.ProxyRequest) (hub.ProxyResult, error) {
		if q.Proxy == hub.SubscribeProxy {
			return hub.ProxyResult{Data: data}, nil
		}
		return hub.ProxyResult{User: "u1", Subscriptions: map[hub.Channel]hub.SubscribeOptions{{Category: "news", Name: "a"}: {Data: data}}}, nil
	}
	r.open(t, "c1", projectID, "")
	r.send(t, "c1", `{"id":1,"connect":{"subs":{"news:a":{"recover":true}}}}`)
	checkUnrecovered(t, r.take(), "connect")
	r.send(t, "c1", `{"id":2,"subscribe":{"channel":"asked:a","recover":true}}`)
	checkUnrecovered(t, r.take(), "subscribe")
}

func checkUnrecovered(t *testing.T, got []string, reply string) {
	t.Helper()
	if len(got) != 1 || !strings.Contains(got[0], fmt.Sprintf(`,%q:{`, reply)) || strings.Contains(got[0], `"recovered":true`) || !strings.Contains(got[0], `"was_recovering":true`) {
		t.Errorf("got %.300q, expected the reply to %s, and that nothing is recovered", got, reply)
	}
}

// TestRecoveriesOfOneFrame: each subscribe has a reply of its own, and the frame room for more than
// one reply has.
func TestRecoveriesOfOneFrame(t *testing.T) {
	const channels, fit = 16, 12
	r := newRig(t, hub.ProjectOptions{})
	r.category(t, "big", hub.CategoryOptions{HistorySize: 300, HistoryTTL: hub.Duration(time.Hour), ForceRecovery: true})
	var frame []string
	for n := range channels {
		for range 3 {
			r.publish(t, fmt.Sprintf("big:%d", n), `"`+strings.Repeat("x", 28<<10)+`"`, nil)
		}
		frame = append(frame, fmt.Sprintf(`{"id":%d,"subscribe":{"channel":"big:%d","recover":true}}`, n+2, n))
	}
	r.enter(t, "")
	r.send(t, "c1", strings.Join(frame, "\n"))
	recovered, was := 0, 0
	for _, got := range r.take() {
		recovered += strings.Count(got, `"recovered":true`)
		was += strings.Count(got, `"was_recovering":true`)
	}
	if recovered != fit || was != channels {
		t.Errorf("%d of %d were recovered, expected %d of %d", recovered, was, fit, channels)
	}
}

// TestRecoveryOfOneOfTwo: what cannot be recovered leaves its room in the reply to others.
func TestRecoveryOfOneOfTwo(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	for n := range 10 {
		r.publish(t, "news:a", `"`+strings.Repeat("x", 25<<10)+`"`, nil)
		if n < 2 {
			r.publish(t, "news:b", `"`+strings.Repeat("x", 14<<10)+`"`, nil)
		}
	}
	for n := range 10 { // the order in which they are read is by chance
		c := fmt.Sprint("c", n)
		r.open(t, c, projectID, "")
		r.send(t, c, signed(t, secret,
			`{"id":1,"connect":{"token":"JWT{"sub":"u1","channels":["news:a","news:b"]}","subs":{"news:a":{"recover":true},"news:b":{"recover":true}}}}`))
		if got := r.take(); len(got) != 1 || !strings.Contains(got[0], `"news:b":{"recoverable":true,"epoch":"E","publications"`) || strings.Count(got[0], `"recovered":true`) != 1 {
			t.Errorf("got %.300q", got)
		}
	}
}

// TestLeaveOfClientThatIsNotKnown: where a subscription cannot be read that a token may hide, its leave
// is not announced.
func TestLeaveOfClientThatIsNotKnown(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	r.converse(t, `
		open c2 ?p
		c2 > {"id":1,"connect":{"token":"JWT{"sub":"u2"}"}}\n{"id":2,"subscribe":{"channel":"chat:x","join_leave":true}}
		c2 < {"id":1,"connect":{"client":"c2","version":"centrifuge","ping":7200,"pong":true}}\n{"id":2,"subscribe":{}}
		c2 < {"push":{"channel":"chat:x","join":{"info":{"user":"u2","client":"c2"}}}}
		open c1 ?p
		c1 > {"id":1,"connect":{"token":"JWT{"sub":"u1","subs":{"chat:x":{"override":{"join_leave":{"value":false}}}}}"}}
		c1 < {"id":1,"connect":{"client":"c1","version":"centrifuge","subs":{"chat:x":{}},"ping":7200,"pong":true}}
	`)
	r.store.Requests.Intercept = func(operation string, q *http.Request) (*http.Response, error) {
		if operation != "Query" {
			return nil, nil
		}
		body, err := io.ReadAll(q.Body)
		q.Body = io.NopCloser(bytes.NewReader(body))
		if bytes.Contains(body, []byte(`"S#`)) && bytes.Contains(body, []byte(`"c1"`)) {
			return nil, context.Canceled
		}
		return nil, err
	}
	p, err := r.store.ReadProject(t.Context(), projectID)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.hub.DisconnectUser(t.Context(), p, "u1", hub.DisconnectRequest{Code: 4500, Reason: "bye"}); err != nil {
		t.Error(err)
	}
	r.expect(t, "a disconnect", `c1 < {"push":{"disconnect":{"code":4500,"reason":"bye"}}}`, "c1 closed")
}

// TestDisconnectOfClientThatLeaves: a request disconnects a client whose connection, or subscription,
// ends between the read of the connection and the write that hides its subscriptions.
func TestDisconnectOfClientThatLeaves(t *testing.T) {
	for name, leave := range map[string]func(*testing.T, *rig){
		"the connection ends": func(t *testing.T, r *rig) {
			e := event("$disconnect", "c1", "")
			e.RequestContext.EventType = "DISCONNECT"
			if response, err := r.routes["$disconnect"](t.Context(), e); err != nil || response.StatusCode != http.StatusOK {
				t.Errorf("disconnect: %+v, %v", response, err)
			}
		},
		"the subscription ends": func(t *testing.T, r *rig) { r.send(t, "c1", `{"id":3,"unsubscribe":{"channel":"plain:x"}}`) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, hub.ProjectOptions{})
			r.enter(t, "")
			r.send(t, "c1", `{"id":2,"subscribe":{"channel":"plain:x"}}`)
			p, err := r.store.ReadProject(t.Context(), projectID)
			if err != nil {
				t.Fatal(err)
			}
			var left atomic.Bool
			r.store.Requests.Intercept = func(operation string, _ *http.Request) (*http.Response, error) {
				if operation == "BatchWriteItem" && !left.Swap(true) {
					leave(t, r)
				}
				return nil, nil
			}
			if err := r.hub.DisconnectUser(t.Context(), p, "u1", hub.DisconnectRequest{Code: 4500, Reason: "bye"}); err != nil {
				t.Error(err)
			}
			where := hub.Gone{Connection: "c1", Channel: p.Locate(hub.Channel{Category: "plain", Name: "x"})}
			if s, _, err := r.store.ReadSubscriber(t.Context(), where); s.Connection != "" || err != nil {
				t.Errorf("the subscription remains: %+v, %v", s, err)
			}
		})
	}
}

// TestLostServerSubscription: a client does not subscribe again to what the server has made.
func TestLostServerSubscription(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	r.enter(t, `,"channels":["news:a"]`)
	var failed atomic.Bool
	r.failing = func(string) bool { return !failed.Swap(true) }
	r.publish(t, "news:a", `1`, nil)
	r.expect(t, "a message whose post has failed", "c1 closed")
}

// TestExpiredServerSubscription: a client that connects again gets what the server makes.
func TestExpiredServerSubscription(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	r.enter(t, "")
	p, err := r.store.ReadProject(t.Context(), projectID)
	if err != nil {
		t.Fatal(err)
	}
	request := hub.SubscribeRequest{Channel: hub.Channel{Category: "plain", Name: "x"}, Expires: start.Add(time.Minute)}
	if err := r.hub.SubscribeUser(t.Context(), p, "u1", request); err != nil {
		t.Fatal(err)
	}
	r.publish(t, "plain:x", `1`, nil)
	r.expect(t, "before the end", `c1 < {"push":{"channel":"plain:x","subscribe":{}}}`, `c1 < {"push":{"channel":"plain:x","pub":{"data":1}}}`)
	r.advance(time.Minute)
	r.publish(t, "plain:x", `2`, nil)
	r.expect(t, "after the end", "c1 closed")
}

// TestSubscribeWhileFormerEnds subscribes again between the reads and the write that end an expired
// subscription.
func TestSubscribeWhileFormerEnds(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	r.enter(t, "")
	subscribe := func(id int, ends time.Time) {
		r.send(t, "c1", signed(t, secret, fmt.Sprintf(`{"id":%d,"subscribe":{"channel":"closed:x","token":"JWT{"sub":"u1","channel":"closed:x","exp":%d}"}}`, id, ends.Unix())))
	}
	subscribe(2, start.Add(time.Minute))
	r.advance(time.Minute)
	r.take()
	var again atomic.Bool
	r.store.Requests.Intercept = func(operation string, _ *http.Request) (*http.Response, error) {
		if operation == "TransactWriteItems" && !again.Swap(true) {
			subscribe(3, start.Add(time.Hour))
		}
		return nil, nil
	}
	r.publish(t, "closed:x", `1`, nil)
	r.publish(t, "closed:x", `2`, nil)
	r.expect(t, "two messages", `c1 < {"id":3,"subscribe":{"expires":true,"ttl":3530}}`, `c1 < {"push":{"channel":"closed:x","pub":{"data":2}}}`)
}

func TestRefreshOfApplicationAfterTheEnd(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	r.enter(t, fmt.Sprintf(`,"exp":%d`, start.Unix()+60))
	r.send(t, "c1", `{"id":2,"subscribe":{"channel":"news:a"}}`)
	r.take()
	r.advance(2 * time.Minute)
	r.publish(t, "news:a", `1`, nil)
	p, err := r.store.ReadProject(t.Context(), projectID)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.hub.RefreshUser(t.Context(), p, "u1", hub.RefreshRequest{Expires: r.clock().Add(time.Hour)}); err != nil {
		t.Error(err)
	}
	r.expect(t, "a refresh", "c1 closed") // it connects again, and recovers
}

// TestLoginWhoseAnswerIsLost: the SDK of DynamoDB repeats the write, whose condition fails then.
func TestLoginWhoseAnswerIsLost(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	r.open(t, "c1", projectID, "")
	var updates atomic.Int32
	r.store.Requests.Intercept = func(op string, q *http.Request) (*http.Response, error) {
		if op != "UpdateItem" || updates.Add(1) != 2 { // the first accounts for the frame
			return nil, nil
		}
		response, err := http.DefaultTransport.RoundTrip(q)
		if err != nil {
			return nil, err
		}
		return nil, errors.Join(response.Body.Close(), errors.New("connection reset by peer"))
	}
	r.send(t, "c1", signed(t, secret, `{"id":1,"connect":{"token":"JWT{"sub":"u1"}"}}`))
	r.expect(t, "a connect", `c1 < {"id":1,"error":{"code":3010,"message":"insufficient state","temporary":true}}`, "c1 closed")
}

// TestRequestsDuringLogin makes requests about a user between the reply to its login and the write that
// it has the reply.
func TestRequestsDuringLogin(t *testing.T) {
	chat := hub.Channel{Category: "chat", Name: "x"}
	for _, test := range []struct {
		name    string
		request func(*rig, *hub.Project) error
		want    []string
	}{
		{"subscribe", func(r *rig, p *hub.Project) error {
			return r.hub.SubscribeUser(t.Context(), p, "u1", hub.SubscribeRequest{Channel: chat})
		}, []string{`c1 < {"push":{"channel":"chat:x","subscribe":{}}}`}},
		{"disconnect", func(r *rig, p *hub.Project) error {
			return r.hub.DisconnectUser(t.Context(), p, "u1", hub.DisconnectRequest{Code: 4500, Reason: "banned"})
		}, []string{`c1 < {"push":{"disconnect":{"code":4500,"reason":"banned"}}}`, "c1 closed"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, hub.ProjectOptions{})
			p, err := r.store.ReadProject(t.Context(), projectID)
			if err != nil {
				t.Fatal(err)
			}
			var replied, waited sync.Once
			waiting, written, completed := make(chan struct{}), make(chan struct{}), make(chan error, 1)
			r.waiting = func() {
				waited.Do(func() { close(waiting) })
				<-written
			}
			r.posting = func(string) {
				replied.Do(func() {
					go func() { completed <- test.request(r, p) }()
					<-waiting
				})
			}
			r.open(t, "c1", projectID, "")
			r.send(t, "c1", signed(t, secret, `{"id":1,"connect":{"token":"JWT{"sub":"u1"}"}}`))
			close(written)
			if err := <-completed; err != nil {
				t.Error(err)
			}
			r.expect(t, "a request", append([]string{`c1 < {"id":1,"connect":{"client":"c1","version":"centrifuge","ping":7200,"pong":true}}`}, test.want...)...)
		})
	}
}

// TestPublishDuringSubscribe publishes between the read of the stream and the write of the subscription,
// which a connection that was not in the channel makes at the same time.
func TestPublishDuringSubscribe(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	r.enter(t, "")
	r.publish(t, "news:a", `1`, nil)
	var opened, written sync.Once
	read := make(chan struct{})
	r.store.Requests.Intercept = func(operation string, q *http.Request) (*http.Response, error) {
		switch operation {
		case "TransactWriteItems":
			written.Do(func() {
				<-read
				r.publish(t, "news:a", `2`, nil)
			})
		case "Query":
			body, err := io.ReadAll(q.Body)
			if q.Body = io.NopCloser(bytes.NewReader(body)); err != nil || !bytes.Contains(body, []byte(`"H#`)) {
				return nil, err
			}
			response, err := http.DefaultTransport.RoundTrip(q)
			opened.Do(func() { close(read) })
			return response, err
		}
		return nil, nil
	}
	r.send(t, "c1", `{"id":2,"subscribe":{"channel":"news:a","recover":true}}`)
	r.expect(t, "a subscribe",
		`c1 < {"id":2,"subscribe":{"recoverable":true,"epoch":"E","publications":[{"data":1,"offset":1}],"recovered":true,"positioned":true,"was_recovering":true}}`,
		`c1 < {"push":{"channel":"news:a","pub":{"data":2,"offset":2,"epoch":"E"}}}`)
}

// TestResubscribeDuringPost: a post to the former subscription is on its way.
func TestResubscribeDuringPost(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	r.enter(t, "")
	r.send(t, "c1", `{"id":2,"subscribe":{"channel":"news:a"}}`)
	r.publish(t, "news:a", `1`, nil)
	r.take()
	var (
		once                     atomic.Bool
		published, left, entered = make(chan struct{}), make(chan struct{}), make(chan struct{})
	)
	r.waiting = func() { <-published }
	r.posting = func(string) {
		if once.Swap(true) {
			return
		}
		go func() {
			defer close(entered)
			r.send(t, "c1", `{"id":3,"unsubscribe":{"channel":"news:a"}}`)
			close(left)
			r.send(t, "c1", `{"id":4,"subscribe":{"channel":"news:a","recover":true,"offset":1}}`)
		}()
		<-left
	}
	r.publish(t, "news:a", `2`, nil)
	close(published)
	<-entered
	got := strings.Join(r.take(), "\n")
	// The former subscription got it before it ended, and the new one recovers it: once each.
	if strings.Count(got, `"pub":{"data":2`) != 1 || !strings.Contains(got, `"publications":[{"data":2,"offset":2}]`) || strings.LastIndex(got, `"push"`) > strings.Index(got, `{"id":4,`) {
		t.Errorf("got\n%s", got)
	}
}

// TestResubscribeDuringAdmission subscribes again while the former subscription gets what was
// published during its reply.
func TestResubscribeDuringAdmission(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	r.enter(t, "")
	r.publish(t, "news:a", `1`, nil)
	var (
		posts                      atomic.Int32
		waited                     sync.Once
		admitted, waiting, entered = make(chan struct{}), make(chan struct{}), make(chan struct{})
	)
	r.waiting = func() {
		waited.Do(func() { close(waiting) })
		<-admitted
	}
	r.posting = func(string) {
		switch posts.Add(1) {
		case 1: // the reply
			r.publish(t, "news:a", `2`, nil)
		case 2: // what it has missed
			go func() {
				defer close(entered)
				r.send(t, "c1", `{"id":3,"unsubscribe":{"channel":"news:a"}}`)
				r.send(t, "c1", `{"id":4,"subscribe":{"channel":"news:a","recover":true,"offset":1}}`)
			}()
			select {
			case <-waiting:
			case <-entered:
			}
		}
	}
	r.send(t, "c1", `{"id":2,"subscribe":{"channel":"news:a"}}`)
	close(admitted)
	<-entered
	got := strings.Join(r.take(), "\n")
	if strings.Count(got, `"pub":{"data":2`) != 1 || !strings.Contains(got, `"publications":[{"data":2,"offset":2}]`) || strings.LastIndex(got, `"push"`) > strings.Index(got, `{"id":4,`) {
		t.Errorf("got\n%s", got)
	}
}

func TestReadsOfOneFrame(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	r.enter(t, "")
	var frame, want []string
	for id := 2; id < 20; id++ {
		frame = append(frame, fmt.Sprintf(`{"id":%d,"presence_stats":{"channel":"chat:x"}}`, id))
		reply := fmt.Sprintf(`{"id":%d,"presence_stats":{"num_clients":0,"num_users":0}}`, id)
		if id >= 18 {
			reply = fmt.Sprintf(`{"id":%d,"error":{"code":111,"message":"too many requests: a frame may read at most 16 histories and presences","temporary":true}}`, id)
		}
		want = append(want, reply)
	}
	r.send(t, "c1", strings.Join(frame, "\n"))
	r.expect(t, "18 reads", "c1 < "+strings.Join(want, `\n`))
}

func TestFloodOfPongs(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	r.enter(t, "")
	for range 2100 {
		r.send(t, "c1", "{}")
	}
	r.expect(t, "2,100 pongs at once", "c1 closed")
}

func TestFloodBeforeLogin(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	r.open(t, "c1", projectID, "")
	waits := 0
	r.waiting = func() {
		if waits++; waits < 30 {
			r.sendAt(t, "c1", `{"id":1,"ping":{}}`, start)
		}
	}
	r.send(t, "c1", `{"id":1,"ping":{}}`)
	if waits > 25 { // a command that waits costs a second, and 20 are allowed at once
		t.Errorf("%d commands wait", waits)
	}
}

// TestInfoOfExpiredSubscription ends subscriptions, one of them by the end of its connection: their
// leaves have the info that their joins had.
func TestInfoOfExpiredSubscription(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	r.converse(t, `
		open c1 ?p
		c1 > {"id":1,"connect":{"token":"JWT{"sub":"u1"}"}}\n{"id":2,"subscribe":{"channel":"chat:x","join_leave":true}}
		c1 < {"id":1,"connect":{"client":"c1","version":"centrifuge","ping":7200,"pong":true}}\n{"id":2,"subscribe":{}}
		c1 < {"push":{"channel":"chat:x","join":{"info":{"user":"u1","client":"c1"}}}}
		open c2 ?p
		c2 > {"id":1,"connect":{"token":"JWT{"sub":"u2"}"}}
		c2 < {"id":1,"connect":{"client":"c2","version":"centrifuge","ping":7200,"pong":true}}
		c2 > {"id":2,"subscribe":{"channel":"chat:x","token":"JWT{"sub":"u2","channel":"chat:x","info":{"n":1},"exp":1800000060}"}}
		c1 < {"push":{"channel":"chat:x","join":{"info":{"user":"u2","client":"c2","chan_info":{"n":1}}}}}
		c2 < {"id":2,"subscribe":{"expires":true,"ttl":50}}
		open c3 ?p
		c3 > {"id":1,"connect":{"token":"JWT{"sub":"u3"}"}}
		c3 < {"id":1,"connect":{"client":"c3","version":"centrifuge","ping":7200,"pong":true}}`)
	p, err := r.store.ReadProject(t.Context(), projectID)
	if err != nil {
		t.Fatal(err)
	}
	request := hub.SubscribeRequest{Channel: hub.Channel{Category: "chat", Name: "x"}, Expires: start.Add(time.Minute), SubscribeOptions: hub.SubscribeOptions{Info: json.RawMessage(`{"n":2}`)}}
	if err := r.hub.SubscribeUser(t.Context(), p, "u3", request); err != nil {
		t.Fatal(err)
	}
	r.expect(t, "subscribe", `c1 < {"push":{"channel":"chat:x","join":{"info":{"user":"u3","client":"c3","chan_info":{"n":2}}}}}`,
		`c3 < {"push":{"channel":"chat:x","subscribe":{}}}`)
	r.advance(time.Minute)
	r.publish(t, "chat:x", `1`, nil)
	got := r.take()
	slices.Sort(got) // two connections end at the same time
	if d := cmp.Diff([]string{
		`c1 < {"push":{"channel":"chat:x","leave":{"info":{"user":"u2","client":"c2","chan_info":{"n":1}}}}}`,
		`c1 < {"push":{"channel":"chat:x","leave":{"info":{"user":"u3","client":"c3","chan_info":{"n":2}}}}}`,
		`c1 < {"push":{"channel":"chat:x","pub":{"data":1}}}`,
		`c2 < {"push":{"channel":"chat:x","unsubscribe":{"code":2501,"reason":"subscription expired"}}}`,
		`c3 closed`,
	}, got); d != "" {
		t.Errorf("after the end (-expected +got):\n%s", d)
	}
}
