package manifest_test

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/manifest"
)

// full sets every option that there is.
func full() *hub.Project {
	return &hub.Project{
		ID: "p", Name: "n", Secret: "s", APIKeyHashes: []string{"h"},
		Options: hub.ProjectOptions{
			ValidateURL: "https://a.example/v", AuthAttempts: 3, BackOffInterval: 50 * time.Millisecond,
			BackOffMaxTimeout: 2 * time.Second, AllowMD5: true, Origins: []string{"https://a.example"}, WebhookURL: "https://a.example/w",
		},
		Categories: map[string]hub.Category{
			"b": {Name: "b"},
			"a": {Name: "a", CategoryOptions: hub.CategoryOptions{
				Bidirectional: true, PublishToAdmins: true, Private: true, Presence: true, JoinLeave: true, CleanHTML: true,
				AllowedDomains: []string{"example.com"}, Hooks: true, Shards: 2, MaxMessageBytes: 100,
			}},
		},
	}
}

func TestWhatIsWrittenIsReadTheSame(t *testing.T) {
	p := full()
	for i := range reflect.TypeFor[hub.CategoryOptions]().NumField() {
		if v := reflect.ValueOf(p.Categories["a"].CategoryOptions).Field(i); v.IsZero() {
			t.Fatalf("this test does not set the option %s", reflect.TypeFor[hub.CategoryOptions]().Field(i).Name)
		}
	}
	for i := range reflect.TypeFor[hub.ProjectOptions]().NumField() {
		if v := reflect.ValueOf(p.Options).Field(i); v.IsZero() {
			t.Fatalf("this test does not set the option %s", reflect.TypeFor[hub.ProjectOptions]().Field(i).Name)
		}
	}
	document, err := json.Marshal(manifest.FromHub(p))
	if err != nil {
		t.Fatal(err)
	}
	var read manifest.Project
	if err := manifest.Decode(document, &read); err != nil {
		t.Fatal(err)
	}
	if read.ID != p.ID || read.Name != p.Name || len(read.Categories) != 2 || read.Categories[0].Name != "a" {
		t.Errorf("read %+v", read)
	}
	if diff := cmp.Diff(p.Options, read.Options.Hub()); diff != "" {
		t.Errorf("options of the project: -written +read\n%s", diff)
	}
	for _, c := range read.Categories {
		if diff := cmp.Diff(p.Categories[c.Name].CategoryOptions, c.Hub()); diff != "" {
			t.Errorf("options of category %s: -written +read\n%s", c.Name, diff)
		}
	}
	for _, secret := range []string{p.Secret, p.APIKeyHashes[0]} {
		if strings.Contains(string(document), `"`+secret+`"`) {
			t.Errorf("%s holds a secret", document)
		}
	}
}

func TestDecodeSaysWhatIsWrong(t *testing.T) {
	for document, want := range map[string]string{
		``:                                     "bad request: not JSON",
		`{"id":`:                               "bad request: not JSON",
		`[]`:                                   "bad request: the value is not an object",
		`{} {}`:                                "bad request: there is more than one JSON value",
		`{"secret":"s"}`:                       `bad request: unknown field "secret"`,
		`{"options":{"validate":1}}`:           `bad request: unknown field "validate"`,
		`{"options":{"auth_attempts":"five"}}`: "bad request: auth_attempts is not a whole number",
		`{"options":{"auth_attempts":1.5}}`:    "bad request: auth_attempts is not a whole number",
		`{"options":{"origins":"a"}}`:          "bad request: origins is not a list",
		`{"options":[]}`:                       "bad request: options is not an object",
		`{"categories":[{"private":"yes"}]}`:   "bad request: private is not a boolean",
	} {
		t.Run(document, func(t *testing.T) {
			err := manifest.Decode([]byte(document), new(manifest.Project))
			if err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, hub.ErrBadRequest) {
				t.Errorf("got %v, want %s", err, want)
			}
		})
	}
}

func TestNumbersOutOfRangeStayOutOfRange(t *testing.T) {
	for _, n := range []int{-1, 1001, 1 << 40, 1 << 62, -1 << 62} {
		p := full()
		p.Options = manifest.ProjectOptions{BackOffInterval: n}.Hub()
		if err := p.Validate(); !errors.Is(err, hub.ErrBadRequest) {
			t.Errorf("back_off_interval %d: %v", n, err)
		}
	}
}

