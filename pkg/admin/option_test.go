package admin_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/admin"
	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
	"centrifuge/pkg/manifest"
)

// sampleOptions returns a value for every option of a reference, as JSON and as typed
// into a form.
func sampleOptions(reference []hub.Option) (document map[string]any, typed map[string]string) {
	document, typed = make(map[string]any), make(map[string]string)
	for _, o := range reference {
		switch o.Kind {
		case hub.BoolOption:
			document[o.Name], typed[o.Name] = true, "true"
		case hub.NumberOption, hub.DurationOption:
			document[o.Name], typed[o.Name] = float64(o.Max), fmt.Sprint(o.Max)
		case hub.ChoiceOption:
			last := o.Choices[len(o.Choices)-1]
			document[o.Name], typed[o.Name] = last, last
		case hub.PatternOption:
			document[o.Name], typed[o.Name] = "^[a-z]+(#.*)?$", "^[a-z]+(#.*)?$"
		case hub.URLOption:
			document[o.Name], typed[o.Name] = "https://a.example/?"+o.Name, "https://a.example/?"+o.Name
		case hub.TextOption:
			document[o.Name], typed[o.Name] = "text of "+o.Name, "text of "+o.Name
		case hub.RSAKeyOption:
			document[o.Name], typed[o.Name] = rsaKey, rsaKey
		case hub.ECDSAKeyOption:
			document[o.Name], typed[o.Name] = ecdsaKey, ecdsaKey
		case hub.OriginsOption:
			document[o.Name], typed[o.Name] = []any{"https://b.example", "https://a.example"}, "https://b.example\nhttps://a.example"
		case hub.DomainsOption:
			document[o.Name], typed[o.Name] = []any{"b.example", "a.example"}, "b.example\na.example"
		}
	}
	return document, typed
}

