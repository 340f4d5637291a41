package admin

import (
	"net/http"
	"net/url"
	"path"
	"strings"

	"centrifuge/pkg/hub"
)

const (
	// maxBodyBytes limits every body: room for the largest message there is, in a
	// form, where a byte may take three.
	maxBodyBytes = 512 << 10
	// maxStructureBytes limits what is sent about a project or a category.
	maxStructureBytes = 128 << 10
	// maxPasswordBodyBytes limits what is sent to sign in.
	maxPasswordBodyBytes = 4 << 10
)

// guard is around everything: the headers that keep pages from running, loading and
// telling what they should not, and the refusal of what other sites' pages send.
// With the cookie being SameSite=Strict, both must fail before a forged request gets
// anywhere.
func (s *site) guard(next http.Handler) http.Handler {
	sameOrigin := http.NewCrossOriginProtection()
	sameOrigin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.refuse(w, r, hub.ErrPermissionDenied.With("another site's page may not ask for this"))
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
		// The mux would redirect to the plain form, which of a category's address may be
		// that of its project.
		if path.Clean(r.URL.Path) != strings.TrimSuffix(r.URL.Path, "/") {
			s.refuse(w, r, hub.ErrBadRequest.With("the address has an empty part, or one of dots"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// contentSecurityPolicy allows what the pages use and nothing else: the files served
// beside them, and the WebSocket of the live feed.
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

// refuse answers with an error in the form that the caller reads.
func (s *site) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if readsJSON(r) {
		s.failJSON(w, r, err)
		return
	}
	s.fail(w, r, err)
}

// readsJSON tells whether a request comes from a tool, or from a script of a page.
func readsJSON(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, "/admin/api/") || strings.Contains(r.Header.Get("Accept"), "application/json") || isJSON(r)
}
