// Package start is the first page of the local stack: it links the example, the admin
// pages, the addresses and the documents. It uses the style of the admin pages.
//
// It is not part of the service: it exists on this machine only. It does not know what
// it links to.
package start

import (
	"bytes"
	"crypto/subtle"
	_ "embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
)

// Options are what the page links and shows.
type Options struct {
	// HTTPURL and WebSocketURL are the addresses of the APIs.
	HTTPURL, WebSocketURL string
	// Password is the password of the admin pages, and Key the value of ?key= with which
	// the page signs in with one click. The page never does without a Key.
	Password, Key string
	// Documents is the folder of the documents. Nil links none.
	Documents fs.FS
}

// page is the data of the templates.
type page struct {
	Options
	// SignIn is the password, "" on a page that does not sign in.
	SignIn string
	// Title and Text are a document.
	Title string
	Text  template.HTML
}

var (
	//go:embed page.html
	source string
	//go:embed document.css
	style []byte
)

// policy allows the assets of the admin pages, and the forms and pictures of this stack.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// New returns the handler of GET / and GET /documents/.
func New(o Options) http.Handler {
	templates := template.Must(template.New("").Parse(source))
	render := func(w http.ResponseWriter, name string, p page) {
		var b bytes.Buffer
		if err := templates.ExecuteTemplate(&b, name, p); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(b.Bytes()) // fails only when the client is gone
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		p := page{Options: o}
		if o.Key != "" && subtle.ConstantTimeCompare([]byte(r.URL.Query().Get("key")), []byte(o.Key)) == 1 {
			p.SignIn = o.Password
		}
		render(w, "start", p)
	})
	mux.HandleFunc("GET /documents/document.css", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		_, _ = w.Write(style)
	})
	mux.HandleFunc("GET /documents/{path...}", func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("path")
		content, err := o.document(name)
		switch {
		case err != nil:
			http.Error(w, "no such document", http.StatusNotFound)
		case path.Ext(name) == ".png":
			w.Header().Set("Content-Type", "image/png")
			_, _ = w.Write(content)
		default:
			text, err := markdown(content)
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			render(w, "document", page{Options: o, Title: name, Text: text})
		}
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		mux.ServeHTTP(w, r)
	})
}

// pictures is the folder of the pictures of documents.
const pictures = ".readme"

// document reads a document or a picture of one. It reads nothing else, whatever the
// folder contains.
func (o Options) document(name string) ([]byte, error) {
	if o.Documents == nil || !fs.ValidPath(name) {
		return nil, fs.ErrNotExist
	}
	for element := range strings.SplitSeq(path.Dir(name), "/") {
		if element == "node_modules" || strings.HasPrefix(element, ".") && element != "." && element != pictures {
			return nil, fs.ErrNotExist
		}
	}
	if path.Ext(name) != ".md" && (path.Ext(name) != ".png" || path.Dir(name) != pictures) {
		return nil, fs.ErrNotExist
	}
	return fs.ReadFile(o.Documents, name)
}

// markdown returns a document as HTML. HTML in a document is left out.
func markdown(source []byte) (template.HTML, error) {
	var b bytes.Buffer
	md := goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithParserOptions(parser.WithAutoHeadingID()))
	if err := md.Convert(source, &b); err != nil {
		return "", fmt.Errorf("read document: %w", err)
	}
	return template.HTML(b.String()), nil //nolint:gosec // goldmark escapes, and the document is from the repository
}
