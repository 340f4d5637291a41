package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"centrifuge/pkg/hub"
)

// dialsAtOnce is how many clients are connecting at a time.
const dialsAtOnce = 32

// run is one measurement.
type run struct {
	options
	channel  string
	clients  []*client
	sent     []time.Time // by message, before it is published
	received atomic.Int64
}

func measure(ctx context.Context, o options, out io.Writer) error {
	r := &run{options: o, channel: "load-" + hub.NewID(time.Now()), sent: make([]time.Time, o.messages)}
	defer func() {
		for _, c := range r.clients {
			_ = c.conn.CloseNow()
		}
	}()
	began := time.Now()
	if err := r.connect(ctx); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	fmt.Fprintf(out, "%d clients in one channel after %.1f s\n", o.clients, time.Since(began).Seconds())

	began = time.Now()
	stopProgress := r.progress(out)
	err := r.deliver(ctx)
	stopProgress()
	took := time.Since(began)
	if err != nil {
		return fmt.Errorf("after %d of %d deliveries: %w", r.received.Load(), o.clients*o.messages, err)
	}
	if err := r.settle(ctx); err != nil {
		return err
	}
	return r.summarize(out, took)
}

// connect opens all clients, a bounded number at a time.
func (r *run) connect(ctx context.Context) error {
	r.clients = make([]*client, 0, r.options.clients)
	opened := make(chan *client)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(dialsAtOnce)
	collected := make(chan struct{})
	go func() {
		defer close(collected)
		for c := range opened {
			r.clients = append(r.clients, c)
		}
	}()
	for i := range r.options.clients {
		g.Go(func() error {
			c, err := r.open(ctx, fmt.Sprintf("client-%d", i))
			if err == nil {
				opened <- c
			}
			return err
		})
	}
	err := g.Wait()
	close(opened)
	<-collected
	return err
}

// deliver publishes all messages while all clients receive.
func (r *run) deliver(ctx context.Context) error {
	// One group, so that a client that fails ends the publishing too.
	all, ctx := errgroup.WithContext(ctx)
	for _, c := range r.clients {
		all.Go(func() error { return c.receive(ctx, r) })
	}
	all.Go(func() error {
		publishing, ctx := errgroup.WithContext(ctx)
		publishing.SetLimit(r.publishers)
		for n := range r.messages {
			publishing.Go(func() error { return r.publish(ctx, n) })
		}
		return publishing.Wait()
	})
	return all.Wait()
}

// settle has every client look for messages that come twice.
func (r *run) settle(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, c := range r.clients {
		g.Go(func() error { return c.settle(ctx) })
	}
	return g.Wait()
}

// publish sends message n, whose data is padded to the length asked for.
func (r *run) publish(ctx context.Context, n int) error {
	data := fmt.Sprintf(`{"n":%d,"pad":""}`, n)
	data = strings.Replace(data, `""`, `"`+strings.Repeat("x", max(r.bytes-len(data), 0))+`"`, 1)
	body := fmt.Appendf(nil, `{"channel":%q,"data":%s}`, r.category+":"+r.channel, data)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.httpURL+"/api/publish", bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("X-API-Key", r.key)
	r.sent[n] = time.Now()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	if err != nil {
		return err
	}
	if got := string(bytes.TrimSpace(answer)); got != `{"result":{}}` {
		return fmt.Errorf("publish was answered %d %s", response.StatusCode, got)
	}
	return nil
}

// progress prints a line a second until it is stopped.
func (r *run) progress(out io.Writer) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for tick := time.NewTicker(time.Second); ; {
			select {
			case <-tick.C:
				fmt.Fprintf(out, "  %d of %d deliveries\n", r.received.Load(), len(r.clients)*r.messages)
			case <-done:
				tick.Stop()
				return
			}
		}
	}()
	return func() { close(done); <-ended }
}

// summarize tells what was measured. It fails when a message was lost or came
// twice.
func (r *run) summarize(out io.Writer, took time.Duration) error {
	var latencies []time.Duration
	lost, twice := 0, 0
	for _, c := range r.clients {
		for n, at := range c.at {
			if at.IsZero() {
				lost++
			} else {
				latencies = append(latencies, at.Sub(r.sent[n]))
			}
		}
		twice += c.twice
	}
	slices.Sort(latencies)
	at := func(percent int) float64 {
		return float64(latencies[(len(latencies)-1)*percent/100].Microseconds()) / 1000
	}
	fmt.Fprintf(out, "%d deliveries of %d bytes in %.2f s: %.0f deliveries/s\n", len(latencies), r.bytes, took.Seconds(), float64(len(latencies))/took.Seconds())
	fmt.Fprintf(out, "from publish to receipt: p50 %.1f ms, p99 %.1f ms, max %.1f ms\n", at(50), at(99), at(100))
	fmt.Fprintf(out, "lost %d, twice %d\n", lost, twice)
	if lost > 0 || twice > 0 {
		return fmt.Errorf("%d messages were lost, %d came twice", lost, twice)
	}
	return nil
}
