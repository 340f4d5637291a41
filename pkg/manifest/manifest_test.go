package manifest_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/manifest"
)

func TestManifestForm(t *testing.T) {
	p := &hub.Project{
		ID: "p", Name: "n", Secret: "a secret", APIKeyHashes: []string{"0123456789", "a hash"}, Revision: 7,
		APIKeyLabels: map[string]hub.APIKeyLabel{"0123456789": {Name: "backend", Created: time.Unix(1_800_000_000, 0).UTC()}},
		Options:      hub.ProjectOptions{AuthAttempts: 3, BackOffInterval: hub.Duration(50 * time.Millisecond), AllowMD5: true, Origins: []string{"https://a.example"}},
		Categories: map[string]hub.Category{
			"b": {ID: "2", Name: "b"},
			"a": {ID: "1", Name: "a", Revision: 7, CategoryOptions: hub.CategoryOptions{Presence: true, Shards: 2}},
		},
	}
	const want = `{"id":"p","name":"n","options":{"auth_attempts":3,"back_off_interval":50,"allow_md5":true,"origins":["https://a.example"]},` +
		`"categories":[{"name":"a","presence":true,"shards":2},{"name":"b"}],"api_keys":[{"fingerprint":"01234567","name":"backend","created":"2027-01-15T08:00:00Z"},{"fingerprint":"a hash"}]}`
	document, err := json.Marshal(manifest.FromHub(p))
	if err != nil || string(document) != want {
		t.Fatalf("written as %s, expected %s, error %v", document, want, err)
	}
	var read manifest.Project
	if err := manifest.Decode(document, &read); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(manifest.FromHub(p), read); diff != "" {
		t.Errorf("-written +read\n%s", diff)
	}
}

func TestDecodeErrors(t *testing.T) {
	const notDuration = `bad request: back_off_interval is not a duration: write whole milliseconds, such as 60000, or a string, such as "60s" or "24h"`
	for document, want := range map[string]string{
		``:                                     "bad request: not JSON: it is empty",
		`{"id":`:                               "bad request: not JSON: line 1, column 7: it ends too early",
		"{\"id\":\"caf\xe9\"}":                 "bad request: not JSON: line 1, column 11: this byte is not UTF-8",
		"\ufeff{}":                             "bad request: not JSON: line 1, column 1: this is a byte order mark: send the text without it",
		`{"id":"\ud800"}`:                      `bad request: not JSON: line 1, column 8: \ud800 is half of a surrogate pair and no character`,
		`[]`:                                   "bad request: the value is not an object",
		`{} {}`:                                "bad request: not JSON: line 1, column 4: invalid character '{' after top-level value",
		`{"secret":"s"}`:                       `bad request: unknown field "secret"`,
		`{"options":{"validate":1}}`:           `bad request: unknown field "validate"`,
		`{"options":{"auth_attempts":"five"}}`: "bad request: auth_attempts is not a whole number",
		`{"options":{"auth_attempts":1.5}}`:    "bad request: auth_attempts is not a whole number",
		`{"options":{"back_off_interval":"1s 5ms"}}`:                               notDuration,
		`{"options":{"back_off_interval":"1"}}`:                                    notDuration,
		`{"options":{"back_off_interval":""}}`:                                     notDuration,
		`{"options":{"back_off_interval":"100us"}}`:                                notDuration,
		`{"options":{"back_off_interval":"1000000000h"}}`:                          notDuration,
		`{"options":{"back_off_interval":1.5}}`:                                    notDuration,
		`{"options":{"back_off_interval":1e-3}}`:                                   notDuration,
		`{"options":{"back_off_interval":1e30}}`:                                   notDuration,
		`{"options":{"back_off_interval":true}}`:                                   notDuration,
		`{"options":{"back_off_interval":{}}}`:                                     notDuration,
		`{"options":{"origins":"a"}}`:                                              "bad request: origins is not a list",
		`{"options":[]}`:                                                           "bad request: options is not an object",
		`{"categories":[{"private":"yes"}]}`:                                       "bad request: private is not a boolean",
		`{"categories":[{"allow_publish_for_client":1}]}`:                          "bad request: allow_publish_for_client is not a boolean",
		`{"categories":[{"allow_publish_for_client":true,"bidirectional":false}]}`: "bad request: bidirectional is false and allow_publish_for_client is true: they are one option, write one of them",
		`{"categories":[{"allow_subscribe_for_client":true,"private":true}]}`:      "bad request: private is true and allow_subscribe_for_client is true: they are one option, write one of them",
		`{"categories":[{"allow_subscribe_for_client":false,"private":1}]}`:        "bad request: private is not a boolean",
		`{"options":{"allow_publish_for_client":true}}`:                            `bad request: unknown field "allow_publish_for_client"`,
		`{"categories":[{"force_recovery_mode":true}]}`:                            "bad request: force_recovery_mode is not a string",
		`{"categories":[{"max_message_bytes":{}}`:                                  "bad request: not JSON: line 1, column 40: it ends too early",
	} {
		t.Run(document, func(t *testing.T) {
			err := manifest.Decode([]byte(document), new(manifest.Project))
			if err == nil || err.Error() != want || !errors.Is(err, hub.ErrBadRequest) {
				t.Errorf("got %v, expected %s", err, want)
			}
		})
	}
}

