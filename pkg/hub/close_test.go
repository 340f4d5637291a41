package hub_test

import (
	"context"
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
	"centrifuge/pkg/store/storetest"
)

// interrupt makes every request fail from the nth of an operation on, as if the process had
// died there. It returns a function that ends that.
func (r *rig) interrupt(operation string, n int) (restore func()) {
	dead := false
	var mu sync.Mutex
	r.store.Requests.Intercept = func(op string, request *http.Request) (*http.Response, error) {
		mu.Lock()
		defer mu.Unlock()
		if op == operation {
			n--
		}
		if dead = dead || n < 0; dead {
			return refusal(request), nil
		}
		return nil, nil
	}
	return func() { r.store.Requests.Intercept = nil }
}

// refusal is an answer of DynamoDB that the SDK does not repeat.
func refusal(request *http.Request) *http.Response {
	return &http.Response{
		StatusCode: http.StatusBadRequest, Request: request, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
		Body: io.NopCloser(strings.NewReader(`{"__type":"com.amazonaws.dynamodb.v20120810#ValidationException","message":"refused"}`)),
	}
}

// TestDisconnectThatDied interrupts a disconnect of c2, which is in room:x with c1, before
// each of its writes. The next message in the room, after the lease, finishes it: c2 is not
// present, and c1 got its leave, at least once.
func TestDisconnectThatDied(t *testing.T) {
	for _, tt := range []struct {
		name      string
		operation string
		n         int
		announced int
	}{
		{"before the mark", "UpdateItem", 0, 1},
		{"before the subscriptions are hidden", "BatchWriteItem", 0, 1},
		{"before the leave", "Query", 0, 1},
		{"before the removal", "BatchWriteItem", 1, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, hub.ProjectOptions{})
			r.enter(t, "c1", "u", "room:x")
			r.enter(t, "c2", "v", "room:x", "open:x")
			r.announced = nil
			restore := r.interrupt(tt.operation, tt.n)
			if err := r.Disconnect(t.Context(), "c2", hub.Ending{Code: 1001, Reason: "Going away"}); err == nil && tt.operation != "Query" {
				t.Fatal("the disconnect was not interrupted")
			}
			restore()
			r.gone = []string{"c2"}
			r.now = r.now.Add(hub.CloseLease + time.Second)
			if err := r.send(t, "room", `1`); err != nil {
				t.Fatal(err)
			}
			leaves := slices.DeleteFunc(r.announced, func(a string) bool { return a != "leave room:x c2 to c1" })
			if len(leaves) != tt.announced {
				t.Errorf("announced %v, want %d times", r.announced, tt.announced)
			}
			for _, channel := range in("room:x", "open:x") {
				for page, err := range r.store.Subscribers(t.Context(), r.project(t).Locate(channel), 0) {
					for _, s := range page {
						if s.Connection == "c2" || err != nil {
							t.Errorf("%s: %v remains, error %v", channel, s, err)
						}
					}
				}
			}
			if _, err := r.store.Connection(t.Context(), "c2"); !errors.Is(err, hub.ErrConnectionNotFound) {
				t.Errorf("the connection remains: %v", err)
			}
		})
	}
}

// TestHiddenWhileClosing reads presence and publishes while a connection is being closed.
func TestHiddenWhileClosing(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	r.enter(t, "c1", "u", "room:x")
	r.enter(t, "c2", "v", "room:x")
	restore := r.interrupt("BatchWriteItem", 1)
	err := r.Disconnect(t.Context(), "c2", hub.Ending{Code: 1001, Reason: "Going away"})
	restore()
	if err == nil {
		t.Fatal("the disconnect was not interrupted")
	}
	clients, err := r.Presence(t.Context(), r.project(t), in("room:x")[0])
	if err != nil || len(clients) != 1 || clients[0].Connection != "c1" {
		t.Errorf("present are %v, error %v", clients, err)
	}
	r.received, r.announced = nil, nil
	if err := r.send(t, "room", `1`); err != nil || !slices.Equal(r.received, []string{"c1"}) {
		t.Errorf("%v received, error %v", r.received, err)
	}
	if len(r.announced) > 0 {
		t.Errorf("within the lease another leave is announced: %v", r.announced)
	}
}

