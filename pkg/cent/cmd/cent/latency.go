package main

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// maxLatency is the end of the range of a histogram. Longer durations count as this.
const maxLatency = time.Hour

// histogram counts durations in constant memory. It is safe for concurrent use.
type histogram struct {
	mu     sync.Mutex
	counts *hdrhistogram.Histogram // of microseconds
}

func newHistogram() *histogram {
	return &histogram{counts: hdrhistogram.New(1, maxLatency.Microseconds(), 3)}
}

func (h *histogram) add(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	// A value within the bounds is never refused.
	_ = h.counts.RecordValue(min(max(d, 0), maxLatency).Microseconds())
}

// percentiles are latencies in milliseconds, accurate to 0.1 %.
type percentiles struct {
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

func (h *histogram) percentiles() percentiles {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := func(percent float64) float64 { return float64(h.counts.ValueAtQuantile(percent)) / 1000 }
	return percentiles{at(50), at(90), at(99), at(100)}
}
