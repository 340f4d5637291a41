package admin_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
)

func TestAPISession(t *testing.T) {
	r := newRig(t)
	const unauthorized = `{"error":{"code":101,"message":"unauthorized"}}`
	for _, c := range [][2]string{
		{http.MethodGet, "/projects"}, {http.MethodGet, "/projects/" + projectID}, {http.MethodPut, "/projects/p"}, {http.MethodDelete, "/projects/" + projectID},
		{http.MethodPut, "/projects/" + projectID + "/categories/c"}, {http.MethodDelete, "/projects/" + projectID + "/categories/chat"}, {http.MethodGet, "/none"},
		{http.MethodPost, "/projects/" + projectID + "/secret"},
	} {
		t.Run("required: "+c[0]+" "+c[1], func(t *testing.T) {
			r := r.in(t)
			r.says(r.call(c[0], c[1], ""), http.StatusUnauthorized, unauthorized)
		})
	}
	if n := len(r.project(projectID).Categories); n != 3 {
		t.Errorf("there are %d categories, expected 3", n)
	}
	t.Run("sign-in", func(t *testing.T) {
		r := r.in(t)
		r.says(r.call(http.MethodPost, "/sign-in", `{"password":"`+password+`"}`), http.StatusOK, `{"expires":1800028800}`)
		r.is(r.call(http.MethodGet, "/projects", ""), http.StatusOK)
		r.is(r.get("/admin/"), http.StatusOK)
	})
	t.Run("sign-out", func(t *testing.T) {
		r := r.in(t)
		r.says(r.call(http.MethodPost, "/sign-out", ""), http.StatusOK, `{}`)
		r.says(r.call(http.MethodGet, "/projects", ""), http.StatusUnauthorized, unauthorized)
	})
}

func TestAPISecret(t *testing.T) {
	r := newRig(t).signIn()
	before := r.project(projectID)
	path := "/projects/" + projectID + "/secret"
	replace := func(r *rig, body string) (secret, until string) {
		r.t.Helper()
		var made struct {
			Secret string `json:"secret"`
			Until  string `json:"previous_secret_until"`
		}
		if err := json.Unmarshal([]byte(r.is(r.call(http.MethodPost, path, body), http.StatusOK).body), &made); err != nil {
			r.t.Fatal(err)
		}
		return made.Secret, made.Until
	}
	t.Run("the previous secret is kept, and a repetition changes nothing", func(t *testing.T) {
		r := r.in(t)
		for range 2 {
			secret, until := replace(r, `{"keep_previous":"24h","idempotency_key":"0123456789abcdef"}`)
			p := r.project(projectID)
			if diff := cmp.Diff([]string{secret, before.Secret}, p.Secrets()); diff != "" || until != "2027-01-16T08:00:00Z" || len(secret) != 64 {
				t.Errorf("until %s, -want +got\n%s", until, diff)
			}
		}
		got := r.is(r.call(http.MethodGet, "/projects/"+projectID, ""), http.StatusOK).body
		if !strings.Contains(got, `"previous_secret_until":"2027-01-16T08:00:00Z"`) || strings.Contains(got, before.Secret) {
			t.Errorf("the project is read as %s", got)
		}
	})
	t.Run("without a time both former secrets end", func(t *testing.T) {
		r := r.in(t)
		secret, until := replace(r, `{}`)
		if diff := cmp.Diff([]string{secret}, r.project(projectID).Secrets()); diff != "" || until != "" || secret == before.Secret {
			t.Errorf("until %q, -want +got\n%s", until, diff)
		}
	})
	for body, want := range map[string]string{
		`{"keep_previous":"721h"}`:        "the previous secret can be kept for 0 to 30 days",
		`{"keep_previous":-1}`:            "the previous secret can be kept for 0 to 30 days",
		`{"keep_previous":true}`:          "keep_previous is not a duration",
		`{"idempotency_key":"short"}`:     "idempotency_key is not from 16 to 255 bytes: send a random text",
		`{"secret":"chosen by a client"}`: `unknown field \"secret\"`,
	} {
		t.Run("refused: "+body, func(t *testing.T) {
			r := r.in(t)
			present := r.project(projectID).Secret
			if got := r.is(r.call(http.MethodPost, path, body), http.StatusBadRequest).body; !strings.Contains(got, want) {
				t.Errorf("the answer is %s, want %s", got, want)
			}
			if r.project(projectID).Secret != present {
				t.Error("the secret has changed")
			}
		})
	}
	t.Run("an unknown project", func(t *testing.T) {
		r := r.in(t)
		r.says(r.call(http.MethodPost, "/projects/none/secret", `{}`), http.StatusNotFound, `{"error":{"code":400,"message":"project not found"}}`)
	})
	t.Run("previous_secret_until cannot be written", func(t *testing.T) {
		r := r.in(t)
		r.says(r.call(http.MethodPut, "/projects/"+projectID, `{"name":"x","previous_secret_until":"2027-01-16T08:00:00Z"}`), http.StatusBadRequest,
			`{"error":{"code":107,"message":"bad request: previous_secret_until is not written here: POST to /secret replaces the secret"}}`)
	})
}

