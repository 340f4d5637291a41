package centrifugo

import (
	"strings"
	"testing"

	"centrifuge/pkg/hub"
)

func TestParseChannel(t *testing.T) {
	for _, tt := range []struct {
		name, channel string
		want          hub.Channel
		fails         string
	}{
		{name: "a channel of a category", channel: "chat:lobby", want: hub.Channel{Category: "chat", Name: "lobby"}},
		{name: "a name with a colon", channel: "chat:a:b", want: hub.Channel{Category: "chat", Name: "a:b"}},
		{name: "a channel of two users", channel: "chat:dialog#42,43", want: hub.Channel{Category: "chat", Name: "dialog#42,43"}},
		{name: "the first and the last printable character", channel: "chat: ~", want: hub.Channel{Category: "chat", Name: " ~"}},
		{name: "255 bytes", channel: "chat:" + strings.Repeat("x", 250), want: hub.Channel{Category: "chat", Name: strings.Repeat("x", 250)}},
		{name: "256 bytes", channel: "chat:" + strings.Repeat("x", 251), fails: "bad request: the channel is 256 bytes, at most 255 are allowed"},
		{name: "a letter outside ASCII", channel: "chat:é", fails: "bad request: the channel has a character that is not a printable one of ASCII"},
		{name: "a NUL", channel: "chat:\x00", fails: "bad request: the channel has a character that is not a printable one of ASCII"},
		{name: "a delete", channel: "chat:\x7f", fails: "bad request: the channel has a character that is not a printable one of ASCII"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseChannel(tt.channel)
			text := ""
			if err != nil {
				text = err.Error()
			}
			if got != tt.want || text != tt.fails {
				t.Errorf("%+v, %q", got, text)
			}
		})
	}
}

// FuzzParseChannel checks that a push carries the string of the client.
func FuzzParseChannel(f *testing.F) {
	for _, seed := range []string{"chat:lobby", "lobby", "$chat:lobby", "chat:$lobby", "$lobby", "$", ":", "#42", "chat:a#42,43", "chat:é"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ch, err := ParseChannel(s)
		if err == nil && (ch.String() != s || ch.Project != "") {
			t.Errorf("%q is %+v, which is written %q", s, ch, ch)
		}
	})
}
