package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"centrifuge/pkg/cent"
)

const (
	// maxConcurrentClients is how many clients connect or settle concurrently.
	maxConcurrentClients = 32
	// hopeless is how many failures in a row, before any success, end a measurement.
	hopeless = 10
	// look is how often to see whether everything has come.
	look = 10 * time.Millisecond
)

// measurement publishes messages and counts their receipts. All times are since
// began, on one clock.
type measurement struct {
	*bench
	publisher   *cent.Client
	id          string // tells our messages from those of others
	pad         string
	timeout     time.Duration
	backOff     time.Duration
	began       time.Time
	subscribers []*subscriber
	running     sync.WaitGroup

	connected, published, failed, received, twice atomic.Int64

	disconnected int // clients who lost their connection

	sent  []atomic.Int64 // when, by message
	first atomic.Int64   // when the first was sent
	last  atomic.Int64   // when the last thing happened
	done  bitmap         // which messages were published

	calls, receipts *histogram

	failure      sync.Once
	firstFailure error
}

func newMeasurement(c *bench, s *session, publisher *cent.Client, id string) *measurement {
	m := &measurement{
		bench: c, publisher: publisher, id: id, timeout: s.Timeout, backOff: s.backOff, began: time.Now(),
		sent: make([]atomic.Int64, c.Messages), done: newBitmap(c.Messages),
		calls: newHistogram(), receipts: newHistogram(),
	}
	m.pad = strings.Repeat("x", max(c.Size-len(m.data(c.Messages-1)), 0))
	return m
}

// widened is a client that keeps as many connections as it makes calls at once.
func widened(connections int) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = connections
	return &http.Client{Transport: transport}
}

func (m *measurement) add(l *listener) {
	c := &subscriber{m: m, listener: l, seen: newBitmap(m.Messages), ready: make(chan struct{}), ended: make(chan struct{})}
	l.audience = c
	m.subscribers = append(m.subscribers, c)
}

// measure does all of it. Where ctx ends it publishes no more, and waits for what
// it has; connections are bound by open alone. It fails where there is nothing to
// measure.
func (m *measurement) measure(ctx, open context.Context) error {
	if err := m.connect(ctx, open); err != nil {
		return err
	}
	if over(ctx) {
		return nil
	}
	if err := m.publish(ctx); err != nil {
		return err
	}
	m.await(m.timeout)
	m.settle(open)
	for _, c := range m.subscribers {
		if c.lost() {
			m.disconnected++
		}
	}
	return nil
}

// connect has every client subscribe, a bounded number at a time.
func (m *measurement) connect(ctx, open context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxConcurrentClients)
	for _, c := range m.subscribers {
		g.Go(func() error {
			if over(ctx) {
				return nil
			}
			m.running.Go(func() { c.run(open) })
			select {
			case <-c.ready:
				m.connected.Add(1)
				return nil
			case <-c.ended:
				return fmt.Errorf("subscribe: %w", c.err)
			case <-ctx.Done():
				return nil
			}
		})
	}
	return g.Wait()
}

// publish sends the messages at the rate asked for. It fails, and stops, when
// Centrifuge refuses one for good or when none can be sent.
func (m *measurement) publish(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, m.StopAfter)
	defer cancel()
	began := time.Now()
	m.first.Store(int64(time.Since(m.began)))
	g, failed := errgroup.WithContext(context.WithoutCancel(ctx))
	g.SetLimit(m.Parallel)
	for n := 0; n < m.Messages && !over(ctx) && !over(failed); n++ {
		if m.Rate > 0 && !sleep(ctx, time.Until(began.Add(time.Duration(n)*time.Second/time.Duration(m.Rate)))) {
			break
		}
		g.Go(func() error { return m.send(failed, n) })
	}
	return g.Wait()
}

// over tells whether ctx has ended.
func over(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return true
	default:
		return false
	}
}

// sleep waits and tells whether the time has passed, not ctx.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return !over(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// send publishes message n. It fails with what ends the measurement.
func (m *measurement) send(ctx context.Context, n int) error {
	began := time.Since(m.began)
	m.sent[n].Store(int64(began))
	err := m.publisher.Publish(ctx, m.Channel, json.RawMessage(m.data(n)), cent.PublishOptions{})
	now := time.Since(m.began)
	if err == nil {
		m.done.set(n)
		m.published.Add(1)
		m.calls.add(now - began)
		m.happened(now)
		return nil
	}
	if over(ctx) {
		return err // another failure ended this call
	}
	m.failure.Do(func() { m.firstFailure = err })
	var refusal *cent.Error
	if errors.As(err, &refusal) && !refusal.Temporary || m.failed.Add(1) == hopeless && m.published.Load() == 0 {
		return err
	}
	return nil
}

// data is the data of message n.
func (m *measurement) data(n int) string {
	return fmt.Sprintf(`{"bench":%q,"n":%d,"pad":%q}`, m.id, n, m.pad)
}

// happened moves the end of the measurement to now.
func (m *measurement) happened(now time.Duration) {
	for {
		last := m.last.Load()
		if int64(now) <= last || m.last.CompareAndSwap(last, int64(now)) {
			return
		}
	}
}

// await waits, so long, until every client that is still connected has received
// everything that was published.
func (m *measurement) await(patience time.Duration) {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for m.missing(true) > 0 {
		select {
		case <-deadline.C:
			return
		case <-ticker.C:
		}
	}
}

// missing counts the messages that were published and not received, by clients
// that are connected or by all.
func (m *measurement) missing(connected bool) int {
	n := 0
	for _, c := range m.subscribers {
		if !connected || c.alive() {
			n += m.done.without(c.seen)
		}
	}
	return n
}

// settle finds what comes after everything has come: whatever precedes the reply to
// a command came twice.
func (m *measurement) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	var g errgroup.Group
	g.SetLimit(maxConcurrentClients)
	for _, c := range m.subscribers {
		if !c.alive() {
			continue
		}
		g.Go(func() error {
			if err := c.send(ctx, settling); err != nil {
				return err // that is counted where it reads
			}
			select {
			case <-c.ended:
			case <-ctx.Done():
			}
			return nil
		})
	}
	_ = g.Wait()
}

// counts are how far it is.
func (m *measurement) counts() counts {
	return counts{
		connected: int(m.connected.Load()), clients: m.Clients, published: int(m.published.Load()), messages: m.Messages,
		received: int(m.received.Load()), expected: m.Clients * m.Messages,
	}
}

// bitmap is a set of small numbers. It is safe for concurrent use.
type bitmap []atomic.Uint64

func newBitmap(size int) bitmap { return make(bitmap, (size+63)/64) }

// set adds n and tells whether it was there.
func (b bitmap) set(n int) (before bool) {
	bit := uint64(1) << (n % 64)
	return b[n/64].Or(bit)&bit != 0
}

// without counts what is in b and not in other.
func (b bitmap) without(other bitmap) int {
	n := 0
	for i := range b {
		n += bits.OnesCount64(b[i].Load() &^ other[i].Load())
	}
	return n
}
