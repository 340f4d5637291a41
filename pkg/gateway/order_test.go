package gateway_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"centrifuge/pkg/hub"
)

// TestCommandsBeforeLogin sends commands that overtake the connect of their client.
func TestCommandsBeforeLogin(t *testing.T) {
	const subscribe = `{"id":2,"subscribe":{"channel":"plain:x"}}`
	for _, c := range []struct {
		name    string
		connect string
		after   int // waits; 0 for never
		waits   int
		want    []string
	}{
		{
			name: "a connect during the first wait", connect: `{"id":1,"connect":{"token":"JWT{"sub":"u1"}"}}`, after: 1, waits: 1,
			want: []string{`c1 < {"id":1,"connect":{"client":"c1","version":"centrifuge","ping":7200,"pong":true}}`, `c1 < {"id":2,"subscribe":{}}`},
		},
		{
			// 20 + 40 + 80 + 160 + 23 * 200 ms are less than 5 s.
			name: "a connect during the last wait", connect: `{"id":1,"connect":{"token":"JWT{"sub":"u1"}"}}`, after: 28, waits: 28,
			want: []string{`c1 < {"id":1,"connect":{"client":"c1","version":"centrifuge","ping":7200,"pong":true}}`, `c1 < {"id":2,"subscribe":{}}`},
		},
		{
			name: "a connect that is refused", connect: `{"id":1,"connect":{"token":"x"}}`, after: 2, waits: 2,
			want: []string{`c1 < {"id":1,"error":{"code":3500,"message":"invalid token"}}`, "c1 closed"},
		},
		{
			name: "no connect", waits: 28,
			want: []string{`c1 < {"push":{"disconnect":{"code":3501,"reason":"bad request"}}}`, "c1 closed"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, hub.ProjectOptions{})
			r.open(t, "c1", projectID, "")
			waits := 0
			r.waiting = func() {
				if waits++; waits == c.after {
					r.send(t, "c1", signed(t, secret, c.connect))
				}
			}
			r.send(t, "c1", subscribe)
			if got := r.take(); !slices.Equal(got, c.want) || waits != c.waits {
				t.Errorf("%d waits, got %s", waits, strings.Join(got, "\n"))
			}
		})
	}
	t.Run("commands that were received long ago", func(t *testing.T) {
		r := newRig(t, hub.ProjectOptions{})
		r.open(t, "c1", projectID, "")
		r.waiting = func() { t.Error("it waits") }
		r.sendAt(t, "c1", subscribe, start.Add(-5*time.Second))
	})
	t.Run("commands that were received at an unknown time", func(t *testing.T) {
		r := newRig(t, hub.ProjectOptions{})
		r.open(t, "c1", projectID, "")
		if _, err := r.routes["$default"](t.Context(), event("$default", "c1", subscribe)); err != nil || !r.clock().Equal(start.Add(5100*time.Millisecond)) {
			t.Errorf("it waits until %v, error %v", r.clock().Sub(start), err)
		}
	})
}

// TestReplyFirst makes another invocation do something before each request to the table, and
// during each post, of a frame that connects: whatever that is, the reply to the connect is the
// first that the client gets, and then its subscriptions are active; or the connection is closed,
// and nothing was sent.
func TestReplyFirst(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{SubscribeToUserPersonalChannel: true})
	project, err := r.store.ReadProject(t.Context(), projectID)
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{
		"publish chat:N 1", "publish log:N 1", "publish chat:server-N 1", "publish news:server-N 1", "subscribe uN news:new-N", "unsubscribe uN chat:N", "disconnect uN",
	} {
		t.Run(other, func(t *testing.T) {
			for at, done := 0, true; done; at++ {
				n := fmt.Sprintf("%s-%d", strings.NewReplacer(" ", "-", ":", "-", "#", "-").Replace(other), at)
				done = interrupt(t, r, project, n, strings.Fields(strings.ReplaceAll(other, "N", n)), at)
			}
		})
	}
}

