package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"centrifuge/pkg/config"
)

// This file is all that emulators make us do differently from AWS. What is
// deployed on them is what infra/ synthesizes, with these changes to the template
// and nothing else. Each says when it can go; a change that finds nothing to
// change fails, so that none outlives its reason.

// template is a CloudFormation template.
type template = map[string]any

// workaround is a change to the template, which returns how often it had to be
// made.
type workaround struct {
	name   string
	change func(template) int
}

// onMiniStack is what MiniStack 1.5.33 needs, at endpoint.
func onMiniStack(endpoint string) []workaround {
	below := endpoint + "/_aws/execute-api/" // where it serves APIs by id and stage
	return []workaround{
		// Its CloudFormation refuses a template with this type, its API Gateway
		// sends every answer back to the client, with route response or without.
		// Can go when `cdk deploy` no longer says "Unrecognized resource types:
		// [AWS::ApiGatewayV2::RouteResponse]".
		{"route responses left out", func(t template) int {
			return remove(t, "AWS::ApiGatewayV2::RouteResponse")
		}},
		// The template puts addresses together that end in amazonaws.com, and so
		// does MiniStack's ApiEndpoint. It serves both APIs at a path of its own.
		// Can go when names below execute-api.localhost resolve on every machine
		// and the stack can be told the domain of the region.
		{"addresses of the APIs", addresses{
			webSocket:  func(api, stage any) any { return join("ws"+strings.TrimPrefix(below, "http"), api, stage) },
			management: func(api, stage any) any { return join(below, api, stage) },
			http:       func(api any) any { return join(below, api, "/$default") },
		}.change},
		{"settings of the functions", settings(endpoint)},
	}
}

// ministackLacks is what no workaround gives to MiniStack 1.5.33, by the names
// that the conversations use.
var ministackLacks = map[string]string{
	// Can go when handle_websocket answers a refused handshake with the status of
	// $connect; it closes before accepting, which is always 403.
	"refusal-status": "MiniStack refuses every handshake with 403, whatever status the function of $connect returned",
	// Can go when its route selection treats too deep JSON as unparsable.
	"deep-nesting": "MiniStack parses frames in Python, which gives up at a depth of about 1,000, and closes the socket",
	// Can go when it closes with 1003.
	"binary-refusal": "MiniStack passes binary frames on as text, where API Gateway closes with 1003",
	// Can go when it closes with 1009.
	"size-limits": "MiniStack has no limit for frames and messages below 16 MB, where API Gateway closes with 1009",
}

// onLocalStack is what LocalStack needs. It is written from its documentation and
// has not been run.
func onLocalStack() []workaround {
	return []workaround{
		// As for MiniStack; LocalStack serves a WebSocket API on a port of its own,
		// which it tells as the API's endpoint. The names resolve to this machine,
		// and inside of the functions' containers to LocalStack. Can go when
		// `cdk deploy` prints addresses that work.
		{"addresses of the APIs", addresses{
			webSocket:  func(api, _ any) any { return map[string]any{"Fn::GetAtt": []any{ref(api), "ApiEndpoint"}} },
			management: func(api, stage any) any { return join("http://", api, ".execute-api."+localstackDomain, stage) },
			http:       func(api any) any { return join("http://", api, ".execute-api."+localstackDomain) },
		}.change},
		{"settings of the functions", settings("http://" + localstackDomain)},
	}
}

const localstackDomain = "localhost.localstack.cloud:4566"

// settings tells the functions what they need not be told on AWS. The functions
// do not read AWS_ENDPOINT_URL, which emulators give them, and validate_url of the
// demo project is plain http at a private address. It can never go: on AWS none of
// these may be set.
func settings(endpoint string) func(template) int {
	return func(t template) int {
		n := 0
		for _, r := range resources(t, "AWS::Lambda::Function") {
			variables, ok := dig(r, "Properties", "Environment", "Variables")
			if !ok {
				continue
			}
			variables[config.DynamoDBEndpoint] = endpoint
			variables[config.InsecureCallbacks] = "true"
			if variables[config.EventBus] != nil {
				variables[config.EventBridgeEndpoint] = endpoint
			}
			if variables[config.AdminSecret] != nil {
				variables[config.SecretsManagerEndpoint] = endpoint
			}
			n++
		}
		return n
	}
}

