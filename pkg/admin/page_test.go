package admin_test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
)

const base = "/admin/projects/" + projectID

// pagePaths are the paths of all pages that require a session.
var pagePaths = []string{
	"/admin", "/admin/", "/admin?q=shop", "/admin?q=nothing+like+it", "/admin/new", "/admin/errors",
	base, base + "/settings", base + "/settings/delete", base + "/keys",
	base + "/categories", base + "/categories/new", base + "/categories/edit?category=chat", base + "/categories/edit?category=a%2Fb+%22%3F",
	base + "/feed", base + "/channels", base + "/channels?pattern=chat:*", base + "/channels?pattern=chat:empty",
	base + "/channels/show?channel=chat:lobby", base + "/channels/show?channel=log:a", base + "/channels/show?channel=log:a&since=2@", base + "/channels/show?channel=log:none", base + "/users", base + "/users?user=alice",
	base + "/chart", base + "/chart?span=day",
	base + "/actions", base + "/actions?method=broadcast", base + "/actions?method=presence", base + "/actions?method=history", base + "/actions?method=info",
	// A project without categories and keys.
	"/admin/projects/bare", "/admin/projects/bare/categories", "/admin/projects/bare/keys", "/admin/projects/bare/feed",
	"/admin/projects/bare/channels", "/admin/projects/bare/settings/delete",
}

// scripts returns the names of all scripts.
func scripts(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob("assets/*.js")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	names := []string{"centrifuge.js"}
	for _, path := range paths {
		names = append(names, filepath.Base(path))
	}
	return names
}

