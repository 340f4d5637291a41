package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The account and region that stand for any.
const (
	account = "123456789012"
	region  = "eu-central-1"
)

// template is a synthesized CloudFormation template.
type template struct {
	stack     string
	Resources map[string]resource
}

type resource struct {
	Type       string
	Properties map[string]any
}

func readTemplate(path string) (template, error) {
	content, err := os.ReadFile(path) //nolint:gosec // the path is an argument of this command
	if err != nil {
		return template{}, fmt.Errorf("read the template: %w", err)
	}
	t := template{stack: strings.TrimSuffix(filepath.Base(path), ".template.json")}
	if err := json.Unmarshal(content, &t); err != nil {
		return template{}, fmt.Errorf("read the template %s: %w", path, err)
	}
	return t, nil
}

// of returns the logical ids of the resources of a type, sorted.
func (t template) of(kind string) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(t.Resources)), func(id string) bool { return t.Resources[id].Type != kind })
}

// functions returns the logical ids of the Lambda functions by the names of their
// folders.
func (t template) functions() map[string]string {
	found := map[string]string{}
	for _, id := range t.of("AWS::Lambda::Function") {
		description, _ := t.Resources[id].Properties["Description"].(string)
		found[strings.TrimPrefix(description, "functions/")] = id
	}
	return found
}

// arn returns the ARN that a resource may have.
func (t template) arn(id string) string {
	name := t.ref(id)
	switch kind := t.Resources[id].Type; kind {
	case "AWS::DynamoDB::Table":
		return arn("dynamodb", "table/"+name)
	case "AWS::Logs::LogGroup":
		return arn("logs", "log-group:"+name+":*") // CloudFormation's ARN of a log group ends like this
	case "AWS::SQS::Queue":
		return arn("sqs", strings.ToLower(id))
	case "AWS::Events::EventBus":
		return arn("events", "event-bus/"+name)
	case "AWS::Events::Rule":
		if t.Resources[id].Properties["EventBusName"] == nil {
			return arn("events", "rule/"+name)
		}
		return arn("events", "rule/"+t.stack+"/"+id)
	case "AWS::Lambda::Function":
		return arn("lambda", "function:"+name)
	case "AWS::IAM::Role":
		return "arn:aws:iam::" + account + ":role/" + name
	default:
		panic("no ARN of a " + kind + " is known here: add it")
	}
}

// ref returns what CloudFormation returns for a reference to a resource: mostly a name
// that it generates.
func (t template) ref(id string) string {
	switch r := t.Resources[id]; r.Type {
	case "AWS::Events::EventBus":
		return r.Properties["Name"].(string)
	case "AWS::Lambda::Function":
		if name, ok := r.Properties["FunctionName"].(string); ok {
			return name
		}
		return t.stack + "-" + id
	case "AWS::ApiGatewayV2::Api":
		return strings.ToLower(r.Properties["ProtocolType"].(string)) + "api"
	default:
		return t.stack + "-" + id
	}
}

func arn(service, resource string) string {
	return "arn:aws:" + service + ":" + region + ":" + account + ":" + resource
}

// resolve replaces the functions of CloudFormation in a value.
func (t template) resolve(v any) any {
	switch v := v.(type) {
	case []any:
		all := make([]any, 0, len(v))
		for _, one := range v {
			all = append(all, t.resolve(one))
		}
		return all
	case map[string]any:
		if id, ok := v["Ref"].(string); ok {
			if value, pseudo := pseudoParameters[id]; pseudo {
				return value
			}
			return t.ref(id)
		}
		if get, ok := v["Fn::GetAtt"].([]any); ok {
			if get[1] != "Arn" {
				panic(fmt.Sprintf("the attribute %v is not known here: add it", get))
			}
			return t.arn(get[0].(string))
		}
		if join, ok := v["Fn::Join"].([]any); ok {
			var parts []string
			for _, part := range t.resolve(join[1]).([]any) {
				parts = append(parts, part.(string))
			}
			return strings.Join(parts, join[0].(string))
		}
		object := map[string]any{}
		for key, value := range v {
			object[key] = t.resolve(value)
		}
		return object
	}
	return v
}

var pseudoParameters = map[string]string{
	"AWS::Partition": "aws", "AWS::Region": region, "AWS::AccountId": account, "AWS::URLSuffix": "amazonaws.com",
}
