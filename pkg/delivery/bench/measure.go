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

	maxRounds = 15
	minRounds = 5                // also on a slow machine
	budget    = 20 * time.Second // for all rounds at one number of CPUs
)

// sample is the cost of a post, as the mean of many.
type sample struct {
	PerSecond, CPUMicros, Allocs, Bytes float64
}

// result has the medians over all rounds at one number of CPUs. The ratios compare
// variants of the same round, because the load of the machine changes between rounds.
type result struct {
	Variants            map[string]sample
	OverSDK, OfTheLimit float64
}

// measure measures rounds of all variants until its budget is spent.
func measure(ctx context.Context, address string) (result, error) {
	posts := make(map[string]func(context.Context, int) error)
	for _, v := range variants {
		post, err := v.build("http://" + address + "/prod")
		if err != nil {
			return result{}, fmt.Errorf("%s: %w", v.name, err)
		}
		if err := post(ctx, v.posts); err != nil {
			return result{}, fmt.Errorf("warm up %s: %w", v.name, err)
		}
		posts[v.name] = post
	}
	var all []map[string]sample
	for start := time.Now(); len(all) < minRounds || (len(all) < maxRounds && time.Since(start) < budget); {
		round := make(map[string]sample)
		for _, v := range variants {
			s, err := take(ctx, v.posts, posts[v.name])
			if err != nil {
				return result{}, fmt.Errorf("%s: %w", v.name, err)
			}
			round[v.name] = s
		}
		all = append(all, round)
	}

	r := result{Variants: make(map[string]sample)}
	for _, v := range variants {
		r.Variants[v.name] = sample{
			PerSecond: median(all, func(m map[string]sample) float64 { return m[v.name].PerSecond }),
			CPUMicros: median(all, func(m map[string]sample) float64 { return m[v.name].CPUMicros }),
			Allocs:    median(all, func(m map[string]sample) float64 { return m[v.name].Allocs }),
			Bytes:     median(all, func(m map[string]sample) float64 { return m[v.name].Bytes }),
		}
	}
	r.OverSDK = median(all, func(m map[string]sample) float64 { return m[oursName].PerSecond / m[sdkName].PerSecond })
	r.OfTheLimit = median(all, func(m map[string]sample) float64 { return m[oursName].PerSecond / m[limitName].PerSecond })
	return r, nil
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

// cpuTime is the CPU time of this process, in user and system mode.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // cannot happen with these arguments
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func median(all []map[string]sample, of func(map[string]sample) float64) float64 {
	values := make([]float64, 0, len(all))
	for _, m := range all {
		values = append(values, of(m))
	}
	slices.Sort(values)
	return values[len(values)/2]
}
