package admin_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
)

// problems returns the problems on a page, by the name of the control.
func problems(t *testing.T, got answer) map[string]string {
	t.Helper()
	page := parse(t, got.body)
	found := make(map[string]string)
	for _, control := range page.all("input", "textarea", "select") {
		if control.attr["aria-invalid"] != "true" {
			continue
		}
		for id := range strings.FieldsSeq(control.attr["aria-describedby"]) {
			if strings.HasSuffix(id, "-problem") {
				found[control.attr["name"]] = page.with("id", id).text()
			}
		}
	}
	return found
}

func TestProjectList(t *testing.T) {
	r := newRig(t).signIn()
	r.put(&hub.Project{ID: "other", Name: "An Other", Secret: auth.NewSecret()})
	names := func(got answer) string {
		var all []string
		for _, tile := range parse(t, got.body).all("strong") {
			all = append(all, tile.text())
		}
		return strings.Join(all, ", ")
	}
	for query, want := range map[string]string{
		"": "An Other, Shop & Co", "?q=SHOP": "Shop & Co", "?q=+other+": "An Other", "?q=" + projectID[2:]: "Shop & Co", "?q=none": "",
	} {
		t.Run("query "+query, func(t *testing.T) {
			r := r.in(t)
			if got := names(r.is(r.get("/admin"+query), http.StatusOK)); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
	r.shows(r.get("/admin/"), http.StatusOK, projectID, "3 categories", "0 categories")
	t.Run("without projects", func(t *testing.T) {
		r := r.in(t)
		for _, id := range []string{"other", projectID} {
			if err := r.store.DeleteProject(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		r.shows(r.get("/admin/"), http.StatusOK, "No projects yet", "Create the first project")
	})
}

func TestProjectCreation(t *testing.T) {
	r := newRig(t).signIn()
	got := r.post("/admin/new", "name", "  Forum ")
	r.shows(got, http.StatusOK, "Forum is ready", "Copy the API key now. It is not shown again.", socketURL, r.server.URL)
	key, secret := testID(t, got.body, "api-key"), testID(t, got.body, "secret")
	r.secrets = append(r.secrets, key, secret)

	p, err := auth.ProjectByAPIKey(t.Context(), r.store, key)
	if err != nil {
		t.Fatal(err)
	}
	want := &hub.Project{ID: p.ID, Name: "Forum", Secret: secret, APIKeyHashes: []string{auth.HashAPIKey(key)},
		APIKeyLabels: map[string]hub.APIKeyLabel{auth.HashAPIKey(key): {Name: "first key", Created: r.clock()}}, Revision: 1, Categories: map[string]hub.Category{
			"chat": {ID: p.Categories["chat"].ID, Name: "chat", Revision: 1, CategoryOptions: hub.CategoryOptions{Bidirectional: true, PublishToAdmins: true}},
		}}
	if diff := cmp.Diff(want, p, drawnByStore); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if !regexp.MustCompile(`^6b49d200[0-9a-f]{16}$`).MatchString(p.ID) { // 1,800,000,000 in hexadecimal, then random digits
		t.Errorf("the id is %s", p.ID)
	}
	if !strings.Contains(got.body, key) || strings.Count(got.body, key) != 2 {
		t.Error("the key is not shown exactly twice: alone and in the command that publishes")
	}
	for _, path := range []string{"/admin/", "/admin/projects/" + p.ID, "/admin/projects/" + p.ID + "/keys", "/admin/projects/" + p.ID + "/settings"} {
		if later := r.is(r.get(path), http.StatusOK).body; strings.Contains(later, key) || strings.Contains(later, secret) {
			t.Errorf("%s shows a secret", path)
		}
	}
	for name, typed := range map[string]string{"no name": " ", "a name that is too long": strings.Repeat("x", 256)} {
		t.Run(name, func(t *testing.T) {
			r := r.in(t)
			got := r.is(r.post("/admin/new", "name", typed), http.StatusBadRequest)
			if found := problems(t, got); len(found) != 1 || !strings.Contains(found["name"], "ame is ") {
				t.Errorf("the problems are %v", found)
			}
		})
	}
}

// TestProjectCreationAgain sends the form of a new project again, as after an answer that was
// lost.
func TestProjectCreationAgain(t *testing.T) {
	r := newRig(t).signIn()
	page := r.is(r.get("/admin/new"), http.StatusOK).body
	id, request := hidden(t, page, "id"), hidden(t, page, "key")
	send := func(name string) answer { return r.post("/admin/new", "id", id, "key", request, "name", name) }
	stored := func() *hub.Project {
		t.Helper()
		p, err := r.store.ReadProject(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	first := r.is(send("Forum"), http.StatusOK)
	key, secret := testID(t, first.body, "api-key"), testID(t, first.body, "secret")
	again := r.is(send("Forum"), http.StatusOK)
	// The first API key was lost with the answer: another one replaces it.
	if testID(t, again.body, "api-key") == key || testID(t, again.body, "secret") != secret {
		t.Error("the form that is sent again has the same API key, or another secret")
	}
	if p := stored(); p.Revision != 2 || !slices.Equal(p.APIKeyHashes, []string{auth.HashAPIKey(testID(t, again.body, "api-key"))}) || len(p.Categories) != 1 || p.Categories["chat"].Revision != 1 {
		t.Errorf("the project is %+v", p)
	}
	if err := r.store.DeleteCategory(t.Context(), id, "chat"); err != nil {
		t.Fatal(err)
	}
	t.Run("a category that was not written", func(t *testing.T) {
		r.in(t).is(send("Forum"), http.StatusOK)
		if p := stored(); len(p.Categories) != 1 {
			t.Errorf("the categories are %v", p.Categories)
		}
	})
	const refusal = "Conflict: the project exists; its page Keys shows the secret, makes a new one and creates API keys"
	t.Run("another name", func(t *testing.T) { r.in(t).shows(send("Shop"), http.StatusConflict, refusal) })
	t.Run("another request", func(t *testing.T) {
		r.in(t).shows(r.post("/admin/new", "id", id, "key", "0123456789abcdef", "name", "Forum"), http.StatusConflict, refusal)
	})
	t.Run("a short key", func(t *testing.T) {
		r.in(t).shows(r.post("/admin/new", "id", "other", "key", "0123456789abcde", "name", "Forum"), http.StatusBadRequest, "idempotency_key is not from 16 to 255 bytes")
	})
}

func TestOverviewPage(t *testing.T) {
	r := newRig(t).signIn()
	got := r.get(base)
	r.shows(got, http.StatusOK, "Shop & Co", projectID, socketURL, r.server.URL)
	if parse(t, got.body).with("data-fragment", base+"/chart") == nil {
		t.Error("there is no chart")
	}
	guide, chart := strings.Index(got.body, `id="start"`), strings.Index(got.body, `id="chart"`)
	if guide < 0 || chart < guide {
		t.Error("the guide does not come before the empty chart")
	}
	t.Run("the chart comes before the guide when there was traffic", func(t *testing.T) {
		busy := newFilledRig(t)
		body := busy.is(busy.get(base), http.StatusOK).body
		if guide, chart := strings.Index(body, `id="start"`), strings.Index(body, `id="chart"`); chart < 0 || guide < chart {
			t.Errorf("the chart is at %d, the guide at %d", chart, guide)
		}
	})
	t.Run("the command that publishes has a category of the project and no key", func(t *testing.T) {
		r := r.in(t)
		r.shows(got, http.StatusOK, `curl -H 'X-API-Key: YOUR_KEY' -d '{"channel":"a/b \"?:lobby","data":{"text":"Hello"}}' `+r.server.URL+"/api/publish")
	})
	t.Run("the command that makes a token", func(t *testing.T) {
		r := r.in(t)
		command := parse(t, got.body).with("data-copy", "the command that makes a token").text()
		shell := exec.CommandContext(t.Context(), "sh", "-c", command)
		p := r.project(projectID)
		shell.Env = append(os.Environ(), "SECRET="+p.Secret)
		printed, err := shell.Output()
		if err != nil {
			t.Fatalf("%s: %v", command, err)
		}
		token, err := auth.NewVerifier(auth.VerifierOptions{}).Connection(t.Context(), p, strings.TrimSpace(string(printed)), time.Now())
		if err != nil || token.User != "alice" || token.Expires.Before(time.Now()) {
			t.Errorf("%s: %+v, error %v", command, token, err)
		}
	})
	t.Run("the script that connects", func(t *testing.T) {
		r := r.in(t)
		r.shows(got, http.StatusOK, `new Centrifuge("`+socketURL+`?project=`+projectID+`", { token: "TOKEN" })`, `client.newSubscription("a/b \"?:lobby")`)
	})
	if strings.Contains(got.body, r.project(projectID).Secret) {
		t.Error("the page shows the secret")
	}
	r.shows(r.get("/admin/projects/none"), http.StatusNotFound, "Project not found.")
}

func TestSettingsPage(t *testing.T) {
	r := newRig(t).signIn()
	t.Run("the form shows the options", func(t *testing.T) {
		r := r.in(t)
		page := parse(t, r.get(base+"/settings").body)
		have := make(map[string]string)
		for _, e := range page.with("action", base+"/settings").all("input", "textarea") {
			have[e.attr["name"]] = e.attr["value"] + strings.TrimSpace(e.raw())
			if e.attr["type"] == "checkbox" {
				_, checked := e.attr["checked"]
				have[e.attr["name"]] = fmt.Sprint(checked)
			}
		}
		for name, want := range map[string]string{
			"name": "Shop & Co", "validate_url": "https://shop.example/validate", "auth_attempts": "3", "back_off_interval": "",
			"allow_md5": "false", "origins": "https://shop.example\nhttps://www.shop.example", "revision": "1",
		} {
			if got, ok := have[name]; got != want || !ok {
				t.Errorf("%s is %q, expected %q", name, got, want)
			}
		}
		var groups []string
		for _, legend := range page.all("legend") {
			groups = append(groups, legend.text())
		}
		if diff := cmp.Diff([]string{"Access", "Tokens", "Centrifugo", "Proxies", "Webhook", "Legacy"}, groups); diff != "" {
			t.Errorf("groups, -want +got\n%s", diff)
		}
		if !strings.Contains(page.with("for", "allow_md5").text(), "unsafe") || strings.Contains(page.with("for", "origins").text(), "unsafe") {
			t.Error("the wrong options are marked as unsafe")
		}
	})
	before := *r.project(projectID)
	t.Run("a form does not undo a later change", func(t *testing.T) {
		r := r.in(t)
		p, err := r.store.ReadProject(t.Context(), projectID)
		if err != nil {
			t.Fatal(err)
		}
		shown := strconv.Itoa(p.Revision)
		r.shows(r.get(base+"/settings"), http.StatusOK, "Settings")
		r.redirects(r.post(base+"/settings", "name", "First", "revision", shown), base+"/settings?done=saved")
		r.is(r.post(base+"/settings", "name", "Second", "revision", shown), http.StatusConflict)
		if name := r.project(projectID).Name; name != "First" {
			t.Errorf("the name is %s", name)
		}
	})
	t.Run("the name and the options are saved", func(t *testing.T) {
		r := r.in(t)
		r.redirects(r.post(base+"/settings", "name", "Shop", "validate_url", " https://a.example/v ", "auth_attempts", "10", "back_off_interval", "50",
			"back_off_max_timeout", "2000", "allow_md5", "true", "origins", " https://a.example\r\n\r\nhttps://b.example\r\n", "webhook_url", "https://a.example/w"),
			base+"/settings?done=saved")
		want := before
		want.Name = "Shop"
		want.Options = hub.ProjectOptions{
			ValidateURL: "https://a.example/v", AuthAttempts: 10, BackOffInterval: hub.Duration(50 * time.Millisecond), BackOffMaxTimeout: hub.Duration(2 * time.Second),
			AllowMD5: true, Origins: []string{"https://a.example", "https://b.example"}, WebhookURL: "https://a.example/w",
		}
		if diff := cmp.Diff(&want, r.project(projectID)); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		r.shows(r.get(base+"/settings?done=saved"), http.StatusOK, "The settings are saved.")
	})
	t.Run("an empty field means the default", func(t *testing.T) {
		r := r.in(t)
		r.redirects(r.post(base+"/settings", "name", "Shop", "auth_attempts", " ", "origins", "\n"), base+"/settings?done=saved")
		if diff := cmp.Diff(hub.ProjectOptions{}, r.project(projectID).Options); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	})
	saved := r.project(projectID)
	for name, c := range map[string]struct {
		field, typed, want string
	}{
		"no name":                        {"name", "", "Project name is empty."},
		"a long name":                    {"name", strings.Repeat("x", 256), "Project name is 256 bytes, at most 255 are allowed."},
		"a number in words":              {"auth_attempts", "five", "Validation attempts must be a whole number from 1 to 10."},
		"a number that is too small":     {"auth_attempts", "0", "Validation attempts must be a whole number from 1 to 10."},
		"a duration that is too long":    {"back_off_interval", "1001", "Back-off interval must be a whole number from 1 to 1000."},
		"a duration that would overflow": {"back_off_max_timeout", "99999999999999999999", "Longest back-off must be a whole number from 1 to 10000."},
		"a URL of another scheme":        {"validate_url", "ftp://a.example", "Validation URL is not an http or https URL."},
		"a URL with a password":          {"webhook_url", "https://a:b@a.example", "Webhook URL is not an http or https URL."},
		"an origin with a path":          {"origins", "https://a.example/x", "Allowed origins must have https://a.example instead: an origin has no path, query or fragment."},
		"too many origins":               {"origins", strings.Repeat("https://a.example\n", 101), "Allowed origins must have at most 100 values."},
	} {
		t.Run(name+" is refused, and the form keeps the input", func(t *testing.T) {
			r := r.in(t)
			pairs := []string{c.field, c.typed} // the first of two values counts
			pairs = append(pairs, "name", "Other", "webhook_url", "https://typed.example")
			got := r.is(r.post(base+"/settings", pairs...), http.StatusBadRequest)
			if diff := cmp.Diff(map[string]string{c.field: c.want}, problems(t, got)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if c.field != "webhook_url" && !strings.Contains(got.body, "https://typed.example") {
				t.Error("the input is lost")
			}
			if !strings.Contains(parse(t, got.body).all("title")[0].text(), "Shop") {
				t.Error("the page shows a name that was not saved")
			}
			if diff := cmp.Diff(saved, r.project(projectID)); diff != "" {
				t.Errorf("the project has changed: %s", diff)
			}
		})
	}
	t.Run("all problems are shown together", func(t *testing.T) {
		r := r.in(t)
		got := r.is(r.post(base+"/settings", "name", "", "auth_attempts", "x", "origins", "y"), http.StatusBadRequest)
		if found := problems(t, got); len(found) != 3 {
			t.Errorf("the problems are %v", found)
		}
	})
}

func TestProjectDeletion(t *testing.T) {
	r := newRig(t).signIn()
	r.shows(r.get(base+"/settings/delete"), http.StatusOK, "Delete Shop & Co?", "3 categories")
	for name, typed := range map[string]string{"no name": "", "another name": "Shop", "another case": "shop & co"} {
		t.Run(name, func(t *testing.T) {
			r := r.in(t)
			got := r.is(r.post(base+"/settings/delete", "name", typed), http.StatusBadRequest)
			if diff := cmp.Diff(map[string]string{"name": "That is not the name of the project."}, problems(t, got)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			r.project(projectID)
		})
	}
	t.Run("the name", func(t *testing.T) {
		r := r.in(t)
		r.redirects(r.post(base+"/settings/delete", "name", "Shop & Co"), "/admin?done=project-deleted")
		r.is(r.get(base), http.StatusNotFound)
		if _, err := auth.ProjectByAPIKey(t.Context(), r.store, "a key"); err == nil {
			t.Error("the API key still works")
		}
	})
}

func TestOperationLog(t *testing.T) {
	r := newRig(t).signIn()
	r.post(base+"/settings", "name", "Shop")
	r.post(base+"/keys/regenerate", "confirm", "yes")
	r.post(base + "/keys/create")
	r.post(base+"/keys/revoke", "hash", auth.HashAPIKey("a key"), "confirm", "yes")
	r.post(base+"/categories/new", "name", "fresh")
	r.post(base+"/settings/delete", "name", "Shop")
	for _, message := range []string{
		"admin signed in", "project changed", "project secret regenerated", "API key created", "API key revoked", "category written", "project deleted",
	} {
		if !strings.Contains(r.log.String(), `"msg":"`+message+`"`) {
			t.Errorf("the log has no message %q", message)
		}
	}
}

// TestOlderProject changes a project whose id, categories and origins are older than the
// rules for them: it can be read, and everything else of it can be changed.
func TestOlderProject(t *testing.T) {
	r := newRig(t).signIn()
	const id, path = "9", "/admin/projects/9"
	older := []string{"https://Example.com?x", "https://older.example"}
	r.put(&hub.Project{
		ID: id, Name: "Older", Secret: auth.NewSecret(), Options: hub.ProjectOptions{Origins: older},
		Categories: map[string]hub.Category{"50 %": {ID: "1", Name: "50 %"}},
	})
	old := r.project(id)
	t.Run("a new secret", func(t *testing.T) {
		r := r.in(t)
		r.is(r.post(path+"/keys/regenerate", "confirm", "yes"), http.StatusOK)
		if p := r.project(id); p.Secret == old.Secret || !slices.Equal(p.Options.Origins, older) {
			t.Errorf("the secret is the old one, or the origins %q have changed", p.Options.Origins)
		}
	})
	t.Run("a new API key", func(t *testing.T) {
		r := r.in(t)
		r.is(r.post(path+"/keys/create", "name", "backend"), http.StatusOK)
		if n := len(r.project(id).APIKeyHashes); n != 1 {
			t.Errorf("there are %d API keys", n)
		}
	})
	t.Run("an option of its category", func(t *testing.T) {
		r := r.in(t)
		r.redirects(r.post(path+"/categories/edit?category=50+%25", "hooks", "on"), path+"/categories?done=category-saved")
		if !r.project(id).Categories["50 %"].Hooks {
			t.Error("the option is off")
		}
	})
	t.Run("origins that no browser sends", func(t *testing.T) {
		r := r.in(t)
		got := r.is(r.post(path+"/settings", "name", "Older", "origins", strings.Join(older, "\n")), http.StatusBadRequest)
		if !strings.Contains(got.body, "must have https://example.com instead") {
			t.Errorf("the page does not say what to write: %.2000s", got.body)
		}
	})
	t.Run("origins as a person writes them", func(t *testing.T) {
		r := r.in(t)
		r.redirects(r.post(path+"/settings", "name", "Older", "origins", "https://Example.com/\nhttps://example.com:443\nhttps://*.Bücher.example"), path+"/settings?done=saved")
		if got := r.project(id).Options.Origins; !slices.Equal(got, []string{"https://example.com", "https://*.xn--bcher-kva.example"}) {
			t.Errorf("origins %q", got)
		}
	})
	t.Run("a new project of this id", func(t *testing.T) {
		r := r.in(t)
		r.is(r.call(http.MethodDelete, "/projects/"+id, ""), http.StatusOK)
		got := r.is(r.call(http.MethodPut, "/projects/"+id, `{"name":"x"}`), http.StatusBadRequest)
		if !strings.Contains(got.body, "project id ends like a signed request or JWT") {
			t.Errorf("the reply does not say why: %s", got.body)
		}
	})
}
