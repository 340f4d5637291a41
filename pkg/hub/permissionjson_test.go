package hub_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"centrifuge/pkg/hub"
)

// only are permissions for one category.
func only(category string, g hub.Grant) hub.Permissions {
	return hub.Permissions{Categories: map[string]hub.Grant{category: g}}
}

func TestDecodePermissions(t *testing.T) {
	for name, c := range map[string]struct {
		raw  string
		want hub.Permissions
	}{
		"an empty object is everything":              {`{}`, hub.Permissions{Everything: true}},
		"white space does not matter":                {" {\n} ", hub.Permissions{Everything: true}},
		"an empty list is the whole category":        {`{"chat": []}`, only("chat", hub.Grant{Whole: true})},
		"a list is the channels that it names":       {`{"chat": ["a", "b"]}`, only("chat", hub.Grant{Channels: []string{"a", "b"}})},
		"an object instead of a list grants nothing": {`{"chat": {}}`, only("chat", hub.Grant{})},
		"null instead of a list grants nothing":      {`{"chat": null}`, only("chat", hub.Grant{})},
		"true instead of a list grants nothing":      {`{"chat": true}`, only("chat", hub.Grant{})},
		"a string instead of a list grants nothing":  {`{"chat": "a"}`, only("chat", hub.Grant{})},
		"entries that are not strings match nothing": {`{"chat": [1, null, ["b"], {}, 1e999, "a"]}`, only("chat", hub.Grant{Channels: []string{"a"}})},
		"a list of such entries is not an empty one": {`{"chat": [null]}`, only("chat", hub.Grant{})},
		"the category without a name":                {`{"": []}`, only("", hub.Grant{Whole: true})},
		"names are any unicode":                      {`{"ч:#$ ": ["а б"]}`, only("ч:#$ ", hub.Grant{Channels: []string{"а б"}})},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := hub.DecodePermissions(json.RawMessage(c.raw))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got, cmpopts.EquateEmpty()); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestDecodePermissionsErrors(t *testing.T) {
	many := make([]string, hub.MaxPermissions)
	for i := range many {
		many[i] = fmt.Sprintf(`"%d"`, i)
	}
	for name, c := range map[string]struct {
		raw  string
		want error
	}{
		"no input":                          {``, hub.ErrBadRequest},
		"null":                              {`null`, hub.ErrBadRequest},
		"a list":                            {`[]`, hub.ErrBadRequest},
		"a string":                          {`"{}"`, hub.ErrBadRequest},
		"an object that does not end":       {`{"chat": []`, hub.ErrBadRequest},
		"an empty object that does not end": {`{`, hub.ErrBadRequest},
		"an object and another":             {`{"chat": ["a"]} {}`, hub.ErrBadRequest},
		"an empty object and another":       {`{} {"chat": ["a"]}`, hub.ErrBadRequest},
		"a value that is not JSON":          {`{"chat": [}`, hub.ErrBadRequest},
		"a key that is not a string":        {`{1: []}`, hub.ErrBadRequest},
		"a category that is named twice":    {`{"chat": ["a"], "chat": []}`, hub.ErrBadRequest},
		"nesting without an end":            {`{"chat": ` + strings.Repeat("[", 20000), hub.ErrBadRequest},
		"more names than the limit":         {`{"chat": [` + strings.Join(many, ",") + `]}`, hub.ErrLimitExceeded},
		"a category name that is long":      {`{"` + strings.Repeat("x", 256) + `": []}`, hub.ErrLimitExceeded},
		"a channel name that is long":       {`{"chat": ["` + strings.Repeat("x", 256) + `"]}`, hub.ErrLimitExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := hub.DecodePermissions(json.RawMessage(c.raw))
			if !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
			if d := cmp.Diff(hub.Permissions{}, got); d != "" {
				t.Error("an error with a grant: " + d)
			}
		})
	}
}

func TestEncodePermissions(t *testing.T) {
	for name, c := range map[string]struct {
		permissions hub.Permissions
		want        string
	}{
		"everything":                       {hub.Permissions{Everything: true, Categories: map[string]hub.Grant{"x": {}}}, `{}`},
		"a whole category":                 {only("chat", hub.Grant{Whole: true, Channels: []string{"a"}}), `{"chat":[]}`},
		"some channels":                    {only("chat", hub.Grant{Channels: []string{"b", "a"}}), `{"chat":["b","a"]}`},
		"nothing in a category":            {only("chat", hub.Grant{Channels: []string{}}), `{"chat":null}`},
		"nothing at all is not everything": {hub.Permissions{}, `{"":null}`},
		"characters of HTML stay":          {only("<&>", hub.Grant{Whole: true}), `{"<&>":[]}`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := string(hub.EncodePermissions(c.permissions)); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func FuzzDecodePermissions(f *testing.F) {
	for _, s := range []string{`{}`, `null`, `{"chat":[]}`, `{"chat":["a",1],"news":null}`, `{"a":[],"a":["b"]}`, `{"":[]}`, "{\"\xff\":[\"\xfe\"]}", `{"\ud800":["\udc00"]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := hub.DecodePermissions(raw)
		if err != nil {
			if !errors.Is(err, hub.ErrBadRequest) && !errors.Is(err, hub.ErrLimitExceeded) {
				t.Fatalf("error %v, want ErrBadRequest or ErrLimitExceeded", err)
			}
			return
		}
		var object map[string]any
		if json.Unmarshal(raw, &object) == nil && p.Everything != (len(object) == 0) {
			t.Fatalf("%s decodes to %+v", raw, p)
		}
		if p.Confirmed {
			t.Fatalf("%s is confirmed", raw)
		}
		again, err := hub.DecodePermissions(hub.EncodePermissions(p))
		if err != nil {
			t.Fatalf("%s: the encoded permissions cannot be decoded: %v", raw, err)
		}
		if d := cmp.Diff(p, again, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("%s: encoded and decoded permissions differ: %s", raw, d)
		}
	})
}
