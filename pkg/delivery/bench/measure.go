package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"syscall"
	"time"
)

const (
	messageBytes = 200
	concurrency  = 64

	rounds = 7
	budget = 25 * time.Second // for all rounds at one number of CPUs
)

// sample is what a number of posts cost.
type sample struct {
	PerSecond, CPUMicros, Allocs, Bytes float64
}

// measure takes rounds of all variants in turns, at most until its budget is
// spent, and returns the median of each by name.
func measure(ctx context.Context, address string) (map[string]sample, error) {
	samples := make(map[string][]sample)
	posts := make(map[string]func(context.Context, int) error)
	for _, v := range variants {
		post, err := v.build("http://" + address + "/prod")
		if err != nil {
			return nil, fmt.Errorf("%s: %w", v.name, err)
		}
		if err := post(ctx, v.posts/4); err != nil {
			return nil, fmt.Errorf("warm up %s: %w", v.name, err)
		}
		posts[v.name] = post
	}
	for start := time.Now(); len(samples[limitName]) < rounds && (len(samples[limitName]) < 3 || time.Since(start) < budget); {
		for _, v := range variants {
			s, err := take(ctx, v.posts, posts[v.name])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", v.name, err)
			}
			samples[v.name] = append(samples[v.name], s)
		}
	}
	medians := make(map[string]sample)
	for name, all := range samples {
		medians[name] = sample{
			PerSecond: median(all, func(s sample) float64 { return s.PerSecond }),
			CPUMicros: median(all, func(s sample) float64 { return s.CPUMicros }),
			Allocs:    median(all, func(s sample) float64 { return s.Allocs }),
			Bytes:     median(all, func(s sample) float64 { return s.Bytes }),
		}
	}
	return medians, nil
}

func take(ctx context.Context, n int, post func(context.Context, int) error) (sample, error) {
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu, start := cpuTime(), time.Now()
	if err := post(ctx, n); err != nil {
		return sample{}, err
	}
	elapsed, used := time.Since(start), cpuTime()-cpu
	runtime.ReadMemStats(&after)
	return sample{
		PerSecond: float64(n) / elapsed.Seconds(),
		CPUMicros: float64(used.Nanoseconds()) / 1e3 / float64(n),
		Allocs:    float64(after.Mallocs-before.Mallocs) / float64(n),
		Bytes:     float64(after.TotalAlloc-before.TotalAlloc) / float64(n),
	}, nil
}

// cpuTime is what this process has used, in user and system mode.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // cannot happen with these arguments
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func median(all []sample, of func(sample) float64) float64 {
	values := make([]float64, 0, len(all))
	for _, s := range all {
		values = append(values, of(s))
	}
	slices.Sort(values)
	return values[len(values)/2]
}
