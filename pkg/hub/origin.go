package hub

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// AllowsOrigin reports whether a web page of this origin may connect. An origin is the
// value of the header Origin: scheme, host, and the port unless it is that of the scheme.
// A client without one is no browser and may connect, and without Origins every page may.
//
// Origins lists origins, and patterns such as https://*.example.com for every host below
// example.com, at any depth, but not example.com itself. Scheme and port are compared too.
// A value that was saved before origins were normalized is compared as it is.
func (o ProjectOptions) AllowsOrigin(origin string) bool {
	return origin == "" || len(o.Origins) == 0 || slices.ContainsFunc(o.Origins, func(listed string) bool {
		return listed == origin || isBelow(origin, listed)
	})
}

// isBelow reports whether a pattern with a wildcard includes an origin.
func isBelow(origin, pattern string) bool {
	scheme, domain, isPattern := strings.Cut(pattern, wildcard)
	if !isPattern {
		return false
	}
	host, hasScheme := strings.CutPrefix(origin, scheme+"://")
	labels, isBelow := strings.CutSuffix(host, "."+domain)
	return hasScheme && isBelow && labels != "" && !strings.ContainsFunc(labels, func(r rune) bool { return !isHostCharacter(r) })
}

// wildcard begins a pattern, after its scheme.
const wildcard = "://*."

// isHostCharacter reports whether a host that DNS can resolve may have r, in the form in
// which browsers send it.
func isHostCharacter(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.'
}

// normalizeOrigin returns the form of an origin, or of a pattern with a wildcard, in which
// browsers send it (RFC 6454, and the URL Standard of WHATWG for hosts): scheme and host in
// lower case, the host in punycode, without the default port, without a slash at the end.
// Pages of applications have schemes of their own, such as capacitor://localhost, and pages
// in files have file://. It fails with ErrBadRequest for what no browser sends, and says
// what to write instead where that is clear. It refuses null: sandboxed frames of every
// site send it.
func normalizeOrigin(s string) (string, error) {
	origin, wrong := parseOrigin(s)
	switch {
	case wrong == "" && len(origin) > MaxNameBytes:
		// The header Origin has the same limit.
		wrong = fmt.Sprintf("is longer than %d bytes", MaxNameBytes)
	case wrong == "":
		return origin, nil
	case origin != "":
		// The value is not repeated: it may hold a password.
		return "", ErrBadRequest.With(fmt.Sprintf("origins must have %s instead: %s", origin, wrong))
	}
	return "", ErrBadRequest.With(fmt.Sprintf("origins has %q, which %s", s, wrong))
}

// parseOrigin returns an origin, and what is wrong with s, "" for nothing. Where something
// is wrong, the origin is what was probably meant, "" where that is not clear.
func parseOrigin(s string) (origin, wrong string) {
	text := strings.TrimSpace(s)
	scheme, rest, hasScheme := strings.Cut(text, "://")
	switch {
	case text == "" || text == "*":
		return "", "is no origin: leave origins empty to let every page connect"
	case text == "null":
		return "", "is what frames in a sandbox send, of every site: leave origins empty to let every page connect"
	case !hasScheme:
		if origin, also := parseOrigin("https://" + text); also == "" {
			return origin, "an origin begins with its scheme"
		}
		return "", "is not written https://host or https://host:port"
	}
	if text != s {
		wrong = "an origin has no spaces"
	}
	switch scheme = strings.ToLower(scheme); scheme {
	case "file":
		if rest != "" && rest != "/" {
			wrong = "a page in a file has no path in its origin"
		}
		return "file://", wrong
	case "ws", "wss":
		scheme = map[string]string{"ws": "http", "wss": "https"}[scheme]
		wrong = "an origin has the scheme of the page"
	}
	if !isScheme(scheme) {
		return "", "has a scheme that is none"
	}
	end := len(rest)
	if at := strings.IndexAny(rest, `/\?#`); at >= 0 {
		end = at
	}
	if after := rest[end:]; after != "" && after != "/" {
		wrong = "an origin has no path, query or fragment"
	}
	authority := rest[:end]
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		authority, wrong = authority[at+1:], "an origin has no user"
	}
	host, port, ok := splitPort(scheme, authority)
	if !ok {
		return "", "has a port that is none"
	}
	host, why := normalizeHost(scheme, host)
	if why != "" {
		return "", why
	}
	return scheme + "://" + host + port, wrong
}

// isScheme reports whether a scheme in lower case can be that of a page (RFC 3986).
func isScheme(scheme string) bool {
	const letters, others = "abcdefghijklmnopqrstuvwxyz", "0123456789+-."
	return strings.Trim(scheme, letters+others) == "" && strings.IndexAny(scheme, letters) == 0
}

