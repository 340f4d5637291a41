package callback

import (
	"sync"
	"time"

	"centrifuge/pkg/hub"
)

const (
	defaultInterval = 100 * time.Millisecond
	defaultMaxWait  = 5 * time.Second
	// maxExponent keeps 2^n within an int64 times any allowed interval; the longest
	// wait is reached well before.
	maxExponent = 20
	// maxFailing is how many projects are remembered as failing.
	maxFailing = 1024
)

// pause draws the wait before the next attempt for p.
func (v *Validator) pause(p *hub.Project) time.Duration {
	interval, longest := time.Duration(p.Options.BackOffInterval), time.Duration(p.Options.BackOffMaxTimeout)
	if interval == 0 {
		interval = defaultInterval
	}
	if longest == 0 {
		longest = defaultMaxWait
	}
	return min(time.Duration(v.options.Rand(1<<v.failing.count(p.ID)))*interval, longest)
}

// failures counts, by project, the failed attempts since the last answer. The zero
// value is ready.
type failures struct {
	mu sync.Mutex
	n  map[string]int
}

func (f *failures) count(project string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n[project]
}

func (f *failures) add(project string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n == nil {
		f.n = make(map[string]int)
	}
	if _, known := f.n[project]; !known && len(f.n) >= maxFailing {
		// Forgetting any one only makes its next attempt come sooner.
		for other := range f.n {
			delete(f.n, other)
			break
		}
	}
	f.n[project] = min(f.n[project]+1, maxExponent)
}

func (f *failures) reset(project string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.n, project)
}
