package chat

import (
	"bytes"
	"embed"
	"io/fs"
	"net/http"
	"time"

	"centrifuge/pkg/webclient"
)

//go:embed page
var embedded embed.FS

// page serves the files of the page. They hold no secret and are the same for all.
func page() http.Handler {
	files, err := fs.Sub(embedded, "page")
	if err != nil {
		panic(err) // "page" is a constant, and valid
	}
	return http.StripPrefix("/demo", http.FileServerFS(files))
}

// client serves the JavaScript client that the page imports.
func client(w http.ResponseWriter, r *http.Request) {
	http.ServeContent(w, r, "centrifuge.js", time.Time{}, bytes.NewReader(webclient.Script))
}

// only refuses requests by other methods; GET includes HEAD.
func only(method string, next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != method && (method != http.MethodGet || r.Method != http.MethodHead) {
			w.Header().Set("Allow", method)
			fail(w, http.StatusMethodNotAllowed, "this address takes "+method+" only")
			return
		}
		next(w, r)
	})
}

// secure adds the headers of a page that loads nothing from anywhere else and
// runs no inline script, and keeps other sites' pages from using the backend.
func secure(next http.Handler) http.Handler {
	sameOrigin := http.NewCrossOriginProtection()
	sameOrigin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fail(w, http.StatusForbidden, "another site may not ask this")
	}))
	next = sameOrigin.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; "+
			"connect-src 'self' ws: wss:; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		next.ServeHTTP(w, r)
	})
}
