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
	// maxConcurrentClients limits the clients that connect or settle concurrently.
	maxConcurrentClients = 32
	// maxFirstFailures is the number of failed calls before the first success that ends
	// a measurement.
	maxFirstFailures = 10
	// awaitInterval is the interval of checks for missing messages.
	awaitInterval = 10 * time.Millisecond
)

// measurement publishes messages and counts deliveries. All times are durations since
// began.
type measurement struct {
	*bench
	publisher   *cent.Client
	id          string // identifies the messages of this measurement
	pad         string
	timeout     time.Duration
	backOff     time.Duration
	began       time.Time
	subscribers []*subscriber
	running     sync.WaitGroup

	connected, published, failed, received, duplicates atomic.Int64

	disconnected int // clients that lost their connection

	sent  []atomic.Int64 // the time of each call
	first atomic.Int64   // the time of the first call
	last  atomic.Int64   // the time of the last response or receipt
	done  bitmap         // the messages that were published

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

// poolOf returns a client that keeps a number of idle connections.
func poolOf(connections int) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = connections
	return &http.Client{Transport: transport}
}

// add adds a client of a user.
func (m *measurement) add(s *session, user string) (err error) {
	c := &subscriber{m: m, seen: newBitmap(m.Messages), ready: make(chan struct{}), ended: make(chan struct{})}
	c.listener, err = s.listener(listenerOptions{user: user, channels: []string{m.Channel}, classic: m.Classic, attempts: 1}, c)
	m.subscribers = append(m.subscribers, c)
	return err
}

// measure runs the measurement. When ctx ends it stops publishing and waits for the
// messages that were published. Connections stay until open ends. It fails if nothing
// can be measured.
func (m *measurement) measure(ctx, open context.Context) error {
	if err := m.connect(ctx, open); err != nil {
		return err
	}
	if ended(ctx) {
		return nil
	}
	if err := m.publish(ctx); err != nil {
		return err
	}
	m.await(m.timeout)
	m.settle(open)
	for _, c := range m.subscribers {
		if c.disconnected() {
			m.disconnected++
		}
	}
	return nil
}

// connect connects and subscribes all clients.
func (m *measurement) connect(ctx, open context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxConcurrentClients)
	for _, c := range m.subscribers {
		g.Go(func() error {
			if ended(ctx) {
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

// publish publishes the messages at the rate of the command. It stops and fails if
// Centrifuge refuses a message or if the first calls fail.
func (m *measurement) publish(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, m.StopAfter)
	defer cancel()
	began := time.Now()
	m.first.Store(int64(time.Since(m.began)))
	g, failed := errgroup.WithContext(context.WithoutCancel(ctx))
	g.SetLimit(m.Parallel)
	for n := 0; n < m.Messages && !ended(ctx) && !ended(failed); n++ {
		if m.Rate > 0 && !sleep(ctx, time.Until(began.Add(time.Duration(n)*time.Second/time.Duration(m.Rate)))) {
			break
		}
		g.Go(func() error { return m.send(failed, n) })
	}
	return g.Wait()
}

// ended reports whether ctx has ended.
func ended(ctx context.Context) bool { return ctx.Err() != nil }

// sleep waits and reports whether the time has passed before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return !ended(ctx)
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

// send publishes message n. It fails with an error that ends the measurement.
func (m *measurement) send(ctx context.Context, n int) error {
	began := time.Since(m.began)
	m.sent[n].Store(int64(began))
	_, err := m.publisher.Publish(ctx, m.Channel, json.RawMessage(m.data(n)), cent.PublishOptions{})
	now := time.Since(m.began)
	if err == nil {
		m.done.set(n)
		m.published.Add(1)
		m.calls.add(now - began)
		m.happened(now)
		return nil
	}
	if ended(ctx) {
		return err // another error ended this call
	}
	m.failure.Do(func() { m.firstFailure = err })
	var refusal *cent.Error
	if errors.As(err, &refusal) && !refusal.Temporary || m.failed.Add(1) == maxFirstFailures && m.published.Load() == 0 {
		return err
	}
	return nil
}

// data returns the data of message n.
func (m *measurement) data(n int) string {
	return fmt.Sprintf(`{"bench":%q,"n":%d,"pad":%q}`, m.id, n, m.pad)
}

// happened sets the end of the measurement to now.
func (m *measurement) happened(now time.Duration) {
	for {
		last := m.last.Load()
		if int64(now) <= last || m.last.CompareAndSwap(last, int64(now)) {
			return
		}
	}
}

// await waits until every connected client has received all published messages, or
// until the timeout.
func (m *measurement) await(timeout time.Duration) {
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	ticker := time.NewTicker(awaitInterval)
	defer ticker.Stop()
	for m.missing(true) > 0 {
		select {
		case <-deadline.C:
			return
		case <-ticker.C:
		}
	}
}

// missing counts the published messages that were not received, by the connected
// clients or by all clients.
func (m *measurement) missing(connected bool) int {
	n := 0
	for _, c := range m.subscribers {
		if !connected || c.alive() {
			n += m.done.without(c.seen)
		}
	}
	return n
}

// settle finds late duplicates: each client sends a command and reads until the reply.
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
			if err := c.settle(ctx); err != nil {
				return err // the reader counts the lost connection
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

// counts returns the progress.
func (m *measurement) counts() counts {
	return counts{
		connected: int(m.connected.Load()), clients: m.Clients, published: int(m.published.Load()), messages: m.Messages,
		received: int(m.received.Load()), expected: m.Clients * m.Messages,
	}
}

// bitmap is a set of small numbers. It is safe for concurrent use.
type bitmap []atomic.Uint64

func newBitmap(size int) bitmap { return make(bitmap, (size+63)/64) }

// set adds n and reports whether the set contained it.
func (b bitmap) set(n int) (before bool) {
	bit := uint64(1) << (n % 64)
	return b[n/64].Or(bit)&bit != 0
}

// without counts the numbers in b that are not in other.
func (b bitmap) without(other bitmap) int {
	n := 0
	for i := range b {
		n += bits.OnesCount64(b[i].Load() &^ other[i].Load())
	}
	return n
}
