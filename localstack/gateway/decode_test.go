package gateway

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
)

var nothing = FunctionFunc(func(context.Context, []byte) ([]byte, error) { return nil, nil })

// FuzzRoute holds the route selection to its promise that clients reach the routes
// that they name, and never those of the gateway.
func FuzzRoute(f *testing.F) {
	for _, seed := range []string{
		`{"method":"auth"}`, `{"method":"$connect"}`, `{"method":"\u0024disconnect"}`, `{"Method":"auth"}`,
		`{"method":"auth","method":1}`, `[]`, `null`, `"auth"`, `{`, "\xff", `{"method":null}`,
	} {
		f.Add([]byte(seed))
	}
	g := New(Options{Routes: map[string]Function{
		"$connect": nothing, "$disconnect": nothing, "$default": nothing, "auth": nothing,
	}})
	f.Fuzz(func(t *testing.T, body []byte) {
		route, function := g.route(body)
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

// FuzzResponse holds the decoders of what functions return to valid responses.
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
				t.Errorf("%s: %q is no JSON", name, payload)
			}
		}
	})
}

// FuzzPath holds the matching of paths to what the variables say: put back into the
// route they make the path again.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{"/", "", "/a", "/a/", "/a/b", "/a/b/c/d", "//", "/rpc//x", "/rpc/x"} {
		f.Add(seed)
	}
	g := New(Options{HTTP: []HTTPRoute{
		{Path: "/a", Function: nothing}, {Path: "/a/{x}", Function: nothing}, {Path: "/a/{x}/{y+}", Function: nothing},
		{Path: "/{z}/b", Function: nothing},
	}})
	f.Fuzz(func(t *testing.T, path string) {
		route, variables := g.match("GET", path)
		if route == nil {
			return
		}
		made := strings.TrimPrefix(route.key, "ANY ")
		for name, value := range variables {
			if value == "" && !strings.Contains(route.key, "{"+name+"+}") {
				t.Errorf("%q: %s is empty", path, name)
			}
		}
		// One pass, so that values with braces are left alone.
		pairs := []string{}
		for name, value := range variables {
			pairs = append(pairs, "{"+name+"}", value, "{"+name+"+}", value)
		}
		made = strings.NewReplacer(pairs...).Replace(made)
		if strings.TrimPrefix(path, "/") != strings.TrimPrefix(made, "/") {
			t.Errorf("%q matched %s as %q", path, route.key, made)
		}
	})
}
