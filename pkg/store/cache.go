package store

import (
	"sync"
	"time"
)

// maxCached bounds a cache: clients choose the names, and the memory of a Lambda is
// small.
const maxCached = 1024

// cache keeps values for a limited time. It does not keep that a value is missing.
type cache[V any] struct {
	now func() time.Time
	age time.Duration

	mu      sync.Mutex
	entries map[string]entry[V]
}

type entry[V any] struct {
	value V
	until time.Time
}

func newCache[V any](now func() time.Time, age time.Duration) *cache[V] {
	return &cache[V]{now: now, age: age, entries: make(map[string]entry[V])}
}

func (c *cache[V]) get(key string) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[key]
	if !ok || !c.now().Before(e.until) {
		var zero V
		return zero, false
	}
	return e.value, true
}

// put keeps a value that was read at a time.
func (c *cache[V]) put(key string, value V, read time.Time) {
	if c.age < 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if len(c.entries) >= maxCached {
		for k, e := range c.entries {
			if !now.Before(e.until) {
				delete(c.entries, k)
			}
		}
	}
	// A dropped value is read again.
	for k := range c.entries {
		if len(c.entries) < maxCached {
			break
		}
		delete(c.entries, k)
	}
	c.entries[key] = entry[V]{value: value, until: read.Add(c.age)}
}

func (c *cache[V]) drop(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.entries, key)
}
