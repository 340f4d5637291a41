package chat_test

import (
	"net/http"
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
		"/demo/chat.js":       "text/javascript; charset=utf-8",
		"/demo/centrifuge.js": "text/javascript; charset=utf-8",
		"/demo/icon.svg":      "image/svg+xml",
	} {
		t.Run(path+" is served", func(t *testing.T) {
			res := ask(t, h, "GET", path, "")
			if res.StatusCode != 200 || res.Header.Get("Content-Type") != kind || text(t, res) == "" {
				t.Errorf("status %d, Content-Type %q", res.StatusCode, res.Header.Get("Content-Type"))
			}
		})
	}
	t.Run("/demo leads to /demo/", func(t *testing.T) {
		res := ask(t, h, "GET", "/demo", "")
		if res.StatusCode != 301 || res.Header.Get("Location") != "/demo/" {
			t.Errorf("status %d, Location %q", res.StatusCode, res.Header.Get("Location"))
		}
	})
	for _, path := range []string{"/demo/absent.js", "/demo/../chat.go", "/demo/page/", "/elsewhere"} {
		t.Run(path+" is not served", func(t *testing.T) {
			if res := ask(t, h, "GET", path, ""); res.StatusCode == 200 {
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
		{"POST", "/demo/", "GET"},
		{"POST", "/demo", "GET"},
		{"PUT", "/demo/chat.js", "GET"},
	} {
		t.Run(test.method+" is refused at "+test.path, func(t *testing.T) {
			res := ask(t, h, test.method, test.path, `{"name":"a","user":"a","text":"a"}`)
			if res.StatusCode != 405 || res.Header.Get("Allow") != test.allow {
				t.Errorf("status %d, Allow %q", res.StatusCode, res.Header.Get("Allow"))
			}
		})
	}
	t.Run("HEAD is GET without a body", func(t *testing.T) {
		if res := ask(t, h, "HEAD", "/demo/", ""); res.StatusCode != 200 {
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
		{"a file that is not there", "GET", "/demo/absent", ""},
		{"the redirect", "GET", "/demo", ""},
		{"a token", "POST", "/demo/token", `{"name":"a"}`},
		{"a refused request", "POST", "/demo/token", ``},
		{"a refused method", "GET", "/demo/token", ``},
	} {
		t.Run(test.name+" carries the security headers", func(t *testing.T) {
			res := ask(t, h, test.method, test.path, test.body)
			for name, value := range want {
				if got := res.Header.Get(name); got != value {
					t.Errorf("%s is %q, want %q", name, got, value)
				}
			}
		})
	}
}

func TestOtherSites(t *testing.T) {
	h := chat.New(options)
	for _, test := range []struct {
		name   string
		header []string
		status int
	}{
		{"a page of another site may not ask", []string{"Sec-Fetch-Site", "cross-site"}, http.StatusForbidden},
		{"nor may one in a browser that sends Origin only", []string{"Origin", "https://evil.example"}, http.StatusForbidden},
		{"our own page may", []string{"Sec-Fetch-Site", "same-origin"}, http.StatusOK},
		{"and so may what is no browser", nil, http.StatusOK},
	} {
		t.Run(test.name, func(t *testing.T) {
			res := ask(t, h, "POST", "/demo/token", `{"name":"a"}`, test.header...)
			if res.StatusCode != test.status || res.Header.Get("Content-Type") != "application/json" {
				t.Errorf("status %d, want %d: %s", res.StatusCode, test.status, text(t, res))
			}
		})
	}
}

// The policy would break a page with anything inline, but only in a browser.
func TestNothingInline(t *testing.T) {
	h := chat.New(options)
	html := text(t, ask(t, h, "GET", "/demo/", ""))
	for what, pattern := range map[string]string{
		"a script without src":     `<script(?:\s+(?:type|defer|async)(?:="[^"]*")?)*\s*>`,
		"a style element":          `<style`,
		"a style attribute":        `<[^>]*\sstyle\s*=`,
		"an event handler":         `<[^>]*\son[a-z]+\s*=`,
		"a javascript: address":    `(?i)["']\s*javascript:`,
		"something from elsewhere": `(?:src|href)="(?:https?:)?//`,
	} {
		if found := regexp.MustCompile(pattern).FindString(html); found != "" {
			t.Errorf("the page has %s: %s", what, found)
		}
	}
	for _, id := range []string{"name", "join", "message", "send", "log", "status", "announce-text", "announce"} {
		if strings.Count(html, `data-testid="`+id+`"`) != 1 {
			t.Errorf(`the page has not exactly one data-testid="%s"`, id)
		}
	}
	for _, file := range []string{"chat.js", "centrifuge.js"} {
		script := text(t, ask(t, h, "GET", "/demo/"+file, ""))
		if found := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(`).FindString(script); found != "" {
			t.Errorf("%s uses %s: what visitors type must stay text", file, found)
		}
	}
}
