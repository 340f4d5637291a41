package admin

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"centrifuge/pkg/hub"
)

// home is the address of the first page. It has no slash at the end, which not every
// gateway takes.
const home = "/admin"

//go:embed pages
var pageFiles embed.FS

// view is what every template is executed with.
type view struct {
	// Project is the one that s.project has loaded for this request, nil on pages
	// that are not about one.
	Project *hub.Project
	// Tabs are those of the project.
	Tabs []tab
	// Flash is a message about what was done just before, "" for none.
	Flash string
	// SignedIn tells whether there is a session to end.
	SignedIn bool
	// Data is the page's own.
	Data any
}

// tab is a page of a project.
type tab struct {
	Name, Path string
	Current    bool
}

// tabs are the pages of every project, in order, with the last element of their path.
var tabs = []tab{
	{Name: "Overview"},
	{Name: "Live feed", Path: "feed"},
	{Name: "Actions", Path: "actions"},
	{Name: "Channels", Path: "channels"},
	{Name: "Users", Path: "users"},
	{Name: "Categories", Path: "categories"},
	{Name: "Keys", Path: "keys"},
	{Name: "Settings", Path: "settings"},
}

// flashes are the messages that a redirect can ask for, in the query as ?done=.
// Their text stays here, so that no link can put words on a page.
var flashes = map[string]string{
	"saved":            "The settings are saved. They apply everywhere within five seconds.",
	"project-deleted":  "The project is deleted.",
	"category-created": "The category is created.",
	"category-saved":   "The category is saved. Its options apply everywhere within five seconds.",
	"category-deleted": "The category is deleted.",
	"key-revoked":      "The API key is revoked. It stops working everywhere within five seconds.",
	"signed-out":       "You are signed out.",
}

type templates map[string]*template.Template

// parseTemplates reads each page on top of the layout. A page defines "title" and
// "main", and may define "scripts".
func (s *site) parseTemplates() templates {
	layout := template.Must(template.New("layout.html").Funcs(template.FuncMap{
		"asset": s.assets.url,
		"path":  projectPath,
		"query": url.QueryEscape,
	}).ParseFS(pageFiles, "pages/layout.html", "pages/part_*.html"))
	names, err := fs.Glob(pageFiles, "pages/*.html")
	if err != nil {
		panic(err) // the pattern is a constant, and valid
	}
	all := make(templates)
	for _, name := range names {
		base := path.Base(name)
		if base == "layout.html" || strings.HasPrefix(base, "part_") {
			continue
		}
		all[base] = template.Must(template.Must(layout.Clone()).ParseFS(pageFiles, name))
	}
	return all
}

// projectPath is the path of a page of a project: projectPath(p, "feed", "token").
func projectPath(p *hub.Project, elements ...string) string {
	var b strings.Builder
	b.WriteString("/admin/projects/" + url.PathEscape(p.ID))
	for _, e := range elements {
		if e != "" {
			b.WriteString("/" + url.PathEscape(e))
		}
	}
	return b.String()
}

// render answers with a whole page: the layout around the "main" of a template.
// The template sees a view, its own data as .Data.
func (s *site) render(w http.ResponseWriter, r *http.Request, status int, name string, data any) {
	s.execute(w, r, status, name, "layout.html", data)
}

