package hub

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReplaceSecret(t *testing.T) {
	now := time.Unix(1_800_000_000, 500)
	for _, test := range []struct {
		name  string
		grace time.Duration
		want  Project
		err   string // "" for none
	}{
		{"without a grace", 0, Project{Secret: "new"}, ""},
		{"a grace of an hour, rounded up", time.Hour, Project{Secret: "new", PreviousSecret: "old", PreviousUntil: time.Unix(1_800_003_601, 0).UTC()}, ""},
		{"the longest grace", MaxSecretGrace, Project{Secret: "new", PreviousSecret: "old", PreviousUntil: time.Unix(1_802_592_001, 0).UTC()}, ""},
		{"a negative grace", -time.Second, Project{Secret: "old", PreviousSecret: "older"}, "bad request: the previous secret can be kept for 0 to 30 days"},
		{"a grace that is too long", MaxSecretGrace + 1, Project{Secret: "old", PreviousSecret: "older"}, "bad request: the previous secret can be kept for 0 to 30 days"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := Project{Secret: "old", PreviousSecret: "older"}
			got := ""
			if err := p.ReplaceSecret("new", test.grace, now); err != nil {
				got = err.Error()
			}
			if got != test.err {
				t.Errorf("error %q, want %q", got, test.err)
			}
			if diff := cmp.Diff(test.want, p); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestSecrets(t *testing.T) {
	for _, test := range []struct {
		name              string
		present, previous string
		want              []string
		webhook           string
	}{
		{"no secret", "", "", nil, ""},
		{"no previous secret", "new", "", []string{"new"}, "new"},
		{"a previous secret", "new", "old", []string{"new", "old"}, "old"},
		{"a previous secret alone", "", "old", nil, "old"},
	} {
		p := &Project{Secret: test.present, PreviousSecret: test.previous}
		if diff := cmp.Diff(test.want, p.Secrets()); diff != "" {
			t.Errorf("%s: -want +got\n%s", test.name, diff)
		}
		if got := p.WebhookSecret(); got != test.webhook {
			t.Errorf("%s: webhooks are signed with %q, want %q", test.name, got, test.webhook)
		}
	}
}

// TestOptionsAdmit changes the options of a project under connections that rest on them.
func TestOptionsAdmit(t *testing.T) {
	for _, test := range []struct {
		name    string
		options ProjectOptions
		secret  string // of the basis
	}{
		{"the RSA key", ProjectOptions{TokenRSAPublicKey: rsaKey}, SecretID(rsaKey)},
		{"the ECDSA key", ProjectOptions{TokenECDSAPublicKey: ecdsaKey}, SecretID(ecdsaKey)},
		{"the key set", ProjectOptions{TokenJWKSURL: "https://a.example/jwks"}, SecretID("https://a.example/jwks")},
		{"anonymous access", ProjectOptions{AllowAnonymousConnectWithoutToken: true}, WithoutToken},
		{"insecure", ProjectOptions{Insecure: true}, WithoutRules},
	} {
		p := &Project{Secret: "s", Options: test.options}
		if !p.rule().Admits(Basis{Secret: test.secret}) {
			t.Errorf("%s: a connection that rests on it is not admitted", test.name)
		}
		p.Options = ProjectOptions{}
		if p.rule().Admits(Basis{Secret: test.secret}) {
			t.Errorf("%s, removed: a connection that rests on it is admitted", test.name)
		}
	}
}
