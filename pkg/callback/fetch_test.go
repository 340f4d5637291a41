package callback_test

import (
	"compress/gzip"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"centrifuge/pkg/callback"
)

func TestFetcher(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte(`{"agent":"` + r.Header.Get("User-Agent") + `"}`))
	})
	mux.HandleFunc("GET /full", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(strings.Repeat("x", 64<<10))) })
	mux.HandleFunc("GET /large", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(strings.Repeat("x", 64<<10+1))) })
	mux.HandleFunc("GET /moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/keys", http.StatusFound) })
	mux.HandleFunc("GET /forbidden", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	mux.HandleFunc("GET /cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		w.Write([]byte("x"))
	})
	mux.HandleFunc("GET /compressed", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		z.Write([]byte("{}"))
		z.Close()
	})
	plain, secure := httptest.NewServer(mux), httptest.NewTLSServer(mux)
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)

	for _, test := range []struct {
		name     string
		insecure bool
		address  string
		size     int // of the body
		err      string
	}{
		{"a body", true, plain.URL + "/keys", len(`{"agent":"centrifuge"}`), ""},
		{"a body of 64 KB", true, plain.URL + "/full", 64 << 10, ""},
		{"a larger body", true, plain.URL + "/large", 0, "the response is larger than 64 KB"},
		{"a body that is cut off", true, plain.URL + "/cut", 0, "the connection was closed or the response is not HTTP"},
		{"a compressed body", true, plain.URL + "/compressed", 0, "the response is compressed: send it without Content-Encoding"},
		{"a redirect", true, plain.URL + "/moved", 0, "status 302"},
		{"403", true, plain.URL + "/forbidden", 0, "status 403"},
		{"404", true, plain.URL + "/secret?key=1", 0, "status 404"},
		{"http", false, plain.URL + "/keys", 0, "the address is not https"},
		{"a private address", false, secure.URL + "/keys", 0, "the address is not public"},
		{"another scheme", true, "file:///etc/passwd", 0, "the address is not https"},
	} {
		t.Run(test.name, func(t *testing.T) {
			body, err := callback.Fetcher(test.insecure)(t.Context(), test.address)
			if test.err == "" && err != nil || test.err != "" && (err == nil || !strings.HasSuffix(err.Error(), test.err)) {
				t.Errorf("error %v, expected %q", err, test.err)
			}
			if len(body) != test.size {
				t.Errorf("%d bytes, expected %d", len(body), test.size)
			}
		})
	}

	t.Run("a context that has ended", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := callback.Fetcher(true)(ctx, plain.URL+"/keys"); err == nil {
			t.Error("no error")
		}
	})
}
