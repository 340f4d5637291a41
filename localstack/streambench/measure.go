package main

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	warmUps = 20
	pairs   = 200
)

// compareLatency prints the time from a publish to its arrival at the clients of a quiet
// channel, direct and through a stream.
func (b *bench) compareLatency(ctx context.Context) (met bool, err error) {
	fmt.Printf("\nMedians of %d publishes to a quiet channel, in ms, which alternate%12s%12s%12s\n", pairs, "first", "last", "answer")
	met = true
	for _, clients := range []int{1, subscribers} {
		var both [2]latencies
		var audiences [2]*audience
		channels := [2]string{fmt.Sprintf("%s:quiet%d", direct, clients), fmt.Sprintf("%s:quiet%d", ordered, clients)}
		for i, channel := range channels {
			if audiences[i], err = b.subscribe(ctx, channel, clients); err != nil {
				return false, err
			}
			defer audiences[i].close()
		}
		for n := range warmUps + pairs {
			for i, channel := range channels {
				if err := b.time(ctx, channel, audiences[i], &both[i]); err != nil {
					return false, err
				}
			}
			if n == warmUps-1 {
				both = [2]latencies{}
			}
		}
		for i, l := range both {
			fmt.Printf("  %-64s%12.2f%12.2f%12.2f\n", fmt.Sprintf("%s, %d clients", [2]string{direct, ordered}[i], clients),
				milliseconds(median(l.first)), milliseconds(median(l.last)), milliseconds(median(l.answer)))
		}
		ratio := func(of func(latencies) []time.Duration) float64 {
			return float64(median(of(both[1]))) / float64(median(of(both[0])))
		}
		first, last := ratio(func(l latencies) []time.Duration { return l.first }), ratio(func(l latencies) []time.Duration { return l.last })
		if clients == 1 {
			// Two writes more than a read and one post: the ratio is that of requests to DynamoDB.
			fmt.Printf("  stream / direct with 1 client = %.2f (no target)\n", first)
			continue
		}
		met = verdict(max(first, last) <= maxLatencyRatio, "stream / direct = %.2f at the first client, %.2f at the last (at most %g)", first, last, maxLatencyRatio)
	}
	return met, nil
}

// latencies are those of publishes: until the message was at the first and at the last client,
// and until the answer.
type latencies struct{ first, last, answer []time.Duration }

// time publishes and waits for the arrivals.
func (b *bench) time(ctx context.Context, channel string, a *audience, l *latencies) error {
	start := time.Now()
	if err := b.publish(ctx, channel); err != nil {
		return err
	}
	l.answer = append(l.answer, time.Since(start))
	var first, last time.Duration
	for n := range a.clients {
		select {
		case at := <-a.arrived:
			after := at.Sub(start)
			if n == 0 {
				first = after
			}
			first, last = min(first, after), max(last, after)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	l.first, l.last = append(l.first, first), append(l.last, last)
	return nil
}

// compareFrames prints how many frames a client gets for a message, at several rates.
func (b *bench) compareFrames(ctx context.Context) (met bool, err error) {
	fmt.Printf("\nOne channel with %d clients%10s%12s%12s%16s%14s\n", subscribers, "rate", "achieved", "messages", "frames/message", "last after, s")
	met = true
	for _, category := range []string{ordered, lingering} {
		a, err := b.subscribe(ctx, category+":frames", subscribers)
		if err != nil {
			return false, err
		}
		defer a.close()
		sent := 0
		for _, rate := range []struct {
			perSecond, messages int
			target              float64 // of a category that lingers; 0 for none
		}{{1, 5, 0}, {5, 20, 0}, {50, 200, maxFramesAt50}, {500, 1000, maxFramesAt500}} {
			before, _, err := a.count()
			if err != nil {
				return false, err
			}
			start := time.Now()
			published, err := b.publishAt(ctx, category+":frames", rate.perSecond, rate.messages)
			if err != nil {
				return false, err
			}
			sent += rate.messages
			if err := a.wait(ctx, sent); err != nil {
				return false, err
			}
			after, _, err := a.count()
			if err != nil {
				return false, err
			}
			frames := float64(after-before) / float64(subscribers*rate.messages)
			achieved := float64(rate.messages) / published.Seconds()
			fmt.Printf("  %-24s%9d/s%10.0f/s%12d%16.3f%14.2f\n", category, rate.perSecond, achieved, rate.messages, frames, time.Since(start).Seconds())
			if category == lingering && rate.target > 0 {
				met = verdict(frames < rate.target, "frames for a message at %d/s, of which %.0f/s were achieved = %.3f (below %g)",
					rate.perSecond, achieved, frames, rate.target) && met
			}
		}
	}
	return met, nil
}

// publishAt publishes n messages at a rate, each when it is due, whether or not those before
// were answered. It returns the time until the last one was answered.
func (b *bench) publishAt(ctx context.Context, channel string, perSecond, n int) (time.Duration, error) {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxPublishers)
	start := time.Now()
	for i := range n {
		due := start.Add(time.Duration(i) * time.Second / time.Duration(perSecond))
		select {
		case <-time.After(time.Until(due)):
		case <-ctx.Done():
			return 0, group.Wait()
		}
		group.Go(func() error { return b.publish(ctx, channel) })
	}
	err := group.Wait()
	// The last one is due an interval after the one before it.
	return max(time.Since(start), time.Duration(n)*time.Second/time.Duration(perSecond)), err
}

const (
	busyTime       = 3 * time.Second
	busyPublishers = 8
)

// compareThroughput prints how many messages reach clients in a second while publishers publish
// as fast as they can.
func (b *bench) compareThroughput(ctx context.Context) error {
	fmt.Printf("\n%d publishers to %d clients, as fast as they can%11s%15s%16s\n", busyPublishers, subscribers, "messages/s", "deliveries/s", "frames/message")
	for _, category := range []string{direct, ordered, lingering} {
		channel := category + ":busy"
		a, err := b.subscribe(ctx, channel, subscribers)
		if err != nil {
			return err
		}
		defer a.close()
		start := time.Now()
		sent, err := b.flood(ctx, channel, busyTime)
		if err != nil {
			return err
		}
		if err := a.wait(ctx, sent); err != nil {
			return err
		}
		took := time.Since(start).Seconds()
		frames, messages, err := a.count()
		if err != nil {
			return err
		}
		fmt.Printf("  %-44s%12.0f%15.0f%16.3f\n", category, float64(sent)/took, float64(messages)/took, float64(frames)/float64(messages))
	}
	return nil
}

// flood publishes for a while and returns how many messages were accepted.
func (b *bench) flood(ctx context.Context, channel string, d time.Duration) (int, error) {
	var sent atomic.Int64
	end := time.Now().Add(d)
	group, ctx := errgroup.WithContext(ctx)
	for range busyPublishers {
		group.Go(func() error {
			for time.Now().Before(end) {
				if err := b.publish(ctx, channel); err != nil {
					return err
				}
				sent.Add(1)
			}
			return nil
		})
	}
	err := group.Wait()
	return int(sent.Load()), err
}

func median(all []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(all))[len(all)/2]
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }
