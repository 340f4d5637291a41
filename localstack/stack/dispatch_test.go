package stack_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"centrifuge/functions"
	"centrifuge/localstack/gateway"
	"centrifuge/localstack/iam"
	"centrifuge/localstack/lambda"
	"centrifuge/localstack/stack"
	"centrifuge/localstack/stack/stacktest"
	"centrifuge/pkg/delivery"
	"centrifuge/pkg/hub"
)

// gate holds the first post until it is opened.
type gate struct {
	once            sync.Once
	reached, opened chan struct{}
}

func newGate() *gate { return &gate{reached: make(chan struct{}), opened: make(chan struct{})} }

func (g *gate) hold(gateway.Post) gateway.Fault {
	g.once.Do(func() {
		close(g.reached)
		<-g.opened
	})
	return gateway.Fault{}
}

// publishNumber publishes a number in the channel log:a, which must succeed.
func publishNumber(t *testing.T, s *stack.Stack, n int) {
	t.Helper()
	status, body := request(t, http.DefaultClient, http.MethodPost, s.HTTPURL+"/api/publish", fmt.Sprintf(`{"channel":"log:a","data":%d}`, n))
	if status != http.StatusOK || strings.Contains(body, `"error"`) {
		t.Errorf("publish %d: status %d, answer %s", n, status, body)
	}
}

// numbers reads pushes and returns their data.
func numbers(t *testing.T, conn *websocket.Conn, n int) (all []int) {
	t.Helper()
	for range n {
		var push struct{ Data int }
		frame := receive(t, conn)
		if err := json.Unmarshal([]byte(frame), &push); err != nil {
			t.Fatalf("%s: %v", frame, err)
		}
		all = append(all, push.Data)
	}
	return all
}

// eachWay are the two ways to run functions.
func eachWay(t *testing.T, test func(t *testing.T, l *stack.Lambda)) {
	t.Helper()
	t.Run("functions in one process", func(t *testing.T) { test(t, nil) })
	t.Run("functions as processes", func(t *testing.T) { test(t, &stack.Lambda{Bootstraps: stacktest.Bootstraps(t)}) })
}

// TestConcurrentPublishesInvokeDispatch publishes while an earlier publish posts. The later
// ones are answered meanwhile; the function dispatch is invoked, and all arrive in order.
func TestConcurrentPublishesInvokeDispatch(t *testing.T) {
	eachWay(t, func(t *testing.T, l *stack.Lambda) {
		g, log := newGate(), newProcessLog()
		s := start(t, stack.Options{Lambda: l, Log: log, Traffic: true, Gateway: gateway.Options{Faults: g.hold}})
		receiver := joinWith(t, s, demoTenant.member("log", ""), "a")
		var first sync.WaitGroup
		first.Go(func() { publishNumber(t, s, 1) })
		<-g.reached
		for n := range 3 {
			publishNumber(t, s, 2+n)
		}
		close(g.opened)
		first.Wait()
		if diff := cmp.Diff([]int{1, 2, 3, 4}, numbers(t, receiver, 4)); diff != "" {
			t.Errorf("received (-want +got):\n%s", diff)
		}
		log.wait(t, 1, `"msg":"stream dispatched"`, `"channel":"log:a"`)
		if l != nil {
			log.wait(t, 1, "["+functions.Dispatch+"] REPORT")
		}
	})
}

// TestDispatchInvokesItself lets the time of a dispatcher end while messages wait: another one
// dispatches them.
func TestDispatchInvokesItself(t *testing.T) {
	g, log := newGate(), newProcessLog()
	s := start(t, stack.Options{
		Log: log, Gateway: gateway.Options{Faults: g.hold},
		// So little time that a dispatcher dispatches one batch.
		Lambda: &stack.Lambda{Bootstraps: stacktest.Bootstraps(t), Options: lambda.Options{Timeout: 4 * time.Second}},
	})
	receiver := joinWith(t, s, demoTenant.member("log", ""), "a")
	ch := locate(t, s, "log:a")
	appendDead(t, s, ch, 1)
	if err := invokeDispatch(t, s, ch); err != nil {
		t.Fatal(err)
	}
	<-g.reached
	publishNumber(t, s, 2) // a durable dispatcher has the lease
	close(g.opened)
	if diff := cmp.Diff([]int{1, 2}, numbers(t, receiver, 2)); diff != "" {
		t.Errorf("received (-want +got):\n%s", diff)
	}
	log.wait(t, 2, "["+functions.Dispatch+"] REPORT")
}

// invokeDispatch invokes the function dispatch as functions that publish do.
func invokeDispatch(t *testing.T, s *stack.Stack, ch hub.Channel) error {
	t.Helper()
	return dispatchFunction(t, s).Invoke(t.Context(), ch)
}

// dispatchFunction is the function dispatch of a stack.
func dispatchFunction(t *testing.T, s *stack.Stack) *delivery.Function {
	t.Helper()
	f, err := delivery.NewFunction(delivery.FunctionOptions{
		Name: s.App.Config.DispatchFunction, Region: s.App.Cloud.Region, Credentials: s.App.Cloud.Credentials, Endpoint: s.App.Config.LambdaEndpoint,
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestDispatchDeadLetter invokes dispatch while it may do nothing. Its event is a dead letter;
// the next message dispatches what was left.
func TestDispatchDeadLetter(t *testing.T) {
	var broken atomic.Bool
	letters := make(chan lambda.DeadLetter, 1)
	s := start(t, stack.Options{Lambda: &stack.Lambda{
		Bootstraps: stacktest.Bootstraps(t),
		Options: lambda.Options{QueueOptions: lambda.QueueOptions{
			RetryDelays: [2]time.Duration{time.Nanosecond, time.Nanosecond},
			DeadLetter:  func(d lambda.DeadLetter) { letters <- d },
		}},
		Faults: func(q iam.Request) iam.Fault {
			if broken.Load() && q.Function == functions.Dispatch {
				return iam.Refuse
			}
			return iam.None
		},
	}})
	receiver := joinWith(t, s, demoTenant.member("log", ""), "a")
	ch := locate(t, s, "log:a")
	appendDead(t, s, ch, 1, 2)
	broken.Store(true)
	if err := invokeDispatch(t, s, ch); err != nil {
		t.Fatal(err)
	}
	d := <-letters
	var event hub.Channel
	if err := json.Unmarshal(d.Event, &event); err != nil {
		t.Fatal(err)
	}
	if d.Function != functions.Dispatch || event != ch || !strings.Contains(d.Err.Error(), "AccessDeniedException") {
		t.Errorf("dead letter %s of %s, error %v", d.Event, d.Function, d.Err)
	}
	publishNumber(t, s, 3)
	if diff := cmp.Diff([]int{1, 2, 3}, numbers(t, receiver, 3)); diff != "" {
		t.Errorf("received (-want +got):\n%s", diff)
	}
}

// TestDispatchDeadLetterInProcess is TestDispatchDeadLetter with functions in this process,
// whose dead letters are logged.
func TestDispatchDeadLetterInProcess(t *testing.T) {
	log := newProcessLog()
	s := start(t, stack.Options{Log: log})
	if err := invokeDispatch(t, s, hub.Channel{Project: "demo", Category: "log"}); err != nil {
		t.Fatal(err)
	}
	s.Wait()
	log.wait(t, 3, `"msg":"event without channel"`)
	log.wait(t, 1, `"msg":"event failed in every attempt"`, `"function":"dispatch"`)
}
