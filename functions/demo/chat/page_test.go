package chat_test

import (
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"centrifuge/functions/demo/chat"
)

func TestPage(t *testing.T) {
	h := chat.New(options)
	for path, kind := range map[string]string{
		"/demo/":              "text/html; charset=utf-8",
		"/demo/chat.css":      "text/css; charset=utf-8",
		"/demo/party.css":     "text/css; charset=utf-8",
		"/demo/chat.js":       "text/javascript; charset=utf-8",
		"/demo/people.js":     "text/javascript; charset=utf-8",
		"/demo/live.js":       "text/javascript; charset=utf-8",
		"/demo/centrifuge.js": "text/javascript; charset=utf-8",
		"/demo/icon.svg":      "image/svg+xml",
		"/demo/kettle.svg":    "image/svg+xml",
	} {
		t.Run(path+" is served", func(t *testing.T) {
			res := request(t, h, "GET", path, "")
			if res.StatusCode != 200 || res.Header.Get("Content-Type") != kind || text(t, res) == "" {
				t.Errorf("status %d, Content-Type %q", res.StatusCode, res.Header.Get("Content-Type"))
			}
		})
	}
	t.Run("the SDK is sent again only when it has changed", func(t *testing.T) {
		tag := request(t, h, "GET", "/demo/centrifuge.js", "").Header.Get("ETag")
		if res := request(t, h, "GET", "/demo/centrifuge.js", "", "If-None-Match", tag); tag == "" || res.StatusCode != 304 {
			t.Errorf("tag %q, status %d", tag, res.StatusCode)
		}
		other := options
		other.SDK = []byte("another")
		if res := request(t, chat.New(other), "GET", "/demo/centrifuge.js", "", "If-None-Match", tag); res.StatusCode != 200 {
			t.Errorf("status %d", res.StatusCode)
		}
	})
	t.Run("/demo redirects to /demo/", func(t *testing.T) {
		res := request(t, h, "GET", "/demo", "")
		if res.StatusCode != 301 || res.Header.Get("Location") != "/demo/" {
			t.Errorf("status %d, Location %q", res.StatusCode, res.Header.Get("Location"))
		}
	})
	for _, path := range []string{"/demo/absent.js", "/demo/../chat.go", "/demo/page/", "/elsewhere"} {
		t.Run(path+" is not served", func(t *testing.T) {
			if res := request(t, h, "GET", path, ""); res.StatusCode == 200 {
				t.Errorf("status 200: %.80s", text(t, res))
			}
		})
	}
}

func TestMethods(t *testing.T) {
	h := chat.New(options)
	for _, test := range []struct{ method, path, allow string }{
		{"GET", "/demo/token", "POST"},
		{"PUT", "/demo/token", "POST"},
		{"HEAD", "/demo/validate", "POST"},
		{"DELETE", "/demo/announce", "POST"},
		{"GET", "/demo/applaud", "POST"},
		{"GET", "/demo/vote", "POST"},
		{"GET", "/demo/wave", "POST"},
		{"POST", "/demo/live", "GET"},
		{"POST", "/demo/centrifuge.js", "GET"},
		{"POST", "/demo/", "GET"},
		{"POST", "/demo", "GET"},
		{"PUT", "/demo/chat.js", "GET"},
	} {
		t.Run(test.method+" is refused at "+test.path, func(t *testing.T) {
			res := request(t, h, test.method, test.path, `{"name":"a","user":"a","text":"a"}`)
			if res.StatusCode != 405 || res.Header.Get("Allow") != test.allow {
				t.Errorf("status %d, Allow %q", res.StatusCode, res.Header.Get("Allow"))
			}
		})
	}
	t.Run("HEAD is GET without a body", func(t *testing.T) {
		if res := request(t, h, "HEAD", "/demo/", ""); res.StatusCode != 200 {
			t.Errorf("status %d", res.StatusCode)
		}
	})
}