// TestLostAnswerOfClose loses the answer of each write of a disconnect once: the SDK repeats
// it.
func TestLostAnswerOfClose(t *testing.T) {
	for _, operation := range []string{"UpdateItem", "BatchWriteItem"} {
		t.Run(operation, func(t *testing.T) {
			r := newRig(t, hub.ProjectOptions{})
			r.enter(t, "c1", "u", "room:x")
			r.enter(t, "c2", "v", "room:x", "open:x")
			r.announced = nil
			r.store.Requests.Intercept = func(op string, request *http.Request) (*http.Response, error) {
				if op != operation {
					return nil, nil
				}
				r.store.Requests.Intercept = nil
				response, err := http.DefaultTransport.RoundTrip(request)
				if err != nil {
					return nil, err
				}
				return nil, errors.Join(errors.New("connection reset"), response.Body.Close())
			}
			if err := r.Disconnect(t.Context(), "c2", hub.Ending{Code: 1001, Reason: "Going away"}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{"leave room:x c2 to c1"}, r.announced); diff != "" {
				t.Errorf("-want +announced\n%s", diff)
			}
			usage, err := r.Usage(t.Context(), r.project(t), "")
			if err != nil || usage.Clients != 1 || len(usage.Subscribers) != 1 {
				t.Errorf("usage %+v, error %v", usage, err)
			}
		})
	}
}

// TestServerDisconnectThatDied interrupts the disconnect of a user, who is in room:x and
// open:x, before each of its requests. Once a subscription is hidden the user is not present
// and receives nothing, and the next message, after the lease, closes the socket and removes
// the state. A repetition within the lease does so at once.
func TestServerDisconnectThatDied(t *testing.T) {
	for _, tt := range []struct {
		name      string
		operation string
		n         int
		begun     bool
	}{
		{"before the subscriptions are hidden", "BatchWriteItem", 0, false},
		{"before the mark", "UpdateItem", 0, true},
		{"before the leave", "Query", 1, true},
		{"before the removal", "BatchWriteItem", 1, true},
	} {
		for _, next := range []string{"a message", "a repetition"} {
			t.Run(tt.name+", then "+next, func(t *testing.T) {
				r := newRig(t, hub.ProjectOptions{})
				r.enter(t, "c1", "u", "room:x")
				r.enter(t, "c2", "v", "room:x", "open:x")
				restore := r.interrupt(tt.operation, tt.n)
				err := r.DisconnectUser(t.Context(), r.project(t), "v", hub.DisconnectRequest{})
				restore()
				if err == nil && tt.operation != "Query" {
					t.Fatal("the call was not interrupted")
				}
				r.disconnected = nil
				if next == "a message" {
					r.now = r.now.Add(hub.CloseLease + time.Second)
					err = r.send(t, "room", `1`)
				} else {
					err = r.DisconnectUser(t.Context(), r.project(t), "v", hub.DisconnectRequest{})
				}
				if over := tt.begun || next == "a repetition"; err != nil || slices.Contains(r.received, "c2") == over {
					t.Errorf("%v received, error %v", r.received, err)
				} else if !over {
					return
				}
				if !slices.Contains(r.disconnected, "c2") {
					t.Error("the socket is open")
				}
				clients, err := r.Presence(t.Context(), r.project(t), in("room:x")[0])
				if err != nil || len(clients) != 1 || clients[0].Connection != "c1" {
					t.Errorf("present are %v, error %v", clients, err)
				}
				for _, category := range []string{"room", "open"} {
					if r.received = nil; r.send(t, category, `1`) != nil || slices.Contains(r.received, "c2") {
						t.Errorf("%s: %v received", category, r.received)
					}
				}
			})
		}
	}
}

