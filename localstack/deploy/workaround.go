package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"centrifuge/pkg/config"
)

// This file contains the differences between a deployment on an emulator and one on
// AWS: changes to the template that infra/ synthesizes. Each comment says when a
// change can be removed. A change that changes nothing is an error, so that none
// remains without need.

// template is a CloudFormation template.
type template = map[string]any

// workaround is a change to the template. change returns the number of changed places.
type workaround struct {
	name   string
	change func(template) int
}

// ministackWorkarounds are the changes for MiniStack 1.5.33 at endpoint.
func ministackWorkarounds(endpoint string) []workaround {
	base := endpoint + "/_aws/execute-api/" // it serves the APIs below this path, by id and stage
	return []workaround{
		// Its CloudFormation refuses a template with this type. Its API Gateway sends
		// every response to the client, with or without a route response. Remove this
		// when `cdk deploy` no longer prints "Unrecognized resource types:
		// [AWS::ApiGatewayV2::RouteResponse]".
		{"route responses removed", func(t template) int {
			return remove(t, "AWS::ApiGatewayV2::RouteResponse")
		}},
		// URLs in the template and the ApiEndpoint of MiniStack end in amazonaws.com,
		// but MiniStack serves both APIs at a path. Remove this when names below
		// execute-api.localhost resolve on every machine and the domain of the region
		// is an option of the stack.
		{"URLs of the APIs", addresses{
			webSocket:  func(api, stage any) any { return join("ws"+strings.TrimPrefix(base, "http"), api, stage) },
			management: func(api, stage any) any { return join(base, api, stage) },
			http:       func(api any) any { return join(base, api, "/$default") },
		}.change},
		{"environment of the functions", settings(endpoint)},
	}
}

// ministackLacks are the features that MiniStack 1.5.33 lacks, by the names that the
// conversations use, with the reasons.
var ministackLacks = map[string]string{
	// Remove this when handle_websocket refuses a handshake with the status of
	// $connect. It closes before accepting, which is always 403.
	"refusal-status": "MiniStack refuses every handshake with 403, not with the status that $connect returned",
	// Remove this when its route selection accepts deeply nested JSON.
	"deep-nesting": "MiniStack parses frames in Python, which fails at a depth of some thousand, and closes the socket",
	// Remove this when it closes with 1003.
	"binary-refusal": "MiniStack accepts binary frames as text; API Gateway closes with 1003",
	// Remove this when it closes with 1009.
	"size-limits": "MiniStack has no limit for frames and messages below 16 MB; API Gateway closes with 1009",
}

// sdkLacks are the features that a deployment lacks, by the names that the conversations of SDKs
// use, with the reasons.
var sdkLacks = map[string]string{
	// It stays: AWS lacks it as well.
	"centrifugo-path": "sockets are at the path of the stage; only the local stack has /connection/websocket too",
}

// localstackWorkarounds are the changes for LocalStack. They are written from its
// documentation and have not been run.
func localstackWorkarounds() []workaround {
	return []workaround{
		// As for MiniStack, but LocalStack serves a WebSocket API on a port of its own,
		// which is in the ApiEndpoint, and its management API without a stage, as users
		// report. The host names resolve to this machine, and to LocalStack inside the
		// containers of the functions. Remove this when `cdk deploy` prints URLs that work.
		{"URLs of the APIs", addresses{
			webSocket:  func(api, _ any) any { return map[string]any{"Fn::GetAtt": []any{ref(api), "ApiEndpoint"}} },
			management: func(api, _ any) any { return join("http://", api, ".execute-api."+localstackDomain) },
			http:       func(api any) any { return join("http://", api, ".execute-api."+localstackDomain) },
		}.change},
		{"environment of the functions", settings("http://" + localstackDomain)},
	}
}

const localstackDomain = "localhost.localstack.cloud:4566"

// settings sets environment variables of the functions that must not be set on AWS:
// the endpoints, since the functions do not read the AWS_ENDPOINT_URL of emulators,
// and the permission to call private addresses over http, since validate_url of the
// demo project is one. This change stays.
func settings(endpoint string) func(template) int {
	return func(t template) int {
		n := 0
		for _, r := range resources(t, "AWS::Lambda::Function") {
			variables, ok := objectAt(r, "Properties", "Environment", "Variables")
			if !ok {
				continue
			}
			variables[config.DynamoDBEndpoint] = endpoint
			variables[config.InsecureCallbacks] = "true"
			if variables[config.EventBus] != nil {
				variables[config.EventBridgeEndpoint] = endpoint
			}
			if variables[config.DispatchFunction] != nil {
				variables[config.LambdaEndpoint] = endpoint
			}
			n++
		}
		return n
	}
}

// addresses replaces the URLs of the APIs everywhere in a template. Its functions
// return the URL for a reference to the API and a stage that starts with a slash.
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

// address returns the URL that replaces v, or nil. It recognizes the two forms of
// URLs that CDK writes.
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

// ref returns the name of the resource that v refers to.
func ref(v any) any {
	m, _ := v.(map[string]any)
	return m["Ref"]
}

// resources returns the resources of a type by their names.
func resources(t template, kind string) map[string]any {
	all, _ := objectAt(t, "Resources")
	found := maps.Clone(all)
	maps.DeleteFunc(found, func(_ string, r any) bool {
		m, ok := r.(map[string]any)
		return !ok || m["Type"] != kind
	})
	return found
}

// remove removes the resources of a type. What depended on one of them then depends on
// what that one depended on.
func remove(t template, kind string) int {
	found := resources(t, kind)
	all, _ := objectAt(t, "Resources")
	for name := range found {
		removed, _ := all[name].(map[string]any)
		delete(all, name)
		for _, r := range all {
			other, _ := r.(map[string]any)
			before, _ := other["DependsOn"].([]any)
			if i := slices.Index(before, any(name)); i >= 0 {
				earlier, _ := removed["DependsOn"].([]any)
				other["DependsOn"] = slices.Concat(before[:i], earlier, before[i+1:])
			}
		}
	}
	return len(found)
}

// objectAt returns the object at a path of keys.
func objectAt(v any, path ...string) (map[string]any, bool) {
	m, ok := v.(map[string]any)
	for _, key := range path {
		if !ok {
			return nil, false
		}
		m, ok = m[key].(map[string]any)
	}
	return m, ok
}

// rewrite applies the workarounds to the template of a cloud assembly, a folder, and
// returns a description of each change.
func rewrite(assembly string, workarounds []workaround) ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(assembly, "*.template.json"))
	if err != nil || len(paths) != 1 {
		return nil, fmt.Errorf("rewrite the template in %s: found %d templates, expected 1", assembly, len(paths))
	}
	content, err := os.ReadFile(paths[0])
	if err != nil {
		return nil, fmt.Errorf("rewrite the template: %w", err)
	}
	var t template
	if err := json.Unmarshal(content, &t); err != nil {
		return nil, fmt.Errorf("rewrite the template %s: %w", paths[0], err)
	}
	var changes []string
	for _, w := range workarounds {
		n := w.change(t)
		if n == 0 {
			return nil, fmt.Errorf("rewrite the template %s: workaround %q changed nothing: remove it, or adapt it to the template", paths[0], w.name)
		}
		changes = append(changes, fmt.Sprintf("%s: %d", w.name, n))
	}
	if content, err = json.MarshalIndent(t, "", " "); err != nil {
		return nil, fmt.Errorf("rewrite the template: %w", err)
	}
	if err := os.WriteFile(paths[0], content, 0o600); err != nil {
		return nil, fmt.Errorf("rewrite the template: %w", err)
	}
	return changes, nil
}
