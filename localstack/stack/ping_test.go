package stack_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"golang.org/x/sync/errgroup"

	"centrifuge/functions"
	"centrifuge/localstack/stack"
	"centrifuge/localstack/stack/stacktest"
	"centrifuge/pkg/hub"
)

// TestPingInvokesItself has one ping more than a batch is due, to connections without a socket. A
// second invocation sends the first batch. Both remove what they found gone.
func TestPingInvokesItself(t *testing.T) {
	log := newProcessLog()
	s := start(t, stack.Options{Log: log, LogLevel: "debug", Lambda: &stack.Lambda{Bootstraps: stacktest.Bootstraps(t)}})
	var g errgroup.Group
	g.SetLimit(16)
	for n := range 2001 {
		g.Go(func() error {
			return s.App.Store.PutPing(t.Context(), hub.Ping{Connection: fmt.Sprintf("c%04d", n), Minutes: 1}, time.Now().Add(time.Hour))
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Functions[functions.Ping].Invoke(inInvocation(t), scheduled(t)); err != nil {
		t.Fatal(err)
	}
	log.wait(t, 1, `"msg":"pings sent"`, `"gone":2000`)
	log.wait(t, 1, `"msg":"pings sent"`, `"gone":1,`)
	log.wait(t, 2, "["+functions.Ping+"] REPORT")
	for number := range 4 {
		for left, err := range s.App.Store.Pings(t.Context(), hub.PingSlot{Minutes: 1, Number: number}) {
			t.Errorf("slot %d: %d pings are left, error %v", number, len(left), err)
		}
	}
}

// scheduled is the event of a schedule, now.
func scheduled(t *testing.T) []byte {
	t.Helper()
	event, err := json.Marshal(events.EventBridgeEvent{Source: "aws.events", DetailType: "Scheduled Event", Time: time.Now(), Detail: json.RawMessage("{}")})
	if err != nil {
		t.Fatal(err)
	}
	return event
}
