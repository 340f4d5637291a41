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

// quote encodes a string as JSON without escaping HTML.
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

func TestCleanMarkup(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"formatting":                             {`<p>a <b>bold</b> <em>move</em><br>x<sup>2</sup></p>`, `<p>a <b>bold</b> <em>move</em><br>x<sup>2</sup></p>`},
		"code and quotes":                        {"<blockquote><pre><code>if a &lt; b {\n}</code></pre></blockquote>", "<blockquote><pre><code>if a &lt; b {\n}</code></pre></blockquote>"},
		"lists with start":                       {`<ol start="3"><li>x<ul><li>y</ul></ol>`, `<ol start="3"><li>x<ul><li>y</ul></ol>`},
		"list with a negative start":             {`<ol start="-1"><li>x</ol>`, `<ol><li>x</ol>`},
		"tables with spans":                      {`<table><tr><td colspan="2" rowspan=99>x</td></tr></table>`, `<table><tr><td colspan="2" rowspan="99">x</td></tr></table>`},
		"spans out of range":                     {`<table><tr><th colspan="100" rowspan="0">x</th></tr></table>`, `<table><tr><th>x</th></tr></table>`},
		"tags in upper case":                     {`<B>x</B><BR/>`, `<b>x</b><br/>`},
		"style, class, id, data and title":       {`<p style="color:red" class="a" id="b" data-x="1" title="t">x</p>`, `<p>x</p>`},
		"event handlers":                         {`<b onclick="alert(1)" OnMouseOver=alert(1)>x</b>`, `<b>x</b>`},
		"link":                                   {`see <a href="https://example.com/">there</a>`, `see there`},
		"image":                                  {`a<img src="https://example.com/x.png" alt="x">b`, `ab`},
		"script":                                 {`a<script>alert(1)</script>b`, `ab`},
		"script without an end tag":              {`a<script>alert(1) b`, `a`},
		"style sheet":                            {`a<style>*{}</style>b`, `ab`},
		"frame":                                  {`a<iframe src="//x"><b>c</b></iframe>b`, `ab`},
		"unknown elements":                       {`<form action="/x"><button>x</button></form><svg><a xlink:href="javascript:alert(1)">y</a></svg>`, `xy`},
		"comments, doctype, instructions, CDATA": {`<!DOCTYPE html><!-- x --><?php y ?><![CDATA[z]]>a`, `a`},
		"cite attribute":                         {`<q cite="https://example.com">x</q><del cite="javascript:x">y</del>`, `<q>x</q><del>y</del>`},
		"< and & in text":                        {`I <3 you & 1 < 2`, `I &lt;3 you &amp; 1 &lt; 2`},
		"incomplete tag":                         {`a<b onclick="x`, `a`},
		"tag inside a tag":                       {`<scr<b>ipt>alert(1)</scr</b>ipt>`, `ipt>alert(1)ipt>`},
		"escaped markup":                         {`&lt;script&gt;alert(1)&lt;/script&gt;`, `&lt;script>alert(1)&lt;/script>`},
		"quotes and > in text":                   {`<i>it's "5 > 4" &amp; so</i>`, `<i>it's "5 > 4" &amp; so</i>`},
		"entities":                               {`caf&eacute;&nbsp;&#9731;`, "café\u00a0☃"},
		"escaped entities":                       {`&amp;lt; &amp;#39; &amp;gt;`, `&amp;lt; &amp;#39; &amp;gt;`},
		"address in text":                        {`https://example.com/?a=1&b=2`, `https://example.com/?a=1&amp;b=2`},
		"element without an end tag":             {`<b>x`, `<b>x`},
		"script that closes itself":              {`a<script/>alert(1)</script>b`, `ab`},
		"frame that closes itself":               {`a<iframe/><b>c</b></iframe>b`, `ab`},
		"end tags without their elements":        {`</title></object>a<title>b</title>c`, `ac`},
		"nested elements that are removed":       {`a<object><object>b</object>c</object>d`, `ad`},
		"numbers with other characters":          {`<ol start="+1"><ol start="1e1"><td colspan="٣"><td colspan="007"><td rowspan="0">`, `<ol><ol><td><td><td>`},
		"carriage return":                        {"a&#13;b&c", "a&#13;b&amp;c"},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, cleanText(t, c.in)); diff != "" {
				t.Errorf("-expected +cleaned:\n%s", diff)
			}
		})
	}
}

