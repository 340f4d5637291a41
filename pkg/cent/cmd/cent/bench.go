package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/cent"
	"centrifuge/pkg/hub"
)

// The bounds of a measurement.
const (
	maxClients   = 10_000
	maxMessages  = 100_000
	maxRate      = 10_000
	maxParallel  = 64
	minSize      = 64
	maxStopAfter = time.Hour
	// maxDeliveries is what may be caused without being asked.
	maxDeliveries = 1_000_000
	// billedBytes is how much API Gateway bills as one message.
	billedBytes = 32 << 10
	// spareFiles is how many files are open in addition to the sockets of the clients,
	// in this process or in a local stack, which has the same limit.
	spareFiles = 1000
	// envelopeBytes is about what a push has around its data.
	envelopeBytes = 256
)

type bench struct {
	Channel string `arg:"" help:"Which channel to publish to; its messages go to whoever else is in it, too."`

	Clients   int           `default:"50" placeholder:"N" help:"How many subscribers, from 1 to 10000 (${default})."`
	Messages  int           `default:"100" placeholder:"M" help:"How many messages, from 1 to 100000 (${default})."`
	Rate      int           `default:"50" placeholder:"R" help:"How many messages a second, at most 10000; 0 is as fast as answers come (${default})."`
	Size      int           `default:"128" placeholder:"BYTES" help:"How long the data of a message is, from 64 to 131072 bytes (${default})."`
	Parallel  int           `default:"16" placeholder:"N" help:"How many messages are being published at a time, from 1 to 64 (${default})."`
	StopAfter time.Duration `default:"10m" placeholder:"10m" help:"After how long to stop publishing, at most 1h (${default})."`
	Quiet     bool          `short:"q" help:"Show no progress."`
	Yes       bool          `short:"y" help:"Allow more than 1000000 deliveries."`
}

// Help is shown below the usage.
func (*bench) Help() string {
	return `It connects real WebSocket clients, each with a token of its own made with the secret, publishes through the server API, and tells how long the calls took and how long it took from the call to each receipt, on one clock. AWS bills every delivery, clients × messages, and each 32 KB of it; how many is said before.

--timeout bounds a call, which is not repeated, and the wait for what is still missing after the last. An interrupt stops publishing; what is under way is waited for, and the summary is printed.

The exit status is 1 when messages were lost or could not be published. A message that comes twice is counted and is no failure.`
}

// Run implements the command.
func (c *bench) Run(ctx context.Context, s *session) error {
	m, err := c.prepare(s)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.stderr, "cent: %d clients × %d messages: %d billed deliveries, and more where others listen, or the category has join_leave\n", c.Clients, c.Messages, c.billed())
	// What is connected, and what has been published, outlives an interrupt.
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
		return exit{exitRefused, fmt.Errorf("%d messages could not be published, the first: %w", sum.Failed, m.firstFailure)}
	}
	return nil
}

// billed is how many messages the deliveries are on a bill.
func (c *bench) billed() int {
	return c.Clients * c.Messages * ((c.Size + envelopeBytes + billedBytes - 1) / billedBytes)
}

// check refuses what is out of bounds.
func (c *bench) check() error {
	for _, bound := range []struct {
		flag               string
		value, least, most int
	}{
		{"clients", c.Clients, 1, maxClients},
		{"messages", c.Messages, 1, maxMessages},
		{"rate", c.Rate, 0, maxRate},
		{"size", c.Size, minSize, hub.MaxMessageBytes},
		{"parallel", c.Parallel, 1, maxParallel},
		{"stop-after", int(c.StopAfter / time.Second), 1, int(maxStopAfter / time.Second)},
	} {
		if bound.value < bound.least || bound.value > bound.most {
			unit := ""
			if bound.flag == "stop-after" {
				unit = " s"
			}
			return misuse("--%s is not from %d to %d%s", bound.flag, bound.least, bound.most, unit)
		}
	}
	if takes := c.duration(); takes > c.StopAfter {
		return misuse("%d messages at %d a second take %v: raise --rate or --stop-after", c.Messages, c.Rate, takes.Round(time.Second))
	}
	if n := c.billed(); n > maxDeliveries && !c.Yes {
		return misuse("that would be %d billed deliveries, more than %d: add --yes if it is meant", n, maxDeliveries)
	}
	return nil
}

// checkOpenFiles refuses more clients than the process may have sockets.
func (c *bench) checkOpenFiles(limit uint64) error {
	if needed := uint64(c.Clients + spareFiles); needed > limit { //nolint:gosec // check has bounded it
		return misuse("%d clients need %d open files, and the limit is %d: raise it with ulimit -n %d, or lower --clients", c.Clients, needed, limit, needed)
	}
	return nil
}

// duration is how long publishing takes at the rate asked for, 0 for none.
func (c *bench) duration() time.Duration {
	if c.Rate == 0 {
		return 0
	}
	return time.Duration(c.Messages) * time.Second / time.Duration(c.Rate)
}

// prepare checks everything that can be before anything is connected.
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
	publisher, err := cent.New(cent.Options{URL: s.Address, APIKey: s.APIKey, Timeout: s.Timeout, Attempts: 1, HTTP: widened(c.Parallel)})
	if err != nil {
		return nil, usageError{err}
	}
	m := newMeasurement(c, s, publisher, rand.Text()[:8])
	for i := range c.Clients {
		user := fmt.Sprintf("bench-%d", i)
		l, err := s.listener(user, auth.SignToken(s.Secret, user, s.Project), []string{c.Channel})
		if err != nil {
			return nil, err
		}
		m.add(l)
	}
	return m, nil
}
