package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// synthesized is a template as CDK writes it, with everything that the workarounds
// change and some values that they must not change.
const synthesized = `{
 "Resources": {
  "Connect": {"Type": "AWS::Lambda::Function", "Properties": {"Environment": {"Variables": {"CENTRIFUGE_TABLE": {"Ref": "Table"}}}}},
  "Publish": {"Type": "AWS::Lambda::Function", "Properties": {"Environment": {"Variables": {
   "CENTRIFUGE_EVENT_BUS": {"Ref": "Bus"},
   "CENTRIFUGE_MANAGEMENT_URL": {"Fn::Join": ["", ["https://", {"Ref": "Socket"}, ".execute-api.", {"Ref": "AWS::Region"}, ".", {"Ref": "AWS::URLSuffix"}, "/test"]]},
   "CENTRIFUGE_HTTP_URL": {"Fn::GetAtt": ["HTTP", "ApiEndpoint"]}}}}},
  "Route": {"Type": "AWS::ApiGatewayV2::Route", "Properties": {"RouteResponseSelectionExpression": "$default"}},
  "Response": {"Type": "AWS::ApiGatewayV2::RouteResponse", "DependsOn": ["Route"], "Properties": {"RouteId": {"Ref": "Route"}}},
  "Stage": {"Type": "AWS::ApiGatewayV2::Stage", "DependsOn": ["Table", "Response"]},
  "Permission": {"Type": "AWS::Lambda::Permission", "Properties": {
   "FunctionName": {"Fn::GetAtt": ["Connect", "Arn"]},
   "SourceArn": {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":execute-api:", {"Ref": "AWS::Region"}, ":", {"Ref": "Socket"}, "/*$connect"]]}}}
 },
 "Outputs": {
  "WebSocketURL": {"Value": {"Fn::Join": ["", ["wss://", {"Ref": "Socket"}, ".execute-api.", {"Ref": "AWS::Region"}, ".", {"Ref": "AWS::URLSuffix"}, "/test"]]}},
  "DemoURL": {"Value": {"Fn::Join": ["", [{"Fn::GetAtt": ["HTTP", "ApiEndpoint"]}, "/demo/"]]}}
 }
}`

