package admin

import (
	"errors"
	"net/http"
	"strings"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/manifest"
)

// projectsData is the data of projects.html.
type projectsData struct {
	Query string
	// Projects are those that match the query, of All.
	Projects []*hub.Project
	All      int
}

// projects answers GET /admin?q=…, with and without a slash at the end.
func (s *site) projects(w http.ResponseWriter, r *http.Request) {
	all, err := s.Structure.ListProjects(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	d := projectsData{Query: strings.TrimSpace(r.URL.Query().Get("q")), All: len(all)}
	wanted := strings.ToLower(d.Query)
	for _, p := range all {
		if strings.Contains(strings.ToLower(p.Name+"\n"+p.ID), wanted) {
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
}

// newProject answers GET /admin/new.
func (s *site) newProject(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, http.StatusOK, "new-project.html", newProjectData{Name: nameField(projectNameHelp, "")})
}

// createdData is the data of created.html, the one page that ever shows the API key.
type createdData struct {
	Project *hub.Project
	APIKey  string
	Guide   guide
}

// addProject answers POST /admin/new with what the project was given.
func (s *site) addProject(w http.ResponseWriter, r *http.Request) {
	if !s.readForm(w, r, maxStructureBytes) {
		return
	}
	name := strings.TrimSpace(r.PostForm.Get("name"))
	p, apiKey, err := s.createProject(r.Context(), hub.NewID(s.Now()), name, manifest.ProjectOptions{})
	if isInvalid(err) {
		fields := []field{nameField(projectNameHelp, name)}
		rest := blame(fields, err)
		s.render(w, r, http.StatusBadRequest, "new-project.html", newProjectData{Name: fields[0], Problem: rest})
		return
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	visitOf(r).project = p
	s.render(w, r, http.StatusOK, "created.html", createdData{p, apiKey, s.guide(p, apiKey)})
}

// isInvalid tells whether an error is about what was typed.
func isInvalid(err error) bool {
	return errors.Is(err, hub.ErrBadRequest) || errors.Is(err, hub.ErrLimitExceeded)
}

// overviewData is the data of overview.html.
type overviewData struct {
	Guide guide
	// Chart is what the template "chart" is executed with.
	Chart view
}

// overview answers GET /admin/projects/{project}.
func (s *site) overview(w http.ResponseWriter, r *http.Request) {
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
	s.render(w, r, http.StatusOK, "overview.html", overviewData{
		Guide: s.guide(p, ""),
		Chart: view{Project: p, Data: newChartData(span, counts, now)},
	})
}

// settingsData is the data of settings.html.
type settingsData struct {
	Fields  []field
	Problem string
	// Revision is that of the project which the form shows.
	Revision int
}

// settings answers GET /admin/projects/{project}/settings.
func (s *site) settings(w http.ResponseWriter, r *http.Request) {
	p, ok := s.project(w, r)
	if !ok {
		return
	}
	fields, err := fieldsOf(manifest.ProjectReference, manifest.FromHub(p).Options)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "settings.html", settingsData{
		Fields: append([]field{nameField(projectNameHelp, p.Name)}, fields...), Revision: p.Revision,
	})
}

// saveSettings answers POST /admin/projects/{project}/settings.
func (s *site) saveSettings(w http.ResponseWriter, r *http.Request) {
	p, ok := s.project(w, r)
	if !ok || !s.readForm(w, r, maxStructureBytes) {
		return
	}
	name := strings.TrimSpace(r.PostForm.Get("name"))
	options, fields, ok := readOptions(manifest.ProjectReference, r.PostForm, checkProject)
	d := settingsData{Fields: append([]field{nameField(projectNameHelp, name)}, fields...)}
	changed := *p // the page is about the project as it is until this has been saved
	changed.Name = name
	changed.Revision = shownRevision(r, p.Revision)
	d.Revision = changed.Revision
	err := changed.Validate()
	if ok && err == nil {
		err = s.changeProject(r.Context(), &changed, name, options)
	}
	switch {
	case isInvalid(err):
		d.Problem = blame(d.Fields, err)
	case err != nil:
		s.fail(w, r, err)
		return
	case ok:
		redirect(w, r, projectPath(p, "settings"), "saved")
		return
	}
	s.render(w, r, http.StatusBadRequest, "settings.html", d)
}

// deletingData is the data of delete-project.html.
type deletingData struct{ Typed, Problem string }

// deleting answers GET /admin/projects/{project}/settings/delete.
func (s *site) deleting(w http.ResponseWriter, r *http.Request) {
	if _, ok := s.project(w, r); ok {
		s.render(w, r, http.StatusOK, "delete-project.html", deletingData{})
	}
}

// deleteProject answers POST /admin/projects/{project}/settings/delete, which takes
// the project's name.
func (s *site) deleteProject(w http.ResponseWriter, r *http.Request) {
	p, ok := s.project(w, r)
	if !ok || !s.readForm(w, r, maxStructureBytes) {
		return
	}
	if typed := strings.TrimSpace(r.PostForm.Get("name")); typed != strings.TrimSpace(p.Name) {
		s.render(w, r, http.StatusBadRequest, "delete-project.html", deletingData{typed, "That is not the name of the project."})
		return
	}
	if err := s.removeProject(r.Context(), p); err != nil {
		s.fail(w, r, err)
		return
	}
	redirect(w, r, home, "project-deleted")
}
