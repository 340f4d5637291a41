package main

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// exactMicros is up to where a histogram counts every microsecond by itself; above,
// a bucket is at most 1/128 of its value wide.
const exactMicros = 256

// histogram counts durations in buckets, so that a hundred million take no more
// room than one. The zero value is empty. It is safe for concurrent use.
type histogram struct {
	buckets [exactMicros + 56*exactMicros/2]atomic.Int64
	most    atomic.Int64 // microseconds
}

func bucket(micros uint64) int {
	if micros < exactMicros {
		return int(micros) //nolint:gosec // it is small
	}
	shift := bits.Len64(micros) - 8
	return exactMicros/2*(shift+1) + int(micros>>shift) - exactMicros/2 //nolint:gosec // 8 bits are left
}

// upper is the most that falls into a bucket, in microseconds.
func upper(bucket int) uint64 {
	if bucket < exactMicros {
		return uint64(bucket) //nolint:gosec // it is not negative
	}
	shift := bucket/(exactMicros/2) - 1
	mantissa := bucket%(exactMicros/2) + exactMicros/2
	return uint64(mantissa+1)<<shift - 1 //nolint:gosec // neither is negative
}

func (h *histogram) add(d time.Duration) {
	micros := max(d.Microseconds(), 0)
	h.buckets[bucket(uint64(micros))].Add(1) //nolint:gosec // it is not negative
	for {
		most := h.most.Load()
		if micros <= most || h.most.CompareAndSwap(most, micros) {
			return
		}
	}
}

// quantiles are in milliseconds: so many of a hundred took no longer. They are
// right to 1 %, and Max is exact.
type quantiles struct {
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

func (h *histogram) quantiles() quantiles {
	return quantiles{h.quantile(50), h.quantile(90), h.quantile(99), h.quantile(100)}
}

func (h *histogram) quantile(percent int64) float64 {
	var counts [len(h.buckets)]int64
	var sum int64
	for i := range counts {
		counts[i] = h.buckets[i].Load()
		sum += counts[i]
	}
	rank := (sum*percent + 99) / 100
	most := uint64(h.most.Load()) //nolint:gosec // it is not negative
	for i, seen := 0, int64(0); i < len(counts) && rank > 0; i++ {
		if seen += counts[i]; seen >= rank {
			return millis(min(upper(i), most))
		}
	}
	return 0
}

func millis(micros uint64) float64 { return math.Round(float64(micros)) / 1000 }
