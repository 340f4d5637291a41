// Package admin is the admin interface: web pages for people, and a JSON API with
// the same operations for tools. It is an http.Handler over the hub and the project
// store. It knows neither Lambda nor DynamoDB.
//
// The server renders the pages with html/template. They work as plain forms. Small ES
// modules add what needs a script: the live feed, copying to the clipboard, filters
// that apply while one types. There is no framework in the browser: almost every page
// is a form or a table, and a framework would add a build step, dependencies to keep
// patched, and a second copy of the validation. The live feed alone uses an SDK, which
// Options.SDK holds. Pages load nothing from other sites, and the content security policy
// allows no inline code.
//
// Each operation exists once, in operation.go. It has two encodings: a form with a page
// as the response, and JSON.
package admin

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"centrifuge/pkg/hub"
)

// Options are the dependencies of the interface. Log and Now may be nil, the rest is
// required.
type Options struct {
	Hub   *hub.Hub
	Store hub.ProjectStore
	// Password returns what auth.HashPassword made of the admin password, or "" where
	// none is set. It is called for every request that needs a session or begins one.
	Password func(context.Context) (hash string, err error)
	// Attempts adds to the counter of this name, which expires at until, and returns the
	// sum.
	Attempts func(ctx context.Context, name string, by int, until time.Time) (int, error)
	// Call does what POST /api/{method} of the server API does.
	Call func(ctx context.Context, p *hub.Project, method string, body []byte) (status int, answer []byte)
	// WebSocketURL is the address for clients, such as "wss://host/stage".
	WebSocketURL string
	// HTTPURL is the base of the server API and of these pages, without a trailing slash.
	// Where it is https, cookies are sent over https only.
	HTTPURL string
	// SDK is the browser build of npm centrifuge, with its licences: the live feed connects
	// with it, and administrators may copy it.
	SDK []byte
	// Log receives internal errors and what administrators do; nil means slog.Default().
	Log *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

type site struct {
	Options
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
	s := &site{Options: o, assets: loadAssets(o.SDK)}
	s.templates = s.parseTemplates()

	mux := http.NewServeMux()
	public := mux.HandleFunc
	page := func(pattern string, handler http.HandlerFunc) { mux.HandleFunc(pattern, s.signedIn(handler)) }

	public("GET /admin/assets/{file}", s.asset)
	public("GET /admin/sign-in", s.signInPage)
	public("POST /admin/sign-in", s.submitSignIn)
	public("POST /admin/sign-out", s.submitSignOut)

	page("GET /admin", s.projectsPage)
	page("GET /admin/{$}", s.projectsPage)
	page("GET /admin/errors", s.errorsPage)
	page("GET /admin/new", s.newProjectPage)
	page("POST /admin/new", s.submitNewProject)
	page("GET /admin/projects/{project}", s.overviewPage)
	page("GET /admin/projects/{project}/settings", s.settingsPage)
	page("POST /admin/projects/{project}/settings", s.submitSettings)
	page("GET /admin/projects/{project}/settings/delete", s.deleteProjectPage)
	page("POST /admin/projects/{project}/settings/delete", s.submitProjectDeletion)

	page("GET /admin/projects/{project}/keys", s.keysPage)
	page("POST /admin/projects/{project}/keys/show", s.showSecret)
	page("POST /admin/projects/{project}/keys/regenerate", s.submitSecret)
	page("POST /admin/projects/{project}/keys/create", s.submitAPIKey)
	page("POST /admin/projects/{project}/keys/revoke", s.submitRevocation)

	page("GET /admin/projects/{project}/categories", s.categoriesPage)
	page("GET /admin/projects/{project}/categories/new", s.newCategoryPage)
	page("POST /admin/projects/{project}/categories/new", s.submitNewCategory)
	page("GET /admin/projects/{project}/categories/edit", s.categoryPage)
	page("POST /admin/projects/{project}/categories/edit", s.submitCategory)
	page("POST /admin/projects/{project}/categories/delete", s.submitCategoryDeletion)

	page("GET /admin/projects/{project}/feed", s.feedPage)
	page("POST /admin/projects/{project}/feed/token", s.feedToken)
	page("POST /admin/projects/{project}/feed/categories", s.submitFeedCategories)
	page("GET /admin/projects/{project}/actions", s.actionsPage)
	page("POST /admin/projects/{project}/actions", s.submitAction)
	page("POST /admin/projects/{project}/actions/{method}", s.submitActionJSON)
	page("GET /admin/projects/{project}/channels", s.channelsPage)
	page("GET /admin/projects/{project}/channels/show", s.channelPage)
	page("POST /admin/projects/{project}/channels/remove-history", s.submitHistoryRemoval)
	page("GET /admin/projects/{project}/users", s.usersPage)
	page("GET /admin/projects/{project}/chart", s.chartPage)
	page("/admin/", s.notFound)

	call := func(pattern string, handler http.HandlerFunc) { mux.HandleFunc(pattern, s.signedInAPI(handler)) }
	public("POST /admin/api/sign-in", s.apiSignIn)
	public("POST /admin/api/sign-out", s.apiSignOut)
	call("GET /admin/api/projects", s.apiProjects)
	call("GET /admin/api/projects/{project}", s.apiProject)
	call("PUT /admin/api/projects/{project}", s.apiPutProject)
	call("DELETE /admin/api/projects/{project}", s.apiDeleteProject)
	call("POST /admin/api/projects/{project}/secret", s.apiRegenerateSecret)
	call("PUT /admin/api/projects/{project}/categories/{category...}", s.apiPutCategory)
	call("DELETE /admin/api/projects/{project}/categories/{category...}", s.apiDeleteCategory)
	call("/admin/api/", s.apiNotFound)
	return s.guard(mux)
}