// TestAliases reads Centrifugo's names of options. They are never written.
func TestAliases(t *testing.T) {
	for document, want := range map[string]string{
		`{"name":"a","allow_publish_for_client":true}`:                          `{"name":"a","bidirectional":true}`,
		`{"name":"a","allow_publish_for_client":false}`:                         `{"name":"a"}`,
		`{"name":"a","allow_publish_for_client":null}`:                          `{"name":"a"}`,
		`{"name":"a","allow_subscribe_for_client":true}`:                        `{"name":"a"}`,
		`{"name":"a","allow_subscribe_for_client":false}`:                       `{"name":"a","private":true}`,
		`{"name":"a","allow_subscribe_for_client":false,"private":true}`:        `{"name":"a","private":true}`,
		`{"name":"a","allow_subscribe_for_client":true,"private":false}`:        `{"name":"a"}`,
		`{"name":"a","allow_publish_for_client":true,"bidirectional":null}`:     `{"name":"a","bidirectional":true}`,
		`{"name":"allow_publish_for_client","history_size":1,"shards":2}`:       `{"name":"allow_publish_for_client","shards":2,"history_size":1}`,
		`{"name":"a","allow_publish_for_subscriber":true,"channel_regex":"^a"}`: `{"name":"a","allow_publish_for_subscriber":true,"channel_regex":"^a"}`,
	} {
		t.Run(document, func(t *testing.T) {
			var alone manifest.Category
			var file struct{ Projects []manifest.Project }
			if err := manifest.Decode([]byte(document), &alone); err != nil {
				t.Fatal(err)
			}
			if err := manifest.Decode([]byte(`{"projects":[{"categories":[`+document+`]}]}`), &file); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(alone, file.Projects[0].Categories[0]); diff != "" {
				t.Errorf("-alone +in a file\n%s", diff)
			}
			if written, err := json.Marshal(alone); err != nil || string(written) != want {
				t.Errorf("written as %s, expected %s, error %v", written, want, err)
			}
		})
	}
}

// TestDuration decodes the forms of a duration. The written form is one of them: milliseconds.
func TestDuration(t *testing.T) {
	for document, want := range map[string]string{
		`{"history_size":1,"history_ttl":60000}`:                             `{"history_size":1,"history_ttl":60000}`,
		`{"history_size":1,"history_ttl":"60s"}`:                             `{"history_size":1,"history_ttl":60000}`,
		`{"history_size":1,"history_ttl":"1h30m","history_meta_ttl":"720h"}`: `{"history_size":1,"history_ttl":5400000,"history_meta_ttl":2592000000}`,
		`{"ordered":true,"linger_ms":"50ms"}`:                                `{"ordered":true,"linger_ms":50}`,
		`{"ordered":true,"linger_ms":"0.5s"}`:                                `{"ordered":true,"linger_ms":500}`,
		`{"linger_ms":"0"}`:                                                  `{}`,
		`{"linger_ms":null}`:                                                 `{}`,
	} {
		t.Run(document, func(t *testing.T) {
			var options hub.CategoryOptions
			if err := manifest.Decode([]byte(document), &options); err != nil {
				t.Fatal(err)
			}
			if err := options.Validate(); err != nil {
				t.Error(err)
			}
			if written, err := json.Marshal(options); err != nil || string(written) != want {
				t.Errorf("written as %s, expected %s, error %v", written, want, err)
			}
		})
	}
}

