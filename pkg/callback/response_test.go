package callback

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"centrifuge/pkg/hub"
)

// FuzzDecodeResponse checks that no response grants more than the requested permissions,
// and that only an object that states permissions confirms them.
func FuzzDecodeResponse(f *testing.F) {
	for _, body := range []string{"", "ok", "{}", `{"permissions":{}}`, `{"permissions":{"chat":["a"],"x":[]},"info":[1]}`, `{"permissions":null}`, "\ufeff{", `{"Permissions":{},"permissions":{}}`, "\u00a0", `{"info":null}`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := decodeResponse(body, requested)
		if err != nil {
			return
		}
		if c.Permissions.Everything {
			t.Fatalf("%q grants %+v", body, c.Permissions)
		}
		var object map[string]json.RawMessage
		text := bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\ufeff")))
		if len(text) > 0 && json.Unmarshal(text, &object) != nil {
			t.Fatalf("%q means yes", body)
		}
		stated := false
		for key := range object {
			stated = stated || strings.EqualFold(key, "permissions")
		}
		if c.Permissions.Confirmed != stated {
			t.Fatalf("%q confirms: %v", body, c.Permissions.Confirmed)
		}
		for name, g := range c.Permissions.Categories {
			if _, ok := requested.Categories[name]; !ok {
				t.Fatalf("%q grants category %q", body, name)
			}
			for _, channel := range g.Channels {
				if !requested.Categories[name].Allows(channel) {
					t.Fatalf("%q grants %q in %q", body, channel, name)
				}
			}
			if g.Whole && !requested.Categories[name].Whole {
				t.Fatalf("%q grants all of %q", body, name)
			}
		}
		if c.Info != nil && (!json.Valid(c.Info) || len(c.Info) > hub.MaxInfoBytes) {
			t.Fatalf("%q attaches info %q", body, c.Info)
		}
	})
}

// FuzzRepeatsKey compares repeatsKey, for an object without nested ones, with the fields
// that encoding/json finds.
func FuzzRepeatsKey(f *testing.F) {
	f.Add("a", "b")
	f.Add("info", "ınfo")
	f.Add("permissions", "permi\u017fsions")
	f.Add("k", "\u212a")
	f.Fuzz(func(t *testing.T, first, second string) {
		a, _ := json.Marshal(first)
		b, _ := json.Marshal(second)
		_ = json.Unmarshal(a, &first) // as UTF-8
		_ = json.Unmarshal(b, &second)
		body := slices.Concat([]byte("{"), a, []byte(":1,"), b, []byte(":2}"))
		if got, want := repeatsKey(body), strings.EqualFold(first, second); got != want {
			t.Fatalf("%s: %v, expected %v", body, got, want)
		}
	})
}
