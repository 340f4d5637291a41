package admin

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
	"centrifuge/pkg/manifest"
)

// keysData is the data of keys.html.
type keysData struct {
	Keys []apiKey
	// Secret is "" until the page is asked to show it. Regenerated marks a new secret.
	Secret      string
	Regenerated bool
	// Created is an API key that was created by this request, Fingerprint its name in
	// the list.
	Created, Fingerprint string
	Problem              string
	// NewKey identifies the request of a form that creates an API key or replaces the secret:
	// one that is sent again does nothing more.
	NewKey string
	// PreviousUntil is when the previous secret ends, the zero time where there is none. MaxHours
	// is the longest time to keep one.
	PreviousUntil time.Time
	MaxHours      int
}

// apiKey is an API key in the list. A key that is older than labels has no name and no
// time.
type apiKey struct {
	Hash, Fingerprint, Name string
	Created                 time.Time
}

// renderKeys renders the keys page. It shows secrets only in responses to POST
// requests, which browsers and proxies do not store.
func (s *site) renderKeys(w http.ResponseWriter, r *http.Request, status int, p *hub.Project, d keysData) {
	d.NewKey, d.PreviousUntil, d.MaxHours = auth.NewAPIKey(), p.PreviousUntil, int(hub.MaxSecretGrace/time.Hour)
	for _, hash := range p.APIKeyHashes {
		label := p.APIKeyLabels[hash]
		d.Keys = append(d.Keys, apiKey{hash, manifest.Fingerprint(hash), label.Name, label.Created})
	}
	s.render(w, r, status, "keys.html", d)
}

// keysPage handles GET /admin/projects/{project}/keys.
func (s *site) keysPage(w http.ResponseWriter, r *http.Request) {
	if p, ok := s.project(w, r); ok {
		s.renderKeys(w, r, http.StatusOK, p, keysData{})
	}
}

// showSecret handles POST /admin/projects/{project}/keys/show.
func (s *site) showSecret(w http.ResponseWriter, r *http.Request) {
	if p, ok := s.project(w, r); ok {
		s.renderKeys(w, r, http.StatusOK, p, keysData{Secret: p.Secret})
	}
}

// submitSecret handles POST /admin/projects/{project}/keys/regenerate. The form has
// confirm=yes, the hours for which the replaced secret is kept, "" for none, and the key of the
// request.
func (s *site) submitSecret(w http.ResponseWriter, r *http.Request) {
	p, ok := s.project(w, r)
	if !ok || !s.readForm(w, r, maxManifestBytes) {
		return
	}
	if r.PostForm.Get("confirm") != "yes" {
		s.renderKeys(w, r, http.StatusBadRequest, p, keysData{Problem: unconfirmed})
		return
	}
	grace, err := hours(r.PostForm.Get("keep"))
	if err == nil {
		// A form without the key of the request is a new one.
		err = s.regenerateSecret(r.Context(), p, grace, cmp.Or(r.PostForm.Get("key"), auth.NewAPIKey()))
	}
	switch {
	case isInvalid(err):
		s.renderKeys(w, r, http.StatusBadRequest, p, keysData{Problem: sentence(hub.Public(err).Error())})
	case err != nil:
		s.fail(w, r, err)
	default:
		s.renderKeys(w, r, http.StatusOK, p, keysData{Secret: p.Secret, Regenerated: true})
	}
}

// hours reads a whole number of hours, "" for none. It fails with hub.ErrBadRequest.
func hours(typed string) (time.Duration, error) {
	if typed = strings.TrimSpace(typed); typed == "" {
		return 0, nil
	}
	const most = int(hub.MaxSecretGrace / time.Hour)
	n, err := strconv.Atoi(typed)
	if err != nil || n < 0 || n > most {
		return 0, hub.ErrBadRequest.With(fmt.Sprintf("the hours are not a whole number from 0 to %d", most))
	}
	return time.Duration(n) * time.Hour, nil
}

// unconfirmed is the problem of a form that was sent without its confirmation.
const unconfirmed = "Nothing was changed: tick the box to confirm."

// submitAPIKey handles POST /admin/projects/{project}/keys/create. The form has the name
// of the API key, which may be empty, and the key of the request. The response shows the API
// key, also where the form is sent again.
func (s *site) submitAPIKey(w http.ResponseWriter, r *http.Request) {
	p, ok := s.project(w, r)
	if !ok || !s.readForm(w, r, maxManifestBytes) {
		return
	}
	before := slices.Clone(p.APIKeyHashes)
	// A form without the key of the request is a new one.
	key, err := s.createAPIKey(r.Context(), p, strings.TrimSpace(r.PostForm.Get("name")), cmp.Or(r.PostForm.Get("key"), auth.NewAPIKey()))
	switch {
	case isInvalid(err):
		p.APIKeyHashes = before // the page shows the stored keys
		s.renderKeys(w, r, http.StatusBadRequest, p, keysData{Problem: sentence(hub.Public(err).Error())})
	case err != nil:
		s.fail(w, r, err)
	default:
		s.renderKeys(w, r, http.StatusOK, p, keysData{Created: key, Fingerprint: manifest.Fingerprint(auth.HashAPIKey(key))})
	}
}

// submitRevocation handles POST /admin/projects/{project}/keys/revoke. The form has the
// key's hash and confirm=yes.
func (s *site) submitRevocation(w http.ResponseWriter, r *http.Request) {
	p, ok := s.project(w, r)
	if !ok || !s.readForm(w, r, maxManifestBytes) {
		return
	}
	if r.PostForm.Get("confirm") != "yes" {
		s.renderKeys(w, r, http.StatusBadRequest, p, keysData{Problem: unconfirmed})
		return
	}
	if err := s.revokeAPIKey(r.Context(), p, r.PostForm.Get("hash")); err != nil {
		s.fail(w, r, err)
		return
	}
	redirect(w, r, projectPath(p, "keys"), "key-revoked")
}
