package callback

import (
	"encoding/json"
	"testing"

	"centrifuge/pkg/hub"
)

// FuzzDecodeResponse checks that no response grants more than the requested permissions.
func FuzzDecodeResponse(f *testing.F) {
	for _, body := range []string{"", "ok", "{}", `{"permissions":{}}`, `{"permissions":{"chat":["a"],"x":[]},"info":[1]}`, `{"permissions":null}`, "\ufeff{", `{"info":null}`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := decodeResponse(body, requested)
		if err != nil {
			return
		}
		if !c.Permissions.Confirmed || c.Permissions.Everything {
			t.Fatalf("%q grants %+v", body, c.Permissions)
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
