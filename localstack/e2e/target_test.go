package e2e_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/localstack/e2e"
	"centrifuge/pkg/auth"
)

func TestFromEnvironment(t *testing.T) {
	least := e2e.Target{
		WebSocketURL: "wss://a.example/dev", HTTPURL: "https://b.example",
		Project: "demo", Secret: "demo-secret", APIKey: "demo-key", Patience: 20 * time.Second,
	}
	for _, tt := range []struct {
		name        string
		environment map[string]string
		want        e2e.Target
		found       bool
		fails       string
	}{
		{name: "an empty environment names no target"},
		{name: "a project alone is no target", environment: map[string]string{"E2E_PROJECT": "shop", "E2E_SECRET": "s"}},
		{
			name:        "two addresses are enough, and the project is the demo's",
			environment: map[string]string{"E2E_WS_URL": "wss://a.example/dev", "E2E_HTTP_URL": "https://b.example"},
			want:        least, found: true,
		},
		{
			name:        "a slash at the end does not count",
			environment: map[string]string{"E2E_WS_URL": "wss://a.example/dev/", "E2E_HTTP_URL": "https://b.example/"},
			want:        least, found: true,
		},
		{
			name: "everything",
			environment: map[string]string{
				"E2E_WS_URL": "ws://127.0.0.1:1/a/b", "E2E_HTTP_URL": "http://127.0.0.1:1/c", "E2E_PROJECT": "shop",
				"E2E_SECRET": "s", "E2E_API_KEY": "k", "E2E_PATIENCE": "1m", "E2E_LACKS": `{"size-limits":"because"}`,
			},
			want: e2e.Target{
				WebSocketURL: "ws://127.0.0.1:1/a/b", HTTPURL: "http://127.0.0.1:1/c", Project: "shop",
				Secret: "s", APIKey: "k", Patience: time.Minute, Lacks: map[string]string{"size-limits": "because"},
			},
			found: true,
		},
		{name: "one address without the other", environment: map[string]string{"E2E_WS_URL": "wss://a.example/dev"}, fails: "E2E_HTTP_URL"},
		{name: "and the other way round", environment: map[string]string{"E2E_HTTP_URL": "https://b.example"}, fails: "E2E_WS_URL"},
		{name: "the addresses mixed up", environment: map[string]string{"E2E_WS_URL": "https://b.example", "E2E_HTTP_URL": "https://b.example"}, fails: "E2E_WS_URL"},
		{name: "an address without a host", environment: map[string]string{"E2E_WS_URL": "wss:///dev", "E2E_HTTP_URL": "https://b.example"}, fails: "E2E_WS_URL"},
		{name: "patience without a unit", environment: with("E2E_PATIENCE", "20"), fails: "E2E_PATIENCE"},
		{name: "no patience at all", environment: with("E2E_PATIENCE", "0s"), fails: "E2E_PATIENCE"},
		{name: "lacks without reasons", environment: with("E2E_LACKS", `["size-limits"]`), fails: "E2E_LACKS"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, found, err := e2e.FromEnvironment(func(name string) string { return tt.environment[name] })
			if tt.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fails) {
					t.Fatalf("error %v, expected one that names %s", err, tt.fails)
				}
				return
			}
			if err != nil || found != tt.found {
				t.Fatalf("found %t, error %v", found, err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-expected +read:\n%s", diff)
			}
		})
	}
}

// with is an environment that names a target, and one value more.
func with(name, value string) map[string]string {
	return map[string]string{"E2E_WS_URL": "wss://a.example/dev", "E2E_HTTP_URL": "https://b.example", name: value}
}

func TestTargetSurvivesTheEnvironment(t *testing.T) {
	for name, want := range map[string]e2e.Target{
		"with defaults": {WebSocketURL: "wss://a.example/dev", HTTPURL: "https://b.example"},
		"with everything": {
			WebSocketURL: "wss://a.example/dev", HTTPURL: "https://b.example", Project: "p=1", Secret: "s\"\n", APIKey: "k",
			Patience: time.Hour, Lacks: map[string]string{"one": "a \"reason\"", "two": "…"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			environment, err := want.Environment()
			if err != nil {
				t.Fatal(err)
			}
			values := make(map[string]string)
			for _, variable := range environment {
				name, value, _ := strings.Cut(variable, "=")
				values[name] = value
			}
			got, found, err := e2e.FromEnvironment(func(name string) string { return values[name] })
			if err != nil || !found {
				t.Fatalf("found %t, error %v", found, err)
			}
			again, err := got.Environment()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(environment, again); diff != "" {
				t.Errorf("-written +read and written again:\n%s", diff)
			}
			if diff := cmp.Diff(want.Lacks, got.Lacks); diff != "" {
				t.Errorf("-expected +read:\n%s", diff)
			}
		})
	}
}

func TestGaps(t *testing.T) {
	const script = `
needs one
open a
close a
end
open b
needs two
open c
end
`
	lacksOne := e2e.Target{Lacks: map[string]string{"one": "because"}}
	for _, tt := range []struct {
		name   string
		target e2e.Target
		script string
		want   []e2e.Gap
		fails  string
	}{
		{name: "a target that lacks nothing plays everything", script: script},
		{
			name: "what needs something lacking is told by line, steps and reason", target: lacksOne, script: script,
			want: []e2e.Gap{{Script: "s", Line: 2, Steps: 2, Part: "one", Reason: "because"}},
		},
		{name: "needs without end", script: "needs one\nopen a\n", fails: "no end"},
		{name: "end without needs", script: "open a\nend\n", fails: "s:2"},
		{name: "needs within needs", script: "needs one\nneeds two\nend\n", fails: "s:2"},
		{name: "needs of nothing", script: "needs\nend\n", fails: "s:1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := e2e.Gaps(tt.target, "s", tt.script)
			if tt.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fails) {
					t.Fatalf("error %v, expected one with %q", err, tt.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-expected +told:\n%s", diff)
			}
		})
	}
	t.Run("what is passed over is not played", func(t *testing.T) {
		// Nobody listens at this target, so that any other step would fail.
		if err := e2e.Play(t.Context(), lacksOne, "s", "needs one\nopen a\nend\n"); err != nil {
			t.Error(err)
		}
		if err := e2e.Play(t.Context(), e2e.Target{}, "s", "needs one\nopen a\nend\n"); err == nil {
			t.Error("a target that lacks nothing passed the part over")
		}
	})
}

func TestAFailureDoesNotTellWhatOpensTheProject(t *testing.T) {
	target := e2e.Target{HTTPURL: "http://127.0.0.1:1", Project: "shop", Secret: "the-secret", APIKey: "the-key"}
	for name, call := range map[string]string{
		"api": "api {{key}} publish {}", "rpc": "rpc {{secret}} {{project}} {}", "token": `send a {"params":{"token":"{{token "alice"}}"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			err := e2e.Play(t.Context(), target, "s", call)
			if err == nil {
				t.Fatal("nobody listens there, and yet no error")
			}
			for _, secret := range []string{target.Secret, target.APIKey, auth.SignToken(target.Secret, "alice", target.Project)} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error tells %s:\n%v", secret, err)
				}
			}
		})
	}
}
