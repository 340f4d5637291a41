package admin

import (
	"net/http"

	"centrifuge/pkg/hub"
)

// keysData is the data of keys.html.
type keysData struct {
	Keys []apiKey
	// Secret is "" until it was asked for; Renewed tells that it is another one now.
	Secret  string
	Renewed bool
	// Created is an API key that was made just now, Fingerprint what it is listed as.
	Created, Fingerprint string
	Problem              string
}

// apiKey is what can be told of an API key.
type apiKey struct{ Hash, Fingerprint string }

// fingerprint is by which digits of its hash people tell an API key from others.
func fingerprint(hash string) string { return hash[:min(len(hash), 8)] }

// renderKeys answers with the keys page. It shows secrets only in answers to POST
// requests, which browsers and proxies do not keep.
func (s *site) renderKeys(w http.ResponseWriter, r *http.Request, status int, p *hub.Project, d keysData) {
	for _, hash := range p.APIKeyHashes {
		d.Keys = append(d.Keys, apiKey{hash, fingerprint(hash)})
	}
	s.render(w, r, status, "keys.html", d)
}

// keys answers GET /admin/projects/{project}/keys.
func (s *site) keys(w http.ResponseWriter, r *http.Request) {
	if p, ok := s.project(w, r); ok {
		s.renderKeys(w, r, http.StatusOK, p, keysData{})
	}
}

// showSecret answers POST /admin/projects/{project}/keys/show.
func (s *site) showSecret(w http.ResponseWriter, r *http.Request) {
	if p, ok := s.project(w, r); ok {
		s.renderKeys(w, r, http.StatusOK, p, keysData{Secret: p.Secret})
	}
}

// regenerateSecret answers POST /admin/projects/{project}/keys/regenerate, with
// confirm=yes in the form.
func (s *site) regenerateSecret(w http.ResponseWriter, r *http.Request) {
	p, ok := s.project(w, r)
	if !ok || !s.readForm(w, r, maxStructureBytes) {
		return
	}
	if r.PostForm.Get("confirm") != "yes" {
		s.renderKeys(w, r, http.StatusBadRequest, p, keysData{Problem: unconfirmed})
		return
	}
	if err := s.renewSecret(r.Context(), p); err != nil {
		s.fail(w, r, err)
		return
	}
	s.renderKeys(w, r, http.StatusOK, p, keysData{Secret: p.Secret, Renewed: true})
}

// unconfirmed is said where a form was sent without the tick that it asks for.
const unconfirmed = "Nothing was changed: tick the box to confirm it."

// createKey answers POST /admin/projects/{project}/keys/create.
func (s *site) createKey(w http.ResponseWriter, r *http.Request) {
	p, ok := s.project(w, r)
	if !ok {
		return
	}
	key, err := s.addKey(r.Context(), p)
	switch {
	case isInvalid(err):
		s.renderKeys(w, r, http.StatusBadRequest, p, keysData{Problem: sentence(hub.Public(err).Error())})
	case err != nil:
		s.fail(w, r, err)
	default:
		made := p.APIKeyHashes[len(p.APIKeyHashes)-1]
		s.renderKeys(w, r, http.StatusOK, p, keysData{Created: key, Fingerprint: fingerprint(made)})
	}
}

// revokeKey answers POST /admin/projects/{project}/keys/revoke, with the key's hash
// and confirm=yes in the form.
func (s *site) revokeKey(w http.ResponseWriter, r *http.Request) {
	p, ok := s.project(w, r)
	if !ok || !s.readForm(w, r, maxStructureBytes) {
		return
	}
	if r.PostForm.Get("confirm") != "yes" {
		s.renderKeys(w, r, http.StatusBadRequest, p, keysData{Problem: unconfirmed})
		return
	}
	if err := s.removeKey(r.Context(), p, r.PostForm.Get("hash")); err != nil {
		s.fail(w, r, err)
		return
	}
	redirect(w, r, projectPath(p, "keys"), "key-revoked")
}
