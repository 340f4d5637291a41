package sanitizer

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/microcosm-cc/bluemonday"
	"golang.org/x/net/html"
)

// oracle cleans with a library that is made for any rules. It gets the rules of this package.
func oracle(fragment string, domains []string) string {
	rules := bluemonday.NewPolicy()
	rules.AllowElements(elements...)
	rules.AllowNoAttrs().OnElements(elements...)
	rules.AllowAttrs("colspan", "rowspan").Matching(regexp.MustCompile(`^[1-9][0-9]?$`)).OnElements("th", "td")
	rules.AllowAttrs("start").Matching(regexp.MustCompile(`^[0-9]{1,6}$`)).OnElements("ol")
	if len(domains) > 0 {
		rules.AllowAttrs("href").OnElements("a")
		rules.AllowAttrs("src", "alt", "title").OnElements("img")
		rules.AllowAttrs("width", "height").Matching(regexp.MustCompile(`^[1-9][0-9]{0,3}$`)).OnElements("img")
		rules.AllowRelativeURLs(false)
		rules.RequireNoFollowOnLinks(true)
		allowed := policy{domains}.isAllowed
		rules.AllowURLSchemeWithCustomPolicy("https", func(u *url.URL) bool { return allowed(u) })
		rules.AllowURLSchemeWithCustomPolicy("http", func(u *url.URL) bool { return allowed(u) })
	}
	return rules.Sanitize(fragment)
}

// decisions are the tags and the text of a cleaned fragment: what was decided, however it is escaped.
func decisions(fragment string) (all []string) {
	text := ""
	for z := html.NewTokenizer(strings.NewReader(fragment)); z.Next() != html.ErrorToken; {
		t := z.Token()
		if t.Type == html.TextToken {
			text += t.Data
			continue
		}
		if text != "" {
			all, text = append(all, text), ""
		}
		slices.SortFunc(t.Attr, func(a, b html.Attribute) int { return strings.Compare(a.Key, b.Key) })
		for i, a := range t.Attr {
			if a.Key == "rel" {
				t.Attr[i].Val = "nofollow" // the library does not say noopener for such links
			}
		}
		all = append(all, t.String())
	}
	return append(all, text)
}

// closesItself reports whether a tag of an element that is removed with its content closes itself:
// browsers, and this package, ignore the slash, and the library does not.
func closesItself(fragment string) bool {
	for z := html.NewTokenizer(strings.NewReader(fragment)); z.Next() != html.ErrorToken; {
		if t := z.Token(); t.Type == html.SelfClosingTagToken && slices.Contains(concealed, t.Data) {
			return true
		}
	}
	return false
}

// FuzzOracle compares what the package decides with what the library decides.
func FuzzOracle(f *testing.F) {
	for _, seed := range seeds {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, fragment string, links bool) {
		var domains []string
		if links {
			domains = []string{"example.com"}
		}
		if closesItself(fragment) {
			return
		}
		got, want := decisions(policy{domains}.clean(fragment)), decisions(oracle(fragment, domains))
		if !slices.Equal(got, want) {
			t.Errorf("%q: decided %q, the library decides %q", fragment, got, want)
		}
	})
}