// TestServerDisconnectDuringSubscribe subscribes between the read of a user's connection and
// its mark, after which the process dies.
func TestServerDisconnectDuringSubscribe(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	r.enter(t, "c1", "u", "room:x")
	r.enter(t, "c2", "v", "room:x")
	began := false
	r.store.Requests.Intercept = func(op string, _ *http.Request) (*http.Response, error) {
		if op == "UpdateItem" && !began {
			began = true
			if refused, err := r.Subscribe(t.Context(), by("c2"), in("room:x")); err != nil || len(refused) > 0 {
				t.Error(refused, err)
			}
		}
		return nil, nil
	}
	r.stuck = errors.New("died before the socket was closed")
	if err := r.DisconnectUser(t.Context(), r.project(t), "v", hub.DisconnectRequest{}); err == nil {
		t.Error("acknowledged")
	}
	r.store.Requests.Intercept, r.stuck = nil, nil
	if err := r.send(t, "room", `1`); err != nil || !slices.Equal(r.received, []string{"c1"}) {
		t.Errorf("%v received, error %v", r.received, err)
	}
	r.now = r.now.Add(hub.CloseLease + time.Second)
	if err := r.send(t, "room", `1`); err != nil || !slices.Equal(r.disconnected, []string{"c2"}) {
		t.Errorf("closed %v, error %v", r.disconnected, err)
	}
}

// TestSocketThatCannotBeClosed refuses to close a socket once. It is tried again.
func TestSocketThatCannotBeClosed(t *testing.T) {
	for _, tt := range []struct {
		name  string
		first func(t *testing.T, r *rig) error
	}{
		{"by the disconnect of a user", func(t *testing.T, r *rig) error {
			return r.DisconnectUser(t.Context(), r.project(t), "v", hub.DisconnectRequest{})
		}},
		{"by a message that finds the subscription hidden", func(t *testing.T, r *rig) error {
			restore := r.interrupt("UpdateItem", 0)
			err := r.DisconnectUser(t.Context(), r.project(t), "v", hub.DisconnectRequest{})
			restore()
			return errors.Join(err, r.send(t, "room", `1`))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, hub.ProjectOptions{})
			r.enter(t, "c1", "u", "room:x")
			r.enter(t, "c2", "v", "room:x")
			r.stuck = errors.New("503")
			if err := tt.first(t, r); err == nil {
				t.Error("acknowledged")
			}
			if err := r.DisconnectUser(t.Context(), r.project(t), "v", hub.DisconnectRequest{}); err == nil {
				t.Error("a repetition that cannot close the socket either is acknowledged")
			}
			r.stuck = nil
			r.now = r.now.Add(hub.CloseLease + time.Second)
			if err := r.send(t, "room", `1`); err != nil || !slices.Equal(r.disconnected, []string{"c2"}) || !slices.Equal(r.received, []string{"c1"}) {
				t.Errorf("closed %v, %v received, error %v", r.disconnected, r.received, err)
			}
			if _, err := r.store.Connection(t.Context(), "c2"); !errors.Is(err, hub.ErrConnectionNotFound) {
				t.Error(err)
			}
		})
	}
}

