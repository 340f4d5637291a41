package hub

import (
	"context"
	"time"
)

// The limits of a Breaker.
const (
	// BreakerFailures is how many requests in a row fail before an address is left alone:
	// more than one client makes.
	BreakerFailures = 10
	// firstPause is the first time for which an address is left alone. It doubles with each
	// failure that follows, up to longestPause. One request after each pause is cheap, so the
	// pauses are short: nobody waits long for an application that is back.
	firstPause, longestPause = 2 * time.Second, 30 * time.Second
	// probeTime is how long one caller has an address for itself after a pause. It is longer
	// than any request. A caller that dies delays the next one by this time.
	probeTime = 10 * time.Second
	// breakerMemory is how long failures count after the last one.
	breakerMemory = time.Minute
)

// Breaker is a circuit breaker: what is known about the failures of one address of a
// project's application. It keeps an application that does not answer from holding every
// Lambda of the account, each for as long as a request may take. The zero value has no
// failures.
type Breaker struct {
	// Failures are the requests that failed since the last one that did not.
	Failures int
	// Until is the end of a pause or of a probe, zero for none. Until then nobody but the
	// prober asks. Then one caller, the prober, may ask. It is a time.UnixMilli.
	Until time.Time
}

// Ask decides about a caller at now. With a positive wait the caller does not ask, and may
// come back after that time. Otherwise it may ask. Where next differs from b, it asks as
// the prober, and only if it replaces b by next first.
func (b Breaker) Ask(now time.Time) (next Breaker, wait time.Duration) {
	switch {
	case b.Until.IsZero():
		return b, 0
	case now.Before(b.Until):
		return b, b.Until.Sub(now)
	}
	return Breaker{b.Failures, ends(now, probeTime)}, 0
}

// Failed is the state after a request failed at now. During a pause and during a probe it
// does not change, except by the failure of the prober itself: requests that began before
// the pause say nothing new.
func (b Breaker) Failed(now time.Time, prober bool) Breaker {
	if now.Before(b.Until) && !prober {
		return b
	}
	b.Failures++
	if over := b.Failures - BreakerFailures; over >= 0 {
		pause := longestPause
		if over < 8 { // beyond, the shift could overflow
			pause = min(pause, firstPause<<over)
		}
		b.Until = ends(now, pause)
	}
	return b
}

// Expires is when a state that was written at now is forgotten. A forgotten state is the
// zero value.
func (b Breaker) Expires(now time.Time) time.Time {
	if b.Until.After(now) {
		now = b.Until
	}
	return now.Add(breakerMemory)
}

// ends is the end of d as a store returns it, so that equal breakers are ==.
func ends(now time.Time, d time.Duration) time.Time {
	return time.UnixMilli(now.Add(d).UnixMilli())
}

// Breakers keeps the breakers that all processes share.
type Breakers interface {
	// Breaker returns the breaker of an address of a project. It may be a second old.
	Breaker(ctx context.Context, project, address string) (Breaker, error)
	// ReplaceBreaker replaces old by next. Where the breaker is not old any more it changes
	// nothing, and returns false with the breaker as it is. The zero value as next replaces
	// every breaker. Of concurrent callers with the same old one succeeds, also where they
	// have the same next.
	ReplaceBreaker(ctx context.Context, project, address string, old, next Breaker) (current Breaker, replaced bool, err error)
}
