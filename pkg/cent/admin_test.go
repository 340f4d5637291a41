package cent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/localstack/stack"
	"centrifuge/localstack/stack/stacktest"
	"centrifuge/pkg/cent"
	"centrifuge/pkg/manifest"
)

// contract is a strict admin API with projects in memory and injected faults.
type contract struct {
	t *testing.T

	mu       sync.Mutex
	password string
	sessions int
	session  string // the valid one
	projects map[string]manifest.Project
	creators map[string]string // the keys of the requests that created projects
	calls    []string
	// faults apply to requests after sign-in, one each: "" is none, "503" refuses the
	// request, "lost" carries it out and drops the response, "expired" ends the session.
	faults []string
}

func newContract(t *testing.T) (*contract, *httptest.Server) {
	c := &contract{t: t, password: "pass word", projects: map[string]manifest.Project{}, creators: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /base/admin/api/sign-in", c.signIn)
	mux.HandleFunc("POST /base/admin/api/sign-out", c.signedIn(func(*http.Request) (int, any) { c.session = ""; return 200, struct{}{} }))
	mux.HandleFunc("GET /base/admin/api/projects", c.signedIn(func(*http.Request) (int, any) {
		list := []manifest.Project{}
		for _, p := range c.projects {
			list = append(list, p)
		}
		return 200, map[string]any{"projects": list}
	}))
	mux.HandleFunc("GET /base/admin/api/projects/{id}", c.signedIn(func(r *http.Request) (int, any) {
		p, ok := c.projects[r.PathValue("id")]
		if !ok {
			return refuse(404, 400, "project not found")
		}
		return 200, p
	}))
	mux.HandleFunc("PUT /base/admin/api/projects/{id}", c.signedIn(c.putProject))
	mux.HandleFunc("DELETE /base/admin/api/projects/{id}", c.signedIn(func(r *http.Request) (int, any) {
		if _, ok := c.projects[r.PathValue("id")]; !ok {
			return refuse(404, 400, "project not found")
		}
		delete(c.projects, r.PathValue("id"))
		return 200, struct{}{}
	}))
	mux.HandleFunc("POST /base/admin/api/projects/{id}/secret", c.signedIn(c.rotateSecret))
	mux.HandleFunc("PUT /base/admin/api/projects/{id}/categories/{name}", c.signedIn(c.putCategory))
	mux.HandleFunc("DELETE /base/admin/api/projects/{id}/categories/{name}", c.signedIn(c.deleteCategory))
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return c, s
}

func refuse(status, code int, message string) (int, any) {
	return status, map[string]any{"error": map[string]any{"code": code, "message": message}}
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

// strict decodes a JSON body and refuses unknown keys and trailing data.
func (c *contract) strict(r *http.Request, v any) bool {
	if r.Header.Get("Content-Type") != "application/json" {
		c.t.Errorf("%s %s is sent as %q", r.Method, r.URL, r.Header.Get("Content-Type"))
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		c.t.Errorf("%s %s: %v", r.Method, r.URL, err)
		return false
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		c.t.Errorf("%s %s: more than one value", r.Method, r.URL)
	}
	return true
}

func (c *contract) signIn(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, "sign-in")
	var in struct {
		Password string `json:"password"`
	}
	switch {
	case !c.strict(r, &in):
		reply(w, 400, nil)
	case c.sessions >= 10:
		w.Header().Set("Retry-After", "840")
		status, body := refuse(429, 106, "limit exceeded")
		reply(w, status, body)
	case in.Password != c.password:
		c.sessions++
		status, body := refuse(401, 101, "unauthorized")
		reply(w, status, body)
	default:
		c.sessions++
		c.session = fmt.Sprintf("session-%d", c.sessions)
		http.SetCookie(w, &http.Cookie{Name: "__Host-centrifuge", Value: c.session, Path: "/", Secure: true, HttpOnly: true})
		reply(w, 200, map[string]any{"expires": 1_900_000_000})
	}
}

// signedIn wraps a handler that requires a session.
func (c *contract) signedIn(do func(*http.Request) (int, any)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.calls = append(c.calls, r.Method+" "+strings.TrimPrefix(r.URL.EscapedPath(), "/base/admin/api/"))
		fault := ""
		if len(c.faults) > 0 {
			fault, c.faults = c.faults[0], c.faults[1:]
		}
		cookie, err := r.Cookie("__Host-centrifuge")
		switch {
		case fault == "503":
			reply(w, 503, map[string]string{"message": "Service Unavailable"})
		case fault == "expired", err != nil, c.session == "", cookie.Value != c.session:
			status, body := refuse(401, 101, "unauthorized")
			reply(w, status, body)
		default:
			status, body := do(r)
			if fault == "lost" {
				panic(http.ErrAbortHandler)
			}
			reply(w, status, body)
		}
	}
}

