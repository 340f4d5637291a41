package start_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"centrifuge/localstack/start"
)

const (
	password = "correct-horse"
	key      = "the-key"
)

// get returns the response of the page for a path.
func get(t *testing.T, o start.Options, path string) (status int, header http.Header, body string) {
	t.Helper()
	w := httptest.NewRecorder()
	start.New(o).ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	b, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, w.Header(), string(b)
}

func TestStartPageSignIn(t *testing.T) {
	for _, tt := range []struct {
		name, key, path string
		signIn          bool
	}{
		{"with the key", key, "/?key=" + key, true},
		{"with another key", key, "/?key=other", false},
		{"without a key", key, "/", false},
		{"with an empty key", key, "/?key=", false},
		{"of a stack without a key", "", "/?key=", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, header, body := get(t, start.Options{Password: password, Key: tt.key, HTTPURL: "http://h", WebSocketURL: "ws://h/dev"}, tt.path)
			if status != http.StatusOK || strings.Contains(body, password) != tt.signIn {
				t.Errorf("status %d, body %s", status, body)
			}
			for _, part := range []string{`href="/demo/"`, "ws://h/dev", "http://h/api/publish"} {
				if !strings.Contains(body, part) {
					t.Errorf("the page has no %s", part)
				}
			}
			if tt.signIn != strings.Contains(body, `<form class="buttons" method="post" action="/admin/sign-in">`) {
				t.Error("the form is there and should not be, or the reverse")
			}
			if header.Get("Cache-Control") != "no-store" || header.Get("Referrer-Policy") != "no-referrer" || !strings.Contains(header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
				t.Errorf("headers %v", header)
			}
		})
	}
}

func TestDocuments(t *testing.T) {
	files := fstest.MapFS{
		"README.md":                {Data: []byte("# Title\n\n[auth](pkg/auth/README.md)\n\n<script>bad</script>\n")},
		"pkg/auth/README.md":       {Data: []byte("| a | b |\n|---|---|\n| 1 | 2 |\n")},
		".readme/picture.png":      {Data: []byte("png")},
		".data/admin-password":     {Data: []byte("secret")},
		".data/notes.md":           {Data: []byte("secret")},
		"x/node_modules/readme.md": {Data: []byte("secret")},
		"picture.png":              {Data: []byte("secret")},
		"main.go":                  {Data: []byte("secret")},
	}
	for _, tt := range []struct {
		path   string
		status int
		part   string
	}{
		{"README.md", 200, `<h1 id="title">Title</h1>`},
		{"README.md", 200, `<a href="pkg/auth/README.md">auth</a>`},
		{"pkg/auth/README.md", 200, "<td>2</td>"},
		{".readme/picture.png", 200, "png"},
		{".data/admin-password", 404, "no such document"},
		{".data/notes.md", 404, "no such document"},
		{"x/node_modules/readme.md", 404, "no such document"},
		{"picture.png", 404, "no such document"},
		{"main.go", 404, "no such document"},
		{"none.md", 404, "no such document"},
		{"%2e%2e/README.md", 404, "no such document"},
	} {
		t.Run(tt.path, func(t *testing.T) {
			status, _, body := get(t, start.Options{Documents: files}, "/documents/"+tt.path)
			if status != tt.status || !strings.Contains(body, tt.part) || strings.Contains(body, "<script>bad") {
				t.Errorf("status %d, body %s", status, body)
			}
		})
	}
	if status, _, _ := get(t, start.Options{}, "/documents/README.md"); status != http.StatusNotFound {
		t.Errorf("status %d without documents", status)
	}
}
