package stack_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRights(t *testing.T) {
	// What each function may do, besides writing its own log, which is checked and
	// left out.
	want := map[string][]string{
		"connect":     {"Query PutItem on ${Table.Arn}"},
		"auth":        {"Query GetItem UpdateItem on ${Table.Arn}"},
		"subscribe":   {"Query GetItem UpdateItem BatchWriteItem on ${Table.Arn}"},
		"unsubscribe": {"Query GetItem UpdateItem BatchWriteItem on ${Table.Arn}"},
		"broadcast": {
			"Query GetItem DeleteItem BatchWriteItem on ${Table.Arn}",
			"ManageConnections on arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${WEBSOCKET}/full/POST/@connections/*",
		},
		"disconnect": {"DeleteItem BatchWriteItem on ${Table.Arn}"},
		"message":    nil,
		"publish": {
			"Query GetItem PutItem UpdateItem DeleteItem BatchGetItem BatchWriteItem Scan on ${Table.Arn}",
			"Query on ${Table.Arn}/index/user",
			"ManageConnections on arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${WEBSOCKET}/full/POST/@connections/*" +
				" arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${WEBSOCKET}/full/DELETE/@connections/*",
		},
		"demo": {"Query on ${Table.Arn} if dynamodb:LeadingKeys is P#demo"},
	}
	tpl := load(t, "full")
	got := map[string][]string{}
	for name, f := range tpl.functions(t) {
		role := tpl.Resources[references(f.at("Role"))[0]]
		if role.at("ManagedPolicyArns") != nil {
			t.Errorf("%s has managed policies: %v", name, role.at("ManagedPolicyArns"))
		}
		got[name] = rights(t, tpl, role, name, "${"+tpl.name(references(f.at("LoggingConfig"))[0])+".Arn}")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// rights renders the statements of a role but the one for its function's log,
// which must be there.
func rights(t *testing.T, tpl template, role resource, name, log string) []string {
	t.Helper()
	var lines []string
	logged := false
	for _, policy := range role.at("Policies").([]any) {
		for _, statement := range at(policy, "PolicyDocument", "Statement").([]any) {
			if at(statement, "Effect") != "Allow" {
				t.Errorf("%s has a statement that does not allow", name)
			}
			var actions []string
			for _, action := range tpl.strings(at(statement, "Action")) {
				_, verb, _ := strings.Cut(action, ":")
				actions = append(actions, verb)
			}
			line := strings.Join(actions, " ") + " on " + strings.Join(tpl.strings(at(statement, "Resource")), " ")
			if keys := at(statement, "Condition", "ForAllValues:StringEquals", "dynamodb:LeadingKeys"); keys != nil {
				line += " if dynamodb:LeadingKeys is " + strings.Join(tpl.strings(keys), " ")
			}
			if line == "CreateLogStream PutLogEvents on "+log {
				logged = true
				continue
			}
			lines = append(lines, line)
		}
	}
	if !logged {
		t.Errorf("%s may not write its log", name)
	}
	return lines
}

func TestNothingIsGrantedByWildcard(t *testing.T) {
	for _, stage := range []string{"plain", "full"} {
		tpl := load(t, stage)
		for id, r := range tpl.Resources {
			statements := policyStatements(r.Properties)
			if r.Type == "AWS::IAM::Role" && len(statements) < 2 {
				t.Errorf("%s: role %s has %d statements: this test does not see them", stage, id, len(statements))
			}
			for _, statement := range statements {
				if at(statement, "NotAction") != nil || at(statement, "NotResource") != nil {
					t.Errorf("%s: %s grants by exception", stage, id)
				}
				for _, action := range tpl.strings(at(statement, "Action")) {
					if strings.Contains(action, "*") {
						t.Errorf("%s: %s grants %s", stage, id, action)
					}
				}
				for _, on := range tpl.strings(at(statement, "Resource")) {
					if on == "*" || strings.HasSuffix(on, ":*") {
						t.Errorf("%s: %s grants on %s", stage, id, on)
					}
				}
			}
		}
	}
}

// policyStatements finds the statements of all policy documents in a value.
func policyStatements(v any) []any {
	var found []any
	switch v := v.(type) {
	case []any:
		for _, one := range v {
			found = append(found, policyStatements(one)...)
		}
	case map[string]any:
		for key, value := range v {
			if statements, ok := value.([]any); ok && key == "Statement" {
				found = append(found, statements...)
				continue
			}
			found = append(found, policyStatements(value)...)
		}
	}
	return found
}