func TestDurationOutOfRange(t *testing.T) {
	for _, value := range []any{-1, 1001, 1 << 40, 1 << 62, -1 << 62, `"-1ms"`, `"1001ms"`, `"24h"`} {
		var options manifest.ProjectOptions
		if err := manifest.Decode(fmt.Appendf(nil, `{"back_off_interval":%v}`, value), &options); err != nil {
			t.Fatal(err)
		}
		if err := options.Validate(); !errors.Is(err, hub.ErrBadRequest) {
			t.Errorf("back_off_interval %v: %v", value, err)
		}
	}
}

var update = flag.Bool("update", false, "write the tables of options into pkg/hub/README.md")

// optionTable is a table of options in Markdown.
func optionTable(heading string, reference []hub.Option) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %s | in the admin pages | default | |\n|---|---|---|---|\n", heading)
	for _, o := range reference {
		help := o.Help
		if o.Unsafe {
			help = "**Unsafe.** " + help
		}
		switch o.Kind {
		case hub.NumberOption:
			help += fmt.Sprintf(" From %d to %d.", o.Min, o.Max)
		case hub.DurationOption:
			help += fmt.Sprintf(" In milliseconds, from %d to %d.", o.Min, o.Max)
		}
		if o.Kind == hub.PatternOption {
			help += fmt.Sprintf(" At most %d bytes.", o.Max)
		}
		if o.Alias != "" {
			help += fmt.Sprintf(" Centrifugo's `%s` is read too", o.Alias)
			if o.AliasReversed {
				help += ", and is its reverse"
			}
			help += "."
		}
		if o.Kind.List() {
			help += fmt.Sprintf(" A list of at most %d.", o.Max)
		}
		fmt.Fprintf(&b, "| `%s` | %s: %s | %s | %s |\n", o.Name, o.Group, o.Title, o.Default, help)
	}
	return b.String()
}

// centrifugoOptions are the options of a namespace of Centrifugo 6, with what differs here.
var centrifugoOptions = []struct{ name, note string }{
	{"presence", ""},
	{"join_leave", "Classic clients always receive joins and leaves, others where they ask for them or force_push_join_leave is on."},
	{"force_push_join_leave", ""},
	{"history_size", "At most 10,000."},
	{"history_ttl", "At least a second. Written in milliseconds; `\"60s\"` is read too."},
	{"history_meta_ttl", "At least six hours."},
	{"force_positioning", "Only streams have positions: channels with a history, and ordered ones."},
	{"allow_positioning", "Only streams have positions."},
	{"force_recovery", ""},
	{"allow_recovery", ""},
	{"force_recovery_mode", ""},
	{"auto_cache_recover", ""},
	{"allow_subscribe_for_client", "On by default, unlike in Centrifugo."},
	{"allow_subscribe_for_anonymous", "Classic clients: their grants decide."},
	{"allow_publish_for_client", "In a private category only for subscribers and for clients with a grant."},
	{"allow_publish_for_subscriber", "Classic clients: only bidirectional matters."},
	{"allow_publish_for_anonymous", "Classic clients: only bidirectional matters."},
	{"allow_history_for_client", "The classic protocol has no history."},
	{"allow_history_for_subscriber", ""},
	{"allow_history_for_anonymous", ""},
	{"allow_presence_for_client", "Classic clients: their grants decide."},
	{"allow_presence_for_subscriber", "Classic clients: their grants decide."},
	{"allow_presence_for_anonymous", "Classic clients: their grants decide."},
	{"allow_user_limited_channels", ""},
	{"channel_regex", "At most 255 bytes. Without it names need not be ASCII."},
	{"allowed_delta_types", "Not supported: API Gateway does not promise the order that deltas need."},
	{"delta_publish", "Not supported, for the same reason."},
	{"allow_tags_filter", "Not supported: a fan-out encodes a message once for all subscribers. Clients can look at the tags."},
	{"publication_data_format", "Not supported: data is JSON."},
	{"subscribe_proxy_enabled", "The URL is an option of the project."},
	{"publish_proxy_enabled", "The URL is an option of the project."},
	{"sub_refresh_proxy_enabled", "The URL is an option of the project. The application is asked when a client sends a sub_refresh, and not by itself."},
	{"subscribe_stream_proxy_enabled", "Not supported, nor are its other options: a function does not live as long as a stream."},
	{"subscription_type", "Not supported, nor are map and shared_poll: subscriptions are to streams."},
}

