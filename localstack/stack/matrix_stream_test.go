package stack_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"centrifuge/localstack/iam"
	"centrifuge/pkg/hub"
)

// The rows of the matrix about streams, in the category log.

// stream is the name of the stream of a cell.
func (c cell) stream() string { return "log:" + c.id }

// listens connects two clients to the stream.
func (c cell) listens(t *testing.T) (receivers []*websocket.Conn) {
	t.Helper()
	for range 2 {
		receivers = append(receivers, joinWith(t, c.Stack, demoTenant.member("log", ""), c.id))
	}
	return receivers
}

// The longest that a living holder may keep the lease of a stream with a few messages and two
// subscribers: a request that hangs takes seconds.
const (
	holding     = 2 * time.Second
	holdingHung = 8 * time.Second
)

// settle waits until nobody who lives dispatches the stream. The lease of one that has died, or
// could not let go, stays. The clock of the later hub takes every lease for one of those.
func (c cell) settle(t *testing.T, p *hub.Project, ch hub.Channel) {
	t.Helper()
	s, _ := p.Stream(ch)
	most := holding
	if c.fault == iam.Hang {
		most = holdingHung
	}
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	var lease hub.Lease
	for since := time.Now(); time.Since(since) < most; <-poll.C {
		head, err := c.App.Store.StreamHead(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		_, top, err := c.App.Store.History(t.Context(), s, hub.HistoryQuery{})
		if err != nil {
			t.Fatal(err)
		}
		if head.Lease.ID == "" && head.Done == top.Offset {
			return
		}
		if head.Lease != lease {
			lease, since = head.Lease, time.Now()
		}
	}
}

// arriveInOrder sends the last message of a stream. The receivers have got the publications
// before it in their order, or again from an earlier one on, and history has them without a
// gap. One of them has got all: a post that API Gateway refuses for
// one subscriber fails no message. It returns how many there are.
func (c cell) arriveInOrder(t *testing.T, receivers ...*websocket.Conn) int {
	t.Helper()
	p := c.project(t, "demo")
	ch, err := hub.ParseChannel("demo", c.stream())
	if err != nil {
		t.Fatal(err)
	}
	c.settle(t, p, ch)
	last, err := c.later.Publish(t.Context(), p, ch, json.RawMessage(`"end"`), hub.PublishOptions{})
	if err != nil {
		t.Fatal(err)
	}
	publications, top, err := c.App.Hub.History(t.Context(), p, ch, hub.HistoryQuery{Limit: -1})
	if err != nil || top != last.Position || len(publications) != int(top.Offset) {
		t.Errorf("history has %d publications, top %+v, error %v; the last has %+v", len(publications), top, err, last.Position)
	}
	for n, m := range publications {
		if m.Position.Offset != uint64(n)+1 {
			t.Errorf("publication %d has offset %d", n+1, m.Position.Offset)
		}
	}
	complete := 0
	for _, r := range receivers {
		missed, latest := false, uint64(0)
		for next := uint64(1); next <= last.Position.Offset; {
			var push struct{ Offset uint64 }
			frame := receive(t, r)
			if err := json.Unmarshal([]byte(frame), &push); err != nil || push.Offset == 0 {
				t.Fatalf("received %s", frame)
			}
			if latest > 0 && push.Offset > latest+1 || latest == 0 && push.Offset > 1 {
				missed = true
			}
			latest = push.Offset
			next = max(next, push.Offset+1)
		}
		if !missed {
			complete++
		}
	}
	if complete == 0 {
		t.Error("nobody has received every message")
	}
	c.Wait() // dispatchers that were invoked
	return len(publications) - 1
}

// publishesToStream publishes in a stream under an idempotency key.
func publishesToStream(t *testing.T, c cell) {
	receivers := c.listens(t)
	a := c.converges(t, "publish", func() answer {
		return c.api(t, demoTenant.key, "publish", `{"channel":"`+c.stream()+`","data":`+hello+`,"idempotency_key":"k"}`)
	})
	if !strings.HasPrefix(a.text, `{"result":{"offset":1,"epoch":"`) {
		t.Errorf("answered %s", a.text)
	}
	if n := c.arriveInOrder(t, receivers...); n != 1 {
		t.Errorf("the message was appended %d times", n)
	}
}

// broadcastsToStream sends a client's message, which may come again: it has no idempotency
// key.
func broadcastsToStream(t *testing.T, c cell) {
	sender, receivers := joinWith(t, c.Stack, demoTenant.member("log", ""), c.id+"c"), c.listens(t)
	frame := fmt.Sprintf(`{"method":"broadcast","params":{"category":"log","channel":%q,"data":%s}}`, c.id, hello)
	c.converges(t, "broadcast", func() answer { return reply(t, sender, frame) })
	if n := c.arriveInOrder(t, receivers...); n < 1 || n > 3 {
		t.Errorf("the message was appended %d times", n)
	}
}

// dispatches lets a durable dispatcher find what publishers that died have announced.
func dispatches(t *testing.T, c cell) {
	receivers := c.listens(t)
	ch := locate(t, c.Stack, c.stream())
	appendDead(t, c.Stack, ch, 1, 2)
	c.do(func() {
		if err := invokeDispatch(t, c.Stack, ch); err != nil {
			t.Error(err)
		}
		c.log.wait(t, c.log.count("[dispatch] REPORT")+1, "[dispatch] REPORT")
	})
	if n := c.arriveInOrder(t, receivers...); n != 2 {
		t.Errorf("%d messages", n)
	}
}

// publishMany publishes three messages in the stream.
func (c cell) publishMany(t *testing.T) {
	t.Helper()
	ch, err := hub.ParseChannel("demo", c.stream())
	if err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		if _, err := c.App.Hub.Publish(t.Context(), c.project(t, "demo"), ch, json.RawMessage(fmt.Sprint(n)), hub.PublishOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

func readsHistory(t *testing.T, c cell) {
	c.publishMany(t)
	a := c.converges(t, "history", func() answer {
		return c.api(t, demoTenant.key, "history", `{"channel":"`+c.stream()+`","limit":-1}`)
	})
	c.expectOffsets(t, a, 1, 2, 3)
}

func removesHistory(t *testing.T, c cell) {
	c.publishMany(t)
	c.converges(t, "history_remove", func() answer { return c.api(t, demoTenant.key, "history_remove", `{"channel":"`+c.stream()+`"}`) })
	c.publishMany(t)
	c.expectOffsets(t, c.api(t, demoTenant.key, "history", `{"channel":"`+c.stream()+`","limit":-1}`), 4, 5, 6)
}

// expectOffsets checks the offsets in an answer to history.
func (c cell) expectOffsets(t *testing.T, a answer, want ...uint64) {
	t.Helper()
	var result struct {
		Result struct{ Publications []struct{ Offset uint64 } }
	}
	if err := json.Unmarshal([]byte(a.text), &result); err != nil {
		t.Fatal(err)
	}
	var got []uint64
	for _, p := range result.Result.Publications {
		got = append(got, p.Offset)
	}
	if !slices.Equal(got, want) {
		t.Errorf("history has the offsets %v, want %v", got, want)
	}
}
