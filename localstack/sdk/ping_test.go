package sdk_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/centrifugal/centrifuge-go"

	"centrifuge/localstack/lambda"
	"centrifuge/localstack/stack"
	"centrifuge/localstack/stack/stacktest"
)

// pingSeed is a project whose clients get a ping every minute.
const pingSeed = `{"projects":[{"id":"pinged","secret":"s","options":{"insecure":true,"ping_interval":"1m"},"categories":[{"name":"news"}]}]}`

// impatient returns a client of pingSeed that takes a connection for lost after two seconds without a
// ping: the connect reply says two minutes, and it reads one second. pings gets a value for each ping.
func impatient(t *testing.T, s *stack.Stack) (c *client, pings events[struct{}]) {
	t.Helper()
	pings = newEvents[struct{}]()
	c = newClient(t, s.WebSocketURL+"?project=pinged", centrifuge.Config{MaxServerPingDelay: time.Second})
	c.network.arrives = func(b []byte) {
		if at := bytes.Index(b, []byte(`"ping":120`)); at >= 0 {
			copy(b[at:], `"ping":  1`)
		}
		for range bytes.Count(b, []byte("\x81\x02{}")) { // a frame of its own
			pings.add(struct{}{})
		}
	}
	return c, pings
}

// TestPings lets the schedule run a hundred times as fast as the clock, and faster than the client
// loses its patience.
func TestPings(t *testing.T) {
	const minute, patience = 100 * time.Millisecond, 2 * time.Second
	for name, functions := range map[string]func(t *testing.T) *stack.Lambda{
		"functions in this process": func(*testing.T) *stack.Lambda { return nil },
		"functions as processes": func(t *testing.T) *stack.Lambda {
			return &stack.Lambda{Bootstraps: stacktest.Bootstraps(t), Options: lambda.Options{Concurrency: 100}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := startWith(t, stack.Options{Seed: []byte(pingSeed), Lambda: functions(t), Minute: minute})
			c, pings := impatient(t, s)
			c.connect(t)
			for range 2 * patience / minute {
				pings.next(t, "ping")
			}
			if c.State() != centrifuge.StateConnected || len(c.connecting) != 1 {
				t.Errorf("the client is %s, and has connected %d times", c.State(), len(c.connecting))
			}
		})
	}
}

// TestNoPings has a stack whose schedule does not run.
func TestNoPings(t *testing.T) {
	s := startWith(t, stack.Options{Seed: []byte(pingSeed)})
	c, _ := impatient(t, s)
	c.connect(t)
	c.connecting.next(t, "connecting")
	if e := c.connecting.next(t, "connecting again"); e.Reason != "no ping" {
		t.Errorf("the client connects again because of %q", e.Reason)
	}
	c.connected.next(t, "connected again")
}
