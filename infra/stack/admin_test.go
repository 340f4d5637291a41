package stack_test

import (
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// partitions matches a condition on partitions of one kind, whose keys have a separator.
var partitions = regexp.MustCompile(`StringLike: \{dynamodb:LeadingKeys: (\[?"[A-Z]#[^"]*",? ?\]?)+\}`)

// TestAdminPasswordRights checks that every statement about the table has a condition on
// the partition, and that one of them is about the admin password: admin may read it.
func TestAdminPasswordRights(t *testing.T) {
	tpl := load(t, "full")
	const others = `{ForAllValues:StringNotEquals: {dynamodb:LeadingKeys: "A"}}`
	const itself = `{ForAllValues:StringLike: {dynamodb:LeadingKeys: "A"}, Null: {dynamodb:LeadingKeys: "false"}}`
	got := map[string]string{}
	for id, r := range tpl.of("AWS::IAM::Role") {
		for _, statement := range policyStatements(r.Properties) {
			if !slices.Contains(tpl.strings(at(statement, "Resource")), "${Table.Arn}") {
				continue
			}
			condition := ""
			if c := at(statement, "Condition"); c != nil {
				condition = text(t, tpl, c)
			}
			switch {
			case condition == itself:
				got[tpl.name(id)] += text(t, tpl, at(statement, "Action"))
			case condition != others && !partitions.MatchString(condition):
				t.Errorf("%s: %v under the condition %q", tpl.name(id), at(statement, "Action"), condition)
			}
		}
	}
	if diff := cmp.Diff(map[string]string{"adminRole": `"dynamodb:GetItem"`}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAdminOptionFalse(t *testing.T) {
	if output, ok := load(t, "bare").Outputs["AdminURL"]; ok {
		t.Errorf("output AdminURL is %v, want none", output.Value)
	}
}
