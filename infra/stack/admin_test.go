package stack_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/config"
)

func TestAdminPassword(t *testing.T) {
	tpl := load(t, "plain")
	secret := tpl.one(t, "AWS::SecretsManager::Secret")
	t.Run("it is generated, 32 letters and digits of plain text", func(t *testing.T) {
		// A template or a key would make JSON of it.
		want := map[string]any{
			"Name":                 "centrifuge-plain/admin",
			"Description":          "The password of the admin pages of centrifuge-plain",
			"GenerateSecretString": map[string]any{"PasswordLength": 32.0, "ExcludePunctuation": true},
		}
		if diff := cmp.Diff(want, secret.Properties); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	t.Run("it goes with the stack", func(t *testing.T) {
		if secret.DeletionPolicy != "Delete" {
			t.Errorf("the deletion policy is %s", secret.DeletionPolicy)
		}
	})
	t.Run("the function of the admin pages is told where it is, and nobody else", func(t *testing.T) {
		for name, f := range tpl.functions(t) {
			told := tpl.string(f.at("Environment", "Variables", config.AdminSecret)) == "${AdminPasswordSecret}"
			if told != (name == "admin") {
				t.Errorf("%s: %v", name, f.at("Environment", "Variables"))
			}
			if f.at("Environment", "Variables", config.AdminPassword) != nil {
				t.Errorf("%s is told the password itself", name)
			}
		}
	})
	t.Run("the function of the admin pages may read it, and nobody else may do anything with it", func(t *testing.T) {
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

func TestWithoutAdmin(t *testing.T) {
	tpl := load(t, "bare")
	if n := len(tpl.of("AWS::SecretsManager::Secret")); n != 0 {
		t.Errorf("there are %d secrets", n)
	}
	for _, name := range []string{"AdminURL", "AdminSecretName"} {
		if output, ok := tpl.Outputs[name]; ok {
			t.Errorf("%s is %v", name, output.Value)
		}
	}
}
