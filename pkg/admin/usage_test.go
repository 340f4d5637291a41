package admin

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/hub"
)

func TestGranted(t *testing.T) {
	many := make(map[string]hub.Grant)
	for i := range maxNamed + 2 {
		many[fmt.Sprintf("c%02d", i)] = hub.Grant{Whole: true}
	}
	crowded := []string{"the live feed"}
	for i := range maxNamed {
		crowded = append(crowded, fmt.Sprintf("c%02d: all channels", i))
	}
	for _, tt := range []struct {
		name        string
		permissions hub.Permissions
		want        []string
	}{
		{"everything is all channels", hub.Permissions{Everything: true, Confirmed: true}, []string{"all channels"}},
		{"nothing is said to be nothing", hub.Permissions{}, []string{"nothing"}},
		{
			"categories come in order, each with what is granted in it",
			hub.Permissions{Categories: map[string]hub.Grant{"b": {}, "a": {Whole: true}, "c": {Channels: []string{"y", "x"}}}},
			[]string{"a: all channels", "b: no channel", "c: y, x"},
		},
		{
			"of many categories the rest is counted",
			hub.Permissions{Categories: many}, append(crowded, "and 2 categories more"),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, granted(tt.permissions)); diff != "" {
				t.Errorf("-expected +got:\n%s", diff)
			}
		})
	}
}

func TestManyChannels(t *testing.T) {
	t.Run("those with most subscribers are listed, all are counted", func(t *testing.T) {
		u := hub.Usage{Clients: 12_000, Users: 3, Subscribers: make(map[hub.Channel]int)}
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
