package hub

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseChannel(t *testing.T) {
	for _, tt := range []struct {
		text, category, name string
		// written is what String writes, "" for the text itself.
		written string
	}{
		{text: "news:all", category: "news", name: "all"},
		{text: "news:a:b", category: "news", name: "a:b"},
		{text: "news:a$b", category: "news", name: "a$b"},
		{text: "news:dialog#42,43", category: "news", name: "dialog#42,43"},
		{text: "all", name: "all"},
		{text: "*", name: "*"},
		{text: "#42", name: "#42"},
		{text: "$all", name: "$all"},
		{text: "$$all", name: "$$all"},
		{text: "$", name: "$"},
		{text: "$news:all", category: "news", name: "$all"},
		{text: "$news:$all", category: "news", name: "$$all"},
		{text: "$news:", category: "news", name: "$"},
		{text: "$news:a#42", category: "news", name: "$a#42"},
		{text: "news:$all", category: "news", name: "$all", written: "$news:all"},
		{text: ":all", name: "all", written: "all"},
		{text: "$:all", name: "$all", written: "$all"},
	} {
		got, err := ParseChannel("p", tt.text)
		if want := (Channel{Project: "p", Category: tt.category, Name: tt.name}); err != nil || got != want {
			t.Errorf("%q: %+v, %v", tt.text, got, err)
		}
		written := tt.text
		if tt.written != "" {
			written = tt.written
		}
		if got.String() != written {
			t.Errorf("%q is written %q, want %q", tt.text, got, written)
		}
	}
}

func TestParseChannelRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":       "bad request: channel name is empty",
		"news:":  "bad request: channel name is empty",
		":a:b":   `bad request: the name of a channel without a category must not contain ":"`,
		"$:a:b":  `bad request: the name of a channel without a category must not contain ":"`,
		"$$a:b":  `bad request: category name must not begin with "$"`,
		"a:\xff": "bad request: channel name is not UTF-8",
		"\xff:a": "bad request: category name is not UTF-8",

		strings.Repeat("x", MaxNameBytes+1):                            "limit exceeded: channel name is 256 bytes, at most 255 are allowed",
		"a:" + strings.Repeat("x", MaxNameBytes-1):                     "limit exceeded: channel is 256 bytes, at most 255 are allowed",
		strings.Repeat("x", MaxNameBytes+1) + ":a":                     "limit exceeded: category name is 256 bytes, at most 255 are allowed",
		"$" + strings.Repeat("x", 200) + ":" + strings.Repeat("y", 54): "limit exceeded: channel is 256 bytes, at most 255 are allowed",
	} {
		if _, err := ParseChannel("p", text); err == nil || err.Error() != want {
			t.Errorf("%.20q: error %v, want %s", text, err, want)
		}
	}
}

// marked generates names that are rich in the characters of a channel's string.
func marked() *rapid.Generator[string] {
	part := rapid.SampledFrom([]string{":", "$", "#", ",", "*", "a", "é"})
	return rapid.Map(rapid.SliceOfN(part, 0, 5), func(parts []string) string { return strings.Join(parts, "") })
}

// channelNames generates channels of categories that a project can have.
func channelNames() *rapid.Generator[Channel] {
	return rapid.Custom(func(t *rapid.T) Channel {
		name := rapid.OneOf(marked(), rapid.String())
		return Channel{Project: "p", Category: name.Draw(t, "category"), Name: name.Draw(t, "name")}
	}).Filter(func(ch Channel) bool {
		return ch.Validate() == nil && !strings.Contains(ch.Category, categoryMark)
	})
}

func TestChannelStringsAreUnique(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ch := channelNames().Draw(t, "channel")
		if got, err := ParseChannel("p", ch.String()); err != nil || got != ch {
			t.Errorf("%+v is written %q, and read as %+v, %v", ch, ch, got, err)
		}
		// What is written anew has one spelling.
		text := rapid.OneOf(marked(), rapid.String()).Draw(t, "text")
		once, err := ParseChannel("p", text)
		if err != nil {
			return
		}
		if again, err := ParseChannel("p", once.String()); err != nil || again != once {
			t.Errorf("%q is %+v, written %q, and that is %+v, %v", text, once, once, again, err)
		}
	})
}

func TestOrderTagsAreUnique(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ch := channelNames().Draw(t, "channel")
		for _, none := range []Channel{auths, allChannels, wholeCategory(""), wholeCategory(ch.Category)} {
			if tag(ch) == tag(none) {
				t.Errorf("%+v has the tag of %+v", ch, none)
			}
		}
	})
	for _, category := range []string{"", "a", "*"} {
		if whole := tag(wholeCategory(category)); whole == tag(auths) || whole == tag(allChannels) {
			t.Errorf("the category %q has the tag of auths or of all channels", category)
		}
	}
}