// splitPort returns the port as ":8443", "" for the default one.
func splitPort(scheme, authority string) (host, port string, ok bool) {
	at := strings.LastIndexByte(authority, ':')
	if at < 0 || strings.HasSuffix(authority, "]") {
		return authority, "", true
	}
	host, port = authority[:at], authority[at+1:]
	if port == "" {
		return host, "", true
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || port[0] == '+' {
		return "", "", false
	}
	if scheme == "https" && n == 443 || scheme == "http" && n == 80 {
		return host, "", true
	}
	return host, ":" + strconv.FormatUint(n, 10), true
}

// normalizeHost returns a host as browsers send it, and otherwise why they never do.
func normalizeHost(scheme, host string) (normal, wrong string) {
	isWeb := scheme == "https" || scheme == "http"
	name, isPattern := strings.CutPrefix(host, "*.")
	switch {
	case host == "*":
		return "", "has a wildcard for every host: leave origins empty to let every page connect"
	case strings.Contains(name, "*"):
		return "", "has a wildcard that is not the first label, as in https://*.example.com"
	case isPattern && !isWeb:
		return "", "has a wildcard with a scheme that is not http or https"
	case strings.HasPrefix(name, "["):
		return normalizeIPv6(name, isPattern)
	case name == "." && !isWeb:
		// Electron applications load app://./index.html.
		return name, ""
	}
	if isWeb {
		var err error
		if name, err = hostProfile().ToASCII(name); err != nil || !utf8.ValidString(host) {
			return "", "has a host that is no domain name"
		}
	}
	if name == "" || strings.ContainsFunc(name, func(r rune) bool {
		return !isHostCharacter(r) && (isWeb || r < 'A' || r > 'Z')
	}) {
		return "", "has a host that is no domain name"
	}
	labels := strings.Split(strings.TrimSuffix(name, "."), ".")
	if len(name) > 253 || slices.ContainsFunc(labels, func(label string) bool { return label == "" || len(label) > 63 }) {
		return "", "has a host that is no domain name"
	}
	if last := labels[len(labels)-1]; isWeb && isNumber(last) {
		// Browsers take such a host for an IPv4 address, also 127.1 and 0x7f000001.
		address, err := netip.ParseAddr(strings.TrimSuffix(name, "."))
		if err != nil || isPattern {
			return "", "has a host that is neither a domain name nor an IPv4 address of four numbers"
		}
		name = address.String()
	}
	if isPattern {
		name = "*." + name
	}
	return name, ""
}

// isNumber reports whether a label in lower case makes browsers take a host for an IPv4
// address.
func isNumber(label string) bool {
	const decimal, hexadecimal = "0123456789", "0123456789abcdef"
	if digits, isHex := strings.CutPrefix(label, "0x"); isHex {
		return strings.Trim(digits, hexadecimal) == ""
	}
	return strings.Trim(label, decimal) == ""
}

func normalizeIPv6(host string, isPattern bool) (normal, wrong string) {
	inner, closed := strings.CutSuffix(host[1:], "]")
	address, err := netip.ParseAddr(inner)
	if !closed || err != nil || !address.Is6() || address.Zone() != "" || isPattern {
		return "", "has a host that is no IPv6 address"
	}
	if address.Is4In6() {
		// Browsers write all of it in hexadecimal, package netip does not.
		b := address.As16()
		return fmt.Sprintf("[::ffff:%x:%x]", int(b[12])<<8|int(b[13]), int(b[14])<<8|int(b[15])), ""
	}
	return "[" + address.String() + "]", ""
}

// hostProfile is what the URL Standard demands of a host: UTS #46 without transitional
// processing and without the rules of STD3. It is created at its first use: only the
// functions that save options need it.
var hostProfile = sync.OnceValue(func() *idna.Profile {
	return idna.New(idna.MapForLookup(), idna.Transitional(false), idna.BidiRule(),
		idna.CheckHyphens(false), idna.CheckJoiners(true), idna.StrictDomainName(false))
})

// Normalize returns the options as they are to be saved: origins as browsers send them, each
// once, and public keys with the line ends of Unix. It fails as Validate does.
func (o ProjectOptions) Normalize() (ProjectOptions, error) {
	if err := o.Validate(); err != nil {
		return ProjectOptions{}, err
	}
	var origins []string
	for _, s := range o.Origins {
		origin, err := normalizeOrigin(s)
		if err != nil {
			return ProjectOptions{}, err
		}
		if !slices.Contains(origins, origin) {
			origins = append(origins, origin)
		}
	}
	o.Origins = origins
	// The same key has the same text, so that saving it again ends no connection.
	for _, key := range []*string{&o.TokenRSAPublicKey, &o.TokenECDSAPublicKey} {
		*key = strings.TrimSpace(strings.ReplaceAll(*key, "\r\n", "\n"))
	}
	return o, nil
}
