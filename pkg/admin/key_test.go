package admin_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/auth"
)

func TestSecretPage(t *testing.T) {
	r := newRig(t).signIn()
	old := r.project(projectID)
	token := auth.SignToken(old.Secret, "alice", projectID)
	t.Run("the secret is hidden until it is requested", func(t *testing.T) {
		r := r.in(t)
		if strings.Contains(r.is(r.get(base+"/keys"), http.StatusOK).body, old.Secret) {
			t.Error("the page shows the secret")
		}
		if got := testID(t, r.post(base+"/keys/show").body, "secret"); got != old.Secret {
			t.Errorf("the page shows %s", got)
		}
		r.is(r.get(base+"/keys/show"), http.StatusNotFound)
	})
	t.Run("regeneration requires confirmation", func(t *testing.T) {
		r := r.in(t)
		r.shows(r.post(base+"/keys/regenerate"), http.StatusBadRequest, "Nothing was changed")
		if got := r.project(projectID).Secret; got != old.Secret {
			t.Error("the secret has changed")
		}
	})
	t.Run("regeneration shows a new secret and invalidates tokens", func(t *testing.T) {
		r := r.in(t)
		got := r.post(base+"/keys/regenerate", "confirm", "yes")
		r.shows(got, http.StatusOK, "This is the new secret. Tokens and signatures made with the old secret stop working within five seconds.")
		p := r.project(projectID)
		if shown := testID(t, got.body, "secret"); shown != p.Secret || shown == old.Secret || len(shown) != 64 {
			t.Errorf("the secret is %s", shown)
		}
		if _, err := auth.VerifyToken(p, "alice", token, time.Now()); err == nil {
			t.Error("the old token is valid")
		}
		if p.Name != old.Name || len(p.APIKeyHashes) != 1 || len(p.Categories) != 3 || p.Options.ValidateURL != old.Options.ValidateURL {
			t.Errorf("other fields have changed: %+v", p)
		}
		if strings.Contains(r.get(base+"/keys").body, p.Secret) {
			t.Error("the secret is still shown")
		}
	})
	t.Run("the previous secret is kept for the hours in the form", func(t *testing.T) {
		r := r.in(t)
		before := r.project(projectID)
		form := []string{"confirm", "yes", "keep", "2", "key", hidden(t, r.get(base+"/keys").body, "key")}
		got := r.post(base+"/keys/regenerate", form...)
		r.shows(got, http.StatusOK, "This is the new secret. Give it to your backend before the previous one ends. The previous secret is accepted until 2027-01-15 10:00:00 UTC.")
		p := r.project(projectID)
		if p.PreviousSecret != before.Secret || p.Secret == before.Secret || testID(t, got.body, "secret") != p.Secret {
			t.Errorf("the secrets were %q and are %q", before.Secret, p.Secrets())
		}
		if _, err := auth.VerifyToken(p, "alice", auth.SignToken(before.Secret, "alice", projectID), time.Now()); err != nil {
			t.Errorf("a token of the previous secret: %v", err)
		}
		if strings.Contains(got.body, before.Secret) {
			t.Error("the page shows the previous secret")
		}
		if again := testID(t, r.post(base+"/keys/regenerate", form...).body, "secret"); again != p.Secret {
			t.Error("the form sent again has replaced the secret again")
		}
		r.shows(r.get(base+"/keys"), http.StatusOK, "The previous secret is accepted until 2027-01-15 10:00:00 UTC.")
		for _, wrong := range []string{"-1", "721", "1.5", "x"} {
			r.shows(r.post(base+"/keys/regenerate", "confirm", "yes", "keep", wrong), http.StatusBadRequest, "the hours are not a whole number from 0 to 720")
		}
		if diff := cmp.Diff(p.Secrets(), r.project(projectID).Secrets()); diff != "" {
			t.Errorf("the secrets have changed: %s", diff)
		}
		r.post(base+"/keys/regenerate", "confirm", "yes", "keep", "0")
		if last := r.project(projectID); last.PreviousSecret != "" || !last.PreviousUntil.IsZero() || last.Secret == p.Secret {
			t.Errorf("the secrets are %q until %v", last.Secrets(), last.PreviousUntil)
		}
	})
}

