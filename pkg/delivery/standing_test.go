package delivery

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/hub"
)

// TestStandings dispatches to one subscriber of each standing, whose connection has its name.
func TestStandings(t *testing.T) {
	const era = 7
	abandoned := time.UnixMilli(1_800_000_000_000)
	active := func(from uint64) hub.Standing {
		return hub.Standing{ID: "1", Recoverable: true, From: from, Mark: hub.Mark{Era: era}}
	}
	standings := map[string]hub.Standing{
		"classic":           {},
		"joining":           {ID: "1", Joining: true, Since: abandoned, Recoverable: true},
		"abandoned":         {ID: "1", Joining: true, Since: abandoned.Add(-time.Millisecond)},
		"from 4":            active(4),
		"from 5":            active(5),
		"from 7":            active(7),
		"wants joins":       {ID: "1", JoinLeave: true, Mark: hub.Mark{Era: era}},
		"other era":         {ID: "1", Recoverable: true, Mark: hub.Mark{Era: era - 1}},
		"forgets other era": {ID: "1", From: 7, Mark: hub.Mark{Era: era - 1}},
		"lost":              {ID: "1", Recoverable: true, Lost: true, Mark: hub.Mark{Era: era}},
		"lost before":       {ID: "1", Lost: true, Mark: hub.Mark{Era: era - 1}},
		"unknown":           active(0),
		"unknown, repeats":  {ID: "1", Mark: hub.Mark{Era: era}},
		"slow":              active(0),
		"gone":              active(0),
	}
	publications := func(first, last uint64) (all []hub.Message) {
		for offset := first; offset <= last; offset++ {
			all = append(all, hub.Message{Channel: room, Data: fmt.Append(nil, offset), Position: hub.Position{Epoch: "e", Offset: offset}})
		}
		return all
	}
	for _, tt := range []struct {
		name     string
		messages []hub.Message
		posts    map[string]int
		lost     []string
	}{
		{
			"publications", publications(5, 7), map[string]int{
				"classic 5": 1, "classic 6": 1, "classic 7": 1, "from 4 5+6": 1, "from 4 7": 1, "from 5 6+7": 1, "wants joins 5+6": 1, "wants joins 7": 1,
				"forgets other era 5+6": 1, "forgets other era 7": 1, "unknown 5+6": 1, "unknown, repeats 5+6": DefaultAttempts, "slow 5+6": DefaultAttempts, "gone 5+6": 1,
			}, []string{"abandoned", "lost before", "other era", "slow", "unknown"},
		},
		{
			"a join", []hub.Message{{Channel: room, Event: hub.Join, Data: []byte(`join`)}}, map[string]int{"classic join": 1, "wants joins join": 1}, nil,
		},
		{
			"a message that is sent direct", []hub.Message{{Channel: room, Data: []byte(`0`)}}, map[string]int{
				"classic 0": 1, "from 4 0": 1, "from 5 0": 1, "from 7 0": 1, "wants joins 0": 1, "other era 0": 1, "forgets other era 0": 1, "abandoned 0": 1,
				"unknown 0": DefaultAttempts, "unknown, repeats 0": DefaultAttempts, "slow 0": DefaultAttempts, "gone 0": 1,
			}, nil,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got posts
			m := newManagement(t, func(w http.ResponseWriter, r *http.Request) {
				got.add(r)
				switch connectionOf(r) {
				case "gone":
					w.WriteHeader(http.StatusGone)
				case "slow":
					w.WriteHeader(http.StatusTooManyRequests)
				case "unknown", "unknown, repeats":
					w.WriteHeader(http.StatusInternalServerError)
				}
			})
			var page []hub.Subscriber
			for name, standing := range standings {
				s := hub.Subscriber{Connection: name, Protocol: hub.Centrifugo, Batch: true, Standing: standing}
				if name == "classic" {
					s.Protocol, s.Batch = hub.Classic, false
				}
				page = append(page, s)
			}
			d := New(Options{
				Subscribers: shards{{func() ([]hub.Subscriber, error) { return page, nil }}}, Poster: m.newPoster(t, PosterOptions{}),
				Encoders: map[hub.Protocol]Encoder{hub.Classic: data, hub.Centrifugo: data},
			})
			to := audience(1)
			to.Era, to.Abandoned = era, abandoned
			result, err := d.Dispatch(t.Context(), to, tt.messages)
			if err != nil {
				t.Fatal(err)
			}
			want := make(map[string]int)
			for post, n := range tt.posts {
				want["POST "+post] = n
			}
			if diff := cmp.Diff(want, got.take()); diff != "" {
				t.Errorf("-want +posts:\n%s", diff)
			}
			var lost []string
			for _, l := range result.Lost {
				if l.ID != "1" || l.Channel != room {
					t.Errorf("lost %+v", l)
				}
				lost = append(lost, l.Connection)
			}
			slices.Sort(lost)
			if diff := cmp.Diff(tt.lost, lost); diff != "" {
				t.Errorf("-want +lost:\n%s", diff)
			}
		})
	}
}

// TestJoiningSubscriberOfDirectMessage dispatches to a subscriber that gets the reply to its
// subscribe meanwhile, and to one that has left then.
func TestJoiningSubscriberOfDirectMessage(t *testing.T) {
	var got posts
	m := newManagement(t, func(_ http.ResponseWriter, r *http.Request) { got.add(r) })
	subscriber := func(name string, joining bool) hub.Subscriber {
		return hub.Subscriber{Connection: name, Protocol: hub.Centrifugo, Batch: true, Standing: hub.Standing{ID: "1", Joining: joining, Since: time.Now()}}
	}
	reads := 0
	page := func() ([]hub.Subscriber, error) {
		switch reads++; reads {
		case 1:
			return []hub.Subscriber{subscriber("a", true), subscriber("b", false), subscriber("c", true)}, nil
		case 2:
			return []hub.Subscriber{subscriber("a", true), subscriber("b", false), subscriber("c", true)}, nil
		}
		return []hub.Subscriber{subscriber("a", false), subscriber("b", false)}, nil
	}
	d := New(Options{
		Subscribers: shards{{page}}, Poster: m.newPoster(t, PosterOptions{}), Encoders: map[hub.Protocol]Encoder{hub.Centrifugo: data},
	})
	result, err := d.Dispatch(t.Context(), audience(1), []hub.Message{{Channel: room, Data: []byte(`0`)}})
	if err != nil || result.Err() != nil || result.Delivered != 2 {
		t.Errorf("result %+v, error %v", result, err)
	}
	if diff := cmp.Diff(map[string]int{"POST a 0": 1, "POST b 0": 1}, got.take()); diff != "" {
		t.Errorf("-want +posts:\n%s", diff)
	}
}
