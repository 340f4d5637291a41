package gateway

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// HTTPRoute is a route of the HTTP API.
type HTTPRoute struct {
	// Method is an HTTP method. "ANY" or "" matches every method without a route of
	// its own.
	Method string
	// Path is a fixed path such as "/a/b". A variable such as "{project}" in
	// "/rpc/{project}" matches one non-empty segment. A greedy variable at the end,
	// as in "/api/{proxy+}", matches the rest of the path after the slash. Fixed
	// segments take precedence over variables, variables over greedy ones. "$default"
	// matches the requests that no other route matches.
	Path string
	// Function is invoked with payload format 2.0.
	Function Function
}

// The kinds of segments, most specific first.
const (
	fixed = iota
	variable
	greedy
)

type segment struct {
	kind int
	text string // the text of a fixed segment, the name of a variable
}

// pattern is a parsed HTTPRoute.
type pattern struct {
	key      string // routeKey in events, such as "GET /rpc/{project}"
	method   string // "" matches any method
	segments []segment
	fallback bool // the route $default
	function Function
}

// compile returns the patterns of routes in matching order, the most specific first.
// It panics when a route is malformed or defined twice.
func compile(routes []HTTPRoute) []pattern {
	patterns := make([]pattern, 0, len(routes))
	keys := make(map[string]bool)
	for _, route := range routes {
		p, err := parsePattern(route)
		if err != nil {
			panic("gateway: " + err.Error())
		}
		if keys[p.key] {
			panic("gateway: HTTP route " + p.key + " is defined twice")
		}
		keys[p.key] = true
		patterns = append(patterns, p)
	}
	slices.SortStableFunc(patterns, moreSpecific)
	return patterns
}

func parsePattern(route HTTPRoute) (pattern, error) {
	method := route.Method
	if method == "ANY" {
		method = ""
	}
	p := pattern{method: method, function: route.Function, key: cmp.Or(method, "ANY") + " " + route.Path}
	if p.function == nil {
		return p, fmt.Errorf("HTTP route %q has no function", p.key)
	}
	if route.Path == "$default" {
		p.key, p.method, p.fallback = "$default", "", true
		return p, nil
	}
	path, ok := strings.CutPrefix(route.Path, "/")
	if !ok {
		return p, fmt.Errorf("HTTP route %q: the path must start with a slash", p.key)
	}
	parts := strings.Split(path, "/")
	for i, part := range parts {
		s := segment{kind: fixed, text: part}
		if name, ok := strings.CutPrefix(part, "{"); ok {
			if name, ok = strings.CutSuffix(name, "}"); !ok {
				return p, fmt.Errorf("HTTP route %q: segment %q has no closing brace", p.key, part)
			}
			s = segment{kind: variable, text: name}
			if name, ok := strings.CutSuffix(name, "+"); ok {
				s = segment{kind: greedy, text: name}
			}
			if s.text == "" {
				return p, fmt.Errorf("HTTP route %q: variable %q has no name", p.key, part)
			}
		}
		if s.kind == greedy && i < len(parts)-1 {
			return p, fmt.Errorf("HTTP route %q: greedy variable %q must be the last segment", p.key, part)
		}
		p.segments = append(p.segments, s)
	}
	return p, nil
}

// moreSpecific orders patterns: by path first, then by method.
func moreSpecific(a, b pattern) int {
	if a.fallback != b.fallback {
		if a.fallback {
			return 1
		}
		return -1
	}
	byKind := slices.CompareFunc(a.segments, b.segments, func(x, y segment) int {
		return cmp.Compare(x.kind, y.kind)
	})
	if byKind != 0 {
		return byKind
	}
	return strings.Compare(b.method, a.method) // "" (any method) last
}

// match returns the pattern that matches a request and the values of its variables,
// or nil.
func (g *Gateway) match(method, path string) (*pattern, map[string]string) {
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i := range g.patterns {
		p := &g.patterns[i]
		if p.method != "" && p.method != method {
			continue
		}
		if p.fallback {
			return p, nil
		}
		if variables, ok := p.variables(parts); ok {
			return p, variables
		}
	}
	return nil, nil
}

// variables matches the decoded segments of a path and returns the values of the
// variables.
func (p *pattern) variables(parts []string) (map[string]string, bool) {
	var values map[string]string
	for i, s := range p.segments {
		if i >= len(parts) {
			return nil, false
		}
		value := parts[i]
		switch s.kind {
		case fixed:
			if value != s.text {
				return nil, false
			}
			continue
		case greedy:
			// A greedy variable matches the empty rest after a slash, as reported from
			// AWS: /x/{proxy+} matches /x/. A route key there must not end in a slash.
			value = strings.Join(parts[i:], "/")
			parts = parts[:i+1]
		case variable:
			if value == "" {
				return nil, false
			}
		}
		if values == nil {
			values = make(map[string]string)
		}
		values[s.text] = value
	}
	return values, len(parts) == len(p.segments)
}
