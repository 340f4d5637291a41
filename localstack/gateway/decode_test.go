package gateway

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
)

var noop = FunctionFunc(func(context.Context, []byte) ([]byte, error) { return nil, nil })

// FuzzRoute checks that a message selects the route that it names or $default, and
// never $connect or $disconnect.
func FuzzRoute(f *testing.F) {
	for _, seed := range []string{
		`{"method":"auth"}`, `{"method":"$connect"}`, `{"method":"\u0024disconnect"}`, `{"Method":"auth"}`,
		`{"method":"auth","method":1}`, `[]`, `null`, `"auth"`, `{`, "\xff", `{"method":null}`,
	} {
		f.Add([]byte(seed))
	}
	g := New(Options{Routes: map[string]Function{
		"$connect": noop, "$disconnect": noop, "$default": noop, "auth": noop,
	}})
	f.Fuzz(func(t *testing.T, body []byte) {
		route, function := g.selectRoute(body)
		if function == nil {
			t.Fatal("no function")
		}
		switch route {
		case "$default":
		case "auth":
			var object map[string]any
			if json.Unmarshal(body, &object) != nil || object["method"] != "auth" {
				t.Errorf("%q selected %q", body, route)
			}
		default:
			t.Errorf("%q selected %q", body, route)
		}
	})
}

// FuzzResponse checks that the decoders of responses accept valid responses only.
func FuzzResponse(f *testing.F) {
	for _, seed := range []string{
		`{"statusCode":200,"body":"x"}`, `{"statusCode":200,"body":"eA==","isBase64Encoded":true}`, `null`, `"x"`,
		`{"statusCode":null}`, `{"statusCode":1e99}`, `{"headers":{"a":null}}`, `{"STATUSCODE":200}`, `[`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		for name, decode := range map[string]func([]byte) (*response, error){
			"socket": decodeResponse, "api": decodeAPIResponse,
		} {
			response, err := decode(payload)
			if err == nil && (response.status < 200 || response.status > 599) {
				t.Errorf("%s: %q has status %d", name, payload, response.status)
			}
			if err == nil && !json.Valid(payload) {
				t.Errorf("%s: %q is not JSON", name, payload)
			}
		}
	})
}

// FuzzPath checks that the values of the variables, put into the route, give the
// path.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{"/", "", "/a", "/a/", "/a/b", "/a/b/c/d", "//", "/rpc//x", "/rpc/x"} {
		f.Add(seed)
	}
	g := New(Options{HTTP: []HTTPRoute{
		{Path: "/a", Function: noop}, {Path: "/a/{x}", Function: noop}, {Path: "/a/{x}/{y+}", Function: noop},
		{Path: "/{z}/b", Function: noop},
	}})
	f.Fuzz(func(t *testing.T, path string) {
		route, variables := g.match("GET", path)
		if route == nil {
			return
		}
		rebuilt := strings.TrimPrefix(route.key, "ANY ")
		for name, value := range variables {
			if value == "" && !strings.Contains(route.key, "{"+name+"+}") {
				t.Errorf("%q: %s is empty", path, name)
			}
		}
		// One pass, so that braces within values are not replaced.
		pairs := []string{}
		for name, value := range variables {
			pairs = append(pairs, "{"+name+"}", value, "{"+name+"+}", value)
		}
		rebuilt = strings.NewReplacer(pairs...).Replace(rebuilt)
		if strings.TrimPrefix(path, "/") != strings.TrimPrefix(rebuilt, "/") {
			t.Errorf("%q matched %s, which gives %q", path, route.key, rebuilt)
		}
	})
}