func TestAPIProjects(t *testing.T) {
	r := newRig(t).signIn()
	shop := `{"id":"` + projectID + `","name":"Shop & Co","options":{"validate_url":"https://shop.example/validate","auth_attempts":3,` +
		`"origins":["https://shop.example","https://www.shop.example"]},"categories":[{"name":"a/b \"?"},` +
		`{"name":"chat","bidirectional":true,"publish_to_admins":true,"presence":true},` +
		`{"name":"news","clean_html":true,"allowed_domains":["example.com","example.org"],"shards":4}],"api_keys":[{"fingerprint":"` + auth.HashAPIKey("a key")[:8] + `"}]}`
	t.Run("list", func(t *testing.T) {
		r := r.in(t)
		r.says(r.call(http.MethodGet, "/projects", ""), http.StatusOK, `{"projects":[`+shop+`]}`)
	})
	t.Run("read", func(t *testing.T) {
		r := r.in(t)
		r.says(r.call(http.MethodGet, "/projects/"+projectID, ""), http.StatusOK, shop)
	})
	t.Run("create returns the secret and an API key", func(t *testing.T) {
		r := r.in(t)
		got := r.is(r.call(http.MethodPut, "/projects/fresh", `{"id":"fresh","name":"Fresh","options":{"auth_attempts":2}}`), http.StatusCreated)
		var made struct {
			Created bool   `json:"created"`
			Secret  string `json:"secret"`
			APIKey  string `json:"api_key"`
		}
		if err := json.Unmarshal([]byte(got.body), &made); err != nil {
			t.Fatal(err)
		}
		want := &hub.Project{
			ID: "fresh", Name: "Fresh", Secret: made.Secret, APIKeyHashes: []string{auth.HashAPIKey(made.APIKey)},
			APIKeyLabels: map[string]hub.APIKeyLabel{auth.HashAPIKey(made.APIKey): {Name: "first key", Created: r.clock()}},
			Options:      hub.ProjectOptions{AuthAttempts: 2}, Categories: map[string]hub.Category{},
		}
		if diff := cmp.Diff(want, r.project("fresh"), drawnByStore); diff != "" || !made.Created || len(made.Secret) != 64 || len(made.APIKey) != 43 {
			t.Errorf("-want +got\n%s", diff)
		}
		r.secrets = append(r.secrets, made.APIKey)
	})
	t.Run("change keeps the keys and the categories", func(t *testing.T) {
		r := r.in(t)
		before := *r.project(projectID)
		r.says(r.call(http.MethodPut, "/projects/"+projectID, `{"name":"Shop","options":{"allow_md5":true}}`), http.StatusOK, `{"created":false}`)
		want := before
		want.Name, want.Options = "Shop", hub.ProjectOptions{AllowMD5: true}
		if diff := cmp.Diff(&want, r.project(projectID)); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	})
	t.Run("a creation that is repeated", func(t *testing.T) {
		r := r.in(t)
		const body = `{"name":"Again","idempotency_key":"a random text of a client"}`
		create := func() (secret, apiKey string) {
			t.Helper()
			var made struct {
				Secret string `json:"secret"`
				APIKey string `json:"api_key"`
			}
			answer := r.is(r.call(http.MethodPut, "/projects/again", body), http.StatusCreated).body
			if err := json.Unmarshal([]byte(answer), &made); err != nil {
				t.Fatal(err)
			}
			return made.Secret, made.APIKey
		}
		secret, first := create()
		same, second := create()
		if p := r.project("again"); same != secret || second == first || p.Secret != secret ||
			!slices.Equal(p.APIKeyHashes, []string{auth.HashAPIKey(second)}) || len(p.APIKeyLabels) != 1 {
			t.Errorf("the project is %+v", p)
		}
		r.says(r.call(http.MethodPut, "/projects/again", `{"name":"Other","idempotency_key":"another random text"}`), http.StatusOK, `{"created":false}`)
		r.says(r.call(http.MethodPut, "/projects/again", `{"name":"Other","idempotency_key":"short"}`), http.StatusBadRequest,
			`{"error":{"code":107,"message":"bad request: idempotency_key is not from 16 to 255 bytes: send a random text"}}`)
		same, third := create()
		if p := r.project("again"); p.Name != "Other" || same != secret || auth.CheckAPIKey(p, third) != nil {
			t.Errorf("the repetition changed the project: %+v", p)
		}
		r.says(r.call(http.MethodDelete, "/projects/again", ""), http.StatusOK, `{}`)
	})
	t.Run("delete", func(t *testing.T) {
		r := r.in(t)
		r.says(r.call(http.MethodDelete, "/projects/fresh", ""), http.StatusOK, `{}`)
		const missing = `{"error":{"code":400,"message":"project not found"}}`
		r.says(r.call(http.MethodDelete, "/projects/fresh", ""), http.StatusNotFound, missing)
		r.says(r.call(http.MethodGet, "/projects/fresh", ""), http.StatusNotFound, missing)
	})
}

