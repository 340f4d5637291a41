package sanitizer

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/html"
)

// elements are allowed for any list of domains, and without attributes, too.
var elements = strings.Fields(`
	p div h1 h2 h3 h4 h5 h6 blockquote pre hr br wbr
	b strong i em u s strike del ins mark small big sub sup tt
	abbr cite code dfn kbd q samp time var
	ul ol li dl dt dd
	table caption thead tbody tfoot tr th td`)

// concealed are removed with their content.
var concealed = strings.Fields(`script style title iframe frame frameset noscript nostyle noembed noframes object`)

// policy cleans strings for a list of domains.
type policy struct{ domains []string }

// clean returns a fragment of HTML without what the policy does not allow. It reads tokens as a
// browser does, and writes each that is allowed anew: a tag, or a text with its markup escaped.
func (p policy) clean(fragment string) string {
	var b strings.Builder
	depth := 0            // of concealed elements that are open
	var untagged []string // links and images that are open, and lost their tags
	for z := html.NewTokenizer(strings.NewReader(fragment)); z.Next() != html.ErrorToken; {
		t := z.Token()
		switch t.Type {
		case html.TextToken:
			if depth == 0 {
				_, _ = escape.WriteString(&b, t.Data)
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			switch {
			case slices.Contains(concealed, t.Data):
				depth++ // browsers ignore the slash of a tag that closes itself
			case p.allows(t.Data):
				t.Attr = p.attributes(t.Data, t.Attr)
				bare := len(t.Attr) == 0 && p.isReference(t.Data)
				if bare && t.Type == html.StartTagToken {
					untagged = append(untagged, t.Data)
				}
				if !bare && depth == 0 {
					b.WriteString(t.String())
				}
			}
		case html.EndTagToken:
			n := len(untagged)
			switch {
			case slices.Contains(concealed, t.Data):
				depth = max(depth-1, 0)
			case n > 0 && untagged[n-1] == t.Data:
				untagged = untagged[:n-1]
			case p.allows(t.Data) && depth == 0:
				b.WriteString(t.String())
			}
		case html.CommentToken, html.DoctypeToken, html.ErrorToken:
		}
	}
	return b.String()
}

// escape escapes what begins a tag or an entity in a text, and the carriage return, which a
// parser would change. What else attributes need is not escaped.
var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", "\r", "&#13;")

func (p policy) allows(element string) bool {
	return slices.Contains(elements, element) || p.isReference(element)
}

// isReference reports whether an element is allowed for its address. It has no meaning without
// attributes.
func (p policy) isReference(element string) bool {
	return len(p.domains) > 0 && (element == "a" || element == "img")
}

// attributes are those that an allowed element keeps, with what a link gets.
func (p policy) attributes(element string, all []html.Attribute) (kept []html.Attribute) {
	for _, a := range all {
		if value, allowed := p.attribute(element, a.Key, a.Val); allowed {
			kept = append(kept, html.Attribute{Key: a.Key, Val: value})
		}
	}
	if element == "a" && len(kept) > 0 {
		kept = append(kept, html.Attribute{Key: "rel", Val: "nofollow noopener"})
	}
	return kept
}

// attribute decides about one attribute of an allowed element, and returns its value.
func (p policy) attribute(element, name, value string) (_ string, allowed bool) {
	switch element + " " + name {
	case "th colspan", "th rowspan", "td colspan", "td rowspan":
		return value, isNumber(value, 99) && value[0] != '0'
	case "ol start":
		return value, isNumber(value, 999999)
	case "img width", "img height":
		return value, isNumber(value, 9999) && value[0] != '0'
	case "img alt", "img title":
		return value, true
	case "a href", "img src":
		return p.address(value)
	}
	return "", false
}

// isNumber reports whether s consists of digits, no more than most has, and is no more than it.
func isNumber(s string, most int) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n <= most && len(s) <= len(strconv.Itoa(most)) && !strings.ContainsAny(s, "+-")
}

// address decides about the address of a link or an image, and returns it as net/url writes it.
func (p policy) address(raw string) (_ string, allowed bool) {
	raw = strings.TrimSpace(raw)
	u, err := url.Parse(raw)
	if err != nil || strings.ContainsAny(raw, " \t\n") || u.Scheme != "https" && u.Scheme != "http" || !p.isAllowed(u) {
		return "", false
	}
	return u.String(), true
}

// isAllowed reports whether the host of an absolute address is one of the domains or a
// subdomain. It refuses addresses that net/url and browsers could parse differently.
func (p policy) isAllowed(u *url.URL) bool {
	host := strings.ToLower(u.Hostname())
	if u.User != nil || u.Opaque != "" || !isPlain(host) {
		return false
	}
	// The cleaned address is u.String(). Cleaning it again must not change it.
	if again, err := url.Parse(u.String()); err != nil || again.String() != u.String() {
		return false
	}
	return slices.ContainsFunc(p.domains, func(domain string) bool {
		return host == domain || strings.HasSuffix(host, "."+domain)
	})
}

// isPlain reports whether a host has only characters that all parsers take for a host.
func isPlain(host string) bool {
	return host != "" && !strings.ContainsFunc(host, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && r != '.' && r != '_' && r != '-'
	})
}
