package probe

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
	"time"

	"centrifuge/pkg/delivery"
	"centrifuge/pkg/hub"
)

// The throttle of the WebSocket stage, as infra/stack sets it: requests a second, and
// the burst.
const (
	stageRate  = 2000
	stageBurst = 1000
)

const (
	// loadClients is the number of clients that share the load.
	loadClients = 16
	// loadMessages is the number of posts, and of frames, in the probes of throttles.
	loadMessages = 5000
	// loadConcurrency is the highest number of concurrent posts.
	loadConcurrency = 256
)

// exceedsStage reports whether n requests in d are more than the throttle lets pass.
func exceedsStage(n int, d time.Duration) bool {
	return float64(n) > stageBurst+stageRate*d.Seconds()
}

// enterAll connects loadClients clients.
func (s *session) enterAll(ctx context.Context) (clients []*client, ids []string, err error) {
	for range loadClients {
		c, id, err := s.enter(ctx)
		if err != nil {
			closeAll(clients)
			return nil, nil, err
		}
		clients, ids = append(clients, c), append(ids, id)
	}
	return clients, ids, nil
}

func closeAll(clients []*client) {
	for _, c := range clients {
		c.close()
	}
}

// postAll makes n posts with a number of workers and returns the durations of those
// that succeeded, in order, and the number of those that were throttled.
func postAll(ctx context.Context, poster *delivery.Poster, ids []string, n, workers int) (took []time.Duration, throttled int, err error) {
	payload := delivery.NewPayload([]byte(`{"probe":"` + strings.Repeat("x", 180) + `"}`))
	var mu sync.Mutex // guards the results
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n || ctx.Err() != nil {
					return
				}
				began := time.Now()
				failure := poster.Post(ctx, ids[i%len(ids)], payload)
				d := time.Since(began)
				mu.Lock()
				switch {
				case failure == nil:
					took = append(took, d)
				case errors.Is(failure, delivery.ErrSlow):
					throttled++
				default:
					err = failure
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.Sort(took)
	if len(took) == 0 && throttled == 0 {
		return nil, 0, errors.Join(errors.New("no post was answered"), err)
	}
	return took, throttled, nil
}

// findPostLatency measures posts at several concurrencies, after a warm-up.
func findPostLatency(ctx context.Context, s *session) (finding, error) {
	clients, ids, err := s.enterAll(ctx)
	if err != nil {
		return finding{}, err
	}
	defer closeAll(clients)
	values := make(map[string]any)
	var seen []string
	fast := false
	for _, load := range []struct{ concurrency, posts int }{{1, 50}, {64, 1000}, {loadConcurrency, 1500}} {
		poster, err := s.poster(load.concurrency)
		if err != nil {
			return finding{}, err
		}
		_, _, err = postAll(ctx, poster, ids, load.concurrency, load.concurrency)
		if err != nil {
			return finding{}, err
		}
		began := time.Now()
		took, throttled, err := postAll(ctx, poster, ids, load.posts, load.concurrency)
		elapsed := time.Since(began)
		poster.Close()
		if err != nil {
			return finding{}, err
		}
		if len(took) == 0 {
			return finding{}, fmt.Errorf("all %d posts at concurrency %d were throttled", throttled, load.concurrency)
		}
		median, slow := took[len(took)/2], took[len(took)*99/100]
		rate := float64(len(took)) / elapsed.Seconds()
		if load.concurrency == 64 {
			fast = median <= 20*time.Millisecond
		}
		values[fmt.Sprintf("concurrency_%d", load.concurrency)] = map[string]any{
			"posts": len(took), "throttled": throttled, "median_ms": milliseconds(median), "p99_ms": milliseconds(slow), "per_second": rate,
		}
		seen = append(seen, fmt.Sprintf("at %d: median %.1f ms, 99 %% within %.1f ms, %.0f a second, %d throttled",
			load.concurrency, milliseconds(median), milliseconds(slow), rate, throttled))
	}
	f := agree(fast, "%s", strings.Join(seen, "; "))
	f.values = values
	return f, nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// findPostThrottle posts faster than the throttle of the stage lets frames pass.
func findPostThrottle(ctx context.Context, s *session) (finding, error) {
	clients, ids, err := s.enterAll(ctx)
	if err != nil {
		return finding{}, err
	}
	defer closeAll(clients)
	poster, err := s.poster(loadConcurrency)
	if err != nil {
		return finding{}, err
	}
	defer poster.Close()
	began := time.Now()
	took, throttled, err := postAll(ctx, poster, ids, loadMessages, loadConcurrency)
	elapsed := time.Since(began)
	if err != nil {
		return finding{}, err
	}
	f := agree(throttled == 0, "%d posts in %.1f s: %d answered with 429", len(took)+throttled, elapsed.Seconds(), throttled)
	if throttled == 0 && !exceedsStage(len(took), elapsed) {
		f.agreement = Unknown
		f.seen += "; too slow to exceed the throttle: run this from a machine in the region"
	}
	f.values = map[string]any{"posts": len(took) + throttled, "throttled": throttled, "seconds": elapsed.Seconds()}
	return f, nil
}

// findFrameThrottle sends pings faster than the throttle, and then a frame of another
// route.
func findFrameThrottle(ctx context.Context, s *session) (finding, error) {
	var clients []*client
	defer func() { closeAll(clients) }()
	for range loadClients {
		c, err := s.dial(ctx)
		if err != nil {
			return finding{}, err
		}
		clients = append(clients, c)
	}
	began := time.Now()
	var wg sync.WaitGroup
	var sent atomic.Int64
	for _, c := range clients {
		wg.Go(func() {
			for range loadMessages / loadClients {
				if c.send(ctx, `{"method":"ping"}`) != nil {
					return
				}
				sent.Add(1)
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(began)

	// A function replies to a frame of another route. Where the gateway has closed the
	// connection there is no reply.
	other := clients[0]
	_ = other.send(ctx, `{"id":"other","method":"no-such-method","params":{}}`)
	refusals, example, replied := 0, "", false
	for deadline := time.Now().Add(s.ReplyTimeout); !replied && time.Now().Before(deadline); {
		text, err := other.nextWithin(ctx, time.Until(deadline))
		if err != nil {
			break
		}
		if replied = strings.Contains(text, `"other"`); !replied {
			refusals, example = refusals+1, text
		}
	}
	closed := 0
	for _, c := range clients {
		for len(c.frames) > 0 {
			refusals, example = refusals+1, <-c.frames
		}
		select {
		case <-c.ended:
			closed++
		default:
		}
	}
	n := int(sent.Load())
	f := agree(refusals > 0 && replied, "%d pings in %.1f s: %d error frames, %d of %d connections closed",
		n, elapsed.Seconds(), refusals, closed, len(clients))
	if example != "" {
		f.seen += ", such as " + shorten(example)
	}
	f.seen += fmt.Sprintf("; a frame of another route was replied to: %t", replied)
	if refusals == 0 && closed == 0 && !exceedsStage(n, elapsed) {
		f.agreement = Unknown
		f.seen += "; too slow to exceed the throttle"
	}
	f.values = map[string]any{"frames": n, "refusals": refusals, "closed": closed, "seconds": elapsed.Seconds(), "other_route_replied": replied}
	return f, nil
}

// findColdStart calls each function twice.
func findColdStart(ctx context.Context, s *session) (finding, error) {
	var c *client
	defer func() {
		if c != nil {
			c.close()
		}
	}()
	frame := func(text string) func() error {
		return func() error {
			if err := c.send(ctx, text); err != nil {
				return err
			}
			_, err := c.next(ctx)
			return err
		}
	}
	page := func(path string) func() error {
		return func() error {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.HTTPURL+path, nil)
			if err != nil {
				return err
			}
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				return err
			}
			_, err = io.Copy(io.Discard, response.Body)
			return errors.Join(err, response.Body.Close())
		}
	}
	values := make(map[string]any)
	var seen []string
	quick := true
	for _, call := range []struct {
		function string
		do       func() error
	}{
		{"connect", func() (err error) {
			if c != nil {
				c.close()
			}
			c, err = s.dial(ctx)
			return err
		}},
		{"message", frame(`{"id":"1","method":"no-such-method","params":{}}`)},
		{"auth", frame(s.authFrame())},
		{"subscribe", frame(`{"id":"1","method":"subscribe","params":{"to":{}}}`)},
		{"unsubscribe", frame(`{"id":"1","method":"unsubscribe","params":{"from":{}}}`)},
		{"broadcast", frame(`{"id":"1","method":"broadcast","params":{"category":"chat","channel":"` + hub.NewID(time.Now()) + `","data":{}}}`)},
		{"publish", page("/healthz")},
		{"admin", page("/admin/sign-in")},
	} {
		var took [2]time.Duration
		for i := range took {
			began := time.Now()
			if err := call.do(); err != nil {
				return finding{}, fmt.Errorf("call %s: %w", call.function, err)
			}
			took[i] = time.Since(began)
		}
		quick = quick && took[0]-took[1] <= 500*time.Millisecond
		values[call.function] = map[string]any{"first_ms": milliseconds(took[0]), "second_ms": milliseconds(took[1])}
		seen = append(seen, fmt.Sprintf("%s %.0f and %.0f ms", call.function, milliseconds(took[0]), milliseconds(took[1])))
	}
	f := agree(quick, "%s", strings.Join(seen, "; "))
	f.values = values
	return f, nil
}
