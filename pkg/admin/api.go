package admin

import (
	"errors"
	"net/http"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/manifest"
)

// apiProjects answers GET /admin/api/projects.
func (s *site) apiProjects(w http.ResponseWriter, r *http.Request) {
	all, err := s.Structure.ListProjects(r.Context())
	if err != nil {
		s.failJSON(w, r, err)
		return
	}
	list := make([]manifest.Project, len(all))
	for i, p := range all {
		list[i] = manifest.FromHub(p)
	}
	writeJSON(w, http.StatusOK, map[string]any{"projects": list})
}

// apiRead loads the project that the path names. Where it returns false it has
// answered.
func (s *site) apiRead(w http.ResponseWriter, r *http.Request) (*hub.Project, bool) {
	p, err := s.Structure.ReadProject(r.Context(), r.PathValue("project"))
	if err != nil {
		s.failJSON(w, r, err)
	}
	return p, err == nil
}

// apiProject answers GET /admin/api/projects/{project}.
func (s *site) apiProject(w http.ResponseWriter, r *http.Request) {
	if p, ok := s.apiRead(w, r); ok {
		writeJSON(w, http.StatusOK, manifest.FromHub(p))
	}
}

// apiPutProject answers PUT /admin/api/projects/{project}: it changes a project's
// name and options, or creates the project, and then tells its secret and API key,
// the latter for the only time.
func (s *site) apiPutProject(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("project")
	var in manifest.Project
	if !s.readJSON(w, r, maxStructureBytes, &in) {
		return
	}
	switch {
	case in.ID != "" && in.ID != id:
		s.failJSON(w, r, hub.ErrBadRequest.With("the id is not that of the address"))
		return
	case in.Categories != nil:
		s.failJSON(w, r, hub.ErrBadRequest.With("categories are written one by one, each at an address of its own"))
		return
	}
	p, err := s.Structure.ReadProject(r.Context(), id)
	switch {
	case errors.Is(err, hub.ErrProjectNotFound):
		p, apiKey, err := s.createProject(r.Context(), id, in.Name, in.Options)
		if err != nil {
			s.failJSON(w, r, err)
			return
		}
		writeJSON(w, http.StatusCreated, map[string]any{"created": true, "secret": p.Secret, "api_key": apiKey})
	case err != nil:
		s.failJSON(w, r, err)
	default:
		if err := s.changeProject(r.Context(), p, in.Name, in.Options); err != nil {
			s.failJSON(w, r, err)
			return
		}
		writeJSON(w, http.StatusOK, map[string]bool{"created": false})
	}
}

// apiDeleteProject answers DELETE /admin/api/projects/{project}.
func (s *site) apiDeleteProject(w http.ResponseWriter, r *http.Request) {
	p, ok := s.apiRead(w, r)
	if !ok {
		return
	}
	if err := s.removeProject(r.Context(), p); err != nil {
		s.failJSON(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, struct{}{})
}

// apiPutCategory answers PUT /admin/api/projects/{project}/categories/{category}.
func (s *site) apiPutCategory(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("category")
	var in manifest.Category
	if !s.readJSON(w, r, maxStructureBytes, &in) {
		return
	}
	if in.Name != "" && in.Name != name {
		s.failJSON(w, r, hub.ErrBadRequest.With("the name is not that of the address"))
		return
	}
	in.Name = name
	p, ok := s.apiRead(w, r)
	if !ok {
		return
	}
	created, err := s.putCategory(r.Context(), p, in, p.Categories[name].Revision)
	switch {
	case err != nil:
		s.failJSON(w, r, err)
	case created:
		writeJSON(w, http.StatusCreated, map[string]bool{"created": true})
	default:
		writeJSON(w, http.StatusOK, map[string]bool{"created": false})
	}
}

// apiDeleteCategory answers DELETE /admin/api/projects/{project}/categories/{category}.
func (s *site) apiDeleteCategory(w http.ResponseWriter, r *http.Request) {
	p, ok := s.apiRead(w, r)
	if !ok {
		return
	}
	if err := s.removeCategory(r.Context(), p, r.PathValue("category")); err != nil {
		s.failJSON(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, struct{}{})
}

// apiNotFound answers what no other address of the API does.
func (s *site) apiNotFound(w http.ResponseWriter, r *http.Request) {
	s.failJSON(w, r, hub.ErrMethodNotFound)
}
