package hub_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"centrifuge/pkg/hub"
)

// TestRequestsOfApplicationsAboutUsers unsubscribes and disconnects some connections: u has
// c1 and c2, v has c3, and c4 is anonymous. All are in the channels x of room and open.
func TestRequestsOfApplicationsAboutUsers(t *testing.T) {
	const everybody = "c1 c2 c3 c4"
	long := strings.Repeat("c", hub.MaxNameBytes+1)
	for _, tt := range []struct {
		name string
		do   func(ctx context.Context, r *rig, p *hub.Project) error
		// room and open are who receives the next message there.
		room, open string
		err        error
	}{
		{"disconnect of a user", disconnects("u", hub.DisconnectRequest{}), "c3 c4", "c3 c4", nil},
		{"disconnect of a client", disconnects("u", hub.DisconnectRequest{Client: "c1"}), "c2 c3 c4", "c2 c3 c4", nil},
		{"disconnect of a client of another user", disconnects("u", hub.DisconnectRequest{Client: "c3"}), everybody, everybody, nil},
		{"disconnect of a client without its user", disconnects("", hub.DisconnectRequest{Client: "c3"}), everybody, everybody, nil},
		{"disconnect of an anonymous client", disconnects("", hub.DisconnectRequest{Client: "c4"}), "c1 c2 c3", "c1 c2 c3", nil},
		{"disconnect of an anonymous client by a user", disconnects("u", hub.DisconnectRequest{Client: "c4"}), everybody, everybody, nil},
		{"disconnect of an unknown client", disconnects("u", hub.DisconnectRequest{Client: "none"}), everybody, everybody, nil},
		{"disconnect of an unknown anonymous client", disconnects("", hub.DisconnectRequest{Client: "none"}), everybody, everybody, nil},
		{"disconnect of all but one", disconnects("u", hub.DisconnectRequest{Keep: []string{"c2", "c3"}}), "c2 c3 c4", "c2 c3 c4", nil},
		{"disconnect of a client that is kept", disconnects("", hub.DisconnectRequest{Client: "c4", Keep: []string{"c4"}}), everybody, everybody, nil},
		{"disconnect of the anonymous user", disconnects("", hub.DisconnectRequest{}), everybody, everybody, hub.ErrBadRequest},
		{"disconnect of a client whose id is too long", disconnects("u", hub.DisconnectRequest{Client: long}), everybody, everybody, hub.ErrLimitExceeded},
		{"disconnect in another project", func(ctx context.Context, r *rig, _ *hub.Project) error {
			return r.DisconnectUser(ctx, &hub.Project{ID: "another"}, "", hub.DisconnectRequest{Client: "c4"})
		}, everybody, everybody, nil},

		{"unsubscribe of a user", unsubscribes("u", hub.UnsubscribeRequest{From: hub.Selection{"room": {"x"}}}), "c3 c4", everybody, nil},
		{"unsubscribe of a user from everything", unsubscribes("u", hub.UnsubscribeRequest{}), "c3 c4", "c3 c4", nil},
		{"unsubscribe of a client", unsubscribes("u", hub.UnsubscribeRequest{From: hub.Selection{"room": {"x"}}, Client: "c2"}), "c1 c3 c4", everybody, nil},
		{"unsubscribe of a client from everything", unsubscribes("u", hub.UnsubscribeRequest{Client: "c2"}), "c1 c3 c4", "c1 c3 c4", nil},
		{"unsubscribe of an anonymous client", unsubscribes("", hub.UnsubscribeRequest{From: hub.Selection{"room": {"x"}}, Client: "c4"}), "c1 c2 c3", everybody, nil},
		{"unsubscribe of the anonymous user", unsubscribes("", hub.UnsubscribeRequest{}), everybody, everybody, nil},
		{"unsubscribe of a client of another user", unsubscribes("v", hub.UnsubscribeRequest{Client: "c2"}), everybody, everybody, nil},
		{"unsubscribe of a client whose id is too long", unsubscribes("", hub.UnsubscribeRequest{Client: long}), everybody, everybody, hub.ErrLimitExceeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, hub.ProjectOptions{})
			for connection, user := range map[string]string{"c1": "u", "c2": "u", "c3": "v", "c4": ""} {
				r.enter(t, connection, user, "room:x", "open:x")
			}
			if err := tt.do(t.Context(), r, r.project(t)); !errors.Is(err, tt.err) {
				t.Errorf("error %v, expected %v", err, tt.err)
			}
			for category, want := range map[string]string{"room": tt.room, "open": tt.open} {
				r.received = nil
				if err := r.send(t, category, `1`); err != nil {
					t.Fatal(err)
				}
				if got := strings.Join(slices.Sorted(slices.Values(r.received)), " "); got != want {
					t.Errorf("%s: %q received, expected %q", category, got, want)
				}
			}
		})
	}
}

func disconnects(user string, q hub.DisconnectRequest) func(context.Context, *rig, *hub.Project) error {
	return func(ctx context.Context, r *rig, p *hub.Project) error { return r.DisconnectUser(ctx, p, user, q) }
}

func unsubscribes(user string, q hub.UnsubscribeRequest) func(context.Context, *rig, *hub.Project) error {
	return func(ctx context.Context, r *rig, p *hub.Project) error { return r.UnsubscribeUser(ctx, p, user, q) }
}
