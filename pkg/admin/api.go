package admin

import (
	"cmp"
	"errors"
	"net/http"
	"time"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
	"centrifuge/pkg/manifest"
)

// apiProjects handles GET /admin/api/projects.
func (s *site) apiProjects(w http.ResponseWriter, r *http.Request) {
	all, err := s.Store.ListProjects(r.Context())
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

// apiRead loads the project in the path. Where it returns false it has written the
// response.
func (s *site) apiRead(w http.ResponseWriter, r *http.Request) (*hub.Project, bool) {
	p, err := s.Store.ReadProject(r.Context(), r.PathValue("project"))
	if err != nil {
		s.failJSON(w, r, err)
	}
	return p, err == nil
}

// apiProject handles GET /admin/api/projects/{project}.
func (s *site) apiProject(w http.ResponseWriter, r *http.Request) {
	if p, ok := s.apiRead(w, r); ok {
		writeJSON(w, http.StatusOK, manifest.FromHub(p))
	}
}

// apiPutProject handles PUT /admin/api/projects/{project}. It sets the name and the
// options of a project, or creates the project. Only the response to a creation has the
// secret and the API key. The same request with the same idempotency_key has the same
// secret, and another API key instead of the first.
func (s *site) apiPutProject(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("project")
	var in struct {
		manifest.Project
		IdempotencyKey string `json:"idempotency_key"`
	}
	if !s.readJSON(w, r, maxManifestBytes, &in) {
		return
	}
	request := cmp.Or(in.IdempotencyKey, auth.NewAPIKey())
	if err := checkRequestKey(request); err != nil {
		s.failJSON(w, r, err)
		return
	}
	switch {
	case in.ID != "" && in.ID != id:
		s.failJSON(w, r, hub.ErrBadRequest.With("the id in the body is not the id in the path"))
		return
	case in.Categories != nil:
		s.failJSON(w, r, hub.ErrBadRequest.With("categories are written one by one, at /categories/{category}"))
		return
	}
	if in.APIKeys != nil {
		s.failJSON(w, r, hub.ErrBadRequest.With("API keys are not written here: create and revoke them in the admin pages"))
		return
	}
	if !in.PreviousSecretUntil.IsZero() {
		s.failJSON(w, r, hub.ErrBadRequest.With("previous_secret_until is not written here: POST to /secret replaces the secret"))
		return
	}
	p, err := s.Store.ReadProject(r.Context(), id)
	creates := errors.Is(err, hub.ErrProjectNotFound)
	if err == nil && in.IdempotencyKey != "" {
		creates = created(p, request, in.Name)
	}
	switch {
	case creates:
		p, apiKey, err := s.createProject(r.Context(), id, in.Name, in.Options, request)
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

// apiRegenerateSecret handles POST /admin/api/projects/{project}/secret. It replaces the secret of a
// project, and keeps the replaced one for keep_previous. While that is kept, the same request with
// the same idempotency_key changes nothing more.
func (s *site) apiRegenerateSecret(w http.ResponseWriter, r *http.Request) {
	var in struct {
		KeepPrevious   hub.Duration `json:"keep_previous"`
		IdempotencyKey string       `json:"idempotency_key"`
	}
	if !s.readJSON(w, r, maxManifestBytes, &in) {
		return
	}
	p, ok := s.apiRead(w, r)
	if !ok {
		return
	}
	if err := s.regenerateSecret(r.Context(), p, time.Duration(in.KeepPrevious), cmp.Or(in.IdempotencyKey, auth.NewAPIKey())); err != nil {
		s.failJSON(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, struct {
		Secret              string    `json:"secret"`
		PreviousSecretUntil time.Time `json:"previous_secret_until,omitzero"`
	}{p.Secret, p.PreviousUntil})
}

// apiDeleteProject handles DELETE /admin/api/projects/{project}.
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

// apiPutCategory handles PUT /admin/api/projects/{project}/categories/{category}.
func (s *site) apiPutCategory(w http.ResponseWriter, r *http.Request) {
	name, err := manifest.CategoryOf(r.PathValue("category"))
	if err != nil {
		s.failJSON(w, r, err)
		return
	}
	var in manifest.Category
	if !s.readJSON(w, r, maxManifestBytes, &in) {
		return
	}
	if in.Name != "" && in.Name != name {
		s.failJSON(w, r, hub.ErrBadRequest.With("the name in the body is not the name in the path"))
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

// apiDeleteCategory handles DELETE /admin/api/projects/{project}/categories/{category}.
func (s *site) apiDeleteCategory(w http.ResponseWriter, r *http.Request) {
	p, ok := s.apiRead(w, r)
	if !ok {
		return
	}
	name, err := manifest.CategoryOf(r.PathValue("category"))
	if err == nil {
		err = s.removeCategory(r.Context(), p, name)
	}
	if err != nil {
		s.failJSON(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, struct{}{})
}

// apiNotFound handles every other path of the API.
func (s *site) apiNotFound(w http.ResponseWriter, r *http.Request) {
	s.failJSON(w, r, hub.ErrMethodNotFound)
}
