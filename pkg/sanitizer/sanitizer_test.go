package sanitizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/hub"
)

// quote is a string as JSON, with nothing escaped for HTML.
func quote(t testing.TB, s string) json.RawMessage {
	t.Helper()
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		t.Fatal(err)
	}
	return json.RawMessage(strings.TrimSuffix(b.String(), "\n"))
}

func unquote(t testing.TB, raw json.RawMessage) string {
	t.Helper()
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return s
}

func cleanText(t testing.TB, s string, domains ...string) string {
	t.Helper()
	cleaned, err := Clean(quote(t, s), domains)
	if err != nil {
		t.Fatal(err)
	}
	return unquote(t, cleaned)
}

func TestMarkup(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"formatting stays":                          {`<p>a <b>bold</b> <em>move</em><br>x<sup>2</sup></p>`, `<p>a <b>bold</b> <em>move</em><br>x<sup>2</sup></p>`},
		"code and quotes stay":                      {"<blockquote><pre><code>if a &lt; b {\n}</code></pre></blockquote>", "<blockquote><pre><code>if a &lt; b {\n}</code></pre></blockquote>"},
		"lists stay, with where they start":         {`<ol start="3"><li>x<ul><li>y</ul></ol>`, `<ol start="3"><li>x<ul><li>y</ul></ol>`},
		"a list starts at a number only":            {`<ol start="-1"><li>x</ol>`, `<ol><li>x</ol>`},
		"tables stay, with their spans":             {`<table><tr><td colspan="2" rowspan=99>x</td></tr></table>`, `<table><tr><td colspan="2" rowspan="99">x</td></tr></table>`},
		"a span that hangs a browser goes":          {`<table><tr><th colspan="100" rowspan="0">x</th></tr></table>`, `<table><tr><th>x</th></tr></table>`},
		"tags are written in lower case":            {`<B>x</B><BR/>`, `<b>x</b><br/>`},
		"style, class and id go":                    {`<p style="color:red" class="a" id="b" data-x="1" title="t">x</p>`, `<p>x</p>`},
		"event handlers go":                         {`<b onclick="alert(1)" OnMouseOver=alert(1)>x</b>`, `<b>x</b>`},
		"a link goes, its text stays":               {`see <a href="https://example.com/">there</a>`, `see there`},
		"an image goes":                             {`a<img src="https://example.com/x.png" alt="x">b`, `ab`},
		"a script goes with what is in it":          {`a<script>alert(1)</script>b`, `ab`},
		"a script that does not end takes the rest": {`a<script>alert(1) b`, `a`},
		"a style sheet goes with what is in it":     {`a<style>*{}</style>b`, `ab`},
		"a frame goes with what is in it":           {`a<iframe src="//x"><b>c</b></iframe>b`, `ab`},
		"unknown elements go, their text stays":     {`<form action="/x"><button>x</button></form><svg><a xlink:href="javascript:alert(1)">y</a></svg>`, `xy`},
		"comments and the like go":                  {`<!DOCTYPE html><!-- x --><?php y ?><![CDATA[z]]>a`, `a`},
		"a cite attribute leads nowhere":            {`<q cite="https://example.com">x</q><del cite="javascript:x">y</del>`, `<q>x</q><del>y</del>`},
		"a tag that is no tag is text":              {`I <3 you & 1 < 2`, `I &lt;3 you &amp; 1 &lt; 2`},
		"a tag that does not end goes":              {`a<b onclick="x`, `a`},
		"tags put together of pieces are text":      {`<scr<b>ipt>alert(1)</scr</b>ipt>`, `ipt>alert(1)ipt>`},
		"escaped markup stays text":                 {`&lt;script&gt;alert(1)&lt;/script&gt;`, `&lt;script>alert(1)&lt;/script>`},
		"text is escaped only where it must be":     {`<i>it's "5 > 4" &amp; so</i>`, `<i>it's "5 > 4" &amp; so</i>`},
		"entities become their characters":          {`caf&eacute;&nbsp;&#9731;`, "café\u00a0☃"},
		"an escaped entity stays escaped":           {`&amp;lt; &amp;#39; &amp;gt;`, `&amp;lt; &amp;#39; &amp;gt;`},
		"an address as text has its & escaped":      {`https://example.com/?a=1&b=2`, `https://example.com/?a=1&amp;b=2`},
		"an element that does not end stays open":   {`<b>x`, `<b>x`},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(c.want, cleanText(t, c.in)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestAddresses(t *testing.T) {
	const link = `<a href="%s" rel="nofollow noopener">x</a>`
	for name, c := range map[string]struct {
		address string
		want    string // the address, "" where it is refused
	}{
		"the domain":                          {"https://example.com", "https://example.com"},
		"below the domain":                    {"https://img.a.example.com/x.png", "https://img.a.example.com/x.png"},
		"plain http":                          {"http://example.com/", "http://example.com/"},
		"in upper case":                       {"HTTPS://EXAMPLE.com/A", "https://EXAMPLE.com/A"},
		"with a port, a query and a fragment": {"https://example.com:8443/a?b=c&amp;d=%20e#f", "https://example.com:8443/a?b=c&amp;d=%20e#f"},
		"another domain of the list":          {"https://cdn.example.org/x", "https://cdn.example.org/x"},
		"with space around it":                {" https://example.com/ ", "https://example.com/"},

		"another domain":                       {"https://example.net/", ""},
		"one that ends alike":                  {"https://badexample.com/", ""},
		"one that begins alike":                {"https://example.com.evil.net/", ""},
		"above the domain":                     {"https://com/", ""},
		"with a last dot":                      {"https://example.com./", ""},
		"without a scheme":                     {"//example.com/", ""},
		"relative":                             {"/x", ""},
		"relative, with a host as its path":    {"example.com/x", ""},
		"a fragment":                           {"#x", ""},
		"nothing":                              {"", ""},
		"javascript":                           {"javascript:alert(1)", ""},
		"javascript, hidden":                   {"jav&#x09;ascript:alert(1)", ""},
		"javascript, with a host":              {"javascript://example.com/%0aalert(1)", ""},
		"data":                                 {"data:text/html,x", ""},
		"mail":                                 {"mailto:x@example.com", ""},
		"ftp":                                  {"ftp://example.com/", ""},
		"without slashes":                      {"https:example.com", ""},
		"with one slash":                       {"https:/example.com", ""},
		"with three slashes":                   {"https:///example.com", ""},
		"with backslashes":                     {`https:\\example.com`, ""},
		"a backslash before the domain":        {`https://evil.net\@example.com/`, ""},
		"a backslash after the domain":         {`https://example.com\.evil.net/`, ""},
		"a user":                               {"https://paypal.com@example.com/", ""},
		"a user and a password":                {"https://a:b@example.com/", ""},
		"another domain behind a user":         {"https://example.com@evil.net/", ""},
		"the domain in the path":               {"https://evil.net/.example.com", ""},
		"the domain in the query":              {"https://evil.net?.example.com", ""},
		"the domain in the fragment":           {"https://evil.net#.example.com", ""},
		"a slash that only a browser sees":     {"https://evil.net／.example.com/", ""},
		"a dot that only a browser sees":       {"https://evil.net%E3%80%82example.com/", ""},
		"a host that is escaped":               {"https://%65xample.com/", ""},
		"another script":                       {"https://пример.example.com/", ""},
		"its punycode":                         {"https://xn--e1afmkfd.example.com/", "https://xn--e1afmkfd.example.com/"},
		"a line break in it":                   {"https://exam\nple.com/", ""},
		"a port that is none":                  {"https://example.com:x/", ""},
		"markup in it is escaped by then":      {"https://example.com/&quot;&gt;&lt;script&gt;", "https://example.com/%22%3E%3Cscript%3E"},
		"an event handler in it stays a query": {"https://example.com/?x=&quot; onclick=&quot;y", ""},
	} {
		t.Run(name, func(t *testing.T) {
			want := "x"
			if c.want != "" {
				want = fmt.Sprintf(link, c.want)
			}
			if d := cmp.Diff(want, cleanText(t, `<a href="`+c.address+`">x</a>`, "example.com", "example.org")); d != "" {
				t.Error("link: " + d)
			}
			want = ""
			if c.want != "" {
				want = `<img src="` + c.want + `">`
			}
			if d := cmp.Diff(want, cleanText(t, `<img src="`+c.address+`">`, "example.com", "example.org")); d != "" {
				t.Error("image: " + d)
			}
		})
	}
}

func TestLinksAndImages(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"a link gets its own rel": {
			`<a href="https://example.com" rel="opener" target="_top" title="x" onclick="y">x</a>`,
			`<a href="https://example.com" rel="nofollow noopener">x</a>`,
		},
		"text that looks like a rel stays": {
			`<a href="https://example.com"> rel="nofollow"</a><img alt='<a rel="nofollow"' src="https://example.com/x">`,
			`<a href="https://example.com" rel="nofollow noopener"> rel="nofollow"</a><img alt="&lt;a rel=&#34;nofollow&#34;" src="https://example.com/x">`,
		},
		"a link that leads nowhere keeps its text": {`<a name="x">x</a>`, `x`},
		"an image has its own attributes": {
			`<img src="https://example.com/x.png" alt="it's" title="t" width="10" height="9999" srcset="https://evil.net 2x" onerror="y" style="z" loading="lazy">`,
			`<img src="https://example.com/x.png" alt="it&#39;s" title="t" width="10" height="9999">`,
		},
		"its size is a number of pixels":              {`<img src="https://example.com/x" width="100%" height="10000">`, `<img src="https://example.com/x">`},
		"a refused image keeps its alt":               {`<img src="https://evil.net/x" alt="a cat">`, `<img alt="a cat">`},
		"formatting stays":                            {`<p class="x"><b>x</b></p>`, `<p><b>x</b></p>`},
		"media, frames and style sheets go all alike": {`<video src="https://example.com/x"></video><iframe src="https://example.com/x"></iframe><link href="https://example.com/x"><base href="https://example.com/">`, ``},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(c.want, cleanText(t, c.in, "example.com")); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestEverythingElseStaysToTheByte(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"a number of any precision":     {`12345678901234567890.10e+05`, ``},
		"literals":                      {`[ true,false , null ]`, ``},
		"a text without markup":         {`"it's \"5 > 4\", caf\u00e9, \/\n\ud83d\ude00"`, ``},
		"a text with half a character":  {`"\ud800 and ` + "\xff" + `"`, ``},
		"markup that is clean already":  {`{"a":"<b>x<\/b> \u0026amp; y"}`, ``},
		"white space":                   {" {\n\t\"a\" : \"x\" , \"b\" : [ ] }\r\n", ``},
		"an empty string":               {`""`, ``},
		"keys":                          {`{"<script>":1,"\u003cb\"" :{"a&b":"c"}}`, ``},
		"keys beside what is cleaned":   {"{\"<i\\\"x>\" :\t\"<x>y\",\"n\":1e400, \"m\":\"\\u00e9\"}", "{\"<i\\\"x>\" :\t\"y\",\"n\":1e400, \"m\":\"\\u00e9\"}"},
		"a string at any depth":         {`[[{"a":[{"b":"<script>x</script>y"}]}],"<x>"]`, `[[{"a":[{"b":"y"}]}],""]`},
		"the same key twice":            {`{"a":"<x>1","a":"<x>2"}`, `{"a":"1","a":"2"}`},
		"a string that is all there is": {` "\u003cscript>x\u003c/script>\\" `, ` "\\" `},
		"what is written needs no more": {`"<b title=\"x\">\"a\" é ` + "\u2028" + `</b>"`, `"<b>\"a\" é \u2028</b>"`},
	} {
		t.Run(name, func(t *testing.T) {
			want := c.want
			if want == "" {
				want = c.in
			}
			given := c.in
			got, err := Clean(json.RawMessage(given), nil)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, string(got)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestTheCallersDataIsNotChanged(t *testing.T) {
	const given = `["<b>x</b>","<script>y</script>","z"]`
	data := json.RawMessage(given)
	if _, err := Clean(data, nil); err != nil {
		t.Fatal(err)
	}
	if string(data) != given {
		t.Errorf("it is %s now", data)
	}
}

func TestWhatIsNotJSONIsRefused(t *testing.T) {
	const depth = 10_000 // that of encoding/json
	for name, in := range map[string]string{
		"nothing":                  ``,
		"an open string":           `"<b>`,
		"an open object":           `{"a":"<b>"`,
		"two values":               `"a" "b"`,
		"a line break in a string": "\"a\n\"",
		"deeper than encoding/json allows": strings.Repeat("[", depth+1) + `"<b>"` +
			strings.Repeat("]", depth+1),
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := Clean(json.RawMessage(in), nil); !errors.Is(err, hub.ErrBadRequest) || got != nil {
				t.Errorf("%s, error %v", got, err)
			}
		})
	}
	t.Run("as deep as encoding/json allows is cleaned", func(t *testing.T) {
		open, end := strings.Repeat("[", depth), strings.Repeat("]", depth)
		got, err := Clean(json.RawMessage(open+`"<x>y"`+end), nil)
		if err != nil || string(got) != open+`"y"`+end {
			t.Errorf("error %v", err)
		}
	})
}

func TestPoliciesAreKeptByDomains(t *testing.T) {
	var c cache
	domains := []string{"example.com"}
	p := c.get(domains)
	if c.get([]string{"example.com"}) != p {
		t.Error("made twice for the same domains")
	}
	if c.get(nil) == p || c.get([]string{"example.com", "example.org"}) == p {
		t.Error("the same for other domains")
	}
	domains[0] = "evil.net"
	if got := p.clean(`<a href="https://evil.net/">x</a>`); got != "x" {
		t.Errorf("a caller changed what is allowed: %s", got)
	}
	for i := range 2 * maxPolicies {
		c.get([]string{fmt.Sprint(i, ".example.com")})
	}
	if n := len(c.kept); n != maxPolicies {
		t.Errorf("%d are kept, not %d", n, maxPolicies)
	}
}

func TestConcurrentUse(t *testing.T) {
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 50 {
				domain := fmt.Sprint(j%5, ".example.com")
				want := `<a href="https://` + domain + `/" rel="nofollow noopener">x</a>` + fmt.Sprint(i)
				if got := cleanText(t, `<a href="https://`+domain+`/">x</a>`+fmt.Sprint(i), domain); got != want {
					t.Error(got)
				}
			}
		})
	}
	all.Wait()
}
