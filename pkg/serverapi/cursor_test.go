package serverapi

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"centrifuge/pkg/hub"
)

func TestCursor(t *testing.T) {
	longest := "chat:" + strings.Repeat("x", hub.MaxNameBytes-len("chat:"))
	for _, tt := range []struct {
		name, cursor, want string
		invalid            bool
	}{
		{name: "no cursor"},
		{name: "a channel", cursor: "Y2hhdDpsb2JieQ", want: "chat:lobby"},
		{name: "any characters", cursor: cursorAfter("chat:\x00é:/"), want: "chat:\x00é:/"},
		{name: "the longest channel", cursor: cursorAfter(longest), want: longest},
		{name: "a longer channel", cursor: cursorAfter(longest + "x"), invalid: true},
		{name: "a channel without a name", cursor: cursorAfter("chat:"), invalid: true},
		{name: "no category", cursor: cursorAfter("chat"), want: "chat"},
		{name: "no channel", cursor: cursorAfter(":"), invalid: true},
		{name: "bytes that are not UTF-8", cursor: cursorAfter("chat:\xff"), invalid: true},
		{name: "text that is not base64", cursor: "%", invalid: true},
		{name: "padding", cursor: "Y2hhdDpsb2JieQ==", invalid: true},
		{name: "bits after the last byte", cursor: "Y2hhdDpsb2JieR", invalid: true},
		{name: "a line feed", cursor: "Y2hhdDps\nb2JieQ", invalid: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseCursor(tt.cursor)
			if got != tt.want || errors.Is(err, hub.ErrBadRequest) != tt.invalid || (err != nil) != tt.invalid {
				t.Errorf("%q, error %v", got, err)
			}
		})
	}
}

// FuzzParseCursor checks that a cursor is accepted only where it is the one of a channel.
func FuzzParseCursor(f *testing.F) {
	for _, seed := range []string{"", "Y2hhdDpsb2JieQ", "Y2hhdDpsb2JieQ==", "%", "Y2hhdA", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, cursor string) {
		channel, err := parseCursor(cursor)
		if err != nil {
			if channel != "" || !errors.Is(err, hub.ErrBadRequest) {
				t.Fatalf("%q: %q, error %v", cursor, channel, err)
			}
			return
		}
		if cursorAfter(channel) != cursor || len(channel) > hub.MaxNameBytes || !utf8.ValidString(channel) {
			t.Fatalf("%q: %q", cursor, channel)
		}
	})
}