// TestReferenceIsOfWhatThereIs holds the reference to the keys of the written form.
func TestReferenceIsOfWhatThereIs(t *testing.T) {
	for _, tt := range []struct {
		form      reflect.Type
		reference []manifest.Option
	}{
		{reflect.TypeFor[manifest.ProjectOptions](), manifest.ProjectReference},
		{reflect.TypeFor[manifest.CategoryOptions](), manifest.CategoryReference},
	} {
		kinds := map[reflect.Kind]manifest.Kind{
			reflect.Bool: manifest.Bool, reflect.Int: manifest.Number, reflect.String: manifest.Text, reflect.Slice: manifest.List,
		}
		var want, got []string
		for i := range tt.form.NumField() {
			f := tt.form.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			want = append(want, name+" "+string(kinds[f.Type.Kind()]))
		}
		for _, o := range tt.reference {
			got = append(got, o.Name+" "+string(o.Kind))
			if o.Title == "" || o.Default == "" || !strings.HasSuffix(o.Help, ".") {
				t.Errorf("%s lacks a title, a default or a sentence of help", o.Name)
			}
			if (o.Kind == manifest.Number) != (o.Max > o.Min) {
				t.Errorf("%s is from %d to %d", o.Name, o.Min, o.Max)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-form +reference\n%s", diff)
		}
	}
}

// TestReferenceHasTheLimitsOfTheHub tries every number at its limits and beyond.
func TestReferenceHasTheLimitsOfTheHub(t *testing.T) {
	try := func(name string, n int) error {
		p, c := full(), manifest.CategoryOptions{}
		options := manifest.ProjectOptions{}
		body := []byte(`{"` + name + `":` + string(must(json.Marshal(n))) + `}`)
		if manifest.Decode(body, &options) != nil {
			if err := manifest.Decode(body, &c); err != nil {
				t.Fatal(err)
			}
		}
		p.Options = options.Hub()
		p.Categories = map[string]hub.Category{"a": {Name: "a", CategoryOptions: c.Hub()}}
		return p.Validate()
	}
	for _, o := range append(manifest.ProjectReference, manifest.CategoryReference...) {
		if o.Kind != manifest.Number {
			continue
		}
		for n, valid := range map[int]bool{o.Min: true, o.Max: true, -1: false, o.Max + 1: false} {
			if err := try(o.Name, n); (err == nil) != valid {
				t.Errorf("%s = %d: %v", o.Name, n, err)
			}
		}
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

var update = flag.Bool("update", false, "write the tables of options into the README")

// TestREADMEHasTheReference compares the README's tables of options with those that
// the code makes.
func TestREADMEHasTheReference(t *testing.T) {
	const path = "../hub/README.md"
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	readme := string(content)
	for _, table := range []struct {
		heading   string
		reference []manifest.Option
	}{{"project option", manifest.ProjectReference}, {"category option", manifest.CategoryReference}} {
		want := manifest.Markdown(table.heading, table.reference)
		begin := strings.Index(readme, "| "+table.heading+" |")
		if begin < 0 {
			t.Fatalf("the README has no table of every %s", table.heading)
		}
		length := strings.Index(readme[begin:], "\n\n") + 1
		if diff := cmp.Diff(want, readme[begin:begin+length]); diff != "" && !*update {
			t.Errorf("run go test ./pkg/structure -update: -code +README\n%s", diff)
		}
		readme = readme[:begin] + want + readme[begin+length:]
	}
	if *update {
		if err := os.WriteFile(path, []byte(readme), 0o644); err != nil { //nolint:gosec // it is there for all to read
			t.Fatal(err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"id":"p","name":"n","options":{"origins":["a"]},"categories":[{"name":"c","shards":2}]}`))
	f.Add([]byte(`{"id":null} `))
	f.Fuzz(func(t *testing.T, document []byte) {
		var p manifest.Project
		if err := manifest.Decode(document, &p); err != nil {
			if !errors.Is(err, hub.ErrBadRequest) {
				t.Fatalf("%q fails with %v", document, err)
			}
			return
		}
		again, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var q manifest.Project
		if err := manifest.Decode(again, &q); err != nil || !cmp.Equal(again, must(json.Marshal(q))) {
			t.Fatalf("%q is written as %s and not read the same: %v", document, again, err)
		}
	})
}
