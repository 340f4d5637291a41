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

// home is the path of the first page. It has no trailing slash, because not every
// gateway routes one.
const home = "/admin"

//go:embed pages
var pageFiles embed.FS

// view is the data of every template.
type view struct {
	// Project is the project that s.project loaded for this request, nil on other pages.
	Project *hub.Project
	// Tabs are the tabs of the project.
	Tabs []tab
	// Flash confirms the last action, "" for none.
	Flash string
	// SignedIn reports whether the request has a session.
	SignedIn bool
	// Data is the data of the page.
	Data any
}

// tab is a link to a page of a project.
type tab struct {
	Name, Path string
	Current    bool
}

// tabs are the tabs of every project, in order. Path is the last element of the URL path.
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

// flashes are the messages that a redirect can show, by the value of ?done=. The texts
// are here, so that a link cannot put its own text on a page.
var flashes = map[string]string{
	"saved":            "The settings are saved. They apply within five seconds.",
	"project-deleted":  "The project is deleted.",
	"category-created": "The category is created.",
	"category-saved":   "The category is saved. Its options apply within five seconds.",
	"category-deleted": "The category is deleted.",
	"feed-changed":     "The categories publish to admins. Their messages show here within five seconds.",
	"history-removed":  "The history is removed.",
	"key-revoked":      "The API key is revoked. It stops working within five seconds.",
	"signed-out":       "You are signed out.",
}

type templates map[string]*template.Template

// parseTemplates parses each page together with the layout. A page defines "title" and
// "main", and may define "scripts".
func (s *site) parseTemplates() templates {
	layout := template.Must(template.New("layout.html").Funcs(template.FuncMap{
		"asset":  s.assets.url,
		"groups": groupFields,
		"label":  categoryLabel,
		"path":   projectPath,
	}).ParseFS(pageFiles, "pages/layout.html", "pages/part_*.html"))
	names, err := fs.Glob(pageFiles, "pages/*.html")
	if err != nil {
		panic(err) // the pattern is valid
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

// projectPath returns the path of a page of a project: projectPath(p, "feed", "token").
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

// render writes a page: the layout with the "main" of a template. The template gets a
// view with its own data as .Data.
func (s *site) render(w http.ResponseWriter, r *http.Request, status int, name string, data any) {
	s.execute(w, r, status, name, "layout.html", data)
}

// execute writes a block of a template, such as a part of a page that a script inserts.
// A template that fails gives a 500 and not half a page.
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
		s.failPlain(w, r, fmt.Errorf("render %s: no such template", name))
		return
	}
	if err := t.ExecuteTemplate(&b, block, v); err != nil {
		s.failPlain(w, r, fmt.Errorf("render %s: %w", name, err))
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(b.Bytes())
}

// failPlain responds where a page cannot be rendered.
func (s *site) failPlain(w http.ResponseWriter, r *http.Request, err error) {
	s.Log.ErrorContext(r.Context(), "admin request failed", "error", err)
	http.Error(w, hub.ErrInternal.Message, http.StatusInternalServerError)
}

// tabsAt returns the tabs with the current one marked.
func tabsAt(r *http.Request) []tab {
	var current string // /admin/projects/{project}/{current}/…
	if parts := strings.SplitN(r.URL.Path, "/", 6); len(parts) > 4 {
		current = parts[4]
	}
	all := make([]tab, len(tabs))
	for i, t := range tabs {
		t.Current = t.Path == current
		all[i] = t
	}
	return all
}

// visit is the state of a request with a session.
type visit struct {
	project *hub.Project
}

type visitKey struct{}

// visitOf returns nil for a request without a session.
func visitOf(r *http.Request) *visit {
	v, _ := r.Context().Value(visitKey{}).(*visit)
	return v
}

func withVisit(r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), visitKey{}, &visit{}))
}

// project reads the project in the path from the store, for this request alone. Where
// it returns false it has written the response, such as 404 for an unknown project.
// Pages that are rendered afterwards show the project and its tabs.
func (s *site) project(w http.ResponseWriter, r *http.Request) (*hub.Project, bool) {
	p, err := s.Store.ReadProject(r.Context(), r.PathValue("project"))
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
	// Code is the code of the error, 0 for none.
	Code int
}

// sentence turns an error text into a sentence.
func sentence(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:] + "."
}

// fail writes a page about an error. It logs an internal error.
func (s *site) fail(w http.ResponseWriter, r *http.Request, err error) {
	e, status := s.public(r, err)
	s.explain(w, r, status, e)
}

// explain writes a page about an error.
func (s *site) explain(w http.ResponseWriter, r *http.Request, status int, e *hub.Error) {
	if e == errNoPassword {
		s.render(w, r, status, "no-password.html", nil)
		return
	}
	s.render(w, r, status, "error.html", problem{status, sentence(e.Error()), e.Code})
}

// public returns the public error and the status for err. It logs an internal error,
// which the public one hides.
func (s *site) public(r *http.Request, err error) (*hub.Error, int) {
	var known *hub.Error
	if !errors.As(err, &known) {
		s.Log.ErrorContext(r.Context(), "admin request failed", "error", err)
	}
	e := hub.Public(err)
	return e, statusOf(e)
}

// statusOf maps errors to HTTP statuses.
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

// redirect sends the browser from a form to a page, whose path may have a query. done is a key
// of flashes, or "".
func redirect(w http.ResponseWriter, r *http.Request, to, done string) {
	if done != "" {
		separator := "?"
		if strings.Contains(to, "?") {
			separator = "&"
		}
		to += separator + url.Values{"done": {done}}.Encode()
	}
	http.Redirect(w, r, to, http.StatusSeeOther) //nolint:gosec // to is a path of this site: returnPath checks those from requests
}

func (s *site) notFound(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, http.StatusNotFound, "error.html", problem{Status: http.StatusNotFound, Message: "This page does not exist."})
}

// errorsPage explains the errors.
func (s *site) errorsPage(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, http.StatusOK, "errors.html", hub.ErrorReference)
}