func TestRewrite(t *testing.T) {
	for _, tt := range []struct {
		name        string
		workarounds []workaround
		want        string
		changes     []string
	}{
		{
			name:        "MiniStack",
			workarounds: ministackWorkarounds("http://127.0.0.1:4599"),
			want: `{
 "Resources": {
  "Connect": {"Type": "AWS::Lambda::Function", "Properties": {"Environment": {"Variables": {
   "CENTRIFUGE_TABLE": {"Ref": "Table"}, "DYNAMODB_ENDPOINT": "http://127.0.0.1:4599", "CENTRIFUGE_INSECURE_CALLBACKS": "true"}}}},
  "Publish": {"Type": "AWS::Lambda::Function", "Properties": {"Environment": {"Variables": {
   "CENTRIFUGE_MANAGEMENT_URL": {"Fn::Join": ["", ["http://127.0.0.1:4599/_aws/execute-api/", {"Ref": "Socket"}, "/test"]]},
   "CENTRIFUGE_HTTP_URL": {"Fn::Join": ["", ["http://127.0.0.1:4599/_aws/execute-api/", {"Ref": "HTTP"}, "/$default"]]},
   "CENTRIFUGE_EVENT_BUS": {"Ref": "Bus"}, "EVENTBRIDGE_ENDPOINT": "http://127.0.0.1:4599",
   "DYNAMODB_ENDPOINT": "http://127.0.0.1:4599", "CENTRIFUGE_INSECURE_CALLBACKS": "true"}}}},
  "Route": {"Type": "AWS::ApiGatewayV2::Route", "Properties": {"RouteResponseSelectionExpression": "$default"}},
  "Stage": {"Type": "AWS::ApiGatewayV2::Stage", "DependsOn": ["Table", "Route"]},
  "Permission": {"Type": "AWS::Lambda::Permission", "Properties": {
   "FunctionName": {"Fn::GetAtt": ["Connect", "Arn"]},
   "SourceArn": {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":execute-api:", {"Ref": "AWS::Region"}, ":", {"Ref": "Socket"}, "/*$connect"]]}}}
 },
 "Outputs": {
  "WebSocketURL": {"Value": {"Fn::Join": ["", ["ws://127.0.0.1:4599/_aws/execute-api/", {"Ref": "Socket"}, "/test"]]}},
  "DemoURL": {"Value": {"Fn::Join": ["", [{"Fn::Join": ["", ["http://127.0.0.1:4599/_aws/execute-api/", {"Ref": "HTTP"}, "/$default"]]}, "/demo/"]]}}
 }
}`,
			changes: []string{"route responses removed: 1", "URLs of the APIs: 4", "environment of the functions: 2"},
		},
		{
			name:        "LocalStack",
			workarounds: localstackWorkarounds(),
			want: `{
 "Resources": {
  "Connect": {"Type": "AWS::Lambda::Function", "Properties": {"Environment": {"Variables": {
   "CENTRIFUGE_TABLE": {"Ref": "Table"}, "DYNAMODB_ENDPOINT": "http://localhost.localstack.cloud:4566", "CENTRIFUGE_INSECURE_CALLBACKS": "true"}}}},
  "Publish": {"Type": "AWS::Lambda::Function", "Properties": {"Environment": {"Variables": {
   "CENTRIFUGE_MANAGEMENT_URL": {"Fn::Join": ["", ["http://", {"Ref": "Socket"}, ".execute-api.localhost.localstack.cloud:4566"]]},
   "CENTRIFUGE_HTTP_URL": {"Fn::Join": ["", ["http://", {"Ref": "HTTP"}, ".execute-api.localhost.localstack.cloud:4566"]]},
   "CENTRIFUGE_EVENT_BUS": {"Ref": "Bus"}, "EVENTBRIDGE_ENDPOINT": "http://localhost.localstack.cloud:4566",
   "DYNAMODB_ENDPOINT": "http://localhost.localstack.cloud:4566", "CENTRIFUGE_INSECURE_CALLBACKS": "true"}}}},
  "Route": {"Type": "AWS::ApiGatewayV2::Route", "Properties": {"RouteResponseSelectionExpression": "$default"}},
  "Response": {"Type": "AWS::ApiGatewayV2::RouteResponse", "DependsOn": ["Route"], "Properties": {"RouteId": {"Ref": "Route"}}},
  "Stage": {"Type": "AWS::ApiGatewayV2::Stage", "DependsOn": ["Table", "Response"]},
  "Permission": {"Type": "AWS::Lambda::Permission", "Properties": {
   "FunctionName": {"Fn::GetAtt": ["Connect", "Arn"]},
   "SourceArn": {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":execute-api:", {"Ref": "AWS::Region"}, ":", {"Ref": "Socket"}, "/*$connect"]]}}}
 },
 "Outputs": {
  "WebSocketURL": {"Value": {"Fn::GetAtt": ["Socket", "ApiEndpoint"]}},
  "DemoURL": {"Value": {"Fn::Join": ["", [{"Fn::Join": ["", ["http://", {"Ref": "HTTP"}, ".execute-api.localhost.localstack.cloud:4566"]]}, "/demo/"]]}}
 }
}`,
			changes: []string{"URLs of the APIs: 4", "environment of the functions: 2"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			folder, path := assembly(t, synthesized)
			changes, err := rewrite(folder, tt.workarounds)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.changes, changes); diff != "" {
				t.Errorf("-expected +changed:\n%s", diff)
			}
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(parsed(t, tt.want), parsed(t, string(got))); diff != "" {
				t.Errorf("-expected +written:\n%s", diff)
			}
		})
	}
}

func TestRewriteErrors(t *testing.T) {
	for _, tt := range []struct {
		name, template, names string
	}{
		{"a workaround that changes nothing", `{"Resources": {}}`, "route responses removed"},
		{"a template that is not JSON", `{`, "stack.template.json"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			folder, _ := assembly(t, tt.template)
			if _, err := rewrite(folder, ministackWorkarounds("http://127.0.0.1:1")); err == nil || !strings.Contains(err.Error(), tt.names) {
				t.Errorf("error %v, expected one that names %s", err, tt.names)
			}
		})
	}
	t.Run("an assembly without a template", func(t *testing.T) {
		if _, err := rewrite(t.TempDir(), localstackWorkarounds()); err == nil {
			t.Error("no error")
		}
	})
}

// assembly writes a cloud assembly with a template.
func assembly(t *testing.T, content string) (folder, path string) {
	t.Helper()
	folder = t.TempDir()
	path = filepath.Join(folder, "stack.template.json")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return folder, path
}

func parsed(t *testing.T, document string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(document), &v); err != nil {
		t.Fatal(err)
	}
	return v
}