func (c *contract) putProject(r *http.Request) (int, any) {
	var in struct {
		ID      string                  `json:"id"`
		Name    string                  `json:"name"`
		Options manifest.ProjectOptions `json:"options"`
		Key     string                  `json:"idempotency_key"`
	}
	if !c.strict(r, &in) || in.ID != r.PathValue("id") || in.Name == "" || len(in.Key) < 16 {
		return refuse(400, 107, "bad request")
	}
	p, there := c.projects[in.ID]
	p.ID, p.Name, p.Options = in.ID, in.Name, in.Options
	c.projects[in.ID] = p
	if there && c.creators[in.ID] != in.Key {
		return 200, map[string]bool{"created": false}
	}
	c.creators[in.ID] = in.Key
	return 201, map[string]any{"created": true, "secret": "a secret", "api_key": "a key"}
}

// categoryIn is the category that the path names: ":" stands for the one without a name.
func categoryIn(r *http.Request) string { return strings.TrimPrefix(r.PathValue("name"), ":") }

func (c *contract) rotateSecret(r *http.Request) (int, any) {
	var in struct {
		Keep int64  `json:"keep_previous"`
		Key  string `json:"idempotency_key"`
	}
	p, there := c.projects[r.PathValue("id")]
	switch {
	case !c.strict(r, &in) || in.Keep < 0 || len(in.Key) < 16:
		return refuse(400, 107, "bad request")
	case !there:
		return refuse(404, 400, "project not found")
	}
	result := map[string]any{"secret": "the secret of " + in.Key}
	if p.PreviousSecretUntil = (time.Time{}); in.Keep > 0 {
		p.PreviousSecretUntil = time.UnixMilli(1_900_000_000_000 + in.Keep).UTC()
		result["previous_secret_until"] = p.PreviousSecretUntil
	}
	c.projects[p.ID] = p
	return 200, result
}

func (c *contract) putCategory(r *http.Request) (int, any) {
	var in manifest.Category
	p, there := c.projects[r.PathValue("id")]
	switch {
	case !c.strict(r, &in) || in.Name != categoryIn(r):
		return refuse(400, 107, "bad request")
	case !there:
		return refuse(404, 400, "project not found")
	}
	kept := slices.DeleteFunc(slices.Clone(p.Categories), func(old manifest.Category) bool { return old.Name == in.Name })
	created := len(kept) == len(p.Categories)
	kept = append(kept, in)
	p.Categories = kept
	c.projects[p.ID] = p
	return map[bool]int{true: 201, false: 200}[created], map[string]bool{"created": created}
}

func (c *contract) deleteCategory(r *http.Request) (int, any) {
	p := c.projects[r.PathValue("id")]
	kept := slices.DeleteFunc(slices.Clone(p.Categories), func(old manifest.Category) bool { return old.Name == categoryIn(r) })
	if len(kept) == len(p.Categories) {
		return refuse(404, 102, "category not found")
	}
	p.Categories = kept
	c.projects[p.ID] = p
	return 200, struct{}{}
}

// inject returns the requests since the last call and sets the faults of the next
// requests.
func (c *contract) inject(faults ...string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	calls := c.calls
	c.calls, c.faults = nil, faults
	return calls
}

