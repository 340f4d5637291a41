package hub_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store/storetest"
)

// TestAdmit admits a subscription to a stream of two messages, in several states.
func TestAdmit(t *testing.T) {
	const id = "1"
	joining := hub.Membership{ID: id, Joining: true, Recoverable: true}
	for _, tt := range []struct {
		name       string
		membership hub.Membership
		position   func(top hub.Position) hub.Position
		// before marks the subscription, as another holder.
		before   func(*testing.T, *rig, hub.Admission)
		standing hub.Standing
		posted   []uint64
		told     bool
	}{
		{"at the top", joining, func(top hub.Position) hub.Position { return top }, nil, hub.Standing{ID: id, Recoverable: true, From: 2}, nil, false},
		{"one message behind", joining, func(top hub.Position) hub.Position { top.Offset--; return top }, nil,
			hub.Standing{ID: id, Recoverable: true, From: 2}, []uint64{2}, false},
		{"in another epoch", joining, func(hub.Position) hub.Position { return hub.Position{Epoch: "other"} }, nil,
			hub.Standing{ID: id, Recoverable: true, Lost: true}, nil, true},
		{"admitted by a holder that has died", joining, func(top hub.Position) hub.Position { return top }, admitted,
			hub.Standing{ID: id, Recoverable: true, From: 1, Lost: true}, nil, true},
		{"admitted by a holder that has died, not recoverable", hub.Membership{ID: id, Joining: true},
			func(top hub.Position) hub.Position { top.Offset--; return top }, admitted, hub.Standing{ID: id, From: 1}, []uint64{2}, false},
		{"replaced since", hub.Membership{ID: "2", Joining: true}, func(top hub.Position) hub.Position { return top }, nil,
			hub.Standing{ID: "2", Joining: true}, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, hub.ProjectOptions{})
			err := r.store.PutCategory(t.Context(), projectID, hub.Category{ID: "7", Name: "stream", CategoryOptions: hub.CategoryOptions{Ordered: true}})
			if err != nil {
				t.Fatal(err)
			}
			p, err := r.store.ReadProject(t.Context(), projectID)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if _, err := r.Publish(t.Context(), p, hub.Channel{Category: "stream", Name: "x"}, []byte(`1`), hub.PublishOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			s, _ := p.Stream(hub.Channel{Category: "stream", Name: "x"})
			c := hub.Connection{ID: conn, Project: projectID, Protocol: hub.Centrifugo, Expires: r.now.Add(hub.MaxConnectionAge)}
			if err := storetest.Enter(t.Context(), r.store.Store, c); err != nil {
				t.Fatal(err)
			}
			opened, err := r.store.Connection(t.Context(), conn)
			if err != nil {
				t.Fatal(err)
			}
			tt.membership.Since = r.now
			if _, _, err := r.store.ChangeConnection(t.Context(), opened, func(c hub.Connection) (hub.Change, error) {
				c.Channels = map[hub.Channel]int{s.Channel: 0}
				return hub.Change{Connection: c, Memberships: map[hub.Channel]hub.Membership{s.Channel: tt.membership}}, nil
			}); err != nil {
				t.Fatal(err)
			}
			top, err := r.store.OpenStream(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			a := hub.Admission{Place: hub.Place{Channel: s.Channel}, Connection: conn, ID: id, Position: tt.position(top)}
			if tt.before != nil {
				tt.before(t, r, a)
			}
			r.posted = nil
			if err := r.Admit(t.Context(), s, a); err != nil {
				t.Fatal(err)
			}
			var standing hub.Standing
			for page, err := range r.store.Subscribers(t.Context(), s.Channel, 0) {
				if err != nil {
					t.Fatal(err)
				}
				for _, found := range page {
					standing = found.Standing
				}
			}
			standing.Mark, standing.Since = hub.Mark{}, time.Time{}
			if diff := cmp.Diff(tt.standing, standing); diff != "" {
				t.Errorf("-want +standing:\n%s", diff)
			}
			var posted []uint64
			for _, m := range r.posted {
				posted = append(posted, m.Position.Offset)
			}
			if diff := cmp.Diff(tt.posted, posted); diff != "" {
				t.Errorf("-want +posted:\n%s", diff)
			}
			var want []hub.Notice
			if tt.told {
				want = []hub.Notice{{Connection: conn, Protocol: hub.Centrifugo, Kind: hub.Unsubscribed, Channel: s.Channel, Code: 2500, Reason: "insufficient state"}}
			}
			if diff := cmp.Diff(want, r.notices); diff != "" {
				t.Errorf("-want +notices:\n%s", diff)
			}
			head, err := r.store.StreamHead(t.Context(), s)
			if err != nil || len(head.Joins) > 0 || head.Lease.ID != "" {
				t.Errorf("the head is %+v, error %v", head, err)
			}
		})
	}
}

// admitted marks a subscription active under a lease that was lost.
func admitted(t *testing.T, r *rig, a hub.Admission) {
	t.Helper()
	if _, ok, err := r.store.AdmitSubscriber(t.Context(), a, 1, hub.Mark{Lease: "lost"}); !ok || err != nil {
		t.Fatal(ok, err)
	}
}