// interrupt connects the user u+n, and makes a request of the application before the step at of
// that. It returns false where there is no such step.
func interrupt(t *testing.T, r *rig, p *hub.Project, n string, request []string, at int) (done bool) {
	t.Helper()
	r.open(t, n, projectID, "")
	var (
		mu   sync.Mutex
		step = 0
	)
	next := func() {
		mu.Lock()
		now := step == at && !done
		done = done || now
		step++
		mu.Unlock()
		if now {
			if err := requests[request[0]](t.Context(), r, p, request[1:]); err != nil {
				t.Error(err)
			}
		}
	}
	r.store.Requests.Intercept = func(string, *http.Request) (*http.Response, error) {
		next()
		return nil, nil
	}
	r.posting = func(string) { next() }
	r.send(t, n, signed(t, secret, fmt.Sprintf(
		`{"id":1,"connect":{"token":"JWT{"sub":"u%[1]s","channels":["chat:server-%[1]s","news:server-%[1]s"]}"}}`+"\n"+
			`{"id":2,"subscribe":{"channel":"chat:%[1]s"}}`+"\n"+`{"id":3,"subscribe":{"channel":"log:%[1]s","recoverable":true}}`, n)))
	r.store.Requests.Intercept, r.posting = nil, nil
	r.drain(t)
	got := r.take()
	closed := len(got) > 0 && got[len(got)-1] == n+" closed"
	ends := request[0] == "disconnect" || request[0] == "unsubscribe"
	if closed && ends && len(got) == 1 {
		return done // it cannot be told yet: its client connects again
	}
	if len(got) == 0 || !strings.HasPrefix(got[0], n+` < {"id":1,"connect":{"client":"`) {
		t.Fatalf("step %d: got %s", at, strings.Join(got, "\n"))
	}
	if request[0] == "disconnect" && len(got) > 1 && !closed {
		t.Errorf("step %d: got %s", at, strings.Join(got, "\n"))
	}
	if closed && ends {
		return done
	}
	for _, ch := range []string{"chat:" + n, "log:" + n, "chat:server-" + n, "news:server-" + n, "#u" + n} {
		if err := requests["publish"](t.Context(), r, p, []string{ch, "2"}); err != nil {
			t.Fatal(err)
		}
		got := r.take()
		if request[0] == "unsubscribe" && ch == request[2] && len(got) == 0 {
			continue // the request came after the subscribe
		}
		if len(got) != 1 || !strings.Contains(got[0], `{"push":{"channel":"`+ch+`","pub":{"data":2`) {
			t.Errorf("step %d: %s is not active: %s", at, ch, strings.Join(got, "\n"))
		}
	}
	return done
}

// TestCommandOrder carries out subscribes and unsubscribes of a client, and requests of the
// application about its user, in an order of its own, one after the other or some concurrently.
// The end state is that of the latest of them in each channel: of the client that with the
// greatest number.
func TestCommandOrder(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	for seed := range uint64(24) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			commandOrder(t, r, rand.New(rand.NewPCG(seed, 0)), fmt.Sprintf("c%d", seed), seed%2 == 1)
		})
	}
}

// sent is a frame of the client that was received and waits for its invocation.
type sent struct {
	frame string
	at    time.Time
}