func administrator(t *testing.T, o cent.AdminOptions) *cent.Admin {
	t.Helper()
	if o.BackOff == 0 {
		o.BackOff = time.Millisecond
	}
	a, err := cent.NewAdmin(o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

var (
	shop = manifest.Project{ID: "shop", Name: "Shop & Co", Options: manifest.ProjectOptions{AllowMD5: true, Origins: []string{"https://shop.example"}}}
	chat = manifest.Category{Name: "chat", CategoryOptions: manifest.CategoryOptions{Bidirectional: true, Shards: 2}}
)

// TestAdminMethods makes every call to the contract and to a real stack.
func TestAdminMethods(t *testing.T) {
	t.Run("the contract", func(t *testing.T) {
		c, server := newContract(t)
		a := administrator(t, cent.AdminOptions{URL: server.URL + "/base/", Password: "pass word"})
		everyCall(t, a)
		if n := len(slices.DeleteFunc(c.inject(), func(call string) bool { return call != "sign-in" })); n != 1 {
			t.Errorf("signed in %d times", n)
		}
	})
	t.Run("the admin API of a stack", func(t *testing.T) {
		s := stacktest.Start(t, stack.Options{})
		everyCall(t, administrator(t, cent.AdminOptions{URL: s.HTTPURL, Password: s.AdminPassword}))
		wrong := administrator(t, cent.AdminOptions{URL: s.HTTPURL, Password: s.AdminPassword + "x"})
		if _, err := wrong.Projects(t.Context()); !errors.Is(err, &cent.Error{Code: cent.CodeUnauthorized}) {
			t.Errorf("error %v for a wrong password", err)
		}
	})
}

func everyCall(t *testing.T, a *cent.Admin) {
	t.Helper()
	ctx := t.Context()
	equal := func(want, got any, err error) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Error(diff, err)
		}
	}
	list, err := a.Projects(ctx)
	equal([]manifest.Project{}, list, err)
	if _, err := a.Project(ctx, "shop"); !errors.Is(err, &cent.Error{Code: cent.CodeProjectNotFound}) {
		t.Errorf("error %v for an absent project", err)
	}

	with := shop
	with.Categories = []manifest.Category{chat} // ignored
	made, err := a.PutProject(ctx, with)
	if err != nil || !made.Created || made.Secret == "" || made.APIKey == "" {
		t.Errorf("created %+v, error %v", made, err)
	}
	changed := shop
	changed.Options.AllowMD5 = false
	made, err = a.PutProject(ctx, changed)
	equal(cent.Creation{}, made, err)

	created, err := a.PutCategory(ctx, "shop", chat)
	equal(true, created, err)
	created, err = a.PutCategory(ctx, "shop", chat)
	equal(false, created, err)
	odd := manifest.Category{Name: "50 $ / ä#"}
	created, err = a.PutCategory(ctx, "shop", odd)
	equal(true, created, err)
	unnamed := manifest.Category{CategoryOptions: manifest.CategoryOptions{Presence: true}}
	created, err = a.PutCategory(ctx, "shop", unnamed)
	equal(true, created, err)
	if _, err := a.PutCategory(ctx, "absent", chat); !errors.Is(err, &cent.Error{Code: cent.CodeProjectNotFound}) {
		t.Errorf("error %v for a category of an absent project", err)
	}

	got, err := a.Project(ctx, "shop")
	slices.SortFunc(got.Categories, func(a, b manifest.Category) int { return strings.Compare(a.Name, b.Name) })
	changed.Categories = []manifest.Category{unnamed, odd, chat}
	changed.APIKeys = got.APIKeys // only the stack has any
	equal(changed, got, err)

	kept, err := a.RotateSecret(ctx, "shop", time.Hour)
	if err != nil || kept.Secret == "" || kept.Secret == made.Secret {
		t.Errorf("rotated %+v, error %v", kept, err)
	}
	rotated, err := a.Project(ctx, "shop")
	equal(kept.PreviousUntil, rotated.PreviousSecretUntil, err)
	last, err := a.RotateSecret(ctx, "shop", 0)
	if last.Secret == kept.Secret {
		t.Errorf("rotated again to the same secret")
	}
	equal(time.Time{}, last.PreviousUntil, err)
	if _, err := a.RotateSecret(ctx, "shop", -time.Second); !errors.Is(err, &cent.Error{Code: cent.CodeBadRequest}) {
		t.Errorf("error %v for a negative time", err)
	}
	if _, err := a.RotateSecret(ctx, "absent", 0); !errors.Is(err, &cent.Error{Code: cent.CodeProjectNotFound}) {
		t.Errorf("error %v for an absent project", err)
	}

	equal(nil, nil, a.DeleteCategory(ctx, "shop", odd.Name))
	if err := a.DeleteCategory(ctx, "shop", odd.Name); !errors.Is(err, &cent.Error{Code: cent.CodeCategoryNotFound}) {
		t.Errorf("error %v for an absent category", err)
	}
	equal(nil, nil, a.DeleteCategory(ctx, "shop", unnamed.Name))
	changed.Categories = []manifest.Category{chat}
	list, err = a.Projects(ctx)
	equal([]manifest.Project{changed}, list, err)
	equal(nil, nil, a.DeleteProject(ctx, "shop"))
	if err := a.DeleteProject(ctx, "shop"); !errors.Is(err, &cent.Error{Code: cent.CodeProjectNotFound}) {
		t.Errorf("error %v for an absent project", err)
	}
	equal(nil, nil, a.SignOut(ctx))
	equal(nil, nil, a.SignOut(ctx))
}