func TestCleanAddresses(t *testing.T) {
	const link = `<a href="%s" rel="nofollow noopener">x</a>`
	for name, c := range map[string]struct {
		address string
		want    string // the cleaned address, "" if it is refused
	}{
		"domain":                         {"https://example.com", "https://example.com"},
		"subdomain":                      {"https://img.a.example.com/x.png", "https://img.a.example.com/x.png"},
		"http":                           {"http://example.com/", "http://example.com/"},
		"upper case":                     {"HTTPS://EXAMPLE.com/A", "https://EXAMPLE.com/A"},
		"port, query and fragment":       {"https://example.com:8443/a?b=c&amp;d=%20e#f", "https://example.com:8443/a?b=c&amp;d=%20e#f"},
		"subdomain of the second domain": {"https://cdn.example.org/x", "https://cdn.example.org/x"},
		"space around the address":       {" https://example.com/ ", "https://example.com/"},

		"other domain":                     {"https://example.net/", ""},
		"other domain with the same end":   {"https://badexample.com/", ""},
		"other domain with the same start": {"https://example.com.evil.net/", ""},
		"parent domain":                    {"https://com/", ""},
		"domain with a final dot":          {"https://example.com./", ""},
		"no scheme":                        {"//example.com/", ""},
		"relative":                         {"/x", ""},
		"relative, path like a host":       {"example.com/x", ""},
		"fragment only":                    {"#x", ""},
		"empty":                            {"", ""},
		"javascript":                       {"javascript:alert(1)", ""},
		"javascript with an escaped tab":   {"jav&#x09;ascript:alert(1)", ""},
		"javascript with a host":           {"javascript://example.com/%0aalert(1)", ""},
		"data":                             {"data:text/html,x", ""},
		"mailto":                           {"mailto:x@example.com", ""},
		"ftp":                              {"ftp://example.com/", ""},
		"no slashes":                       {"https:example.com", ""},
		"one slash":                        {"https:/example.com", ""},
		"three slashes":                    {"https:///example.com", ""},
		"backslashes":                      {`https:\\example.com`, ""},
		"backslash before the domain":      {`https://evil.net\@example.com/`, ""},
		"backslash after the domain":       {`https://example.com\.evil.net/`, ""},
		"user":                             {"https://paypal.com@example.com/", ""},
		"user and password":                {"https://a:b@example.com/", ""},
		"domain as the user":               {"https://example.com@evil.net/", ""},
		"domain in the path":               {"https://evil.net/.example.com", ""},
		"domain in the query":              {"https://evil.net?.example.com", ""},
		"domain in the fragment":           {"https://evil.net#.example.com", ""},
		"full-width slash":                 {"https://evil.net／.example.com/", ""},
		"ideographic full stop, escaped":   {"https://evil.net%E3%80%82example.com/", ""},
		"escaped host":                     {"https://%65xample.com/", ""},
		"host in another script":           {"https://пример.example.com/", ""},
		"host in punycode":                 {"https://xn--e1afmkfd.example.com/", "https://xn--e1afmkfd.example.com/"},
		"line break in the host":           {"https://exam\nple.com/", ""},
		"invalid port":                     {"https://example.com:x/", ""},
		"escaped markup in the path":       {"https://example.com/&quot;&gt;&lt;script&gt;", "https://example.com/%22%3E%3Cscript%3E"},
		"event handler in the query":       {"https://example.com/?x=&quot; onclick=&quot;y", ""},
	} {
		t.Run(name, func(t *testing.T) {
			want := "x"
			if c.want != "" {
				want = fmt.Sprintf(link, c.want)
			}
			if diff := cmp.Diff(want, cleanText(t, `<a href="`+c.address+`">x</a>`, "example.com", "example.org")); diff != "" {
				t.Errorf("link, -expected +cleaned:\n%s", diff)
			}
			want = ""
			if c.want != "" {
				want = `<img src="` + c.want + `">`
			}
			if diff := cmp.Diff(want, cleanText(t, `<img src="`+c.address+`">`, "example.com", "example.org")); diff != "" {
				t.Errorf("image, -expected +cleaned:\n%s", diff)
			}
		})
	}
}

func TestCleanLinksAndImages(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"attributes of a link": {
			`<a href="https://example.com" rel="opener" target="_top" title="x" onclick="y">x</a>`,
			`<a href="https://example.com" rel="nofollow noopener">x</a>`,
		},
		"rel in text and in alt": {
			`<a href="https://example.com"> rel="nofollow"</a><img alt='<a rel="nofollow"' src="https://example.com/x">`,
			`<a href="https://example.com" rel="nofollow noopener"> rel="nofollow"</a><img alt="&lt;a rel=&#34;nofollow&#34;" src="https://example.com/x">`,
		},
		"link without an address":           {`<a name="x">x</a>`, `x`},
		"link in a link without an address": {`<a><a href="https://example.com">x</a>y</a>`, `<a href="https://example.com" rel="nofollow noopener">xy</a>`},
		"an attribute twice": {
			`<a href="https://example.com/1" href="https://evil.net">x</a><a href="https://evil.net" href="https://example.com/1">y</a>`,
			`<a href="https://example.com/1" rel="nofollow noopener">x</a>y`,
		},
		"attributes of an image": {
			`<img src="https://example.com/x.png" alt="it's" title="t" width="10" height="9999" srcset="https://evil.net 2x" onerror="y" style="z" loading="lazy">`,
			`<img src="https://example.com/x.png" alt="it&#39;s" title="t" width="10" height="9999">`,
		},
		"image sizes out of range":          {`<img src="https://example.com/x" width="100%" height="10000">`, `<img src="https://example.com/x">`},
		"refused image with alt":            {`<img src="https://evil.net/x" alt="a cat">`, `<img alt="a cat">`},
		"formatting":                        {`<p class="x"><b>x</b></p>`, `<p><b>x</b></p>`},
		"media, frames, style sheets, base": {`<video src="https://example.com/x"></video><iframe src="https://example.com/x"></iframe><link href="https://example.com/x"><base href="https://example.com/">`, ``},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, cleanText(t, c.in, "example.com")); diff != "" {
				t.Errorf("-expected +cleaned:\n%s", diff)
			}
		})
	}
}