// TestDisconnectUserWithManySubscriptions disconnects a user whose subscriptions are not all
// hidden in the time of one call: each call closes some sockets.
func TestDisconnectUserWithManySubscriptions(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	var channels []string
	for n := range 100 {
		channels = append(channels, fmt.Sprint("open:", n))
	}
	for n := range 24 {
		r.enter(t, fmt.Sprint("c", n), "v", channels...)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var writes atomic.Int32
	r.store.Requests.Intercept = func(op string, _ *http.Request) (*http.Response, error) {
		if op == "BatchWriteItem" && writes.Add(1) > 24*100/25 {
			cancel()
		}
		return nil, nil
	}
	err := r.DisconnectUser(ctx, r.project(t), "v", hub.DisconnectRequest{})
	r.store.Requests.Intercept = nil
	if err == nil || len(r.disconnected) != 20 {
		t.Errorf("%d sockets closed, error %v", len(r.disconnected), err)
	}
}

// TestFloodThatCannotBeHidden closes a connection that sends too fast although its
// subscriptions cannot be hidden.
func TestFloodThatCannotBeHidden(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	r.enter(t, conn, "u", "open:x")
	r.store.Requests.Intercept = func(op string, request *http.Request) (*http.Response, error) {
		if op == "BatchWriteItem" {
			return refusal(request), nil
		}
		return nil, nil
	}
	for n := 0; len(r.disconnected) == 0; n++ {
		_, err := r.Subscribe(t.Context(), hub.Command{Connection: conn, Bytes: 32 << 10}, in("open:x"))
		if n == 1000 || err != nil && !errors.Is(err, hub.ErrTooManyRequests) {
			t.Fatal(n, err)
		}
		if len(r.disconnected) > 0 && strings.Contains(err.Error(), "is closed") {
			t.Errorf("answered %v, while its state remains", err)
		}
	}
}

// TestSocketOfAbsentConnection gives a command on a connection that is not found, as where
// the invocation that closed it died before it closed the socket.
func TestSocketOfAbsentConnection(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	r.enter(t, "c1", "u", "open:x")
	if _, exists, err := r.store.BeginClose(t.Context(), "c1", r.now); err != nil || !exists {
		t.Fatal(exists, err)
	}
	ctx, later := hub.WithLater(t.Context())
	_, err := r.Subscribe(ctx, by("c1"), in("open:y"))
	if !errors.Is(err, hub.ErrConnectionNotFound) || len(r.disconnected) > 0 {
		t.Errorf("error %v, closed before the answer: %v", err, r.disconnected)
	}
	if later(); !slices.Equal(r.disconnected, []string{"c1"}) {
		t.Errorf("closed %v", r.disconnected)
	}
}

// TestUnsubscribeUserOfClosingConnection ends what a connection receives whose closing was
// begun by an invocation that died.
func TestUnsubscribeUserOfClosingConnection(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	r.enter(t, "c1", "u", "open:x", "room:x")
	if _, exists, err := r.store.BeginClose(t.Context(), "c1", r.now); err != nil || !exists {
		t.Fatal(exists, err)
	}
	if err := r.UnsubscribeUser(t.Context(), r.project(t), "u", hub.UnsubscribeRequest{From: hub.Selection{"open": nil}}); err != nil {
		t.Fatal(err)
	}
	for category, receives := range map[string]bool{"open": false, "room": true} {
		r.received = nil
		if err := r.send(t, category, `1`); err != nil || slices.Contains(r.received, "c1") != receives {
			t.Errorf("%s: %v received, error %v", category, r.received, err)
		}
	}
}

// TestDisconnectUserThatDied interrupts the disconnect of a user with three connections: a
// repetition finishes it.
func TestDisconnectUserThatDied(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	for n := range 3 {
		r.enter(t, fmt.Sprint("c", n), "u", "room:x")
	}
	restore := r.interrupt("UpdateItem", 1)
	err := r.DisconnectUser(t.Context(), r.project(t), "u", hub.DisconnectRequest{})
	restore()
	if err == nil {
		t.Fatal("the call was not interrupted")
	}
	r.now = r.now.Add(hub.CloseLease + time.Second)
	if err := r.DisconnectUser(t.Context(), r.project(t), "u", hub.DisconnectRequest{}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(r.disconnected)
	if all := slices.Compact(r.disconnected); !slices.Equal(all, []string{"c0", "c1", "c2"}) {
		t.Errorf("sockets closed: %v", all)
	}
	r.gone = []string{"c0", "c1", "c2"}
	if err := r.send(t, "room", `1`); err != nil {
		t.Fatal(err)
	}
	usage, err := r.Usage(t.Context(), r.project(t), "")
	if err != nil || usage.Clients != 0 || len(usage.Subscribers) != 0 {
		t.Errorf("usage %+v, error %v", usage, err)
	}
}

func TestChannelLimits(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	r.enter(t, conn, "u")
	var full []string
	for n := range hub.MaxChannels {
		full = append(full, fmt.Sprint("open:x", n))
	}
	long := func(n int) (channels []string) {
		for i := range n {
			channels = append(channels, fmt.Sprintf("open:%0200d", i))
		}
		return channels
	}
	for _, step := range []struct {
		name  string
		do    func() error
		fails error
	}{
		{"one more than the limit in one command", func() error {
			_, err := r.Subscribe(t.Context(), by(conn), in(append(full, "open:y")...))
			return err
		}, hub.ErrLimitExceeded},
		{"the limit", func() error { _, err := r.Subscribe(t.Context(), by(conn), in(full...)); return err }, nil},
		{"the same again", func() error { _, err := r.Subscribe(t.Context(), by(conn), in(full...)); return err }, nil},
		{"one more", func() error { _, err := r.Subscribe(t.Context(), by(conn), in("open:y")); return err }, hub.ErrLimitExceeded},
		{"out of all", func() error { return r.Unsubscribe(t.Context(), by(conn), in(full...)) }, nil},
		{"more bytes than the limit", func() error {
			_, err := r.Subscribe(t.Context(), by(conn), in(long(hub.MaxChannelBytes/200)...))
			return err
		}, hub.ErrLimitExceeded},
		{"fewer", func() error {
			_, err := r.Subscribe(t.Context(), by(conn), in(long(hub.MaxChannelBytes/210)...))
			return err
		}, nil},
	} {
		if err := step.do(); !errors.Is(err, step.fails) || err != nil && step.fails == nil {
			t.Errorf("%s: error %v", step.name, err)
		}
	}
}

func TestCommandRate(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	r.enter(t, conn, "u", "open:x") // two commands
	r.enter(t, "c2", "v")
	broadcast := func(connection string, bytes int) error {
		return r.Broadcast(t.Context(), hub.Command{Connection: connection, Bytes: bytes}, in("open:x")[0], []byte(`1`))
	}
	count := func(fails error, bytes int) (n int) {
		for ; n < 200; n++ {
			if err := broadcast(conn, bytes); !errors.Is(err, fails) || fails == nil && err != nil {
				return n
			}
		}
		return n
	}
	if n := count(nil, 32<<10); n != 124 {
		t.Errorf("%d frames of 32 KB at once", n)
	}
	var refusal *hub.Error
	if err := broadcast(conn, 100); !errors.As(err, &refusal) || !errors.Is(err, hub.ErrTooManyRequests) || !strings.Contains(refusal.Help, "wait 1 seconds") {
		t.Errorf("error %v", err)
	}
	if err := broadcast("c2", 100); err != nil {
		t.Errorf("another connection: %v", err)
	}
	r.now = r.now.Add(10 * time.Second)
	if n := count(nil, 32<<10); n != 62 {
		t.Errorf("%d frames of 32 KB after ten seconds", n)
	}
	for range 200 {
		err := broadcast(conn, 32<<10)
		if errors.Is(err, hub.ErrConnectionNotFound) {
			break
		}
		if !errors.Is(err, hub.ErrTooManyRequests) {
			t.Fatal(err)
		}
	}
	// Once by the rate, and once because the connection of the last frame was not found.
	if !slices.Equal(r.disconnected, []string{conn, conn}) {
		t.Errorf("closed connections: %v", r.disconnected)
	}
}

// TestCleanupOfMany finds more connections gone than are marked at a time. Each message
// removes some, and in the end none is left.
func TestCleanupOfMany(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	const many = 300
	p := r.project(t)
	ch := p.Locate(in("open:x")[0])
	for n := range many {
		c := hub.Connection{
			ID: fmt.Sprint("gone", n), Project: projectID, Protocol: hub.Classic, Secret: p.SecretID(), Expires: r.now.Add(time.Hour),
			Permissions: all, Channels: map[hub.Channel]int{ch: 0},
		}
		if err := storetest.Enter(t.Context(), r.store.Store, c); err != nil {
			t.Fatal(err)
		}
		r.gone = append(r.gone, c.ID)
	}
	left := func() (n int) {
		for page, err := range r.store.Subscribers(t.Context(), ch, 0) {
			if err != nil {
				t.Fatal(err)
			}
			n += len(page)
		}
		return n
	}
	for before := many; before > 0; {
		if err := r.publish(t, ""); err != nil {
			t.Fatal(err)
		}
		after := left()
		if after >= before {
			t.Fatalf("%d of %d subscriptions are left after a message", after, before)
		}
		before = after
	}
}
