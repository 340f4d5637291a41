package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/manifest"
)

func TestDecodeDocuments(t *testing.T) {
	chat := manifest.Category{Name: "chat", CategoryOptions: manifest.CategoryOptions{Bidirectional: true, Shards: 4, AllowedDomains: []string{"a.example"}}}
	for _, tt := range []struct {
		name, text string
		want       []manifest.Project
		fails      string
	}{
		{"an empty file", "", nil, ""},
		{"only comments", "# a\n---\n# b\n", nil, ""},
		{"an empty list", "[]", []manifest.Project{}, ""},
		{"a project", "id: a\nname: b\noptions: {auth_attempts: 3}\ncategories:\n- {name: chat, bidirectional: true, shards: 4, allowed_domains: [a.example]}\n",
			[]manifest.Project{{ID: "a", Name: "b", Options: manifest.ProjectOptions{AuthAttempts: 3}, Categories: []manifest.Category{chat}}}, ""},
		{"JSON", `[{"id":"a\u00e9\ud83d\ude00\/\"","name":"b","options":{"allow_md5":true},"categories":null}]`,
			[]manifest.Project{{ID: "aé😀/\"", Name: "b", Options: manifest.ProjectOptions{AllowMD5: true}}}, ""},
		{"several documents", "---\nid: a\n---\n- id: b\n- id: c\n...\n", []manifest.Project{{ID: "a"}, {ID: "b"}, {ID: "c"}}, ""},
		{"quoted and folded strings", "id: 'it''s'\nname: >-\n  two\n  words\n", []manifest.Project{{ID: "it's", Name: "two words"}}, ""},
		{"an unknown key", "id: a\nnme: b\n", nil, `line 1: bad request: unknown field "nme"`},
		{"an unknown key of a category", "id: a\ncategories:\n  - name: x\n    biderectional: true\n", nil, `line 1: bad request: unknown field "biderectional"`},
		{"an unknown key in JSON", "{\"id\":\"a\",\n \"options\":{\"md5\":true}}", nil, `line 1: bad request: unknown field "md5"`},
		{"a key in another case, as in JSON", "ID: a\n", []manifest.Project{{ID: "a"}}, ""},
		{"a duplicate key", "id: a\nname: b\nid: c\n", nil, `line 3, column 1: mapping key "id" already defined`},
		{"an id that overflows a number", "id: 66e512345678901234567890\n", []manifest.Project{{ID: "66e512345678901234567890"}}, ""},
		{"a number for a string", "id: 6.5\n", nil, "line 1: bad request: id is not a string"},
		{"a boolean for a string", "id: yes\nname: true\n", nil, "name is not a string"},
		{"null is the default", "id: ~\noptions: {auth_attempts: null, origins: null}\n", []manifest.Project{{}}, ""},
		{"an octal number", "options: {auth_attempts: 0o7}\n", []manifest.Project{{Options: manifest.ProjectOptions{AuthAttempts: 7}}}, ""},
		{"a string for a boolean", "options: {allow_md5: \"true\"}\n", nil, "allow_md5 is not a boolean"},
		{"a string for a number", "options: {auth_attempts: \"3\"}\n", nil, "auth_attempts is not a whole number"},
		{"a fraction", "options: {auth_attempts: 3.5}\n", nil, "auth_attempts is not a whole number"},
		{"a number too large", "options: {auth_attempts: 99999999999999999999}\n", nil, "auth_attempts is not a whole number"},
		{"a string for a list", "options: {origins: https://a.example}\n", nil, "origins is not a list"},
		{"a list for an object", "options: [x]\n", nil, "options is not an object"},
		{"a string for a project", "hello\n", nil, "the value is not an object"},
		{"an alias", "id: &a x\nname: *a\n", []manifest.Project{{ID: "x", Name: "x"}}, ""},
		{"a merge", "<<: {id: a}\n", []manifest.Project{{ID: "a"}}, ""},
		{"a tag", "id: !!str 1\n", []manifest.Project{{ID: "1"}}, ""},
		{"an unclosed list", "[", nil, "line 1, column 1: "},
		{"an unclosed string", "id: \"a\nname: b\n", nil, "line "},
		{"an error in a later document", "id: a\n---\n- id: b\n- id: c\n  nme: x\n", nil, `line 4: bad request: unknown field "nme"`},
		{"an alias of itself", "id: &a [*a]\n", nil, "line "},
		{"an alias that is not defined", "id: *a\n", nil, "line "},
		{"not a number", "options: {auth_attempts: .nan}\n", nil, "line 1: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := decodeDocuments[manifest.Project]([]byte(tt.text))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if (err == nil) != (tt.fails == "") || err != nil && (!strings.Contains(err.Error(), tt.fails) || strings.Contains(err.Error(), "\n")) {
				t.Errorf("error %v, expected %q", err, tt.fails)
			}
		})
	}
}