// Public keys of openssl.
const (
	rsaKey = `-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAuoJvS8z4OC8o7odzl6a9
hF3C8NAe34GwvdVpZ74H2d/uocVPVlBBol8FskRwOK9vW7hIky9hNcWzwsP0O0Om
4hoDNqabePjS1qu0qzPp0pKRk+m3sG7vPA+m3PkgoBXJKLaryOwy4MyohYjUHQKT
KTV/3NOn/rvHWZfhQbRLWMcPBNzOR7sfSjZDnUIOGX+JYBl/uAglny+m5LkxXWzF
OCgj7Avfo3eavv+siIvX/0muFsGfyK5l8djgjFC+jXPn2n31ltQPW5TZV7MOS1MA
k0PdwteoBtXIEJ2SEATlgUQm+YM+WNBuhCBoyQewJD/970rIjXu17O4Y5dMZMP0h
mQIDAQAB
-----END PUBLIC KEY-----`
	ecdsaKey = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEtf10AXpKXmtF7ypMgXP0LqAJlxgQ
ukzG7IkwccKN2P7AiHcIShsTzdq9l5gnsNWtvx1dMoeXC4Qa7F3sudWBaw==
-----END PUBLIC KEY-----`
)

// optionForms are the forms of the options of one project or category: in the admin
// form, in the table, and in the JSON of the admin API.
type optionForms[T hub.ProjectOptions | hub.CategoryOptions] struct {
	reference []hub.Option
	// form is the path of the admin form, read the path of the admin API, and write the
	// path in the admin API of a copy that does not exist yet.
	form, read, write string
	// stored returns the options in the table, copied those of the copy.
	stored, copied func() T
	// unwrap finds the options in what read returns, wrap makes the body for write.
	unwrap func(body map[string]any) map[string]any
	wrap   func(options map[string]any) map[string]any
}

// check takes a value of every option through all forms. A new option needs no change
// here.
func (f optionForms[T]) check(r *rig) {
	t := r.t
	t.Helper()
	document, typed := sampleOptions(f.reference)
	var want T
	if err := manifest.Decode(encode(t, document), &want); err != nil {
		t.Fatal(err)
	}
	for i, v := 0, reflect.ValueOf(want); i < v.NumField(); i++ {
		if v.Field(i).IsZero() {
			t.Errorf("%T.%s has no reference", want, v.Type().Field(i).Name)
		}
	}
	pairs := []string{"name", "sample"}
	for name, value := range typed {
		pairs = append(pairs, name, value)
	}
	if got := r.post(f.form, pairs...); got.status != http.StatusSeeOther {
		t.Fatalf("the form is refused: %v", problems(t, got))
	}
	if diff := cmp.Diff(want, f.stored()); diff != "" {
		t.Errorf("table, -want +got\n%s", diff)
	}
	shown := make(map[string]string)
	for _, e := range parse(t, r.is(r.get(f.form), http.StatusOK).body).with("action", f.form).all("input", "textarea", "select") {
		name := e.attr["name"]
		if e.name == "select" {
			for _, choice := range e.all("option") {
				if _, selected := choice.attr["selected"]; selected {
					shown[name] = choice.text()
				}
			}
			continue
		}
		if _, checked := e.attr["checked"]; typed[name] != "" && (e.attr["type"] != "checkbox" || checked) {
			shown[name] = e.attr["value"] + strings.TrimSpace(e.raw())
		}
	}
	if diff := cmp.Diff(typed, shown); diff != "" {
		t.Errorf("form, -want +got\n%s", diff)
	}
	var body map[string]any
	if err := json.Unmarshal([]byte(r.is(r.call(http.MethodGet, f.read, ""), http.StatusOK).body), &body); err != nil {
		t.Fatal(err)
	}
	written := f.unwrap(body)
	if diff := cmp.Diff(document, written); diff != "" {
		t.Errorf("manifest, -want +got\n%s", diff)
	}
	r.is(r.call(http.MethodPut, f.write, string(encode(t, f.wrap(written)))), http.StatusCreated)
	if diff := cmp.Diff(want, f.copied()); diff != "" {
		t.Errorf("table after PUT, -want +got\n%s", diff)
	}
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestProjectOptionRoundTrip(t *testing.T) {
	r := newRig(t).signIn()
	optionForms[hub.ProjectOptions]{
		reference: hub.ProjectReference,
		form:      base + "/settings", read: "/projects/" + projectID, write: "/projects/copy",
		stored: func() hub.ProjectOptions { return r.project(projectID).Options },
		copied: func() hub.ProjectOptions { return r.project("copy").Options },
		unwrap: func(body map[string]any) map[string]any { return body["options"].(map[string]any) },
		wrap:   func(options map[string]any) map[string]any { return map[string]any{"name": "copy", "options": options} },
	}.check(r)
}

// TestPingsOfDeploymentWithout sets a ping interval where nothing sends pings.
func TestPingsOfDeploymentWithout(t *testing.T) {
	r := newRig(t, func(o *admin.Options) {
		var err error
		if o.Hub, err = hub.New(hub.Options{
			Store: o.Store.(hub.Store), Dispatcher: struct{ hub.Dispatcher }{}, Callback: struct{ hub.Callback }{}, VerifyToken: auth.VerifyToken,
		}); err != nil {
			t.Fatal(err)
		}
	}).signIn()
	const refused = "deploy it with PINGS=true"
	form := r.post(base+"/settings", "name", "Shop & Co", "ping_interval", "60000")
	if form.status != http.StatusBadRequest || !strings.Contains(form.body, "Ping interval needs a schedule, which this deployment does not have: "+refused) {
		t.Errorf("the form: status %d: %s", form.status, form.body)
	}
	for _, id := range []string{projectID, "new"} {
		a := r.call(http.MethodPut, "/projects/"+id, `{"name":"n","options":{"ping_interval":"1m"}}`)
		if a.status != http.StatusBadRequest || !strings.Contains(a.body, refused) {
			t.Errorf("the JSON API for %s: status %d: %s", id, a.status, a.body)
		}
	}

	// It was set before the deployment changed: other options can be changed, and it can be removed.
	p := r.project(projectID)
	p.Revision, p.Categories = 1, nil
	p.Options.PingInterval = hub.Duration(time.Minute)
	r.put(p)
	for _, options := range []string{`{"ping_interval":"1m","insecure":true}`, `{}`} {
		if a := r.call(http.MethodPut, "/projects/"+projectID, `{"name":"n","options":`+options+`}`); a.status != http.StatusOK {
			t.Errorf("options %s: status %d: %s", options, a.status, a.body)
		}
	}
}

func TestCategoryOptionRoundTrip(t *testing.T) {
	r := newRig(t).signIn()
	r.put(&hub.Project{ID: "p", Name: "p", Secret: "of p", Categories: map[string]hub.Category{"sample": {Name: "sample"}}})
	optionForms[hub.CategoryOptions]{
		reference: hub.CategoryReference,
		form:      "/admin/projects/p/categories/edit?category=sample", read: "/projects/p", write: "/projects/p/categories/copy",
		stored: func() hub.CategoryOptions { return r.project("p").Categories["sample"].CategoryOptions },
		copied: func() hub.CategoryOptions { return r.project("p").Categories["copy"].CategoryOptions },
		unwrap: func(body map[string]any) map[string]any {
			options := body["categories"].([]any)[0].(map[string]any)
			delete(options, "name")
			return options
		},
		wrap: func(options map[string]any) map[string]any { return options },
	}.check(r)
}
