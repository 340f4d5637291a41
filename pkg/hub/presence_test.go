package hub_test

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync/atomic"
	"testing"

	"centrifuge/pkg/hub"
)

// crowd is a store whose channels have a number of clients in each shard, two of each user, in
// pages of 1,500. Where half is set, every second one has no right to be there. It counts the
// pages that were read.
type crowd struct {
	hub.Store
	clients []int
	half    bool
	pages   atomic.Int64
}

const crowdPage = 1500

func (s *crowd) Presence(_ context.Context, _ hub.Channel, shard int) iter.Seq2[[]hub.Present, error] {
	return func(yield func([]hub.Present, error) bool) {
		for n := 0; n < s.clients[shard]; n += crowdPage {
			s.pages.Add(1)
			var page []hub.Present
			for i := n; i < min(n+crowdPage, s.clients[shard]); i++ {
				var basis hub.Basis
				if s.half && i%2 == 1 {
					basis.Secret = "replaced"
				}
				page = append(page, hub.Present{Client: hub.Client{Connection: fmt.Sprintf("c%d-%d", shard, i), User: fmt.Sprintf("u%d-%d", shard, i/2)}, Basis: basis})
			}
			if !yield(page, nil) {
				return
			}
		}
	}
}

// TestPresenceStatsOfManyClients counts the pages that are read, too.
func TestPresenceStatsOfManyClients(t *testing.T) {
	for name, tt := range map[string]struct {
		shards []int // the clients of each
		half   bool
		want   hub.PresenceStats
		pages  int64
	}{
		"nobody":                         {[]int{0}, false, hub.PresenceStats{}, 0},
		"as many as are counted":         {[]int{10_000}, false, hub.PresenceStats{Clients: 10_000, Users: 5_000}, 7},
		"one more":                       {[]int{10_001}, false, hub.PresenceStats{Clients: 10_000, Users: 5_000, Partial: true}, 7},
		"100,000 in one shard":           {[]int{100_000}, false, hub.PresenceStats{Clients: 10_000, Users: 5_000, Partial: true}, 7},
		"a small and a large shard":      {[]int{9_500, 100_000}, false, hub.PresenceStats{Clients: 19_500, Users: 9_750, Partial: true}, 2 * 7},
		"100,000 in sixteen shards":      {slices.Repeat([]int{6_250}, 16), false, hub.PresenceStats{Clients: 100_000, Users: 50_000}, 16 * 5},
		"one shard of many has too many": {append(slices.Repeat([]int{10_000}, 15), 10_001), false, hub.PresenceStats{Clients: 160_000, Users: 80_000, Partial: true}, 16 * 7},
		"half of 10,000 refused":         {[]int{10_000}, true, hub.PresenceStats{Clients: 5_000, Users: 5_000}, 7},
		"half of 100,000 refused":        {[]int{100_000}, true, hub.PresenceStats{Clients: 5_250, Users: 5_250, Partial: true}, 7},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, hub.ProjectOptions{})
			store := &crowd{Store: r.store, clients: tt.shards, half: tt.half}
			h, err := hub.New(hub.Options{Store: store, Dispatcher: dispatcher{r}, Callback: r, VerifyToken: verify})
			if err != nil {
				t.Fatal(err)
			}
			p := &hub.Project{ID: projectID, Categories: map[string]hub.Category{
				"room": {Name: "room", CategoryOptions: hub.CategoryOptions{Presence: true, Shards: len(tt.shards)}},
			}}
			got, err := h.PresenceStats(t.Context(), p, in("room:x")[0])
			if err != nil || got != tt.want {
				t.Errorf("got %+v, %v, expected %+v", got, err, tt.want)
			}
			if pages := store.pages.Load(); pages != tt.pages {
				t.Errorf("%d pages were read, expected %d", pages, tt.pages)
			}
		})
	}
}
