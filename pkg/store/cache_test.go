package store

import (
	"strconv"
	"testing"
	"time"
)

func TestCacheSizeLimit(t *testing.T) {
	c := newCache[int](time.Now, time.Minute)
	for i := range 3 * maxCached {
		c.put(strconv.Itoa(i), i, time.Now())
		if len(c.entries) > maxCached {
			t.Fatalf("%d entries", len(c.entries))
		}
	}
	if _, ok := c.get(strconv.Itoa(3*maxCached - 1)); !ok {
		t.Error("the newest entry was dropped")
	}
}
