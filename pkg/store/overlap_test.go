package store_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store"
)

// TestOverlappingCommands holds each request of one command, before it is sent and before it
// is answered, until another command of the same connection is done: whoever wins,
// connection and subscriptions agree, and what leaves or closes afterwards leaves nothing.
func TestOverlappingCommands(t *testing.T) {
	t.Parallel()
	commands := func(s *rig, channels map[hub.Channel]int) map[string]func(hub.Connection) error {
		change := func(p plan) func(hub.Connection) error {
			return func(c hub.Connection) error {
				_, _, err := s.ChangeConnection(t.Context(), c, p)
				return unexpected(err, hub.ErrConnectionNotFound)
			}
		}
		return map[string]func(hub.Connection) error{
			"join":  change(join(channels)),
			"leave": change(leave(slices.Collect(maps.Keys(channels))...)),
			"renew": change(become(hub.Connection{Project: "p", User: "u", Info: json.RawMessage(`"renewed"`)})),
			"close": func(c hub.Connection) error { return s.end(t.Context(), c.ID) },
		}
	}
	s := newRig(t)
	connections := 0
	overlap := func(t *testing.T, channels map[hub.Channel]int, held, other string, n int32, answered, subscribed bool) {
		t.Helper()
		connections++
		id := fmt.Sprint("c", connections)
		s.enter(t, id, "u")
		if subscribed {
			s.subscribe(t, id, channels)
		}
		c := s.connection(t, id)
		all := commands(s, channels)
		holding, release := make(chan struct{}), make(chan struct{})
		var requests atomic.Int32
		s.Requests.Intercept = func(_ string, r *http.Request) (resp *http.Response, err error) {
			if requests.Add(1) != n+1 {
				return nil, nil
			}
			if answered {
				resp, err = http.DefaultTransport.RoundTrip(r)
			}
			close(holding)
			<-release
			return resp, err
		}
		done := make(chan error, 1)
		go func() { done <- all[held](c) }()
		select {
		case <-holding:
			if err := all[other](c); err != nil {
				t.Error(err)
			}
			close(release)
			if err := <-done; err != nil {
				t.Error(err)
			}
		case err := <-done: // it makes no nth request
			if err != nil {
				t.Error(err)
			}
		}
		s.Requests.Intercept = nil
		s.agree(t, id)
		if err := unexpected(s.change(t.Context(), id, leave(slices.Collect(maps.Keys(channels))...)), hub.ErrConnectionNotFound); err != nil {
			t.Error(err)
		}
		if got := s.stored(t)[id]; len(got) > 0 {
			t.Errorf("after an acknowledged unsubscribe %d subscriptions remain", len(got))
		}
		if err := s.end(t.Context(), id); err != nil {
			t.Error(err)
		}
		s.agree(t)
	}
	for _, held := range []string{"join", "leave", "renew", "close"} {
		for _, other := range []string{"join", "leave", "renew", "close"} {
			t.Run(held+" held for "+other, func(t *testing.T) {
				for n := range int32(3) {
					for _, answered := range []bool{false, true} {
						for _, subscribed := range []bool{false, true} {
							overlap(t, channelsNamed(1, "x"), held, other, n, answered, subscribed)
						}
					}
				}
			})
		}
	}
	for _, held := range []string{"join", "leave", "renew", "close"} {
		for _, other := range []string{"join", "leave", "close"} {
			t.Run(held+" held for "+other+" of 128 channels", func(t *testing.T) {
				for n := range int32(2) {
					overlap(t, channelsNamed(hub.MaxChannels, "x"), held, other, n, n == 0, held != "join")
				}
			})
		}
	}
}

var seed = flag.Uint64("seed", 0, "the seed of TestRandomCommands; 0 draws one")

// TestRandomCommands carries out random commands of two connections concurrently, on several
// stores over one table, some of whose responses are late or lost.
func TestRandomCommands(t *testing.T) {
	t.Parallel()
	s := newRig(t)
	stores := []*store.Store{s.Store.Store, s.Another(store.Options{}), s.Another(store.Options{})}
	first := *seed
	if first == 0 {
		first = rand.Uint64()
	}
	t.Logf("go test -run %s -seed %d", t.Name(), first)
	var faults sync.Mutex
	random := rand.New(rand.NewPCG(first, 0))
	s.Requests.Intercept = func(op string, r *http.Request) (*http.Response, error) {
		faults.Lock()
		late, lost := time.Duration(random.Int64N(int64(3*time.Millisecond))), random.IntN(200) == 0
		faults.Unlock()
		resp, err := http.DefaultTransport.RoundTrip(r)
		<-time.After(late) // the answer takes some milliseconds, as that of AWS
		if lost && err == nil && op != "Scan" {
			resp.Body.Close()
			return nil, fmt.Errorf("connection reset by peer")
		}
		return resp, err
	}
	for round := range 5 {
		ids := []string{fmt.Sprint("a", round), fmt.Sprint("b", round)}
		for _, id := range ids {
			s.enter(t, id, "u")
		}
		var all []func() error
		for worker := range 6 {
			random := rand.New(rand.NewPCG(first, uint64(1+round*100+worker)))
			st := stores[worker%len(stores)]
			all = append(all, func() error {
				for range 5 {
					if err := randomCommand(t, st, s.Clock.Now(), random, ids[random.IntN(len(ids))]); err != nil {
						return err
					}
				}
				return nil
			})
		}
		concurrently(t, all...)
		s.agree(t, ids...)
		concurrently(t, func() error { return s.end(t.Context(), ids[0]) }, func() error { return s.end(t.Context(), ids[1]) })
		s.agree(t)
	}
}

// randomCommand carries out a random command of a connection that may be over.
func randomCommand(t *testing.T, s *store.Store, now time.Time, random *rand.Rand, id string) error {
	channels := make(map[hub.Channel]int)
	for range 1 + random.IntN(3) {
		channels[channel(fmt.Sprint("x", random.IntN(5)))] = random.IntN(2)
	}
	p := join(channels)
	switch n := random.IntN(20); {
	case n < 7:
		p = leave(slices.Collect(maps.Keys(channels))...)
	case n < 10:
		info := json.RawMessage(fmt.Sprint(random.IntN(100)))
		p = become(hub.Connection{Project: "p", User: fmt.Sprint("u", random.IntN(2)), Info: info, TokenExpires: now.Add(time.Hour)})
	case n < 11:
		c, _, err := s.BeginClose(t.Context(), id, now)
		if err != nil || c.ID == "" {
			return err
		}
		return s.FinishClose(t.Context(), []hub.Connection{c})
	}
	c, err := s.Connection(t.Context(), id)
	if err == nil {
		_, _, err = s.ChangeConnection(t.Context(), c, p)
	}
	return unexpected(err, hub.ErrConnectionNotFound)
}