func TestEncodeYAML(t *testing.T) {
	for name, want := range map[string]string{
		"chat":                  "chat",
		"https://a.example/x":   "https://a.example/x",
		"a.b-c_d":               "a.b-c_d",
		"":                      `""`,
		"no":                    `"no"`,
		"NULL":                  `"NULL"`,
		"12":                    `"12"`,
		"1e3":                   `"1e3"`,
		"-":                     `"-"`,
		"a: b":                  `"a: b"`,
		"a:":                    `"a:"`,
		"a #b":                  `"a #b"`,
		" a":                    `" a"`,
		"große Öffnung 😀":       `"große Öffnung 😀"`,
		"a\"b\\c\n\t\x00\u2028": `"a\"b\\c\n\t\x00\u2028"`,
		"\U000e0001":            `"\U000e0001"`,
		"66e5123":               `"66e5123"`,
		"a\rb":                  `"a\rb"`,
	} {
		got, err := encodeYAML(map[string]string{"name": name})
		if got != "name: "+want+"\n" || err != nil {
			t.Errorf("%q is written %q, expected %q; error %v", name, got, want, err)
		}
	}
}

// FuzzYAML encodes a project and decodes it.
func FuzzYAML(f *testing.F) {
	f.Add("demo", "Demo: \"x\"", "https://a.example", 3, true)
	f.Add("66e512345678901234567890", "a\nb\r\n\tc ", "- x", -1, false)
	f.Add("'", "\u2028\ufeff\u0085", "!!str &a *b", 0, true)
	f.Fuzz(func(t *testing.T, id, name, origin string, number int, flag bool) {
		p := manifest.Project{ID: strings.ToValidUTF8(id, "?"), Name: strings.ToValidUTF8(name, "?"),
			Options:    manifest.ProjectOptions{AllowMD5: flag, AuthAttempts: int(int32(number)), Origins: []string{strings.ToValidUTF8(origin, "?")}},
			Categories: []manifest.Category{{Name: strings.ToValidUTF8(origin+name, "?"), CategoryOptions: manifest.CategoryOptions{Presence: flag}}}}
		text, err := encodeYAML(p)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeDocuments[manifest.Project]([]byte(text))
		if diff := cmp.Diff([]manifest.Project{p}, got); diff != "" || err != nil {
			t.Errorf("%s\n%s\nerror %v", text, diff, err)
		}
	})
}

// FuzzDecodeDocuments decodes documents, encodes them and decodes them again.
func FuzzDecodeDocuments(f *testing.F) {
	f.Add([]byte("id: a\nname: b\noptions:\n  origins: [x, \"y\"]\ncategories:\n  - name: c\n    shards: 2\n---\n- id: d\n"))
	f.Add([]byte(`{"id":"a","options":{"allow_md5":true},"categories":[{"name":"x"}]}`))
	f.Add([]byte("id: |\n  a\n  b\nname: >-\n  c\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		first, err := decodeDocuments[manifest.Project](b)
		if err != nil || len(first) == 0 {
			return
		}
		text, err := encodeYAML(first)
		if err != nil {
			t.Fatal(err)
		}
		second, err := decodeDocuments[manifest.Project]([]byte(text))
		again, _ := encodeYAML(second)
		if diff := cmp.Diff(text, again); diff != "" || err != nil {
			t.Error(diff, err)
		}
	})
}

func TestCheckProjects(t *testing.T) {
	for _, tt := range []struct {
		name, text, fails string
	}{
		{"no project", "[]", "no project in the file"},
		{"a duplicate project", "[{id: a}, {id: a}]", `duplicate project "a"`},
		{"a duplicate category", "{id: a, categories: [{name: x}, {name: x}]}", `project "a": duplicate category "x"`},
		{"no id", "{name: a}", `project "": bad request: project id is empty`},
		{"a project option outside its limits", "{id: a, options: {auth_attempts: 11}}", "auth_attempts is not from 1 to 10"},
		{"a category option outside its limits", "{id: a, categories: [{name: x, shards: 65}]}", `project "a": category "x": bad request: shards`},
		{"valid", "{id: a, categories: [{name: x}]}", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			list, err := decodeDocuments[manifest.Project]([]byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			err = checkProjects(list)
			if (err == nil) != (tt.fails == "") || err != nil && !strings.Contains(err.Error(), tt.fails) {
				t.Errorf("error %v, expected %q", err, tt.fails)
			}
			if err == nil && list[0].Name != "a" {
				t.Errorf("the name of a project without one is %q", list[0].Name)
			}
		})
	}
}

func TestDiff(t *testing.T) {
	for _, tt := range []struct{ name, before, after, want string }{
		{"empty texts", "", "", ""},
		{"added lines", "", "a\nb\n", "+ a|+ b"},
		{"removed lines", "a\nb\n", "", "- a|- b"},
		{"equal texts", "a\n", "a\n", ""},
		{"changed lines", "a\nb\nc\n", "a\nx\ny\nc\n", "  a|- b|+ x|+ y|  c"},
		{"a moved line", "a\nb\n", "b\na\n", "+ b|  a|- b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, strings.Join(diff(tt.before, tt.after), "|")); diff != "" {
				t.Error(diff)
			}
		})
	}
}
