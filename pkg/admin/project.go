package admin

import (
	"cmp"
	"errors"
	"net/http"
	"strings"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
)

// projectsData is the data of projects.html.
type projectsData struct {
	Query string
	// Projects are those that match the query. All is the number of projects.
	Projects []*hub.Project
	All      int
}

// projectsPage handles GET /admin?q=… and GET /admin/?q=….
func (s *site) projectsPage(w http.ResponseWriter, r *http.Request) {
	all, err := s.Store.ListProjects(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	d := projectsData{Query: strings.TrimSpace(r.URL.Query().Get("q")), All: len(all)}
	query := strings.ToLower(d.Query)
	for _, p := range all {
		if strings.Contains(strings.ToLower(p.Name+"\n"+p.ID), query) {
			d.Projects = append(d.Projects, p)
		}
	}
	s.render(w, r, http.StatusOK, "projects.html", d)
}

const projectNameHelp = "For people. It can be changed at any time."

// newProjectData is the data of new-project.html.
type newProjectData struct {
	Name    field
	Problem string
	// ID is the id of the project. Key identifies the request: one that is sent again
	// creates nothing more.
	ID, Key string
}

func (s *site) newProjectForm(name string) newProjectData {
	return newProjectData{Name: nameField(projectNameHelp, name, true), ID: hub.NewID(s.Now()), Key: auth.NewAPIKey()}
}

// newProjectPage handles GET /admin/new.
func (s *site) newProjectPage(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, http.StatusOK, "new-project.html", s.newProjectForm(""))
}

// createdData is the data of created.html, the only page that shows the first API key.
type createdData struct {
	Project *hub.Project
	APIKey  string
	Guide   guide
}

// submitNewProject handles POST /admin/new. The response shows the secret and the API
// key, also where the form is sent again.
func (s *site) submitNewProject(w http.ResponseWriter, r *http.Request) {
	if !s.readForm(w, r, maxManifestBytes) {
		return
	}
	d := s.newProjectForm(strings.TrimSpace(r.PostForm.Get("name")))
	// A form without them is a new request.
	d.ID, d.Key = cmp.Or(r.PostForm.Get("id"), d.ID), cmp.Or(r.PostForm.Get("key"), d.Key)
	err := checkRequestKey(d.Key)
	var p *hub.Project
	var apiKey string
	if err == nil {
		p, apiKey, err = s.startProject(r.Context(), d.ID, d.Name.Value, d.Key)
	}
	if isInvalid(err) {
		fields := []field{d.Name}
		d.Problem = assignProblem(fields, err)
		d.Name = fields[0]
		s.render(w, r, http.StatusBadRequest, "new-project.html", d)
		return
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	visitOf(r).project = p
	s.render(w, r, http.StatusOK, "created.html", createdData{p, apiKey, s.guide(p, apiKey)})
}

// isInvalid reports whether an error is about the input.
func isInvalid(err error) bool {
	return errors.Is(err, hub.ErrBadRequest) || errors.Is(err, hub.ErrLimitExceeded)
}

// overviewData is the data of overview.html.
type overviewData struct {
	Guide guide
	// Quiet reports whether no message was sent in the span of the chart. The guide then
	// comes first.
	Quiet bool
	// Chart is the data of the template "chart".
	Chart view
}

// overviewPage handles GET /admin/projects/{project}.
func (s *site) overviewPage(w http.ResponseWriter, r *http.Request) {
	p, ok := s.project(w, r)
	if !ok {
		return
	}
	span, now := spans[0], s.Now()
	counts, err := s.Hub.Counted(r.Context(), p, span.first(now))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	chart := newChartData(span, counts, now)
	s.render(w, r, http.StatusOK, "overview.html", overviewData{
		Guide: s.guide(p, ""), Quiet: len(chart.Rows) == 0,
		Chart: view{Project: p, Data: chart},
	})
}

// settingsData is the data of settings.html.
type settingsData struct {
	Fields  []field
	Problem string
	// Revision is the revision that the form shows.
	Revision int
}

// settingsPage handles GET /admin/projects/{project}/settings.
func (s *site) settingsPage(w http.ResponseWriter, r *http.Request) {
	p, ok := s.project(w, r)
	if !ok {
		return
	}
	fields, err := fieldsOf(hub.ProjectReference, p.Options)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "settings.html", settingsData{
		Fields: append([]field{nameField(projectNameHelp, p.Name, true)}, fields...), Revision: p.Revision,
	})
}

// submitSettings handles POST /admin/projects/{project}/settings.
func (s *site) submitSettings(w http.ResponseWriter, r *http.Request) {
	p, ok := s.project(w, r)
	if !ok || !s.readForm(w, r, maxManifestBytes) {
		return
	}
	name := strings.TrimSpace(r.PostForm.Get("name"))
	options, fields, ok := readOptions[hub.ProjectOptions](hub.ProjectReference, r.PostForm)
	d := settingsData{Fields: append([]field{nameField(projectNameHelp, name, true)}, fields...)}
	changed := *p // the page shows the stored project until the change is stored
	changed.Name = name
	changed.Revision = shownRevision(r, p.Revision)
	d.Revision = changed.Revision
	err := changed.ValidateName()
	if ok && err == nil {
		err = s.changeProject(r.Context(), &changed, name, options)
	}
	switch {
	case isInvalid(err):
		d.Problem = assignProblem(d.Fields, err)
	case err != nil:
		s.fail(w, r, err)
		return
	case ok:
		redirect(w, r, projectPath(p, "settings"), "saved")
		return
	}
	s.render(w, r, http.StatusBadRequest, "settings.html", d)
}

// deleteProjectData is the data of delete-project.html.
type deleteProjectData struct{ Typed, Problem string }

// deleteProjectPage handles GET /admin/projects/{project}/settings/delete.
func (s *site) deleteProjectPage(w http.ResponseWriter, r *http.Request) {
	if _, ok := s.project(w, r); ok {
		s.render(w, r, http.StatusOK, "delete-project.html", deleteProjectData{})
	}
}

// submitProjectDeletion handles POST /admin/projects/{project}/settings/delete. The form
// has the project's name.
func (s *site) submitProjectDeletion(w http.ResponseWriter, r *http.Request) {
	p, ok := s.project(w, r)
	if !ok || !s.readForm(w, r, maxManifestBytes) {
		return
	}
	if typed := strings.TrimSpace(r.PostForm.Get("name")); typed != strings.TrimSpace(p.Name) {
		s.render(w, r, http.StatusBadRequest, "delete-project.html", deleteProjectData{typed, "That is not the name of the project."})
		return
	}
	if err := s.removeProject(r.Context(), p); err != nil {
		s.fail(w, r, err)
		return
	}
	redirect(w, r, home, "project-deleted")
}
