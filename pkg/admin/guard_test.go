package admin_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSecurityHeaders(t *testing.T) {
	r := newRig(t).signIn()
	want := map[string]string{
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
			"connect-src 'self' wss://socket.example:8443; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
		"X-Content-Type-Options":     "nosniff",
		"Referrer-Policy":            "no-referrer",
		"Cross-Origin-Opener-Policy": "same-origin",
		"Cache-Control":              "no-store",
	}
	for name, got := range map[string]answer{
		"a page":            r.get("/admin/"),
		"the sign-in page":  r.get("/admin/sign-in?x"),
		"an unknown page":   r.get("/admin/nothing"),
		"a redirect":        r.get("/admin/sign-in"),
		"JSON":              r.call(http.MethodGet, "/projects", ""),
		"a JSON error":      r.call(http.MethodGet, "/projects/none", ""),
		"a secret":          r.post("/admin/projects/" + projectID + "/keys/show"),
		"an unknown method": r.call(http.MethodPatch, "/projects", ""),
	} {
		t.Run(name, func(t *testing.T) {
			have := make(map[string]string)
			for name := range want {
				have[name] = got.header.Get(name)
			}
			if diff := cmp.Diff(want, have); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestCrossOriginRequests(t *testing.T) {
	r := newRig(t).signIn()
	for name, header := range map[string][2]string{
		"a page of another site":             {"Sec-Fetch-Site", "cross-site"},
		"a page of another host of the site": {"Sec-Fetch-Site", "same-site"},
		"an old browser on another origin":   {"Origin", "https://evil.example"},
		"a page without a known origin":      {"Origin", "null"},
	} {
		t.Run(name, func(t *testing.T) {
			r := r.in(t)
			for path, kind := range map[string]string{
				"/admin/projects/" + projectID + "/keys/create": "application/x-www-form-urlencoded",
				"/admin/sign-in":             "application/x-www-form-urlencoded",
				"/admin/api/projects/new-id": "application/json",
			} {
				request := r.request(http.MethodPost, path, kind, "")
				request.Header.Set(header[0], header[1])
				got := r.do(request)
				if kind == "application/json" {
					r.says(got, http.StatusForbidden, `{"error":{"code":103,"message":"permission denied: the request comes from a page of another site"}}`)
				} else {
					r.shows(got, http.StatusForbidden, "Permission denied: the request comes from a page of another site.")
				}
			}
			if n := len(r.project(projectID).APIKeyHashes); n != 1 {
				t.Errorf("there are %d API keys", n)
			}
		})
	}
}

func TestBodyLimits(t *testing.T) {
	r := newRig(t)
	long := strings.Repeat("x", 600<<10)
	r.shows(r.post("/admin/sign-in", "password", long), http.StatusRequestEntityTooLarge, "Limit exceeded: the body is too large.")
	const refusal = `{"error":{"code":106,"message":"limit exceeded: the body is too large"}}`
	r.says(r.call(http.MethodPost, "/sign-in", `{"password":"`+long+`"}`), http.StatusRequestEntityTooLarge, refusal)
	r.signIn()
	base := "/admin/projects/" + projectID
	for _, path := range []string{
		"/admin/new", base + "/settings", base + "/settings/delete", base + "/keys/regenerate", base + "/keys/revoke",
		base + "/categories/new", base + "/categories/edit?category=chat", base + "/categories/delete",
	} {
		r.shows(r.post(path, "name", long), http.StatusRequestEntityTooLarge, "the body is too large")
	}
	r.says(r.call(http.MethodPut, "/projects/p", `{"name":"`+long+`"}`), http.StatusRequestEntityTooLarge, refusal)
	r.says(r.call(http.MethodPut, "/projects/p/categories/c", `{"name":"`+long+`"}`), http.StatusRequestEntityTooLarge, refusal)
	got := r.do(r.request(http.MethodPost, "/admin/new", "application/x-www-form-urlencoded", "name=%zz"))
	r.shows(got, http.StatusBadRequest, "Bad request: the body cannot be read.")
}

func TestAssets(t *testing.T) {
	r := newRig(t)
	page := r.get("/admin/sign-in").body
	address := regexp.MustCompile(`/admin/assets/admin\.css\?v=[0-9a-f]{16}`).FindString(page)
	if address == "" {
		t.Fatalf("no style sheet in %s", page)
	}

	plain := r.request(http.MethodGet, address, "", "")
	plain.Header.Set("Accept-Encoding", "identity")
	css := r.is(r.do(plain), http.StatusOK)
	t.Run("a URL with a hash is cached forever", func(t *testing.T) {
		if got := css.header.Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
			t.Errorf("Cache-Control is %s", got)
		}
		if got := css.header.Get("Content-Type"); got != "text/css; charset=utf-8" {
			t.Errorf("Content-Type is %s", got)
		}
	})
	t.Run("gzip is used where the client accepts it", func(t *testing.T) {
		r := r.in(t)
		request := r.request(http.MethodGet, address, "", "")
		request.Header.Set("Accept-Encoding", "br, gzip")
		got := r.is(r.do(request), http.StatusOK)
		z, err := gzip.NewReader(strings.NewReader(got.body))
		if err != nil || got.header.Get("Content-Encoding") != "gzip" || got.header.Get("Vary") != "Accept-Encoding" {
			t.Fatalf("%v %v", got.header, err)
		}
		if b, err := io.ReadAll(z); err != nil || string(b) != css.body {
			t.Errorf("the compressed file differs: %v", err)
		}
	})
	t.Run("a URL without the current hash is revalidated", func(t *testing.T) {
		r := r.in(t)
		for _, path := range []string{"/admin/assets/admin.css", "/admin/assets/admin.css?v=0123456789abcdef"} {
			got := r.is(r.get(path), http.StatusOK)
			if cache := got.header.Get("Cache-Control"); cache != "no-cache" {
				t.Errorf("Cache-Control is %s", cache)
			}
			again := r.request(http.MethodGet, path, "", "")
			again.Header.Set("If-None-Match", got.header.Get("ETag"))
			if got := r.is(r.do(again), http.StatusNotModified); got.body != "" {
				t.Error("a response with status 304 has a body")
			}
		}
	})
	t.Run("an unknown file", func(t *testing.T) {
		r := r.in(t)
		r.is(r.get("/admin/assets/none.js"), http.StatusNotFound)
		r.is(r.get("/admin/assets/..%2Fpages%2Flayout.html"), http.StatusBadRequest)
	})
	t.Run("scripts import each other with the URLs that pages use", func(t *testing.T) {
		r := r.in(t)
		imported := regexp.MustCompile(`(?m)^import .*from ['"](.*)['"]`)
		checked := 0
		for _, name := range scripts(t) {
			for _, m := range imported.FindAllStringSubmatch(r.is(r.get("/admin/assets/"+name), http.StatusOK).body, -1) {
				checked++
				if !strings.HasPrefix(m[1], "/admin/assets/") {
					t.Errorf("%s imports %s", name, m[1])
				}
				got := r.is(r.get(m[1]), http.StatusOK)
				if cache := got.header.Get("Cache-Control"); !strings.Contains(cache, "immutable") {
					t.Errorf("%s is cached as %s", m[1], cache)
				}
			}
		}
		if checked == 0 {
			t.Error("no script imports another")
		}
	})
}

// maxWeight limits the size of all assets and the largest page together, compressed.
const maxWeight = 60_000

func TestInterfaceSize(t *testing.T) {
	r := newFilledRig(t)
	compressed := func(text string) int {
		var b bytes.Buffer
		z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
		z.Write([]byte(text))
		z.Close()
		return b.Len()
	}
	total := 0
	for _, name := range append(scripts(t), "icon.svg", "admin.css", "live.css") {
		n := compressed(r.is(r.get("/admin/assets/"+name), http.StatusOK).body)
		t.Logf("%6d bytes %s", n, name)
		total += n
	}
	largest := 0
	for _, path := range pagePaths {
		n := compressed(r.is(r.get(path), http.StatusOK).body)
		t.Logf("%6d bytes %s", n, path)
		largest = max(largest, n)
	}
	t.Logf("%6d bytes in total", total+largest)
	if total+largest > maxWeight {
		t.Errorf("the interface is %d bytes, more than %d", total+largest, maxWeight)
	}
}
