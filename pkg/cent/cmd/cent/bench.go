package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"centrifuge/pkg/cent"
	"centrifuge/pkg/hub"
)

// The limits of a measurement.
const (
	maxClients   = 10_000
	maxMessages  = 100_000
	maxRate      = 10_000
	maxParallel  = 64
	minSize      = 64
	maxStopAfter = time.Hour
	// maxDeliveries is the limit of billed deliveries without --yes.
	maxDeliveries = 1_000_000
	// billedBytes is the size that API Gateway bills as one message.
	billedBytes = 32 << 10
	// spareFiles is the number of open files in addition to the sockets of the clients,
	// in this process or in a local stack, which has the same limit.
	spareFiles = 1000
	// envelopeBytes is about the size of a push without its data.
	envelopeBytes = 256
)

type bench struct {
	Channel string `arg:"" help:"The channel. Other subscribers receive the messages, too."`

	Clients   int           `default:"50" placeholder:"N" help:"The number of subscribers, from 1 to 10000 (${default})."`
	Messages  int           `default:"100" placeholder:"M" help:"The number of messages, from 1 to 100000 (${default})."`
	Rate      int           `default:"50" placeholder:"R" help:"Messages per second, at most 10000; 0 is as fast as possible (${default})."`
	Size      int           `default:"128" placeholder:"BYTES" help:"The size of the data of a message, from 64 to 131072 bytes (${default})."`
	Parallel  int           `default:"16" placeholder:"N" help:"The number of concurrent calls, from 1 to 64 (${default})."`
	StopAfter time.Duration `default:"10m" placeholder:"10m" help:"The time limit of publishing, at most 1h (${default})."`
	Classic   bool          `help:"Speak the classic protocol."`
	Quiet     bool          `short:"q" help:"Show no progress."`
	Yes       bool          `short:"y" help:"Allow more than 1000000 deliveries."`
}

// Help is shown below the usage.
func (*bench) Help() string {
	return `cent connects WebSocket clients, each with its own token made with the secret, publishes messages through the server API, and measures the latency of the calls and the latency from a call to each receipt. AWS bills each delivery, clients × messages, in units of 32 KB. cent prints the number of billed deliveries first.

The clients speak Centrifugo's protocol, or the classic one with --classic. They do not connect again: what is sent after a lost connection is lost.

--timeout limits each call, which is not repeated, and the wait for missing messages after the last call. An interrupt stops publishing. cent then waits for the messages that were published and prints the summary.

The exit status is 1 if messages were lost or could not be published. A duplicate is counted and is not a failure.`
}

// Run implements the command.
func (c *bench) Run(ctx context.Context, s *session) error {
	m, err := c.prepare(s)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.stderr, "cent: %d clients × %d messages: %d billed deliveries, and more if the channel has other subscribers or the category has join_leave\n", c.Clients, c.Messages, c.billed())
	// An interrupt does not close the connections: published messages still arrive.
	open, closeAll := context.WithCancel(context.WithoutCancel(ctx))
	stop := func() {}
	if !c.Quiet {
		stop = progress(s.stderr, s.errTerminal, m.counts)
	}
	err = m.measure(ctx, open)
	closeAll()
	m.running.Wait()
	stop()
	if err != nil {
		return err
	}
	sum := m.summary()
	if err := sum.print(s); err != nil {
		return err
	}
	switch {
	case sum.Lost > 0:
		return exit{exitRefused, fmt.Errorf("%d of %d deliveries were lost", sum.Lost, sum.Lost+sum.Deliveries)}
	case sum.Failed > 0:
		return exit{exitRefused, fmt.Errorf("%d messages could not be published; the first error: %w", sum.Failed, m.firstFailure)}
	}
	return nil
}

// billed returns the number of messages that AWS bills.
func (c *bench) billed() int {
	return c.Clients * c.Messages * ((c.Size + envelopeBytes + billedBytes - 1) / billedBytes)
}

// check refuses values outside their limits.
func (c *bench) check() error {
	for _, bound := range []struct {
		flag             string
		value, low, high int
	}{
		{"clients", c.Clients, 1, maxClients},
		{"messages", c.Messages, 1, maxMessages},
		{"rate", c.Rate, 0, maxRate},
		{"size", c.Size, minSize, hub.MaxMessageBytes},
		{"parallel", c.Parallel, 1, maxParallel},
		{"stop-after", int(c.StopAfter / time.Second), 1, int(maxStopAfter / time.Second)},
	} {
		if bound.value < bound.low || bound.value > bound.high {
			unit := ""
			if bound.flag == "stop-after" {
				unit = " s"
			}
			return misuse("--%s is out of range: set it from %d to %d%s", bound.flag, bound.low, bound.high, unit)
		}
	}
	if takes := c.duration(); takes > c.StopAfter {
		return misuse("%d messages at %d per second take %v: raise --rate or --stop-after", c.Messages, c.Rate, takes.Round(time.Second))
	}
	if n := c.billed(); n > maxDeliveries && !c.Yes {
		return misuse("%d billed deliveries are more than %d: add --yes to allow them", n, maxDeliveries)
	}
	return nil
}

// checkOpenFiles refuses more clients than the process may have sockets.
func (c *bench) checkOpenFiles(limit uint64) error {
	if needed := uint64(c.Clients + spareFiles); needed > limit { //nolint:gosec // check has limited it
		return misuse("%d clients need %d open files, and the limit is %d: raise it with ulimit -n %d, or lower --clients", c.Clients, needed, limit, needed)
	}
	return nil
}

// duration returns the time of publishing at the rate, 0 without a rate.
func (c *bench) duration() time.Duration {
	if c.Rate == 0 {
		return 0
	}
	return time.Duration(c.Messages) * time.Second / time.Duration(c.Rate)
}

// prepare checks the arguments and settings before anything is connected.
func (c *bench) prepare(s *session) (*measurement, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if limit, known := openFiles(); known {
		if err := c.checkOpenFiles(limit); err != nil {
			return nil, err
		}
	}
	if err := s.needSecret(); err != nil {
		return nil, err
	}
	if s.APIKey == "" {
		return nil, errNoAPIKey
	}
	publisher, err := cent.New(cent.Options{URL: s.Address, APIKey: s.APIKey, Timeout: s.Timeout, Attempts: 1, HTTP: poolOf(c.Parallel)})
	if err != nil {
		return nil, usageError{err}
	}
	m := newMeasurement(c, s, publisher, rand.Text()[:8])
	for i := range c.Clients {
		if err := m.add(s, fmt.Sprintf("bench-%d", i)); err != nil {
			return nil, err
		}
	}
	return m, nil
}
