package stack_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/config"
)

func TestAdminPassword(t *testing.T) {
	tpl := load(t, "plain")
	secret := tpl.one(t, "AWS::SecretsManager::Secret")
	t.Run("generated: 32 letters and digits, plain text", func(t *testing.T) {
		// SecretStringTemplate or GenerateStringKey would make it JSON.
		want := map[string]any{
			"Name":                 "centrifuge-plain/admin",
			"Description":          "The password of the admin pages of centrifuge-plain",
			"GenerateSecretString": map[string]any{"PasswordLength": 32.0, "ExcludePunctuation": true},
		}
		if diff := cmp.Diff(want, secret.Properties); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	t.Run("deleted with the stack", func(t *testing.T) {
		if secret.DeletionPolicy != "Delete" {
			t.Errorf("the deletion policy is %s", secret.DeletionPolicy)
		}
	})
	t.Run("its ARN is in the environment of admin only", func(t *testing.T) {
		for name, f := range tpl.functions(t) {
			named := tpl.string(f.at("Environment", "Variables", config.AdminSecret)) == "${AdminPasswordSecret}"
			if named != (name == "admin") {
				t.Errorf("%s: %v", name, f.at("Environment", "Variables"))
			}
			if f.at("Environment", "Variables", config.AdminPassword) != nil {
				t.Errorf("the environment of %s holds the password", name)
			}
		}
	})
	t.Run("only the role of admin has a right on it: to read", func(t *testing.T) {
		got := map[string]string{}
		for id, r := range tpl.of("AWS::IAM::Role") {
			for _, statement := range policyStatements(r.Properties) {
				for _, on := range tpl.strings(at(statement, "Resource")) {
					if on == "${AdminPasswordSecret}" {
						got[tpl.name(id)] += text(t, tpl, at(statement, "Action"))
					}
				}
			}
		}
		if diff := cmp.Diff(map[string]string{"adminRole": `"secretsmanager:GetSecretValue"`}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestAdminOptionFalse(t *testing.T) {
	tpl := load(t, "bare")
	if n := len(tpl.of("AWS::SecretsManager::Secret")); n != 0 {
		t.Errorf("%d secrets, want 0", n)
	}
	for _, name := range []string{"AdminURL", "AdminSecretName"} {
		if output, ok := tpl.Outputs[name]; ok {
			t.Errorf("output %s is %v, want none", name, output.Value)
		}
	}
}