// addresses writes the addresses of the APIs, wherever they stand. api is a
// reference to the API and stage begins with a slash.
type addresses struct {
	webSocket, management func(api, stage any) any
	http                  func(api any) any
}

func (a addresses) change(t template) int {
	n := 0
	for key, value := range t {
		t[key] = a.replace(value, &n)
	}
	return n
}

func (a addresses) replace(v any, n *int) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = a.replace(v[i], n)
		}
	case map[string]any:
		if address := a.address(v); address != nil {
			*n++
			return address
		}
		for key, value := range v {
			v[key] = a.replace(value, n)
		}
	}
	return v
}

// address recognizes the two forms that CDK gives to addresses, and returns what
// stands for one here, or nil.
func (a addresses) address(v map[string]any) any {
	if of, ok := v["Fn::GetAtt"].([]any); ok && len(of) == 2 && of[1] == "ApiEndpoint" {
		return a.http(map[string]any{"Ref": of[0]})
	}
	of, ok := v["Fn::Join"].([]any)
	if !ok || len(of) != 2 {
		return nil
	}
	parts, ok := of[1].([]any)
	if !ok || len(parts) < 4 || parts[2] != ".execute-api." {
		return nil
	}
	switch stage := parts[len(parts)-1]; parts[0] {
	case "wss://":
		return a.webSocket(parts[1], stage)
	case "https://":
		return a.management(parts[1], stage)
	}
	return nil
}

func join(parts ...any) any { return map[string]any{"Fn::Join": []any{"", parts}} }

// ref is the name of the resource that v refers to.
func ref(v any) any {
	m, _ := v.(map[string]any)
	return m["Ref"]
}

// resources returns the resources of a type by their names.
func resources(t template, kind string) map[string]any {
	all, _ := dig(t, "Resources")
	found := maps.Clone(all)
	maps.DeleteFunc(found, func(_ string, r any) bool {
		m, ok := r.(map[string]any)
		return !ok || m["Type"] != kind
	})
	return found
}

func remove(t template, kind string) int {
	found := resources(t, kind)
	all, _ := dig(t, "Resources")
	for name := range found {
		delete(all, name)
	}
	return len(found)
}

// dig follows a path of keys down to an object.
func dig(v any, path ...string) (map[string]any, bool) {
	m, ok := v.(map[string]any)
	for _, key := range path {
		if !ok {
			return nil, false
		}
		m, ok = m[key].(map[string]any)
	}
	return m, ok
}

// rewrite makes the changes in the templates of a cloud assembly, a folder, and
// returns a line about each.
func rewrite(assembly string, workarounds []workaround) ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(assembly, "*.template.json"))
	if err != nil || len(paths) != 1 {
		return nil, fmt.Errorf("rewrite the template in %s: expected one, found %d", assembly, len(paths))
	}
	content, err := os.ReadFile(paths[0])
	if err != nil {
		return nil, fmt.Errorf("rewrite the template: %w", err)
	}
	var t template
	if err := json.Unmarshal(content, &t); err != nil {
		return nil, fmt.Errorf("rewrite the template %s: %w", paths[0], err)
	}
	var made []string
	for _, w := range workarounds {
		n := w.change(t)
		if n == 0 {
			return nil, fmt.Errorf("rewrite the template %s: nothing was found for %q: the template has changed, or the workaround can go", paths[0], w.name)
		}
		made = append(made, fmt.Sprintf("%s: %d", w.name, n))
	}
	if content, err = json.MarshalIndent(t, "", " "); err != nil {
		return nil, fmt.Errorf("rewrite the template: %w", err)
	}
	if err := os.WriteFile(paths[0], content, 0o600); err != nil {
		return nil, fmt.Errorf("rewrite the template: %w", err)
	}
	return made, nil
}
