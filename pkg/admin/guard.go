package admin

import (
	"net/http"
	"net/url"
	"path"
	"strings"

	"centrifuge/pkg/hub"
)

const (
	// maxBodyBytes limits every body. It has room for the largest message in a form,
	// where a byte may take three.
	maxBodyBytes = 512 << 10
	// maxManifestBytes limits the body of a change to a project or a category.
	maxManifestBytes = 128 << 10
	// maxPasswordBodyBytes limits the body of a sign-in.
	maxPasswordBodyBytes = 4 << 10
)

// guard protects every route. It sets the security headers and refuses requests from
// pages of other sites. The cookie is SameSite=Strict, so a forged request must get past
// two checks.
func (s *site) guard(next http.Handler) http.Handler {
	sameOrigin := http.NewCrossOriginProtection()
	sameOrigin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.refuse(w, r, hub.ErrPermissionDenied.With("the request comes from a page of another site"))
	}))
	next = sameOrigin.Handler(next)
	policy := contentSecurityPolicy(s.WebSocketURL)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
		// The mux would redirect to the clean path, which could turn the path of a category
		// into that of its project.
		if path.Clean(r.URL.Path) != strings.TrimSuffix(r.URL.Path, "/") {
			s.refuse(w, r, hub.ErrBadRequest.With("the path has an empty element, or one of dots"))
			return
		}
		if err := hub.CheckURL(r.URL); err != nil {
			s.refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// contentSecurityPolicy allows only what the pages use: the assets, and the WebSocket
// of the live feed.
func contentSecurityPolicy(webSocketURL string) string {
	connect := "'self'"
	if u, err := url.Parse(webSocketURL); err == nil && u.Host != "" {
		connect += " " + u.Scheme + "://" + u.Host
	}
	return strings.Join([]string{
		"default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src " + connect,
		"form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
	}, "; ")
}

// refuse responds with an error, as a page or in JSON.
func (s *site) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if readsJSON(r) {
		s.failJSON(w, r, err)
		return
	}
	s.fail(w, r, err)
}

// readsJSON reports whether a request comes from a tool or from a script of a page.
func readsJSON(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, "/admin/api/") || qualities(r.Header.Values("Accept"))["application/json"] > 0 || isJSON(r)
}
