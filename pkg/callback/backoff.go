package callback

import (
	"sync"
	"time"

	"centrifuge/pkg/hub"
)

const (
	defaultInterval = 100 * time.Millisecond
	defaultMaxWait  = 5 * time.Second
	// maxExponent keeps 2^n times the longest allowed interval, 1 s, within an int64.
	maxExponent = 20
	// maxFailingProjects limits the memory of failures.
	maxFailingProjects = 1024
)

// backOff returns a random wait before the next attempt for p.
func (v *Validator) backOff(p *hub.Project) time.Duration {
	interval, longest := time.Duration(p.Options.BackOffInterval), time.Duration(p.Options.BackOffMaxTimeout)
	if interval == 0 {
		interval = defaultInterval
	}
	if longest == 0 {
		longest = defaultMaxWait
	}
	return min(time.Duration(v.options.Rand(1<<v.failures.count(p.ID)))*interval, longest)
}

// failures counts the failed attempts of each project since its last success. The zero
// value is ready. It is safe for concurrent use.
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
	if _, ok := f.n[project]; !ok && len(f.n) >= maxFailingProjects {
		// Any project will do: its next attempt only comes sooner.
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
