package stack_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

// The files in infra/testdata show the resources of a stack, its routes, and the rights,
// invokers and environment of its functions. A change needs a review.
func TestGolden(t *testing.T) {
	for stage := range contexts {
		t.Run(stage, func(t *testing.T) {
			got := render(t, load(t, stage))
			file := filepath.Join("..", "testdata", stage+".golden")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("review the change, then accept it with go test ./infra/stack -run TestGolden -update (-want +got):\n%s", diff)
			}
		})
	}
}

// render renders a stack: context, outputs, routes, functions with their rights and
// environment, other resources with policies, and the number of resources of each
// type.
func render(t *testing.T, tpl template) string {
	t.Helper()
	var out strings.Builder
	section := func(title string, lines []string) {
		fmt.Fprintf(&out, "%s\n", title)
		for _, line := range lines {
			fmt.Fprintf(&out, "    %s\n", line)
		}
		out.WriteString("\n")
	}

	section("context", sorted(tpl.context, func(key string, value any) string { return fmt.Sprintf("%s = %v", key, value) }))
	section("outputs", sorted(tpl.Outputs, func(name string, output struct{ Value any }) string {
		return name + " = " + tpl.string(output.Value)
	}))
	section("routes", routes(t, tpl))

	roles := map[string]string{}
	functions := tpl.functions(t)
	for _, name := range slices.Sorted(maps.Keys(functions)) {
		f := functions[name]
		id := references(f.at("Role"))[0]
		if other, taken := roles[id]; taken {
			t.Errorf("%s and %s share a role", name, other)
		}
		roles[id] = name
		lines := []string{fmt.Sprintf("runs as %v %v on %v, %v MB, %v s", f.at("Runtime"), f.at("Handler"),
			tpl.string(f.at("Architectures").([]any)[0]), f.at("MemorySize"), f.at("Timeout"))}
		lines = append(lines, grants(t, tpl, tpl.Resources[id])...)
		lines = append(lines, invokers(tpl, name)...)
		lines = append(lines, sorted(f.at("Environment", "Variables").(map[string]any), func(key string, value any) string {
			return key + " = " + tpl.string(value)
		})...)
		section("function "+name, lines)
	}

	var others []string
	for _, id := range slices.Sorted(maps.Keys(tpl.Resources)) {
		r := tpl.Resources[id]
		if _, known := roles[id]; known {
			continue
		}
		for _, line := range grants(t, tpl, r) {
			others = append(others, tpl.name(id)+" "+line)
		}
	}
	section("other policies", append(others, "none")[:max(1, len(others))])

	count := map[string]int{}
	for _, r := range tpl.Resources {
		count[r.Type]++
	}
	section("resources", sorted(count, func(kind string, n int) string { return fmt.Sprintf("%2d %s", n, kind) }))
	return strings.TrimSuffix(out.String(), "\n")
}

func sorted[V any](m map[string]V, line func(string, V) string) []string {
	var lines []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		lines = append(lines, line(key, m[key]))
	}
	return lines
}

// grants renders all policy statements of a resource, and its managed policies.
func grants(t *testing.T, tpl template, r resource) []string {
	t.Helper()
	var lines []string
	if managed := r.at("ManagedPolicyArns"); managed != nil {
		lines = append(lines, fmt.Sprintf("may do what %v allows", tpl.strings(managed)))
	}
	for _, statement := range policyStatements(r.Properties) {
		verb := map[any]string{"Allow": "may", "Deny": "may not"}[at(statement, "Effect")]
		for _, exception := range []string{"NotAction", "NotResource", "NotPrincipal"} {
			if at(statement, exception) != nil {
				t.Errorf("a statement grants by exception: %v", statement)
			}
		}
		line := verb + " " + strings.Join(tpl.strings(at(statement, "Action")), " ")
		if principal := at(statement, "Principal"); principal != nil {
			line = text(t, tpl, principal) + " " + line
		}
		if on := at(statement, "Resource"); on != nil {
			line += " on " + strings.Join(tpl.strings(on), " ")
		}
		if condition := at(statement, "Condition"); condition != nil {
			line += " if " + text(t, tpl, condition)
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}

// invokers renders the permissions to invoke a function.
func invokers(tpl template, name string) []string {
	var lines []string
	for _, r := range tpl.of("AWS::Lambda::Permission") {
		if tpl.string(r.at("FunctionName")) == "${"+name+".Arn}" {
			lines = append(lines, fmt.Sprintf("%v may %v for %v", tpl.string(r.at("Principal")), r.at("Action"), tpl.string(r.at("SourceArn"))))
		}
	}
	slices.Sort(lines)
	return lines
}

// text renders an object with sorted keys.
func text(t *testing.T, tpl template, v any) string {
	t.Helper()
	if object, ok := v.(map[string]any); ok && tpl.string(v) == fmt.Sprint(v) {
		return "{" + strings.Join(sorted(object, func(key string, value any) string {
			return key + ": " + text(t, tpl, value)
		}), ", ") + "}"
	}
	data, err := json.Marshal(tpl.strings(v))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Trim(string(data), "[]")
}

func TestNoWildcardGrants(t *testing.T) {
	for stage := range contexts {
		tpl := load(t, stage)
		for id, r := range tpl.Resources {
			statements := policyStatements(r.Properties)
			if r.Type == "AWS::IAM::Role" && len(statements) < 2 {
				t.Errorf("%s: role %s has %d statements, want 2 or more: does the test find them?", stage, id, len(statements))
			}
			for _, statement := range statements {
				if at(statement, "Effect") == "Deny" {
					continue
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

// policyStatements returns the statements of all policy documents in a value.
func policyStatements(v any) []any {
	var found []any
	switch v := v.(type) {
	case []any:
		for _, one := range v {
			found = append(found, policyStatements(one)...)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if statements, ok := v[key].([]any); ok && key == "Statement" {
				found = append(found, statements...)
				continue
			}
			found = append(found, policyStatements(v[key])...)
		}
	}
	return found
}
