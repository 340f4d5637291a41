package admin_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/hub"
)

func TestCategoryPages(t *testing.T) {
	r := newRig(t).signIn()
	t.Run("the list shows the options", func(t *testing.T) {
		r := r.in(t)
		var rows []string
		for _, row := range parse(t, r.get(base+"/categories").body).all("tr")[1:] {
			rows = append(rows, row.text())
		}
		want := []string{
			`a/b "? none 1 32768 bytes none`,
			"chat Bidirectional Presence Publish to admins 1 32768 bytes none",
			"news Clean HTML 4 32768 bytes example.com, example.org",
		}
		if diff := cmp.Diff(want, rows); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	})
	t.Run("create", func(t *testing.T) {
		r := r.in(t)
		r.redirects(r.post(base+"/categories/new", "name", " fresh ", "bidirectional", "true",
			"allowed_domains", " a.example\r\n\r\nb.example", "shards", "8"), base+"/categories?done=category-created")
		c := r.project(projectID).Categories["fresh"]
		want := hub.Category{ID: c.ID, Name: "fresh", CategoryOptions: hub.CategoryOptions{
			Bidirectional: true, AllowedDomains: []string{"a.example", "b.example"}, Shards: 8,
		}}
		if diff := cmp.Diff(want, c, drawnByStore); diff != "" || len(c.ID) != 24 {
			t.Errorf("-want +got, the id is %s\n%s", c.ID, diff)
		}
		r.shows(r.get(base+"/categories?done=category-created"), http.StatusOK, "The category is created.", "fresh")
	})
	t.Run("a form does not undo a later change", func(t *testing.T) {
		r := r.in(t)
		const edit = base + "/categories/edit?category=chat"
		shown := parse(t, r.get(edit).body).with("name", "revision").attr["value"]
		r.redirects(r.post(edit, "revision", shown, "private", "true"), base+"/categories?done=category-saved")
		r.is(r.post(edit, "revision", shown, "presence", "true"), http.StatusConflict)
		if c := r.project(projectID).Categories["chat"]; !c.Private {
			t.Errorf("the later change is undone: %+v", c)
		}
	})
	t.Run("a change keeps the id", func(t *testing.T) {
		r := r.in(t)
		r.redirects(r.post(base+"/categories/edit?category=chat", "name", "ignored", "private", "true"), base+"/categories?done=category-saved")
		all := r.project(projectID).Categories
		if diff := cmp.Diff(hub.Category{ID: "1", Name: "chat", CategoryOptions: hub.CategoryOptions{Private: true}}, all["chat"], drawnByStore); diff != "" || len(all) != 4 {
			t.Errorf("-want +got, there are %d\n%s", len(all), diff)
		}
	})
	t.Run("a name with special characters", func(t *testing.T) {
		r := r.in(t)
		r.redirects(r.post(base+"/categories/edit?category=a%2Fb+%22%3F", "hooks", "true"), base+"/categories?done=category-saved")
		if !r.project(projectID).Categories[`a/b "?`].Hooks {
			t.Error("the category is unchanged")
		}
	})
	t.Run("the category without a name", func(t *testing.T) {
		r := r.in(t)
		const edit = base + "/categories/edit?category="
		r.shows(r.get(edit), http.StatusNotFound, "Category not found.")
		r.redirects(r.post(base+"/categories/new", "name", "", "presence", "true"), base+"/categories?done=category-created")
		r.is(r.post(base+"/categories/new", "name", ""), http.StatusBadRequest)
		r.shows(r.get(base+"/categories"), http.StatusOK, "(no name) Presence 1")
		r.shows(r.get(edit), http.StatusOK, "Category (no name)", "Delete (no name)…")
		r.redirects(r.post(edit, "join_leave", "true"), base+"/categories?done=category-saved")
		if c := r.project(projectID).Categories[""]; !c.JoinLeave || c.Presence || len(c.Incarnation) != 8 {
			t.Errorf("%+v", c)
		}
		r.shows(r.get(base+"/channels/show?channel=lobby"), http.StatusOK, "lobby A channel of the category (no name)")
		r.shows(r.get(base+"/feed"), http.StatusOK, "Live feed")
		r.redirects(r.post(base+"/categories/delete", "category", "", "confirm", "yes"), base+"/categories?done=category-deleted")
		if _, ok := r.project(projectID).Categories[""]; ok {
			t.Error("the category is not deleted")
		}
	})
	t.Run("deletion requires confirmation", func(t *testing.T) {
		r := r.in(t)
		r.redirects(r.post(base+"/categories/delete", "category", "fresh"), base+"/categories/edit?category=fresh")
		if _, ok := r.project(projectID).Categories["fresh"]; !ok {
			t.Fatal("the category is deleted without confirmation")
		}
		r.redirects(r.post(base+"/categories/delete", "category", "fresh", "confirm", "yes"), base+"/categories?done=category-deleted")
		if _, ok := r.project(projectID).Categories["fresh"]; ok {
			t.Error("the category is not deleted")
		}
	})
	t.Run("an unknown category", func(t *testing.T) {
		r := r.in(t)
		r.shows(r.get(base+"/categories/edit?category=none"), http.StatusNotFound, "Category not found.")
		r.shows(r.post(base+"/categories/edit?category=none"), http.StatusNotFound, "Category not found.")
		r.shows(r.post(base+"/categories/delete", "category", "none", "confirm", "yes"), http.StatusNotFound, "Category not found.")
		r.shows(r.post("/admin/projects/none/categories/new", "name", "x"), http.StatusNotFound, "Project not found.")
	})
}