func TestCleanUnchangedBytes(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		want string // "" if it is the input
	}{
		"number of any precision":  {`12345678901234567890.10e+05`, ``},
		"literals":                 {`[ true,false , null ]`, ``},
		"text without markup":      {`"it's \"5 > 4\", caf\u00e9, \/\n\ud83d\ude00"`, ``},
		"invalid UTF-16 and UTF-8": {`"\ud800 and ` + "\xff" + `"`, ``},
		"clean markup":             {`{"a":"<b>x<\/b> \u0026amp; y"}`, ``},
		"white space":              {" {\n\t\"a\" : \"x\" , \"b\" : [ ] }\r\n", ``},
		"empty string":             {`""`, ``},
		"keys without a tag":       {`{"&lt;b>":1,"\u0026\"" :{"a&b":"c"}}`, ``},
		"keys, white space and numbers around a cleaned string": {"{\"i\\\"x>\" :\t\"<x>y\",\"n\":1e400, \"m\":\"\\u00e9\"}", "{\"i\\\"x>\" :\t\"y\",\"n\":1e400, \"m\":\"\\u00e9\"}"},
		"nested strings":                    {`[[{"a":[{"b":"<script>x</script>y"}]}],"<x>"]`, `[[{"a":[{"b":"y"}]}],""]`},
		"duplicate keys":                    {`{"a":"<x>1","a":"<x>2"}`, `{"a":"1","a":"2"}`},
		"string with white space around it": {` "\u003cscript>x\u003c/script>\\" `, ` "\\" `},
		"escapes in a cleaned string":       {`"<b title=\"x\">\"a\" é ` + "\u2028" + `</b>"`, `"<b>\"a\" é \u2028</b>"`},
	} {
		t.Run(name, func(t *testing.T) {
			want := c.want
			if want == "" {
				want = c.in
			}
			got, err := Clean(json.RawMessage(c.in), nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, string(got)); diff != "" {
				t.Errorf("-expected +cleaned:\n%s", diff)
			}
		})
	}
}

func TestCleanLeavesInputUnchanged(t *testing.T) {
	const input = `["<b>x</b>","<script>y</script>","z"]`
	data := json.RawMessage(input)
	if _, err := Clean(data, nil); err != nil {
		t.Fatal(err)
	}
	if string(data) != input {
		t.Errorf("input %s, expected %s", data, input)
	}
}

func TestCleanInvalidJSON(t *testing.T) {
	const depth = 10_000 // the limit of encoding/json
	for name, in := range map[string]string{
		"empty":                   ``,
		"incomplete string":       `"<b>`,
		"incomplete object":       `{"a":"<b>"`,
		"two values":              `"a" "b"`,
		"line break in a string":  "\"a\n\"",
		"key with a tag":          `{"<script>":1}`,
		"key with an escaped tag": `[{"a":{"x\u003Cb":"y"}}]`,
		"nested too deep": strings.Repeat("[", depth+1) + `"<b>"` +
			strings.Repeat("]", depth+1),
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := Clean(json.RawMessage(in), nil); !errors.Is(err, hub.ErrBadRequest) || got != nil {
				t.Errorf("result %s, error %v, expected %v", got, err, hub.ErrBadRequest)
			}
		})
	}
	t.Run("nested as deep as allowed", func(t *testing.T) {
		open, end := strings.Repeat("[", depth), strings.Repeat("]", depth)
		got, err := Clean(json.RawMessage(open+`"<x>y"`+end), nil)
		if err != nil || string(got) != open+`"y"`+end {
			t.Errorf("error %v, %d bytes", err, len(got))
		}
	})
}

func TestCleanConcurrently(t *testing.T) {
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 50 {
				domain := fmt.Sprint(j%5, ".example.com")
				want := `<a href="https://` + domain + `/" rel="nofollow noopener">x</a>` + fmt.Sprint(i)
				if got := cleanText(t, `<a href="https://`+domain+`/">x</a>`+fmt.Sprint(i), domain); got != want {
					t.Errorf("%s, expected %s", got, want)
				}
			}
		})
	}
	all.Wait()
}