func commandOrder(t *testing.T, r *rig, random *rand.Rand, c string, concurrently bool) {
	user := "u-" + c
	channels := []string{"chat:x-" + c, "plain:y-" + c, "log:z-" + c}
	if concurrently {
		channels = channels[:2] // who dispatches a stream is not the subject
	}
	r.open(t, c, projectID, "")
	r.send(t, c, signed(t, secret, `{"id":1,"connect":{"token":"JWT{"sub":"`+user+`"}"}}`))
	var (
		waiting []sent
		history []string // for the log
		number  = 1
		subbed  = make(map[string]bool)
	)
	project, err := r.store.ReadProject(t.Context(), projectID)
	if err != nil {
		t.Fatal(err)
	}
	for len(waiting) > 0 || number < 12 {
		switch choice := random.IntN(8); {
		case choice < 4 && number < 12:
			// Numbers decide between commands, and not the times, which come from several hosts.
			number++
			ch := channels[random.IntN(len(channels))]
			method := "unsubscribe"
			if subbed[ch] = random.IntN(3) > 0; subbed[ch] {
				method = "subscribe"
			}
			frame := fmt.Sprintf(`{"id":%d,"%s":{"channel":"%s"}}`, number, method, ch)
			at := r.clock().Add(-time.Duration(random.IntN(3)) * time.Millisecond)
			waiting, history = append(waiting, sent{frame, at}), append(history, "received "+frame)
		case choice == 4:
			ch := channels[random.IntN(len(channels))]
			method := "unsubscribe"
			if subbed[ch] = random.IntN(2) > 0; subbed[ch] {
				method = "subscribe"
			}
			history = append(history, method+" "+ch)
			r.advance(10 * time.Millisecond)
			if err := requests[method](t.Context(), r, project, []string{user, ch}); err != nil {
				t.Fatal(err)
			}
			r.advance(10 * time.Millisecond)
		case len(waiting) > 0:
			n := 1
			if concurrently {
				n = 1 + random.IntN(len(waiting))
			}
			random.Shuffle(len(waiting), func(i, j int) { waiting[i], waiting[j] = waiting[j], waiting[i] })
			var done sync.WaitGroup
			for _, s := range waiting[:n] {
				history = append(history, "carried out "+s.frame)
				done.Go(func() { r.sendAt(t, c, s.frame, s.at) })
			}
			done.Wait()
			waiting = waiting[n:]
		}
	}
	r.take()
	state, err := r.store.Connection(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	named := make(map[string]bool)
	for ch := range state.Channels {
		named[ch.String()] = true
	}
	maps.DeleteFunc(subbed, func(_ string, in bool) bool { return !in })
	if !maps.Equal(named, subbed) {
		t.Errorf("the connection is in %v, want %v, after\n%s", named, subbed, strings.Join(history, "\n"))
	}
	for _, ch := range channels {
		if err := requests["publish"](t.Context(), r, project, []string{ch, "1"}); err != nil {
			t.Fatal(err)
		}
		if got := r.take(); len(got) > 1 || (len(got) == 1) != subbed[ch] {
			t.Errorf("in %s: %q, after\n%s", ch, got, strings.Join(history, "\n"))
		}
	}
	// What an application ends is over, whatever the client had sent before.
	late := sent{fmt.Sprintf(`{"id":%d,"subscribe":{"channel":"%s"}}`, number+1, channels[0]), r.clock()}
	r.advance(time.Millisecond)
	if err := requests["disconnect"](t.Context(), r, project, []string{user}); err != nil {
		t.Fatal(err)
	}
	r.take()
	r.sendAt(t, c, late.frame, late.at)
	if err := requests["publish"](t.Context(), r, project, []string{channels[0], "2"}); err != nil {
		t.Fatal(err)
	}
	if got := r.take(); len(got) > 0 {
		t.Errorf("after the end of the connection: %q", got)
	}
}

// TestRotationDuringSubscribe replaces the secret of the project after a subscribe has begun: the
// client connects again, and does not take the subscribe for refused.
func TestRotationDuringSubscribe(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	r.converse(t, connected)
	project, err := r.store.ReadProject(t.Context(), projectID)
	if err != nil {
		t.Fatal(err)
	}
	reads := 0
	r.store.Requests.Intercept = func(operation string, _ *http.Request) (*http.Response, error) {
		if operation == "Query" {
			if reads++; reads == 2 {
				return nil, requests["rotate"](t.Context(), r, project, []string{"another"})
			}
		}
		return nil, nil
	}
	r.send(t, "c1", `{"id":2,"subscribe":{"channel":"plain:x"}}`)
	if got := r.take(); !slices.Equal(got, []string{"c1 closed"}) || project.Secret != "another" {
		t.Errorf("got %q", got)
	}
}

// TestInvocationDiesAfterLogin ends the invocation of a login while it posts the reply: when it
// certainly is over, the subscriptions are active, and requests of the application find the user.
func TestInvocationDiesAfterLogin(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	r.open(t, "c1", projectID, "")
	ctx, kill := context.WithCancel(t.Context())
	r.store.Requests.Intercept = func(string, *http.Request) (*http.Response, error) { return nil, ctx.Err() }
	r.posting = func(string) { kill() }
	_, _ = r.routes["$default"](ctx, event("$default", "c1", signed(t, secret,
		`{"id":1,"connect":{"token":"JWT{"sub":"u1","channels":["plain:x"]}"}}`+"\n"+`{"id":2,"subscribe":{"channel":"plain:y"}}`+"\n"+`{"id":3,"subscribe":{"channel":"news:z"}}`)))
	r.store.Requests.Intercept, r.posting = nil, nil
	r.converse(t, `
		c1 < {"id":1,"connect":{"client":"c1","version":"centrifuge","subs":{"plain:x":{}},"ping":7200,"pong":true}}\n{"id":2,"subscribe":{}}\n{"id":3,"subscribe":{"recoverable":true,"epoch":"E","positioned":true}}
		app publish plain:x 1
		later 41s
		app publish plain:x 2
		c1 < {"push":{"channel":"plain:x","pub":{"data":2}}}
		app publish plain:y 3
		c1 < {"push":{"channel":"plain:y","pub":{"data":3}}}
		app publish news:z 4
		c1 < {"push":{"channel":"news:z","unsubscribe":{"code":2500,"reason":"insufficient state"}}}
		c1 > {"id":4,"ping":{}}
		c1 < {"id":4,"ping":{}}
		app disconnect u1
		c1 < {"push":{"disconnect":{"code":3503,"reason":"force disconnect"}}}
		c1 closed
	`)
}
