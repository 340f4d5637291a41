package chat

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"time"
)

//go:embed page
var embedded embed.FS

// page serves the files of the page. They contain no secrets and are the same for
// every visitor.
func page() http.Handler {
	files, err := fs.Sub(embedded, "page")
	if err != nil {
		panic(err) // cannot happen: "page" is a valid path
	}
	return http.StripPrefix("/demo", http.FileServerFS(files))
}

// sdk serves the SDK, which browsers load again when it has changed.
func sdk(script []byte) http.HandlerFunc {
	tag := fmt.Sprintf(`"%x"`, sha256.Sum256(script))
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", tag)
		http.ServeContent(w, r, "centrifuge.js", time.Time{}, bytes.NewReader(script))
	}
}

// allow refuses requests with another method. GET includes HEAD.
func allow(method string, next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != method && (method != http.MethodGet || r.Method != http.MethodHead) {
			w.Header().Set("Allow", method)
			writeError(w, http.StatusMethodNotAllowed, "method not allowed: use "+method)
			return
		}
		next(w, r)
	})
}

// secure refuses requests of other sites' pages, and adds security headers: the page
// loads files of this origin only and runs no inline scripts.
func secure(next http.Handler) http.Handler {
	sameOrigin := http.NewCrossOriginProtection()
	sameOrigin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeError(w, http.StatusForbidden, "cross-origin request refused: call the backend from its own page")
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
