package stack_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"centrifuge/functions"
	"centrifuge/infra/stack"
	"centrifuge/pkg/store/schema"
)

func TestFunctionsAreDeployed(t *testing.T) {
	folders, err := os.ReadDir("../../functions")
	if err != nil {
		t.Fatal(err)
	}
	folder := func(without ...string) (names []string) {
		for _, f := range folders {
			if f.IsDir() && !slices.Contains(without, f.Name()) {
				names = append(names, f.Name())
			}
		}
		return names
	}
	for stage, want := range map[string][]string{
		"full": folder(), "plain": folder("demo", "ping"), "bare": folder("demo", "ping", "admin", "webhook"),
	} {
		tpl := load(t, stage)
		functions := tpl.functions(t)
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(functions))); diff != "" {
			t.Errorf("%s: the folders of functions/ and the deployed functions differ (-folders +deployed):\n%s", stage, diff)
		}
		for name, f := range functions {
			if code := tpl.bootstraps[f.at("Code", "S3Key").(string)]; !strings.Contains(code, "functions/"+name+".\n") {
				t.Errorf("%s: %s has the bootstrap of another function: %q", stage, name, code)
			}
		}
	}
}

func TestFunctionTimeout(t *testing.T) {
	for name, f := range load(t, "full").functions(t) {
		if f.at("Timeout") != functions.Timeout.Seconds() {
			t.Errorf("%s ends after %v s, want %v", name, f.at("Timeout"), functions.Timeout)
		}
	}
}

func TestTable(t *testing.T) {
	attribute := func(name string) map[string]any {
		return map[string]any{"AttributeName": name, "AttributeType": "S"}
	}
	key := func(name, kind string) map[string]any {
		return map[string]any{"AttributeName": name, "KeyType": kind}
	}
	want := map[string]any{
		"BillingMode": "PAY_PER_REQUEST",
		"AttributeDefinitions": []any{
			attribute(schema.PartitionKey), attribute(schema.SortKey), attribute(schema.UserKey),
		},
		"KeySchema": []any{key(schema.PartitionKey, "HASH"), key(schema.SortKey, "RANGE")},
		"GlobalSecondaryIndexes": []any{map[string]any{
			"IndexName":  schema.UserIndex,
			"KeySchema":  []any{key(schema.UserKey, "HASH")},
			"Projection": map[string]any{"ProjectionType": "KEYS_ONLY"},
		}},
		"TimeToLiveSpecification":          map[string]any{"AttributeName": schema.ExpiryAttribute, "Enabled": true},
		"SSESpecification":                 map[string]any{"SSEEnabled": false}, // the key that AWS owns, which costs nothing
		"PointInTimeRecoverySpecification": map[string]any{"PointInTimeRecoveryEnabled": true},
	}
	for stage, policy := range map[string]string{"plain": "RetainExceptOnCreate", "full": "Delete"} {
		table := load(t, stage).one(t, "AWS::DynamoDB::Table")
		if diff := cmp.Diff(want, table.Properties); diff != "" {
			t.Errorf("%s (-want +got):\n%s", stage, diff)
		}
		if table.DeletionPolicy != policy {
			t.Errorf("%s: the deletion policy is %s, want %s", stage, table.DeletionPolicy, policy)
		}
		if replaced := strings.TrimSuffix(policy, "ExceptOnCreate"); table.UpdateReplacePolicy != replaced {
			t.Errorf("%s: the policy for a replacement is %s, want %s", stage, table.UpdateReplacePolicy, replaced)
		}
	}
}

func TestLogs(t *testing.T) {
	tpl := load(t, "full")
	for id, logs := range tpl.of("AWS::Logs::LogGroup") {
		if logs.at("RetentionInDays") != 30.0 || logs.DeletionPolicy != "Delete" {
			t.Errorf("log group %s is kept for %v days, deletion policy %s", id, logs.at("RetentionInDays"), logs.DeletionPolicy)
		}
	}
	groups := map[string]string{}
	for name, f := range tpl.functions(t) {
		id, _ := at(f.at("LoggingConfig", "LogGroup"), "Ref").(string)
		if tpl.Resources[id].Type != "AWS::Logs::LogGroup" {
			t.Errorf("%s has no log group", name)
		}
		if other, taken := groups[id]; taken {
			t.Errorf("%s and %s share a log group", name, other)
		}
		groups[id] = name
	}
}

// CDK does not find circular dependencies within a stack. CloudFormation finds them
// when it deploys.
func TestNoCircularDependencies(t *testing.T) {
	for stage := range contexts {
		t.Run(stage, func(t *testing.T) { checkDependencies(t, load(t, stage)) })
	}
}

func checkDependencies(t *testing.T, tpl template) {
	t.Helper()
	const underway, done = 1, 2
	state := map[string]int{}
	var visit func(path []string, id string)
	visit = func(path []string, id string) {
		r, ours := tpl.Resources[id]
		if !ours || state[id] == done {
			return
		}
		path = append(path, id)
		if state[id] == underway {
			t.Errorf("circular dependency: %s", strings.Join(path, " → "))
			return
		}
		state[id] = underway
		for _, next := range append(references(r.Properties), r.DependsOn...) {
			visit(path, next)
		}
		state[id] = done
	}
	for id := range tpl.Resources {
		visit(nil, id)
	}
	if len(state) != len(tpl.Resources) || len(state) == 0 {
		t.Errorf("visited %d of %d resources", len(state), len(tpl.Resources))
	}
}

func TestMissingAssets(t *testing.T) {
	o, err := stack.ReadOptions(func(string) any { return nil })
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"connect/bootstrap":   "function connect is not built, run make build",
		"admin/bootstrap":     "function admin is not built, run make build",
		"admin/centrifuge.js": "function admin is not built, run make build",
	} {
		t.Run(file, func(t *testing.T) {
			o := o
			o.Assets = t.TempDir()
			if err := os.CopyFS(o.Assets, os.DirFS("testdata/build")); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(filepath.Join(o.Assets, file)); err != nil {
				t.Fatal(err)
			}
			if _, err := stack.New(nil, o); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), file) {
				t.Errorf("error %v", err)
			}
		})
	}
}
