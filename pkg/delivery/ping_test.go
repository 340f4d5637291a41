package delivery

import (
	"cmp"
	"errors"
	"slices"
	"testing"

	diff "github.com/google/go-cmp/cmp"

	"centrifuge/pkg/hub"
)

// TestPing sends a ping to one connection of each name: the name says what the management API
// answers.
func TestPing(t *testing.T) {
	var accepted posts
	m := newManagement(t, accepted.answer)
	d := New(Options{
		Subscribers: shards{}, Poster: m.newPoster(t, PosterOptions{}), Encoders: encoders,
		Notices: map[hub.Protocol]NoticeEncoder{hub.Centrifugo: func(n hub.Notice) ([]byte, error) {
			if n.Kind != hub.Pinged {
				return nil, errors.New("not a ping")
			}
			return []byte("{}"), nil
		}},
	})
	got, err := d.Ping(t.Context(), hub.Centrifugo, []string{"one", "gone", "slow", "other", "unknown"})
	if err != nil {
		t.Fatal(err)
	}
	got.Refusal = ""
	want := hub.Result{
		Delivered: 2, Slow: 1, Failed: 1, Refused: 1, Gone: []hub.Gone{{Connection: "gone"}}, Stalled: []string{"slow"},
	}
	slices.SortFunc(got.Gone, func(a, b hub.Gone) int { return cmp.Compare(a.Connection, b.Connection) })
	if d := diff.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if d := diff.Diff(map[string]int{
		"POST one {}": 1, "POST other {}": 1, "POST gone {}": 1, "POST slow {}": DefaultAttempts, "POST unknown {}": DefaultAttempts,
	}, accepted.take()); d != "" {
		t.Errorf("posts (-want +got):\n%s", d)
	}
	if got, err := d.Ping(t.Context(), hub.Centrifugo, nil); err != nil || diff.Diff(hub.Result{}, got) != "" {
		t.Errorf("pings to nobody: %+v, %v", got, err)
	}
	if _, err := d.Ping(t.Context(), hub.Classic, []string{"one"}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a protocol without a ping: error %v", err)
	}
}
