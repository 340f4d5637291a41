package sanitizer

import (
	"net/url"
	"regexp"
	"strings"
	"sync"

	"github.com/microcosm-cc/bluemonday"
)

// elements are allowed for any list of domains, and without attributes, too.
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

// policy cleans strings for a list of domains. It is safe for concurrent use.
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
	allowed := func(u *url.URL) bool { return isAllowed(u, domains) }
	rules.AllowURLSchemeWithCustomPolicy("https", allowed)
	rules.AllowURLSchemeWithCustomPolicy("http", allowed)
	return &policy{rules}
}

// isAllowed reports whether the host of an absolute address is one of the domains or a
// subdomain. It refuses addresses that net/url and browsers could parse differently.
func isAllowed(u *url.URL, domains []string) bool {
	host := strings.ToLower(u.Hostname())
	if u.User != nil || u.Opaque != "" || !plainHost.MatchString(host) {
		return false
	}
	// The cleaned address is u.String(). Cleaning it again must not change it.
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

// clean returns a fragment of HTML without what the policy does not allow.
func (p *policy) clean(fragment string) string {
	cleaned := p.rules.Sanitize(fragment)
	// After Sanitize, each "<" begins a tag and each ">" ends one.
	var b strings.Builder
	for {
		text, rest, found := strings.Cut(cleaned, "<")
		_, _ = unescape.WriteString(&b, text)
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

// unescape reverts the escapes that only attributes need.
var unescape = strings.NewReplacer("&#39;", "'", "&#34;", `"`, "&gt;", ">")

// maxPolicies limits the cached policies, which are expensive to create.
const maxPolicies = 256

// policies is the cache of this process.
var policies cache

// cache holds policies by their domains. The zero value is ready. It is safe for
// concurrent use.
type cache struct {
	mu        sync.RWMutex
	byDomains map[string]*policy
}

func (c *cache) get(domains []string) *policy {
	key := strings.Join(domains, "\x00")
	c.mu.RLock()
	p := c.byDomains[key]
	c.mu.RUnlock()
	if p != nil {
		return p
	}
	// Without the lock, two callers may create the same policy, which does no harm. The
	// policy keeps domains, and the caller may change its slice later: copy it.
	p = newPolicy(append([]string(nil), domains...))
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byDomains == nil {
		c.byDomains = make(map[string]*policy)
	}
	if len(c.byDomains) >= maxPolicies {
		for other := range c.byDomains {
			delete(c.byDomains, other)
			break
		}
	}
	c.byDomains[key] = p
	return p
}