func TestHeaders(t *testing.T) {
	h := chat.New(options)
	want := map[string]string{
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss:; " +
			"img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
		"X-Content-Type-Options": "nosniff",
		"Referrer-Policy":        "no-referrer",
	}
	for _, test := range []struct{ name, method, path, body string }{
		{"the page", "GET", "/demo/", ""},
		{"a file", "GET", "/demo/chat.js", ""},
		{"a missing file", "GET", "/demo/absent", ""},
		{"the redirect", "GET", "/demo", ""},
		{"a token", "POST", "/demo/token", `{"name":"a"}`},
		{"a refused request", "POST", "/demo/token", ``},
		{"a refused method", "GET", "/demo/token", ``},
	} {
		t.Run(test.name+" carries the security headers", func(t *testing.T) {
			res := request(t, h, test.method, test.path, test.body)
			for name, value := range want {
				if got := res.Header.Get(name); got != value {
					t.Errorf("%s is %q, want %q", name, got, value)
				}
			}
		})
	}
}

func TestCrossOrigin(t *testing.T) {
	h := chat.New(options)
	for _, test := range []struct {
		name    string
		header  []string
		refused bool
	}{
		{"a page of another site is refused", []string{"Sec-Fetch-Site", "cross-site"}, true},
		{"a page of another site, in a browser that sends Origin only, is refused", []string{"Origin", "https://evil.example"}, true},
		{"the own page is allowed", []string{"Sec-Fetch-Site", "same-origin"}, false},
		{"a client that is not a browser is allowed", nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, path := range []string{"/demo/token", "/demo/announce", "/demo/applaud", "/demo/vote", "/demo/wave"} {
				res := request(t, h, "POST", path, `{"name":"a"}`, test.header...)
				if refused := res.StatusCode == http.StatusForbidden && text(t, res) == `{"error":"cross-origin request refused: call the backend from its own page"}`; refused != test.refused {
					t.Errorf("%s: status %d", path, res.StatusCode)
				}
				if got := res.Header.Get("Content-Type"); got != "application/json" {
					t.Errorf("%s: Content-Type %q", path, got)
				}
			}
		})
	}
}

// TestPageSources checks what the Content-Security-Policy forbids: a violation would
// break the page in browsers only.
func TestPageSources(t *testing.T) {
	h := chat.New(options)
	html := text(t, request(t, h, "GET", "/demo/", ""))
	for what, pattern := range map[string]string{
		"a script without src":     `<script(?:\s+(?:type|defer|async)(?:="[^"]*")?)*\s*>`,
		"a style element":          `<style`,
		"a style attribute":        `<[^>]*\sstyle\s*=`,
		"an event handler":         `<[^>]*\son[a-z]+\s*=`,
		"a javascript: address":    `(?i)["']\s*javascript:`,
		"a file of another origin": `(?:src|href)="(?:https?:)?//`,
	} {
		if found := regexp.MustCompile(pattern).FindString(html); found != "" {
			t.Errorf("the page has %s: %s", what, found)
		}
	}
	for _, id := range []string{"name", "join", "message", "send", "log", "status", "announce-text", "announce",
		"people", "people-count", "applaud", "applause", "poll", "toasts"} {
		if strings.Count(html, `data-testid="`+id+`"`) != 1 {
			t.Errorf(`want exactly one data-testid="%s" in the page`, id)
		}
	}
	files, err := filepath.Glob("page/*.js")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range append(files, "centrifuge.js") {
		file = filepath.Base(file)
		script := text(t, request(t, h, "GET", "/demo/"+file, ""))
		if found := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(`).FindString(script); found != "" {
			t.Errorf("%s uses %s: text of visitors must not become markup", file, found)
		}
	}
}

// TestLabels checks that screen readers have a text for every control and image.
func TestLabels(t *testing.T) {
	html := text(t, request(t, chat.New(options), "GET", "/demo/", ""))
	for _, input := range regexp.MustCompile(`<input[^>]*>`).FindAllString(html, -1) {
		id := regexp.MustCompile(`\sid="([^"]+)"`).FindStringSubmatch(input)
		if id == nil || strings.Count(html, `<label for="`+id[1]+`">`)+strings.Count(html, `<label class="visually-hidden" for="`+id[1]+`">`) != 1 {
			t.Errorf("want exactly one label for %s", input)
		}
	}
	for _, image := range regexp.MustCompile(`<img[^>]*>`).FindAllString(html, -1) {
		if !strings.Contains(image, ` alt="`) {
			t.Errorf("%s has no alt", image)
		}
	}
}
