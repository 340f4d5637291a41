package admin

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"path"
	"regexp"
	"strings"
	"sync"

	"centrifuge/pkg/webclient"
)

//go:embed assets
var assetFiles embed.FS

// asset is a file that pages load.
type asset struct {
	contentType, hash string
	plain             []byte
	gzipped           func() []byte // made when it is first asked for: most cold starts are a page's
}

type assets map[string]asset

// mediaTypes are set here because those of package mime depend on the machine.
var mediaTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// loadAssets reads what is embedded, and the client of the classic protocol, which
// scripts import as "./centrifuge.js".
func loadAssets() assets {
	sources := map[string][]byte{"centrifuge.js": webclient.Script}
	entries, err := assetFiles.ReadDir("assets")
	if err != nil {
		panic(err) // embedded, so it is there
	}
	for _, e := range entries {
		if sources[e.Name()], err = assetFiles.ReadFile("assets/" + e.Name()); err != nil {
			panic(err)
		}
	}
	all := make(assets)
	for name := range sources {
		all.load(name, sources)
	}
	return all
}

// imports are where a script names another.
var imports = regexp.MustCompile(`(\bfrom\s*|\bimport\s*)['"]\./([a-z_-]+\.js)['"]`)

// load adds an asset, after the scripts that it imports: those it shall ask for
// under the address that pages use, or a browser would run them twice. Scripts that
// import each other in a circle are found by the first test.
func (all assets) load(name string, sources map[string][]byte) {
	if _, ok := all[name]; ok {
		return
	}
	b := sources[name]
	if path.Ext(name) == ".js" {
		b = imports.ReplaceAllFunc(b, func(statement []byte) []byte {
			m := imports.FindSubmatch(statement)
			imported := string(m[2])
			if _, ok := sources[imported]; !ok {
				panic(name + " imports " + imported + ", which is not there")
			}
			all.load(imported, sources)
			return fmt.Appendf(nil, "%s'%s'", m[1], all[imported].address(imported))
		})
	}
	all[name] = newAsset(name, b)
}

// address is where an asset of this name is found, for good: other content has
// another address.
func (a asset) address(name string) string { return "/admin/assets/" + name + "?v=" + a.hash }

func newAsset(name string, b []byte) asset {
	sum := sha256.Sum256(b)
	a := asset{plain: b, hash: hex.EncodeToString(sum[:8]), contentType: mediaTypes[path.Ext(name)]}
	if a.contentType == "" {
		a.contentType = mime.TypeByExtension(path.Ext(name))
	}
	a.gzipped = sync.OnceValue(func() []byte { return compress(b) })
	return a
}

// compress is gzip, which API Gateway's HTTP APIs do not do.
func compress(b []byte) []byte {
	var z bytes.Buffer
	g, _ := gzip.NewWriterLevel(&z, gzip.BestCompression) // a constant, and valid
	_, err := g.Write(b)
	if err := errors.Join(err, g.Close()); err != nil {
		panic(err) // bytes.Buffer takes anything
	}
	return z.Bytes()
}

// url is the address of an asset with its content's hash. Templates call it; a name
// that does not exist fails the page.
func (all assets) url(name string) (string, error) {
	a, ok := all[name]
	if !ok {
		return "", fmt.Errorf("no asset %q", name)
	}
	return a.address(name), nil
}

// asset answers GET /admin/assets/{file}. Under its hash a file never changes;
// without it, the browser asks each time whether it did.
func (s *site) asset(w http.ResponseWriter, r *http.Request) {
	a, ok := s.assets[r.PathValue("file")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", a.contentType)
	h.Set("Vary", "Accept-Encoding")
	h.Set("ETag", `"`+a.hash+`"`)
	h.Set("Cache-Control", "no-cache")
	if r.URL.Query().Get("v") == a.hash {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if strings.Contains(r.Header.Get("If-None-Match"), `"`+a.hash+`"`) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		w.Write(a.gzipped())
		return
	}
	w.Write(a.plain)
}