func TestAPIKeyPage(t *testing.T) {
	r := newRig(t).signIn()
	r.shows(r.get(base+"/keys"), http.StatusOK, "unnamed "+auth.HashAPIKey("a key")[:8]+" unknown")

	got := r.post(base+"/keys/create", "name", " backend of <shop> ")
	key := testID(t, got.body, "api-key")
	r.secrets = append(r.secrets, key)
	hash := auth.HashAPIKey(key)
	t.Run("a new key is shown once and works", func(t *testing.T) {
		r := r.in(t)
		r.shows(got, http.StatusOK, "The API key "+hash[:8]+" is created.")
		for _, k := range []string{key, "a key"} {
			if p, err := auth.ProjectByAPIKey(t.Context(), r.store, k); err != nil || p.ID != projectID {
				t.Errorf("%v %v", p, err)
			}
		}
		later := r.get(base + "/keys")
		r.shows(later, http.StatusOK, "backend of <shop> "+hash[:8]+" 2027-01-15 08:00 UTC")
		if strings.Contains(later.body, key) {
			t.Error("the key is still shown")
		}
	})
	t.Run("the form sent again shows its key, and adds nothing", func(t *testing.T) {
		r := r.in(t)
		form := []string{"name", "again", "key", hidden(t, r.get(base+"/keys").body, "key")}
		first := testID(t, r.post(base+"/keys/create", form...).body, "api-key")
		r.secrets = append(r.secrets, first)
		if again := testID(t, r.post(base+"/keys/create", form...).body, "api-key"); again != first || first == form[3] {
			t.Errorf("shown are %q and %q, the request is %q", first, again, form[3])
		}
		if n := len(r.project(projectID).APIKeyHashes); n != 3 {
			t.Errorf("there are %d keys", n)
		}
		r.post(base+"/keys/revoke", "hash", auth.HashAPIKey(first), "confirm", "yes")
		r.shows(r.post(base+"/keys/create", "key", "short"), http.StatusBadRequest, "idempotency_key is not from 16 to 255 bytes")
	})
	t.Run("a name that is too long", func(t *testing.T) {
		r := r.in(t)
		r.shows(r.post(base+"/keys/create", "name", strings.Repeat("x", 256)), http.StatusBadRequest, "API key name is 256 bytes, at most 255 are allowed")
		if n := len(r.project(projectID).APIKeyHashes); n != 2 {
			t.Errorf("there are %d keys", n)
		}
	})
	t.Run("revocation requires confirmation", func(t *testing.T) {
		r := r.in(t)
		r.shows(r.post(base+"/keys/revoke", "hash", hash), http.StatusBadRequest, "Nothing was changed")
		if _, err := auth.ProjectByAPIKey(t.Context(), r.store, key); err != nil {
			t.Error(err)
		}
		r.redirects(r.post(base+"/keys/revoke", "hash", hash, "confirm", "yes"), base+"/keys?done=key-revoked")
		if _, err := auth.ProjectByAPIKey(t.Context(), r.store, key); err == nil {
			t.Error("the revoked key still works")
		}
		if _, err := auth.ProjectByAPIKey(t.Context(), r.store, "a key"); err != nil {
			t.Errorf("the other key: %v", err)
		}
		if labels := r.project(projectID).APIKeyLabels; len(labels) != 0 {
			t.Errorf("the label of the revoked key is left: %v", labels)
		}
	})
	t.Run("an unknown key counts as revoked", func(t *testing.T) {
		r := r.in(t)
		r.redirects(r.post(base+"/keys/revoke", "hash", "none", "confirm", "yes"), base+"/keys?done=key-revoked")
		if n := len(r.project(projectID).APIKeyHashes); n != 1 {
			t.Errorf("there are %d keys", n)
		}
	})
	t.Run("at most twenty keys", func(t *testing.T) {
		r := r.in(t)
		for range 19 {
			r.is(r.post(base+"/keys/create"), http.StatusOK)
		}
		r.shows(r.post(base+"/keys/create"), http.StatusBadRequest, "a project has at most 20 API keys")
		if n := len(r.project(projectID).APIKeyHashes); n != 20 {
			t.Errorf("there are %d keys", n)
		}
	})
	t.Run("a project without keys", func(t *testing.T) {
		r := r.in(t)
		for _, hash := range r.project(projectID).APIKeyHashes {
			r.post(base+"/keys/revoke", "hash", hash, "confirm", "yes")
		}
		r.shows(r.get(base+"/keys"), http.StatusOK, "There is no API key. The server API accepts signed requests only.")
	})
}
