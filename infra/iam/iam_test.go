package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReport(t *testing.T) {
	for _, test := range []struct {
		name     string
		allowed  bool
		decision decision
		wrong    int
		prints   string
	}{
		{"allowed as expected", true, decision{Result: "Allowed"}, 0, "1 requests are allowed and 0 denied"},
		{"denied as expected", false, decision{Result: "ImplicitlyDenied"}, 0, "0 requests are allowed and 1 denied"},
		{"denied by a statement", false, decision{Result: "ExplicitlyDenied"}, 0, "0 requests are allowed and 1 denied"},
		{"allowed, but must not", false, decision{Result: "Allowed"}, 1, "f, q: Allowed, expected allowed to be false"},
		{"denied, but must not", true, decision{Result: "ImplicitlyDenied"}, 1, "f, q: ImplicitlyDenied, expected allowed to be true"},
		{"an invalid request", false, decision{Error: "no such action"}, 1, "does not take the request: no such action"},
		{"a context key that the action does not have", false, decision{Result: "ImplicitlyDenied", Ignored: []string{"a:b"}}, 1, "it ignores a:b"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out strings.Builder
			wrong := report(&out, "stack", []request{{by: "f", name: "q", allowed: test.allowed}}, []decision{test.decision})
			if wrong != test.wrong || !strings.Contains(out.String(), test.prints) {
				t.Errorf("%d wrong, want %d, and it prints %q:\n%s", wrong, test.wrong, test.prints, out.String())
			}
		})
	}
}

func TestResolve(t *testing.T) {
	tpl := template{stack: "s", Resources: map[string]resource{
		"Table": {Type: "AWS::DynamoDB::Table"},
		"Logs":  {Type: "AWS::Logs::LogGroup"},
		"Bus":   {Type: "AWS::Events::EventBus", Properties: map[string]any{"Name": "s-bus"}},
	}}
	for in, want := range map[string]string{
		`"text"`:                           `"text"`,
		`{"Ref": "Table"}`:                 `"s-Table"`,
		`{"Ref": "AWS::Region"}`:           `"eu-central-1"`,
		`{"Ref": "Bus"}`:                   `"s-bus"`,
		`{"Fn::GetAtt": ["Logs", "Arn"]}`:  `"arn:aws:logs:eu-central-1:123456789012:log-group:s-Logs:*"`,
		`{"Action": ["a"], "R": {"b": 1}}`: `{"Action": ["a"], "R": {"b": 1}}`,
		`{"Fn::Join": ["", [{"Fn::GetAtt": ["Table", "Arn"]}, "/index/user"]]}`: `"arn:aws:dynamodb:eu-central-1:123456789012:table/s-Table/index/user"`,
	} {
		if diff := cmp.Diff(value(t, want), tpl.resolve(value(t, in))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", in, diff)
		}
	}
}

func value(t *testing.T, document string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(document), &v); err != nil {
		t.Fatal(err)
	}
	return v
}