func TestAPICategories(t *testing.T) {
	r := newRig(t).signIn()
	const path = "/projects/" + projectID + "/categories/"
	t.Run("create and change", func(t *testing.T) {
		r := r.in(t)
		r.says(r.call(http.MethodPut, path+"fresh", `{"name":"fresh","shards":2}`), http.StatusCreated, `{"created":true}`)
		created := r.project(projectID).Categories["fresh"]
		r.says(r.call(http.MethodPut, path+"fresh", `{"shards":3,"private":true}`), http.StatusOK, `{"created":false}`)
		want := created
		want.Shards, want.Private = 3, true
		if diff := cmp.Diff(want, r.project(projectID).Categories["fresh"], drawnByStore); diff != "" || len(created.ID) != 24 || created.Shards != 2 {
			t.Errorf("-want +got\n%s", diff)
		}
	})
	t.Run("the category without a name", func(t *testing.T) {
		r := r.in(t)
		r.says(r.call(http.MethodPut, path+":", `{"name":"","hooks":true}`), http.StatusCreated, `{"created":true}`)
		r.says(r.call(http.MethodPut, path+":", `{"presence":true}`), http.StatusOK, `{"created":false}`)
		if c := r.project(projectID).Categories[""]; !c.Presence || c.Hooks {
			t.Errorf("%+v", c)
		}
		r.says(r.call(http.MethodDelete, path+":", ""), http.StatusOK, `{}`)
		r.says(r.call(http.MethodDelete, path+":", ""), http.StatusNotFound, `{"error":{"code":102,"message":"category not found"}}`)
	})
	t.Run("a name with special characters", func(t *testing.T) {
		r := r.in(t)
		r.says(r.call(http.MethodPut, path+"a%2Fb%20%22%3F", `{"hooks":true}`), http.StatusOK, `{"created":false}`)
		r.says(r.call(http.MethodDelete, path+"a%2Fb%20%22%3F", ""), http.StatusOK, `{}`)
	})
	t.Run("delete", func(t *testing.T) {
		r := r.in(t)
		r.says(r.call(http.MethodDelete, path+"fresh", ""), http.StatusOK, `{}`)
		r.says(r.call(http.MethodDelete, path+"fresh", ""), http.StatusNotFound, `{"error":{"code":102,"message":"category not found"}}`)
		if all := r.project(projectID).Categories; len(all) != 2 {
			t.Errorf("there are %d categories, expected 2", len(all))
		}
	})
}