func TestAdminRepetition(t *testing.T) {
	c, server := newContract(t)
	a := administrator(t, cent.AdminOptions{URL: server.URL + "/base", Password: "pass word"})
	ctx := t.Context()
	for _, tt := range []struct {
		name   string
		faults []string
		do     func() error
		want   []string
	}{
		{"the first call signs in", nil, func() error { _, err := a.Projects(ctx); return err },
			[]string{"sign-in", "GET projects"}},
		{"an error of the gateway", []string{"503", "503"}, func() error { _, err := a.Projects(ctx); return err },
			[]string{"GET projects", "GET projects", "GET projects"}},
		{"a lost response", []string{"lost"}, func() error {
			made, err := a.PutProject(ctx, shop)
			if want := (cent.Creation{Created: true, Secret: "a secret", APIKey: "a key"}); made != want {
				return fmt.Errorf("%+v: %w", made, err)
			}
			return err
		},
			[]string{"PUT projects/shop", "PUT projects/shop"}},
		{"an expired session", []string{"expired"}, func() error { _, err := a.PutCategory(ctx, "shop", chat); return err },
			[]string{"PUT projects/shop/categories/chat", "sign-in", "PUT projects/shop/categories/chat"}},
		{"a lost response to a deletion", []string{"lost"}, func() error { return a.DeleteProject(ctx, "shop") },
			[]string{"DELETE projects/shop", "DELETE projects/shop"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c.inject(tt.faults...)
			if err := tt.do(); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(tt.want, c.inject()); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("a session that expires again", func(t *testing.T) {
		c.inject("expired", "expired")
		if _, err := a.Projects(ctx); !errors.Is(err, &cent.Error{Code: cent.CodeUnauthorized}) {
			t.Errorf("error %v", err)
		}
		if calls := c.inject(); len(calls) != 3 {
			t.Errorf("requests %v", calls)
		}
	})
	t.Run("the last attempt fails", func(t *testing.T) {
		c.inject("503", "503", "503", "503", "503")
		if _, err := a.Projects(ctx); err == nil || !strings.Contains(err.Error(), "status 503") {
			t.Errorf("error %v", err)
		}
		if calls := c.inject(); len(calls) != cent.DefaultAttempts {
			t.Errorf("requests %v", calls)
		}
	})
	t.Run("the context ends", func(t *testing.T) {
		ended, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := a.Projects(ended); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
}

func TestAdminWrongPassword(t *testing.T) {
	c, server := newContract(t)
	wrong := administrator(t, cent.AdminOptions{URL: server.URL + "/base", Password: "hidden"})
	for range 10 {
		_, err := wrong.Projects(t.Context())
		if !errors.Is(err, &cent.Error{Code: cent.CodeUnauthorized}) || strings.Contains(err.Error(), "hidden") {
			t.Fatalf("error %v", err)
		}
	}
	_, err := wrong.Projects(t.Context())
	if err == nil || !strings.Contains(err.Error(), "try again in 14m0s") {
		t.Errorf("error %v", err)
	}
	if calls := c.inject(); len(calls) != 11 {
		t.Errorf("%d requests, expected 11: a wrong password is not tried again", len(calls))
	}
}

func TestAdminConcurrentSession(t *testing.T) {
	c, server := newContract(t)
	a := administrator(t, cent.AdminOptions{URL: server.URL + "/base", Password: "pass word"})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := a.Projects(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(slices.DeleteFunc(c.inject(), func(call string) bool { return call != "sign-in" })); n != 1 {
		t.Errorf("signed in %d times", n)
	}
}

func TestAdminUnknownResponse(t *testing.T) {
	for name, body := range map[string]string{"a page": "<html>", "null": "null", "a list": "[]", "another object": `{"id":"other"}`} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "sign-in") {
					http.SetCookie(w, &http.Cookie{Name: "s", Value: "1"})
					fmt.Fprint(w, "{}")
					return
				}
				fmt.Fprint(w, body)
			}))
			defer server.Close()
			a := administrator(t, cent.AdminOptions{URL: server.URL, Password: "p"})
			if p, err := a.Project(t.Context(), "shop"); err == nil {
				t.Errorf("project %+v", p)
			}
			if list, err := a.Projects(t.Context()); err == nil {
				t.Errorf("projects %+v", list)
			}
		})
	}
	t.Run("a sign-in without a cookie", func(t *testing.T) {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") }))
		defer server.Close()
		if _, err := administrator(t, cent.AdminOptions{URL: server.URL, Password: "p"}).Projects(t.Context()); err == nil {
			t.Error("no error")
		}
	})
}

func TestNewAdminInvalidOptions(t *testing.T) {
	for name, o := range map[string]cent.AdminOptions{
		"no URL":                    {Password: "p"},
		"a password in the URL":     {URL: "https://u:hidden@host", Password: "p"},
		"no password":               {URL: "https://host"},
		"a timeout above the limit": {URL: "https://host", Password: "p", Timeout: time.Hour},
		"attempts above the limit":  {URL: "https://host", Password: "p", Attempts: 11},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := cent.NewAdmin(o); err == nil || strings.Contains(err.Error(), "hidden") {
				t.Errorf("error %v", err)
			}
		})
	}
}
