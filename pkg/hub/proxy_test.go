package hub

import "testing"

func TestAsksToSubscribe(t *testing.T) {
	asking := func(o CategoryOptions) Category {
		o.SubscribeProxyEnabled = true
		return Category{CategoryOptions: o}
	}
	p := &Project{ID: "p", Categories: map[string]Category{
		"silent": {}, "asks": asking(CategoryOptions{}), "private": asking(CategoryOptions{Private: true}),
		"limited": asking(CategoryOptions{AllowUserLimitedChannels: true}), "regex": asking(CategoryOptions{ChannelRegex: "^[a-z]+$"}),
	}}
	for _, tt := range []struct {
		name, granted, channel string
		insecure, want         bool
	}{
		{name: "a category that does not ask", channel: "silent:x"},
		{name: "a category that does not exist", channel: "none:x"},
		{name: "a category that asks", channel: "asks:x", want: true},
		{name: "a private category that asks", channel: "private:x", want: true},
		{name: "an insecure project", channel: "asks:x", insecure: true, want: true},
		{name: "a channel that requires a token", channel: "$asks:x"},
		{name: "a channel that lists users", channel: "limited:x#u"},
		{name: "a channel that lists no users, where others may", channel: "limited:x", want: true},
		{name: "a channel with a # in a category without user-limited channels", channel: "asks:x#u", want: true},
		{name: "a name that the category does not allow", channel: "regex:X"},
		{name: "a channel that the permissions grant", granted: "asks:x", channel: "asks:x"},
		{name: "a channel that the permissions do not name", granted: "asks:x", channel: "asks:y", want: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ch, err := ParseChannel("p", tt.channel)
			if err != nil {
				t.Fatal(err)
			}
			a := Access{Project: p, Connection: client("u", tt.granted), Insecure: tt.insecure}
			if got := a.asksToSubscribe(ch); got != tt.want {
				t.Errorf("asks is %v, want %v", got, tt.want)
			}
		})
	}
}

func TestRightByApplication(t *testing.T) {
	c := Connection{Secret: ByApplication}
	for url, want := range map[string]bool{"": false, "https://example.com/connect": true} {
		p := &Project{ID: "p", Secret: "s", Options: ProjectOptions{ProxyConnectURL: url}}
		if got := p.admits(c); got != want {
			t.Errorf("with the URL %q admitted is %v, want %v", url, got, want)
		}
	}
}
