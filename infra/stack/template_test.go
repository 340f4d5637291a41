package stack_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"centrifuge/infra/stack"
)

// template is a CloudFormation template that CDK wrote.
type template struct {
	Resources map[string]resource
	Outputs   map[string]struct{ Value any }
	// bootstraps are the contents of the deployed bootstraps, by the key of their
	// archive.
	bootstraps map[string]string
	context    map[string]any
}

type resource struct {
	Type                                string
	DeletionPolicy, UpdateReplacePolicy string
	DependsOn                           []string
	Properties                          map[string]any
}

// contexts are the CDK contexts of the tested stacks: "plain" has the defaults, "full"
// has every feature, "bare" has no optional function and custom domains without a
// zone.
var contexts = map[string]map[string]any{
	"plain": {},
	"full": {
		"demo": "true", "retain": "false", "architecture": "x86_64",
		"domain": "rt.example.com", "certificate": certificate, "zone": "Z0123456789ABCDEFGHIJ",
		"alarms": "ops@example.com", "reserved-concurrency": "20", "pings": "true",
	},
	"bare": {
		"domain": "rt.example.com", "api-domain": "publish.example.com", "certificate": certificate,
		"monitoring": "false", "admin": "false", "hooks": "false",
	},
}

const certificate = "arn:aws:acm:eu-central-1:123456789012:certificate/0a1b2c3d-0000-4000-8000-000000000000"

// synthesize synthesizes the stacks of contexts, once for all tests.
var synthesize = sync.OnceValues(func() (map[string]template, error) {
	defer jsii.Close()
	out, err := os.MkdirTemp("", "centrifuge-infra")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(out)

	flags, err := featureFlags()
	if err != nil {
		return nil, err
	}
	app := awscdk.NewApp(&awscdk.AppProps{Outdir: jsii.String(out), Context: &flags})
	for stage, context := range contexts {
		o, err := stack.ReadOptions(func(key string) any {
			switch key {
			case "stage":
				return stage
			case "assets":
				return "testdata/build"
			}
			return context[key]
		})
		if err != nil {
			return nil, err
		}
		if _, err := stack.New(app, o); err != nil {
			return nil, err
		}
	}
	app.Synth(nil)

	templates := map[string]template{}
	for stage := range contexts {
		data, err := os.ReadFile(filepath.Join(out, "centrifuge-"+stage+".template.json"))
		if err != nil {
			return nil, err
		}
		t := template{bootstraps: map[string]string{}, context: contexts[stage]}
		if err := json.Unmarshal(data, &t); err != nil {
			return nil, err
		}
		for _, f := range t.of("AWS::Lambda::Function") {
			key := f.at("Code", "S3Key").(string)
			code, err := os.ReadFile(filepath.Join(out, "asset."+strings.TrimSuffix(key, ".zip"), "bootstrap"))
			if err != nil {
				return nil, err
			}
			t.bootstraps[key] = string(code)
		}
		templates[stage] = t
	}
	return templates, nil
})

// featureFlags returns the context in cdk.json, which the CDK command line gives to the
// app: CDK's feature flags. With them the tested templates are the deployed ones. All
// have the recommended value except minimizePolicies, which would sort the actions of
// every policy, and enableAdditionalMetadataCollection, because version reporting is off.
func featureFlags() (map[string]any, error) {
	data, err := os.ReadFile("../../cdk.json")
	if err != nil {
		return nil, err
	}
	var file struct{ Context map[string]any }
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("cdk.json: %w", err)
	}
	return file.Context, nil
}

// load returns the template of a stack of contexts.
func load(t *testing.T, stage string) template {
	t.Helper()
	templates, err := synthesize()
	if err != nil {
		t.Fatal(err)
	}
	return templates[stage]
}

// of returns the resources of a type by logical id.
func (t template) of(kind string) map[string]resource {
	found := map[string]resource{}
	for id, r := range t.Resources {
		if r.Type == kind {
			found[id] = r
		}
	}
	return found
}

// one returns the only resource of a type.
func (t template) one(test *testing.T, kind string) resource {
	test.Helper()
	found := t.of(kind)
	if len(found) != 1 {
		test.Fatalf("%d resources of type %s, want 1", len(found), kind)
	}
	for _, r := range found {
		return r
	}
	panic("unreachable")
}

// functions returns the Lambda functions by the name of their folder.
func (t template) functions(test *testing.T) map[string]resource {
	test.Helper()
	found := map[string]resource{}
	for id, r := range t.of("AWS::Lambda::Function") {
		name := strings.TrimPrefix(r.at("Description").(string), "functions/")
		if _, twice := found[name]; twice {
			test.Errorf("function %s is deployed twice, also as %s", name, id)
		}
		found[name] = r
	}
	return found
}

// at returns the property at a path, nil if there is none.
func (r resource) at(path ...string) any { return at(r.Properties, path...) }

func at(v any, path ...string) any {
	for _, key := range path {
		object, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = object[key]
	}
	return v
}

// strings renders a value or a list of values.
func (t template) strings(v any) []string {
	if many, ok := v.([]any); ok {
		var all []string
		for _, one := range many {
			all = append(all, t.string(one))
		}
		return all
	}
	return []string{t.string(v)}
}

// string renders a value with its references to other resources as ${name} or
// ${name.attribute}.
func (t template) string(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case map[string]any:
		if id, ok := v["Ref"].(string); ok {
			return "${" + t.name(id) + "}"
		}
		if get, ok := v["Fn::GetAtt"].([]any); ok {
			return "${" + t.name(get[0].(string)) + "." + get[1].(string) + "}"
		}
		if join, ok := v["Fn::Join"].([]any); ok {
			return strings.Join(t.strings(join[1]), join[0].(string))
		}
	}
	return fmt.Sprint(v)
}

// name returns a readable name: the logical id of a resource without the suffix that
// CDK adds, or the name of a function or an API.
func (t template) name(id string) string {
	r, ok := t.Resources[id]
	switch {
	case !ok:
		return id
	case r.Type == "AWS::Lambda::Function":
		return strings.TrimPrefix(r.at("Description").(string), "functions/")
	case r.Type == "AWS::DynamoDB::Table":
		return "Table"
	case r.Type == "AWS::ApiGatewayV2::Api":
		return r.at("ProtocolType").(string)
	}
	return id[:len(id)-8]
}

// references returns the logical ids that a value references.
func references(v any) []string {
	var ids []string
	switch v := v.(type) {
	case []any:
		for _, one := range v {
			ids = append(ids, references(one)...)
		}
	case map[string]any:
		if id, ok := v["Ref"].(string); ok {
			ids = append(ids, id)
		}
		if get, ok := v["Fn::GetAtt"].([]any); ok {
			ids = append(ids, get[0].(string))
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			ids = append(ids, references(v[key])...)
		}
	}
	return ids
}
