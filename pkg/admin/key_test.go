package admin_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"centrifuge/pkg/auth"
)

func TestTheSecret(t *testing.T) {
	r := newRig(t).signIn()
	old := r.project(projectID)
	token := auth.SignToken(old.Secret, "alice", projectID)
	t.Run("it is not on the page until it is asked for", func(t *testing.T) {
		r := r.in(t)
		if strings.Contains(r.is(r.get(base+"/keys"), http.StatusOK).body, old.Secret) {
			t.Error("it is")
		}
		if got := testID(t, r.post(base+"/keys/show").body, "secret"); got != old.Secret {
			t.Errorf("it is %s", got)
		}
		r.is(r.get(base+"/keys/show"), http.StatusNotFound)
	})
	t.Run("without confirmation it stays", func(t *testing.T) {
		r := r.in(t)
		r.shows(r.post(base+"/keys/regenerate"), http.StatusBadRequest, "Nothing was changed")
		if got := r.project(projectID).Secret; got != old.Secret {
			t.Error("it is another one")
		}
	})
	t.Run("another one is shown at once, and refuses the tokens of the one before", func(t *testing.T) {
		r := r.in(t)
		got := r.post(base+"/keys/regenerate", "confirm", "yes")
		r.shows(got, http.StatusOK, "This is the new secret. Tokens and signatures made with the old one are refused within five seconds.")
		p := r.project(projectID)
		if shown := testID(t, got.body, "secret"); shown != p.Secret || shown == old.Secret || len(shown) != 64 {
			t.Errorf("the secret is %s", shown)
		}
		if _, err := auth.VerifyToken(p, "alice", token, time.Now()); err == nil {
			t.Error("the old token is good")
		}
		if p.Name != old.Name || len(p.APIKeyHashes) != 1 || len(p.Categories) != 3 || p.Options.ValidateURL != old.Options.ValidateURL {
			t.Errorf("something else was changed: %+v", p)
		}
		if strings.Contains(r.get(base+"/keys").body, p.Secret) {
			t.Error("it is still shown")
		}
	})
}

func TestAPIKeys(t *testing.T) {
	r := newRig(t).signIn()
	r.shows(r.get(base+"/keys"), http.StatusOK, auth.HashAPIKey("a key")[:8])

	got := r.post(base + "/keys/create")
	key := testID(t, got.body, "api-key")
	r.secrets = append(r.secrets, key)
	hash := auth.HashAPIKey(key)
	t.Run("a new one is shown once and works", func(t *testing.T) {
		r := r.in(t)
		r.shows(got, http.StatusOK, "The API key "+hash[:8]+" is created.")
		for _, k := range []string{key, "a key"} {
			if p, err := auth.ProjectByAPIKey(t.Context(), r.store, k); err != nil || p.ID != projectID {
				t.Errorf("%v %v", p, err)
			}
		}
		later := r.get(base + "/keys")
		r.shows(later, http.StatusOK, hash[:8])
		if strings.Contains(later.body, key) {
			t.Error("it is still shown")
		}
	})
	t.Run("one is revoked only with confirmation", func(t *testing.T) {
		r := r.in(t)
		r.shows(r.post(base+"/keys/revoke", "hash", hash), http.StatusBadRequest, "Nothing was changed")
		if _, err := auth.ProjectByAPIKey(t.Context(), r.store, key); err != nil {
			t.Error(err)
		}
		r.redirects(r.post(base+"/keys/revoke", "hash", hash, "confirm", "yes"), base+"/keys?done=key-revoked")
		if _, err := auth.ProjectByAPIKey(t.Context(), r.store, key); err == nil {
			t.Error("it still works")
		}
		if _, err := auth.ProjectByAPIKey(t.Context(), r.store, "a key"); err != nil {
			t.Errorf("the other one: %v", err)
		}
	})
	t.Run("one that does not exist is revoked already", func(t *testing.T) {
		r := r.in(t)
		r.redirects(r.post(base+"/keys/revoke", "hash", "none", "confirm", "yes"), base+"/keys?done=key-revoked")
		if n := len(r.project(projectID).APIKeyHashes); n != 1 {
			t.Errorf("there are %d", n)
		}
	})
	t.Run("there are at most twenty", func(t *testing.T) {
		r := r.in(t)
		for range 19 {
			r.is(r.post(base+"/keys/create"), http.StatusOK)
		}
		r.shows(r.post(base+"/keys/create"), http.StatusBadRequest, "a project has at most 20 API keys")
		if n := len(r.project(projectID).APIKeyHashes); n != 20 {
			t.Errorf("there are %d", n)
		}
	})
	t.Run("a project may have none", func(t *testing.T) {
		r := r.in(t)
		for _, hash := range r.project(projectID).APIKeyHashes {
			r.post(base+"/keys/revoke", "hash", hash, "confirm", "yes")
		}
		r.shows(r.get(base+"/keys"), http.StatusOK, "There is no API key: the server API takes signed requests only.")
	})
}