// newFilledRig is a rig with traffic, and with a second, empty project.
func newFilledRig(t *testing.T) *rig {
	t.Helper()
	r := newRig(t).signIn()
	r.put(&hub.Project{ID: "bare", Name: "<i>Bare</i>", Secret: auth.NewSecret()})
	r.keep(5)
	r.publish("log:a", `{"text":"<b>"}`, hub.PublishOptions{Tags: map[string]string{"kind": "<i>"}})
	if err := r.store.Count(t.Context(), projectID, r.now, 12, 345); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPageMarkup(t *testing.T) {
	r := newFilledRig(t)
	for _, path := range pagePaths {
		t.Run(path, func(t *testing.T) {
			r := r.in(t)
			checkPage(t, r, r.is(r.get(path), http.StatusOK))
		})
	}
	for name, got := range map[string]answer{
		"a new project":                r.post("/admin/new", "name", "New"),
		"the secret":                   r.post(base + "/keys/show"),
		"a new API key":                r.post(base + "/keys/create"),
		"a new secret":                 r.post(base+"/keys/regenerate", "confirm", "yes"),
		"invalid settings":             r.post(base+"/settings", "name", "", "auth_attempts", "x", "origins", "y", "validate_url", "z"),
		"an invalid category":          r.post(base+"/categories/new", "name", "a:b", "shards", "x"),
		"a deletion with another name": r.post(base+"/settings/delete", "name", "x"),
		"a project without a name":     r.post("/admin/new"),
		"an action":                    r.post(base+"/actions", "method", "publish", "channel", "chat:a", "data", "1"),
		"an action with problems":      r.post(base+"/actions", "method", "publish"),
		"an unknown page":              r.get("/admin/none"),
		"an unknown project":           r.get("/admin/projects/none"),
	} {
		t.Run(name, func(t *testing.T) { checkPage(t, r.in(t), got) })
	}
	t.Run("sign in", func(t *testing.T) {
		r := r.in(t)
		r.post("/admin/sign-out")
		checkPage(t, r, r.is(r.get("/admin/sign-in"), http.StatusOK))
		checkPage(t, r, r.post("/admin/sign-in", "password", "guess"))
	})
}

// checkPage checks that a page respects the content security policy and is accessible.
func checkPage(t *testing.T, r *rig, got answer) {
	t.Helper()
	if kind := got.header.Get("Content-Type"); kind != "text/html; charset=utf-8" {
		t.Fatalf("Content-Type is %s", kind)
	}
	page := parse(t, got.body)
	ids := make(map[string]*element)
	for _, e := range page.all() {
		if id, ok := e.attr["id"]; ok {
			if ids[id] != nil {
				t.Errorf("two elements have the id %q", id)
			}
			ids[id] = e
		}
		for name := range e.attr {
			if name == "style" || strings.HasPrefix(name, "on") {
				t.Errorf("<%s> has an inline %s", e.name, name)
			}
		}
	}
	labelled := make(map[string]bool)
	for _, l := range page.all("label") {
		if ids[l.attr["for"]] == nil || l.text() == "" {
			t.Errorf("the label %q is empty, or its element %q does not exist", l.text(), l.attr["for"])
		}
		labelled[l.attr["for"]] = true
	}
	for _, e := range page.all("input", "select", "textarea") {
		if e.attr["type"] != "hidden" && !labelled[e.attr["id"]] && e.attr["aria-label"] == "" {
			t.Errorf("<%s name=%q> has no label", e.name, e.attr["name"])
		}
		if e.attr["aria-invalid"] == "true" && !strings.Contains(e.attr["aria-describedby"], "problem") && !strings.Contains(e.attr["aria-describedby"], "error") {
			t.Errorf("%s is invalid and shows no problem", e.attr["name"])
		}
	}
	for _, e := range page.all() {
		for _, name := range []string{"aria-describedby", "aria-labelledby", "aria-controls"} {
			for id := range strings.FieldsSeq(e.attr[name]) {
				if ids[id] == nil {
					t.Errorf("%s of <%s> names %q, which does not exist", name, e.name, id)
				}
			}
		}
	}
	for _, e := range page.all("button", "a", "th", "summary") {
		if e.text() == "" && e.attr["aria-label"] == "" {
			t.Errorf("a <%s> has no text", e.name)
		}
	}
	for _, e := range page.all("img") {
		if _, ok := e.attr["alt"]; !ok {
			t.Errorf("the image %s has no alt", e.attr["src"])
		}
	}
	for _, e := range page.all("form") {
		if method := e.attr["method"]; method != "" && method != "get" && method != "post" {
			t.Errorf("a form has the method %q", method)
		}
	}
	if n := len(page.all("h1")); n != 1 {
		t.Errorf("there are %d <h1>", n)
	}
	if title := page.all("title")[0].text(); !strings.HasSuffix(title, "· Centrifuge") {
		t.Errorf("the title is %q", title)
	}
	if page.all("html")[0].attr["lang"] != "en" || ids["main"] == nil || len(page.all("style")) > 0 {
		t.Error("there is no language, no main element, or there is a style")
	}
	for _, e := range page.all("script", "link", "img") {
		address := e.attr["src"] + e.attr["href"]
		if !strings.HasPrefix(address, "/admin/assets/") || !strings.Contains(address, "?v=") || e.name == "script" && len(e.children) > 0 {
			t.Errorf("<%s> loads %q", e.name, address)
		}
		r.is(r.get(address), http.StatusOK)
	}
	for _, e := range page.all("a") {
		if href := e.attr["href"]; strings.HasPrefix(href, "/") {
			if got := r.get(href); got.status != http.StatusOK && got.status != http.StatusSeeOther {
				t.Errorf("the link %s has status %d", href, got.status)
			}
		}
	}
}

func TestProjectTabs(t *testing.T) {
	r := newFilledRig(t)
	for path, want := range map[string]string{
		base:                                    "Overview",
		base + "/feed":                          "Live feed",
		base + "/actions":                       "Actions",
		base + "/channels":                      "Channels",
		base + "/users":                         "Users",
		base + "/categories":                    "Categories",
		base + "/categories/new":                "Categories",
		base + "/keys":                          "Keys",
		base + "/settings":                      "Settings",
		base + "/settings/delete":               "Settings",
		base + "/categories/edit?category=chat": "Categories",
	} {
		t.Run(path, func(t *testing.T) {
			r := r.in(t)
			page := parse(t, r.get(path).body)
			var names, current []string
			for _, a := range page.with("aria-label", "Project").all("a") {
				names = append(names, a.text())
				if a.attr["aria-current"] == "page" {
					current = append(current, a.text())
				}
			}
			if got := strings.Join(names, ", "); got != "Overview, Live feed, Actions, Channels, Users, Categories, Keys, Settings" {
				t.Errorf("the tabs are %s", got)
			}
			if !slices.Equal(current, []string{want}) {
				t.Errorf("the current tabs are %q", current)
			}
		})
	}
}

func TestInputIsEscaped(t *testing.T) {
	r := newRig(t).signIn()
	const name = `<script>alert("1")</script>`
	got := r.post("/admin/new", "name", name)
	r.shows(got, http.StatusOK, name+" is ready")
	if strings.Contains(got.body, "<script>alert") {
		t.Error("the name is an element")
	}
	r.shows(r.get("/admin/"), http.StatusOK, name)
}

func TestFlashMessages(t *testing.T) {
	r := newRig(t).signIn()
	r.shows(r.get("/admin/?done=project-deleted"), http.StatusOK, "The project is deleted.")
	for _, done := range []string{"nothing", "<b>Pay here</b>"} {
		if got := r.get("/admin/?done=" + done); strings.Contains(got.body, "flash") || strings.Contains(got.body, "Pay") {
			t.Errorf("the page shows a message: %s", got.body)
		}
	}
}

// TestUnusedTemplates finds templates that no code renders.
func TestUnusedTemplates(t *testing.T) {
	var code strings.Builder
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		code.Write(b)
	}
	pages, err := filepath.Glob("pages/*.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		if name := filepath.Base(page); !strings.HasPrefix(name, "part_") && !strings.Contains(code.String(), `"`+name+`"`) {
			t.Errorf("no code renders %s", name)
		}
	}
}
