package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store/schema"
)

func namedSubscription(name string) item {
	return item{schema.PartitionKey: text(subscriptionKey(hub.Channel{Project: "p", Category: "c", Name: name}, 0))}
}

// all counts everything.
func all(hub.Channel, hub.Basis) bool { return true }

// TestUsageLimit counts as many channels and users as are told apart, and one more.
func TestUsageLimit(t *testing.T) {
	c := usageSum{all, hub.Usage{Users: make(map[string]int), Subscribers: make(map[hub.Channel]int)}}
	items := []item{{schema.PartitionKey: text(connectionKey("x")), schema.UserKey: text(userKey("p", "u"))}}
	for i := range hub.MaxUsage - 1 {
		items = append(items, namedSubscription(fmt.Sprint(i)))
	}
	if err := c.count(append(items, items...)); err != nil {
		t.Errorf("%d names: %v", hub.MaxUsage, err)
	}
	if err := c.count([]item{namedSubscription("more")}); !errors.Is(err, hub.ErrLimitExceeded) {
		t.Errorf("%d names: %v", hub.MaxUsage+1, err)
	}
}

// TestFirstChannels counts channels in random orders. Whatever the order, the first have
// their whole count, and few are held.
func TestFirstChannels(t *testing.T) {
	const channels, each, limit = 200, 3, 7
	var items []item
	for i := range channels {
		for range each {
			items = append(items, namedSubscription(fmt.Sprintf("%03d", i)))
		}
	}
	want := make(map[hub.Channel]int)
	for i := range limit {
		want[hub.Channel{Project: "p", Category: "c", Name: fmt.Sprintf("%03d", 50+i)}] = each
	}
	for seed := range uint64(20) {
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
		c := firstChannels{after: "c:049", limit: limit, admits: all, subscribers: make(map[hub.Channel]int)}
		held := 0
		for _, i := range items {
			if err := c.count([]item{i}); err != nil {
				t.Fatal(err)
			}
			held = max(held, len(c.subscribers))
		}
		page := c.page()
		if fmt.Sprint(page.Subscribers) != fmt.Sprint(want) || !page.More || held > 2*(limit+1) {
			t.Errorf("seed %d: %v, more %t, %d held", seed, page.Subscribers, page.More, held)
		}
	}
}
