package admin

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/hub"
)

func TestPermissionLines(t *testing.T) {
	many := make(map[string]hub.Grant)
	for i := range maxListed + 2 {
		many[fmt.Sprintf("c%02d", i)] = hub.Grant{Whole: true}
	}
	var crowded []string
	for i := range maxListed {
		crowded = append(crowded, fmt.Sprintf("c%02d: all channels", i))
	}
	for _, tt := range []struct {
		name        string
		permissions hub.Permissions
		want        []string
	}{
		{"everything", hub.Permissions{Everything: true, Confirmed: true}, []string{"all channels"}},
		{"nothing", hub.Permissions{}, []string{"nothing"}},
		{
			"categories are sorted, each with its channels",
			hub.Permissions{Categories: map[string]hub.Grant{"b": {}, "a": {Whole: true}, "c": {Channels: []string{"y", "x"}}}},
			[]string{"a: all channels", "b: no channel", "c: y, x"},
		},
		{
			"categories beyond the limit are counted",
			hub.Permissions{Categories: many}, append(crowded, "and 2 more categories"),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, granted(tt.permissions)); diff != "" {
				t.Errorf("-expected +got:\n%s", diff)
			}
		})
	}
}

func TestChannelRowLimit(t *testing.T) {
	t.Run("the channels with most subscribers are listed, all are counted", func(t *testing.T) {
		u := hub.Usage{Clients: 12_000, Users: map[string]int{"a": 1, "b": 2, "c": 3}, Subscribers: make(map[hub.Channel]int)}
		for i := range maxChannelRows + 10 {
			u.Subscribers[hub.Channel{Category: "c", Name: fmt.Sprint(i)}] = 1
		}
		u.Subscribers[hub.Channel{Category: "z", Name: "busy"}] = 11_000
		var d channelsData
		d.count(&hub.Project{}, u)
		if len(d.Rows) != maxChannelRows || d.More != 11 || d.Rows[0] != (channelRow{Name: "z:busy", Subscribers: "11,000"}) {
			t.Errorf("%d rows, %d more, the first is %+v", len(d.Rows), d.More, d.Rows[0])
		}
		if d.Clients != "12,000" || d.Channels != "511" || d.Subscriptions != "11,510" {
			t.Errorf("%+v", d)
		}
	})
}

func TestUserRowLimit(t *testing.T) {
	u := hub.Usage{Clients: 1000, Users: map[string]int{"busy": 700}, Partial: true}
	for i := range maxUserRows + 9 {
		u.Users[fmt.Sprint(i)] = 1
	}
	var d usersData
	d.listUsers(u)
	if !d.Partial || len(d.Users) != maxUserRows || d.MoreUsers != 10 || d.Users[0] != (userRow{"busy", "700"}) || d.Anonymous != "91" {
		t.Errorf("%d rows, %d more, %s anonymous, the first is %+v", len(d.Users), d.MoreUsers, d.Anonymous, d.Users[0])
	}
}
