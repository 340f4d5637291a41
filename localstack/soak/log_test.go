package soak_test

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
)

// serviceLog reads the log of the stack: which connections are open, and what failed. It is
// safe for concurrent use.
type serviceLog struct {
	mu       sync.Mutex
	open     map[string]bool
	failures []string
	changed  chan struct{} // closed at every change of open
	// lossy is drawn from to lose every second $disconnect, nil for none. lost are the
	// connections whose $disconnect was lost.
	lossy *rand.Rand
	lost  map[string]bool
}

func newServiceLog() *serviceLog {
	return &serviceLog{open: make(map[string]bool), changed: make(chan struct{}), lost: make(map[string]bool)}
}

// Write gets whole lines. A connection is open from the end of its $connect to the end of
// its $disconnect.
func (l *serviceLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range bytes.Lines(b) {
		var entry struct{ Level, Msg, Connection string }
		if json.Unmarshal(line, &entry) != nil || entry.Level == "ERROR" || entry.Level == "WARN" {
			l.failures = append(l.failures, string(bytes.TrimSpace(line)))
		}
		switch entry.Msg {
		case "connection opened":
			l.open[entry.Connection] = true
		case "connection closed":
			delete(l.open, entry.Connection)
		default:
			continue
		}
		l.wake()
	}
	return len(b), nil
}

// wake wakes up those that wait. The caller holds mu.
func (l *serviceLog) wake() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// loseDisconnects makes the gateway lose every second $disconnect, or none for nil.
func (l *serviceLog) loseDisconnects(random *rand.Rand) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lossy = random
}

// lose decides whether the $disconnect of a connection that has ended is lost.
func (l *serviceLog) lose(connection string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lossy == nil || l.lossy.IntN(2) == 0 {
		return false
	}
	l.lost[connection] = true
	delete(l.open, connection)
	l.wake()
	return true
}

func (l *serviceLog) isLost(connection string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost[connection]
}

// wait returns when exactly n connections are open. It fails when ctx ends.
func (l *serviceLog) wait(ctx context.Context, n int) error {
	for {
		l.mu.Lock()
		open, changed := len(l.open), l.changed
		l.mu.Unlock()
		if open == n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// connections are the open ones.
func (l *serviceLog) connections() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(maps.Keys(l.open))
}

// failed returns the lines about failures since the last call.
func (l *serviceLog) failed() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := l.failures
	l.failures = nil
	return lines
}
