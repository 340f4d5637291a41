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
)

//go:embed assets
var assetFiles embed.FS

// asset is a static file.
type asset struct {
	contentType, hash string
	plain             []byte
	gzipped           func() []byte // compressed at the first request: most cold starts serve a page
}

type assets map[string]asset

// mediaTypes are fixed here because those of package mime depend on the machine.
var mediaTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// sdkAsset is the name of the SDK. Pages load it as a script before their modules, which
// find it as Centrifuge.
const sdkAsset = "centrifuge.js"

// loadAssets reads the embedded files, and adds the SDK.
func loadAssets(sdk []byte) assets {
	sources := make(map[string][]byte)
	entries, err := assetFiles.ReadDir("assets")
	if err != nil {
		panic(err) // embedded files always exist
	}
	for _, e := range entries {
		if sources[e.Name()], err = assetFiles.ReadFile("assets/" + e.Name()); err != nil {
			panic(err)
		}
	}
	all := assets{sdkAsset: newAsset(sdkAsset, sdk)}
	for name := range sources {
		all.load(name, sources)
	}
	return all
}

// imports matches the import statements of a script.
var imports = regexp.MustCompile(`(\bfrom\s*|\bimport\s*)['"]\./([a-z_-]+\.js)['"]`)

// load adds an asset, after the scripts that it imports. It rewrites an import to the
// URL that pages use, because a browser runs a script twice that has two URLs. A cycle
// of imports does not end, which every test would show.
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
				panic(name + " imports " + imported + ", which does not exist")
			}
			all.load(imported, sources)
			return fmt.Appendf(nil, "%s'%s'", m[1], all[imported].url(imported))
		})
	}
	all[name] = newAsset(name, b)
}

// url is the URL of an asset of this name. It changes with the content.
func (a asset) url(name string) string { return "/admin/assets/" + name + "?v=" + a.hash }

func newAsset(name string, b []byte) asset {
	sum := sha256.Sum256(b)
	a := asset{plain: b, hash: hex.EncodeToString(sum[:8]), contentType: mediaTypes[path.Ext(name)]}
	if a.contentType == "" {
		a.contentType = mime.TypeByExtension(path.Ext(name))
	}
	a.gzipped = sync.OnceValue(func() []byte { return compress(b) })
	return a
}

// compress returns b in gzip. API Gateway's HTTP APIs do not compress.
func compress(b []byte) []byte {
	var z bytes.Buffer
	g, _ := gzip.NewWriterLevel(&z, gzip.BestCompression) // fails only for an invalid level
	_, err := g.Write(b)
	if err := errors.Join(err, g.Close()); err != nil {
		panic(err) // writing to a bytes.Buffer never fails
	}
	return z.Bytes()
}

// url is the template function "asset". An unknown name fails the page.
func (all assets) url(name string) (string, error) {
	a, ok := all[name]
	if !ok {
		return "", fmt.Errorf("no asset %q", name)
	}
	return a.url(name), nil
}

// asset handles GET /admin/assets/{file}. A request with the file's hash is cached
// forever. Without it, the browser revalidates every time.
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
	if acceptsGzip(r) {
		h.Set("Content-Encoding", "gzip")
		w.Write(a.gzipped())
		return
	}
	w.Write(a.plain)
}
