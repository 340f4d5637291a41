// Package admin is the admin interface: web pages for people, and a JSON API with
// the same operations for tools. It is a plain http.Handler over the hub and the
// structure; it knows neither Lambda nor DynamoDB.
//
// The pages are rendered by html/template on the server and work as plain forms;
// small ES modules written by hand add what only a script can do: the live feed,
// copying to the clipboard, filters that answer while one types. A framework in
// the browser was weighed and left: almost every page here is a form or a table,
// which HTML does well and accessibly by itself, while a build step, a dependency
// tree to keep patched and a client-side copy of all validation would have cost
// more than they gave. So there is nothing to build, nothing from elsewhere is
// loaded, the content security policy allows no inline code, and the whole
// interface weighs less than a photograph.
//
// Each operation exists once, in operation.go, and has two encodings: a form with a
// page as its answer, and JSON.
package admin

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"centrifuge/pkg/hub"
)

// Options are what the interface is made of. Log and Now may be nil; the rest is
// required.
type Options struct {
	Hub       *hub.Hub
	Structure hub.Structure
	// Password returns the password of the administrators. It is called at every
	// sign-in, and for other requests at most once a minute.
	Password func(context.Context) (string, error)
	// Attempts adds to the counter of this name, which ends at until, and returns
	// the sum.
	Attempts func(ctx context.Context, name string, by int, until time.Time) (int, error)
	// Call answers as POST /api/{method} of the server API would.
	Call func(ctx context.Context, p *hub.Project, method string, body []byte) (status int, answer []byte)
	// WebSocketURL is what clients connect to, such as "wss://host/stage".
	WebSocketURL string
	// HTTPURL is the base of the server API and of these pages, without a slash at
	// the end. Cookies are for https only where it is https.
	HTTPURL string
	// Log is told of failures that are ours; nil means slog.Default().
	Log *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

type site struct {
	Options
	passwords passwords
	templates templates
	assets    assets
}

// New returns the handler, to be mounted at /admin and /admin/ without stripping the prefix.
// It is safe for concurrent use.
func New(o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &site{Options: o, assets: loadAssets()}
	s.passwords.read, s.passwords.now = o.Password, o.Now
	s.templates = s.parseTemplates()

	mux := http.NewServeMux()
	public := mux.HandleFunc
	page := func(pattern string, handler http.HandlerFunc) { mux.HandleFunc(pattern, s.signedIn(handler)) }

	public("GET /admin/assets/{file}", s.asset)
	public("GET /admin/sign-in", s.signInPage)
	public("POST /admin/sign-in", s.signIn)
	public("POST /admin/sign-out", s.signOut)

	page("GET /admin", s.projects)
	page("GET /admin/{$}", s.projects)
	page("GET /admin/new", s.newProject)
	page("POST /admin/new", s.addProject)
	page("GET /admin/projects/{project}", s.overview)
	page("GET /admin/projects/{project}/settings", s.settings)
	page("POST /admin/projects/{project}/settings", s.saveSettings)
	page("GET /admin/projects/{project}/settings/delete", s.deleting)
	page("POST /admin/projects/{project}/settings/delete", s.deleteProject)

	page("GET /admin/projects/{project}/keys", s.keys)
	page("POST /admin/projects/{project}/keys/show", s.showSecret)
	page("POST /admin/projects/{project}/keys/regenerate", s.regenerateSecret)
	page("POST /admin/projects/{project}/keys/create", s.createKey)
	page("POST /admin/projects/{project}/keys/revoke", s.revokeKey)

	page("GET /admin/projects/{project}/categories", s.categories)
	page("GET /admin/projects/{project}/categories/new", s.newCategory)
	page("POST /admin/projects/{project}/categories/new", s.createCategory)
	page("GET /admin/projects/{project}/categories/edit", s.editCategory)
	page("POST /admin/projects/{project}/categories/edit", s.saveCategory)
	page("POST /admin/projects/{project}/categories/delete", s.deleteCategory)

	page("GET /admin/projects/{project}/feed", s.feed)
	page("POST /admin/projects/{project}/feed/token", s.feedToken)
	page("GET /admin/projects/{project}/actions", s.actions)
	page("POST /admin/projects/{project}/actions", s.act)
	page("POST /admin/projects/{project}/actions/{method}", s.actJSON)
	page("GET /admin/projects/{project}/channels", s.channels)
	page("GET /admin/projects/{project}/users", s.users)
	page("GET /admin/projects/{project}/chart", s.chart)
	page("/admin/", s.notFound)

	call := func(pattern string, handler http.HandlerFunc) { mux.HandleFunc(pattern, s.signedInAPI(handler)) }
	public("POST /admin/api/sign-in", s.apiSignIn)
	public("POST /admin/api/sign-out", s.apiSignOut)
	call("GET /admin/api/projects", s.apiProjects)
	call("GET /admin/api/projects/{project}", s.apiProject)
	call("PUT /admin/api/projects/{project}", s.apiPutProject)
	call("DELETE /admin/api/projects/{project}", s.apiDeleteProject)
	call("PUT /admin/api/projects/{project}/categories/{category...}", s.apiPutCategory)
	call("DELETE /admin/api/projects/{project}/categories/{category...}", s.apiDeleteCategory)
	call("/admin/api/", s.apiNotFound)
	return s.guard(mux)
}