// execute answers with a block of a template, such as a part of a page for a script
// to put in. It writes only what was rendered whole: a template that fails half way
// is a 500, not half a page.
func (s *site) execute(w http.ResponseWriter, r *http.Request, status int, name, block string, data any) {
	v := view{Flash: flashes[r.URL.Query().Get("done")], Data: data}
	if visit := visitOf(r); visit != nil {
		v.SignedIn, v.Project = true, visit.project
	}
	if v.Project != nil {
		v.Tabs = tabsAt(r)
	}
	var b bytes.Buffer
	t, ok := s.templates[name]
	if !ok {
		s.broken(w, r, fmt.Errorf("render %s: no such template", name))
		return
	}
	if err := t.ExecuteTemplate(&b, block, v); err != nil {
		s.broken(w, r, fmt.Errorf("render %s: %w", name, err))
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(b.Bytes())
}

// broken answers where not even a page can be rendered.
func (s *site) broken(w http.ResponseWriter, r *http.Request, err error) {
	s.Log.ErrorContext(r.Context(), "admin request failed", "error", err)
	http.Error(w, hub.ErrInternal.Message, http.StatusInternalServerError)
}

// tabsAt marks the tab that the request's path lies under.
func tabsAt(r *http.Request) []tab {
	var under string // /admin/projects/{project}/under/…
	if parts := strings.SplitN(r.URL.Path, "/", 6); len(parts) > 4 {
		under = parts[4]
	}
	all := make([]tab, len(tabs))
	for i, t := range tabs {
		t.Current = t.Path == under
		all[i] = t
	}
	return all
}

// visit is what is known of a request with a session.
type visit struct {
	project *hub.Project
}

type visitKey struct{}

// visitOf is nil for a request without a session.
func visitOf(r *http.Request) *visit {
	v, _ := r.Context().Value(visitKey{}).(*visit)
	return v
}

func withVisit(r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), visitKey{}, &visit{}))
}

// project loads the project that the path names, as the last write left it, for
// this request alone. Where it returns false it has answered: 404 for a project
// that does not exist. Pages rendered afterwards show the project and its tabs.
func (s *site) project(w http.ResponseWriter, r *http.Request) (*hub.Project, bool) {
	p, err := s.Structure.ReadProject(r.Context(), r.PathValue("project"))
	if err != nil {
		s.fail(w, r, err)
		return nil, false
	}
	if v := visitOf(r); v != nil {
		v.project = p
	}
	return p, true
}

// problem is the data of error.html.
type problem struct {
	Status  int
	Message string
}

// sentence makes one of the words of an error.
func sentence(words string) string {
	first, size := utf8.DecodeRuneInString(words)
	return string(unicode.ToUpper(first)) + words[size:] + "."
}

// fail answers with a page that says what went wrong, and logs, once, what it may
// not say.
func (s *site) fail(w http.ResponseWriter, r *http.Request, err error) {
	e, status := s.public(r, err)
	s.explain(w, r, status, e)
}

// explain answers with a page about an error.
func (s *site) explain(w http.ResponseWriter, r *http.Request, status int, e *hub.Error) {
	s.render(w, r, status, "error.html", problem{status, sentence(e.Error())})
}

// public returns what the caller may see of err and the status for it, and logs,
// once, what it may not.
func (s *site) public(r *http.Request, err error) (*hub.Error, int) {
	var known *hub.Error
	if !errors.As(err, &known) {
		s.Log.ErrorContext(r.Context(), "admin request failed", "error", err)
	}
	e := hub.Public(err)
	return e, statusOf(e)
}

// statusOf is the one table from errors to HTTP.
func statusOf(e *hub.Error) int {
	switch e.Code {
	case hub.ErrUnauthorized.Code:
		return http.StatusUnauthorized
	case hub.ErrPermissionDenied.Code:
		return http.StatusForbidden
	case hub.ErrProjectNotFound.Code, hub.ErrCategoryNotFound.Code, hub.ErrMethodNotFound.Code:
		return http.StatusNotFound
	case hub.ErrTooLarge.Code:
		return http.StatusRequestEntityTooLarge
	case hub.ErrConflict.Code:
		return http.StatusConflict
	case hub.ErrInternal.Code:
		return http.StatusInternalServerError
	}
	return http.StatusBadRequest
}

// redirect sends the browser from a form to a page, with a message of flashes or "".
func redirect(w http.ResponseWriter, r *http.Request, to, done string) {
	if done != "" {
		to += "?" + url.Values{"done": {done}}.Encode()
	}
	http.Redirect(w, r, to, http.StatusSeeOther) //nolint:gosec // to is a path of ours: returnPath sees to it where it was asked for
}

func (s *site) notFound(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, http.StatusNotFound, "error.html", problem{http.StatusNotFound, "There is no such page."})
}
