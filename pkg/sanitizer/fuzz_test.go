package sanitizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"centrifuge/pkg/hub"
)

var seeds = []string{
	`"plain"`, `{"a":["<b>x</b>",1.50,null,{"<k>":"&amp;"}]}`, `"<a href=https://example.com/%zz onclick=x>y</a>"`,
	`"<script>alert(1)</script>"`, `"<scr<script>ipt>alert(1)</script>"`, `"<img src=x onerror=alert(1)>"`,
	`"<a href='java&#115;cript:alert(1)'>x"`, `"<svg><p><style><a id='</style><img src=1 onerror=alert(1)>'>"`,
	`"<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>"`,
	`"<noscript><p title='</noscript><img src=x onerror=alert(1)>'>"`, `"<xmp><p title='</xmp><script>x'>"`,
	`"<table><a href=https://example.com>x<tr><td colspan=3><form>"`, `"\u003cb\u003e\ud800\u0000\r\n&#13;&#0;<"`,
	`"<a><a href='https://example.com/?a=b&c=%22#d e'></a></a><title>x"`, `"<textarea></p><plaintext><b>&lt;x"`,
	`"<img alt='&lt;script&gt;\"' src=' HTTP://EXAMPLE.COM:80/a b'><!-- <b> -->"`, `"<p/ onclick=x><br/onclick=x></br></p>"`,
}

// FuzzClean checks that the result has the same structure, is harmless, and does not
// change when it is cleaned again.
func FuzzClean(f *testing.F) {
	for _, seed := range seeds {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, data []byte, links bool) {
		var domains []string
		if links {
			domains = []string{"example.com"}
		}
		if !json.Valid(data) {
			if _, err := Clean(data, domains); err == nil {
				t.Fatalf("%q: no error", data)
			}
			// Most inputs are not JSON. They are cleaned as a string.
			data = quote(t, string(data))
		}
		once, err := Clean(data, domains)
		if slices.ContainsFunc(tokens(t, data), func(t token) bool {
			return t.isKey && strings.Contains(t.value.(string), "<")
		}) {
			if !errors.Is(err, hub.ErrBadRequest) {
				t.Fatalf("%q has a key with a <: error %v", data, err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(once) {
			t.Fatalf("result %q is not JSON", once)
		}
		twice, err := Clean(once, domains)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(once, twice) {
			t.Fatalf("cleaned once\n%q\ncleaned twice\n%q", once, twice)
		}
		before, after := tokens(t, data), tokens(t, once)
		if len(before) != len(after) {
			t.Fatalf("result %q has another structure than %q", once, data)
		}
		for i, b := range before {
			original, isText := b.value.(string)
			cleaned, isCleanedText := after[i].value.(string)
			switch {
			case isText != isCleanedText, b.isKey != after[i].isKey,
				(!isText || b.isKey) && b.value != after[i].value:
				t.Fatalf("%v became %v", b, after[i])
			case isText && !b.isKey:
				if !strings.ContainsAny(original, "<&") && original != cleaned {
					t.Fatalf("text %q without markup became %q", original, cleaned)
				}
				expectHarmless(t, cleaned, domains)
			}
		}
	})
}

// token is a token of JSON: a delimiter, a number as written, a string and so on.
type token struct {
	value json.Token
	isKey bool
}

func tokens(t *testing.T, data []byte) []token {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var all []token
	var objects []bool // for each open delimiter, whether it opens an object
	key := false       // whether the next token of an object is a key
	for {
		v, err := d.Token()
		if err != nil {
			return all
		}
		object := len(objects) > 0 && objects[len(objects)-1]
		delimiter, isDelimiter := v.(json.Delim)
		closes := isDelimiter && (delimiter == '}' || delimiter == ']')
		all = append(all, token{v, object && key && !closes})
		switch {
		case closes:
			objects = objects[:len(objects)-1]
			key = true
		case object && key:
			key = false
		case isDelimiter:
			objects = append(objects, delimiter == '{')
			key = true
		default:
			key = true
		}
	}
}

// expectHarmless parses a fragment like a browser and checks all its nodes.
func expectHarmless(t *testing.T, fragment string, domains []string) {
	t.Helper()
	if strings.Contains(strings.ToLower(fragment), "<script") {
		t.Fatalf("%q contains a script", fragment)
	}
	for _, context := range []atom.Atom{atom.Div, atom.Td, atom.Body} {
		nodes, err := html.ParseFragment(strings.NewReader(fragment), &html.Node{Type: html.ElementNode, Data: context.String(), DataAtom: context})
		if err != nil {
			t.Fatal(err)
		}
		for _, root := range nodes {
			expectHarmlessNode(t, fragment, root, domains)
			for n := range root.Descendants() {
				expectHarmlessNode(t, fragment, n, domains)
			}
		}
	}
}

func expectHarmlessNode(t *testing.T, fragment string, n *html.Node, domains []string) {
	t.Helper()
	if n.Type == html.TextNode {
		return
	}
	known := slices.Contains(elements, n.Data) || len(domains) > 0 && (n.Data == "a" || n.Data == "img") ||
		n.Data == "colgroup"
	if n.Type != html.ElementNode || !known || n.Namespace != "" {
		t.Fatalf("%q contains a node of type %d, %q", fragment, n.Type, n.Data)
	}
	rel := ""
	for _, a := range n.Attr {
		switch a.Key {
		case "href", "src":
			u, err := url.Parse(a.Val)
			if err != nil || u.Scheme != "https" && u.Scheme != "http" || !strings.HasSuffix("."+strings.ToLower(u.Hostname()), ".example.com") {
				t.Fatalf("%q contains the address %q", fragment, a.Val)
			}
		case "rel":
			rel = a.Val
		case "alt", "title", "width", "height", "colspan", "rowspan", "start":
		default:
			t.Fatalf("%q contains the attribute %s", fragment, a.Key)
		}
	}
	if n.Data == "a" && rel != "nofollow noopener" {
		t.Fatalf("%q contains a link with rel %q", fragment, rel)
	}
}