func TestAPIErrors(t *testing.T) {
	r := newRig(t).signIn()
	before, err := r.store.ListProjects(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const one, category = "/projects/" + projectID, "/projects/" + projectID + "/categories/chat"
	for name, c := range map[string]struct {
		method, path, body string
		status             int
		want               string
	}{
		"an unknown key":                           {"PUT", one, `{"name":"x","secret":"s"}`, 400, `107 bad request: unknown field "secret"`},
		"API keys":                                 {"PUT", one, `{"name":"x","api_keys":[]}`, 400, "107 bad request: API keys are not written here: create and revoke them in the admin pages"},
		"an unknown option":                        {"PUT", one, `{"name":"x","options":{"private":true}}`, 400, `107 bad request: unknown field "private"`},
		"an option of the wrong type":              {"PUT", one, `{"name":"x","options":{"auth_attempts":"2"}}`, 400, "107 bad request: auth_attempts is not a whole number"},
		"an option out of its range":               {"PUT", one, `{"name":"x","options":{"auth_attempts":11}}`, 400, "107 bad request: auth_attempts is not from 1 to 10"},
		"a duration that would overflow":           {"PUT", one, `{"name":"x","options":{"back_off_interval":18446744073710}}`, 400, "107 bad request: back_off_interval is not from 1 to 1000 ms"},
		"another id":                               {"PUT", one, `{"id":"other","name":"x"}`, 400, "107 bad request: the id in the body is not the id in the path"},
		"categories":                               {"PUT", one, `{"name":"x","categories":[]}`, 400, "107 bad request: categories are written one by one, at /categories/{category}"},
		"no name":                                  {"PUT", one, `{}`, 400, "107 bad request: project name is empty"},
		"no name for a new project":                {"PUT", "/projects/new", `{}`, 400, "107 bad request: project name is empty"},
		"an id that is too long":                   {"PUT", "/projects/" + strings.Repeat("x", 256), `{"name":"x"}`, 400, "106 limit exceeded: project id is 256 bytes, at most 255 are allowed"},
		"invalid JSON":                             {"PUT", one, `{`, 400, "107 bad request: not JSON: line 1, column 2: it ends too early"},
		"two JSON values":                          {"PUT", one, `{"name":"x"}{}`, 400, "107 bad request: not JSON: line 1, column 13: invalid character '{' after top-level value"},
		"a category of a missing project":          {"PUT", "/projects/none/categories/c", `{}`, 404, "400 project not found"},
		"another name of a category":               {"PUT", category, `{"name":"other"}`, 400, "107 bad request: the name in the body is not the name in the path"},
		"an unknown option of a category":          {"PUT", category, `{"origins":[]}`, 400, `107 bad request: unknown field "origins"`},
		"an option of a category out of its range": {"PUT", category, `{"shards":65}`, 400, "107 bad request: shards is not from 1 to 64"},
		"fewer shards":                             {"PUT", "/projects/" + projectID + "/categories/news", `{"shards":1}`, 400, "107 bad request: shards cannot be lowered: subscribers in the removed shards would receive nothing more"},
		"a colon in a category's name":             {"PUT", "/projects/" + projectID + "/categories/a:b", `{}`, 400, `107 bad request: a category name must not contain ":"`},
		"an empty category name":                   {"PUT", "/projects/" + projectID + "/categories/", `{}`, 400, `107 bad request: the path has no category: the category without a name is written ":"`},
		"a category path that is a project path":   {"DELETE", "/projects/" + projectID + "/categories/%2e%2e", "", 400, "107 bad request: the path has an empty element, or one of dots"},
		"a category path that is another one":      {"PUT", "/projects/" + projectID + "/categories/a%2F..%2Fchat", `{}`, 400, "107 bad request: the path has an empty element, or one of dots"},
		"a category path with an empty element":    {"PUT", "/projects/" + projectID + "/categories/%2Fchat", `{}`, 400, "107 bad request: the path has an empty element, or one of dots"},
		"an unknown method":                        {"PATCH", one, `{}`, 404, "104 method not found"},
		"an unknown path":                          {"GET", "/none", "", 404, "104 method not found"},
		"an unknown key of sign-in":                {"POST", "/sign-in", `{"pass":"x"}`, 400, `107 bad request: unknown field "pass"`},
		"a password that is not a string":          {"POST", "/sign-in", `{"password":1}`, 400, "107 bad request: password is not a string"},
		"a body without a content type":            {"PUT", one, "", 415, "107 bad request: send the body as application/json"},
	} {
		t.Run(name, func(t *testing.T) {
			r := r.in(t)
			code, message, _ := strings.Cut(c.want, " ")
			text, err := json.Marshal(message)
			if err != nil {
				t.Fatal(err)
			}
			r.says(r.call(c.method, c.path, c.body), c.status, `{"error":{"code":`+code+`,"message":`+string(text)+`}}`)
		})
	}
	t.Run("a body of another content type", func(t *testing.T) {
		r := r.in(t)
		got := r.do(r.request(http.MethodPut, "/admin/api"+one, "text/plain", `{"name":"x"}`))
		r.is(got, http.StatusUnsupportedMediaType)
	})
	after, err := r.store.ListProjects(t.Context())
	if diff := cmp.Diff(before, after); diff != "" || errors.Is(err, hub.ErrInternal) || err != nil {
		t.Errorf("the projects have changed: %s %v", diff, err)
	}
}