// centrifugoTable maps the names of Centrifugo's options to ours.
func centrifugoTable(t *testing.T, heading string) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "| %s | here | |\n|---|---|---|\n", heading)
	mapped := make(map[string]bool)
	for _, c := range centrifugoOptions {
		here := "-"
		for _, o := range hub.CategoryReference {
			switch {
			case o.Name == c.name:
				here = "same name"
			case o.Alias == c.name && o.AliasReversed:
				here = "the reverse of `" + o.Name + "`"
			case o.Alias == c.name:
				here = "`" + o.Name + "`"
			default:
				continue
			}
			mapped[o.Name] = true
		}
		if (here == "-") != strings.HasPrefix(c.note, "Not supported") {
			t.Errorf("%s is %s here, and its note says %q", c.name, here, c.note)
		}
		fmt.Fprintf(&b, "| `%s` | %s |%s |\n", c.name, here, strings.TrimRight(" "+c.note, " "))
	}
	for _, o := range hub.CategoryReference {
		if theirs := strings.HasPrefix(o.Name, "allow_") || strings.HasPrefix(o.Name, "force_"); theirs && !mapped[o.Name] && o.Name != "allowed_domains" {
			t.Errorf("%s has a name as Centrifugo's options, and is not in the table", o.Name)
		}
	}
	return b.String()
}

func TestOptionTables(t *testing.T) {
	const path = "../hub/README.md"
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	readme := string(content)
	for _, table := range []struct {
		heading string
		make    func(heading string) string
	}{
		{"project option", func(heading string) string { return optionTable(heading, hub.ProjectReference) }},
		{"category option", func(heading string) string { return optionTable(heading, hub.CategoryReference) }},
		{"option of Centrifugo", func(heading string) string { return centrifugoTable(t, heading) }},
	} {
		want := table.make(table.heading)
		begin := strings.Index(readme, "| "+table.heading+" |")
		if begin < 0 {
			t.Fatalf("%s has no table with the heading %q", path, table.heading)
		}
		length := strings.Index(readme[begin:], "\n\n") + 1
		if diff := cmp.Diff(want, readme[begin:begin+length]); diff != "" && !*update {
			t.Errorf("run go test ./pkg/manifest -update: -code +document\n%s", diff)
		}
		readme = readme[:begin] + want + readme[begin+length:]
	}
	if *update {
		if err := os.WriteFile(path, []byte(readme), 0o644); err != nil { //nolint:gosec // a public document
			t.Fatal(err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"id":"p","name":"n","options":{"origins":["a"],"back_off_interval":-5},"categories":[{"name":"c","shards":2}]}`))
	f.Add([]byte(`[{"name":"","allow_subscribe_for_client":false}]`))
	f.Add([]byte(`{"id":null,"options":{"back_off_interval":null}} `))
	f.Fuzz(func(t *testing.T, document []byte) {
		var p manifest.Project
		if err := manifest.Decode(document, &p); err != nil {
			if !errors.Is(err, hub.ErrBadRequest) {
				t.Fatalf("%q fails with %v", document, err)
			}
			return
		}
		written, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var q manifest.Project
		if err := manifest.Decode(written, &q); err != nil {
			t.Fatalf("%q is written as %s, which is refused: %v", document, written, err)
		}
		if again, err := json.Marshal(q); err != nil || !cmp.Equal(written, again) {
			t.Fatalf("%q is written as %s and then as %s: %v", document, written, again, err)
		}
	})
}
