package sanitizer

import (
	"net/url"
	"regexp"
	"strings"
	"sync"

	"github.com/microcosm-cc/bluemonday"
)

// elements are allowed with and without allowed domains, and without attributes.
var elements = strings.Fields(`
	p div h1 h2 h3 h4 h5 h6 blockquote pre hr br wbr
	b strong i em u s strike del ins mark small big sub sup tt
	abbr cite code dfn kbd q samp time var
	ul ol li dl dt dd
	table caption thead tbody tfoot tr th td`)

var (
	upTo99     = regexp.MustCompile(`^[1-9][0-9]?$`)
	upTo9999   = regexp.MustCompile(`^[1-9][0-9]{0,3}$`)
	upTo999999 = regexp.MustCompile(`^[0-9]{1,6}$`)
	plainHost  = regexp.MustCompile(`^[0-9A-Za-z._-]+$`)
)

// policy says what is kept in a string. It is safe for concurrent use.
type policy struct{ rules *bluemonday.Policy }

func newPolicy(domains []string) *policy {
	rules := bluemonday.NewPolicy()
	rules.AllowElements(elements...)
	rules.AllowNoAttrs().OnElements(elements...)
	rules.AllowAttrs("colspan", "rowspan").Matching(upTo99).OnElements("th", "td")
	rules.AllowAttrs("start").Matching(upTo999999).OnElements("ol")
	if len(domains) == 0 {
		return &policy{rules}
	}
	rules.AllowAttrs("href").OnElements("a")
	rules.AllowAttrs("src", "alt", "title").OnElements("img")
	rules.AllowAttrs("width", "height").Matching(upTo9999).OnElements("img")
	rules.AllowRelativeURLs(false)
	rules.RequireNoFollowOnLinks(true)
	allowed := func(u *url.URL) bool { return leadsTo(u, domains) }
	rules.AllowURLSchemeWithCustomPolicy("https", allowed)
	rules.AllowURLSchemeWithCustomPolicy("http", allowed)
	return &policy{rules}
}

// leadsTo tells whether an absolute address has one of the domains, or one below it, as
// its host, in a way that net/url and browsers cannot read differently.
func leadsTo(u *url.URL, domains []string) bool {
	host := strings.ToLower(u.Hostname())
	if u.User != nil || u.Opaque != "" || !plainHost.MatchString(host) {
		return false
	}
	// What is written is u.String(), and cleaning it again must lead to the same.
	if again, err := url.Parse(u.String()); err != nil || again.String() != u.String() {
		return false
	}
	for _, domain := range domains {
		if host == domain || strings.HasSuffix(host, "."+domain) {
			return true
		}
	}
	return false
}

// clean returns a fragment of HTML with what is allowed of it.
func (p *policy) clean(fragment string) string {
	cleaned := p.rules.Sanitize(fragment)
	// Each "<" in there begins a tag and each ">" ends one.
	var b strings.Builder
	for {
		text, rest, found := strings.Cut(cleaned, "<")
		_, _ = needless.WriteString(&b, text)
		if !found {
			return b.String()
		}
		tag, after, _ := strings.Cut(rest, ">")
		if strings.HasPrefix(tag, "a ") {
			tag = strings.Replace(tag, ` rel="nofollow"`, ` rel="nofollow noopener"`, 1)
		}
		b.WriteString("<" + tag + ">")
		cleaned = after
	}
}

// needless undoes what is escaped for the sake of attributes alone.
var needless = strings.NewReplacer("&#39;", "'", "&#34;", `"`, "&gt;", ">")

// maxPolicies is how many policies are kept: they are expensive to make.
const maxPolicies = 256

// policies are those of this process.
var policies cache

// cache keeps policies by their domains. The zero value is ready, and safe for
// concurrent use.
type cache struct {
	mu   sync.RWMutex
	kept map[string]*policy
}

func (c *cache) get(domains []string) *policy {
	key := strings.Join(domains, "\x00")
	c.mu.RLock()
	p := c.kept[key]
	c.mu.RUnlock()
	if p != nil {
		return p
	}
	// Outside of the lock: two may make the same, which does no harm. The closure of a
	// policy that is kept must not see the caller's slice change.
	p = newPolicy(append([]string(nil), domains...))
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept == nil {
		c.kept = make(map[string]*policy)
	}
	if len(c.kept) >= maxPolicies {
		for other := range c.kept {
			delete(c.kept, other)
			break
		}
	}
	c.kept[key] = p
	return p
}
