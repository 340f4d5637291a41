package callback

import (
	"encoding/json"
	"testing"

	"centrifuge/pkg/hub"
)

// Whatever an application answers, nobody gets more than was wished for.
func FuzzAnswer(f *testing.F) {
	for _, body := range []string{"", "ok", "{}", `{"permissions":{}}`, `{"permissions":{"chat":["a"],"x":[]},"info":[1]}`, `{"permissions":null}`, "\ufeff{", `{"info":null}`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := reply{status: 200, body: body}.answer(wish)
		if err != nil {
			return
		}
		if !a.Permissions.Confirmed || a.Permissions.Everything {
			t.Fatalf("%q grants %+v", body, a.Permissions)
		}
		for name, g := range a.Permissions.Categories {
			if _, ok := wish.Categories[name]; !ok {
				t.Fatalf("%q grants category %q", body, name)
			}
			for _, channel := range g.Channels {
				if !wish.Categories[name].Allows(channel) {
					t.Fatalf("%q grants %q in %q", body, channel, name)
				}
			}
			if g.Whole && !wish.Categories[name].Whole {
				t.Fatalf("%q grants all of %q", body, name)
			}
		}
		if a.Info != nil && (!json.Valid(a.Info) || len(a.Info) > hub.MaxInfoBytes) {
			t.Fatalf("%q attaches %q", body, a.Info)
		}
	})
}