func TestCategoryFormErrors(t *testing.T) {
	r := newRig(t).signIn()
	before := r.project(projectID)
	for name, c := range map[string]struct {
		path, name string
		field      string
		typed      string
		want       string
	}{
		"a name with a dollar":     {"new", "$a", "", "", `A category name must not begin with "$".`},
		"a name that exists":       {"new", "chat", "", "", "A category of this name exists."},
		"a name with a colon":      {"new", "a:b", "", "", `A category name must not contain ":".`},
		"too many shards":          {"new", "x", "shards", "65", "Shards must be a whole number from 1 to 64."},
		"fewer shards":             {"edit?category=news", "", "shards", "3", "Shards cannot be lowered: subscribers in the removed shards would receive nothing more."},
		"a limit that is too high": {"edit?category=chat", "", "max_message_bytes", "131073", "Largest message (bytes) must be a whole number from 1 to 131072."},
		"a history without a time": {"edit?category=chat", "", "history_size", "10", "History size requires history_ttl."},
		"a history without a size": {"edit?category=chat", "", "history_ttl", "60000", "History time requires history_size."},
		"recovery without history": {"edit?category=chat", "", "force_recovery", "true", "Recovery for all requires history_size."},
		"an unknown mode":          {"edit?category=chat", "", "force_recovery_mode", "none", "Recovery mode is not stream or cache."},
		"a pattern of Perl":        {"edit?category=chat", "", "channel_regex", "(?=a)", "Channel names is not a regular expression: invalid or unsupported Perl syntax."},
		"an invalid domain":        {"edit?category=chat", "", "allowed_domains", "https://a.example", "Allowed domains must be host names in lower case, such as example.com."},
		"too many domains":         {"edit?category=chat", "", "allowed_domains", strings.Repeat("a.example\n", 101), "Allowed domains must have at most 100 values."},
	} {
		t.Run(name, func(t *testing.T) {
			r := r.in(t)
			field := c.field
			if field == "" {
				field = "name"
			}
			got := r.is(r.post(base+"/categories/"+c.path, "name", c.name, c.field, c.typed), http.StatusBadRequest)
			if diff := cmp.Diff(map[string]string{field: c.want}, problems(t, got)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if diff := cmp.Diff(before, r.project(projectID)); diff != "" {
				t.Errorf("the project has changed: %s", diff)
			}
		})
	}
}
