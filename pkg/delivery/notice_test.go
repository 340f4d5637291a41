package delivery

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/hub"
)

// TestNotify sends a notice to one connection of each name: the name says what the management
// API answers.
func TestNotify(t *testing.T) {
	var accepted posts
	m := newManagement(t, accepted.answer)
	d := New(Options{
		Subscribers: shards{}, Poster: m.newPoster(t, PosterOptions{}), Encoders: encoders,
		Notices: map[hub.Protocol]NoticeEncoder{hub.Centrifugo: func(n hub.Notice) ([]byte, error) {
			switch n.Kind {
			case hub.Unsubscribed:
				return fmt.Appendf(nil, "%s %d %s", n.Channel, n.Code, n.Reason), nil
			case hub.Refreshed:
				return nil, errors.New("not encodable")
			}
			return nil, nil
		}},
	})
	notice := func(connection string, p hub.Protocol, kind hub.NoticeKind) hub.Notice {
		return hub.Notice{Connection: connection, Protocol: p, Kind: kind, Channel: room, Code: 2500, Reason: "insufficient state"}
	}
	missed, err := d.Notify(t.Context(), []hub.Notice{
		notice("reached", hub.Centrifugo, hub.Unsubscribed),
		notice("gone", hub.Centrifugo, hub.Unsubscribed),
		notice("slow", hub.Centrifugo, hub.Unsubscribed),
		notice("unknown", hub.Centrifugo, hub.Unsubscribed),
		notice("has no such push", hub.Centrifugo, hub.Disconnected),
		notice("not encodable", hub.Centrifugo, hub.Refreshed),
		notice("classic", hub.Classic, hub.Unsubscribed),
	})
	slices.Sort(missed)
	if diff := cmp.Diff([]string{"not encodable", "slow", "unknown"}, missed); diff != "" || err == nil {
		t.Errorf("error %v, -want +missed:\n%s", err, diff)
	}
	const body = " chat:room 2500 insufficient state"
	if diff := cmp.Diff(map[string]int{
		"POST reached" + body: 1, "POST gone" + body: 1, "POST slow" + body: DefaultAttempts, "POST unknown" + body: 1,
	}, accepted.take()); diff != "" {
		t.Errorf("-want +posts:\n%s", diff)
	}
}
