package stack_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"centrifuge/infra/stack"
)

func TestReadOptions(t *testing.T) {
	defaults := stack.Options{
		Stage: "dev", Admin: true, Hooks: true, Retain: true, Assets: ".build", Architecture: "arm64", Monitoring: true,
	}
	withDomain := defaults
	withDomain.Domain, withDomain.APIDomain, withDomain.Certificate = "rt.example.com", "api.rt.example.com", certificate
	withBoth := withDomain
	withBoth.APIDomain, withBoth.Zone = "publish.example.com", "Z0123456789ABCDEFGHIJ"
	withAlarms := defaults
	withAlarms.Alarms = "ops@example.com"
	reserved := defaults
	reserved.ReservedConcurrency = 20
	for _, test := range []struct {
		name    string
		context map[string]any
		want    stack.Options
		err     string
	}{
		{name: "defaults", want: defaults},
		{
			name: "strings of the command line",
			context: map[string]any{
				"stage": "prod", "demo": "true", "retain": "false", "assets": "out", "architecture": "x86_64",
				"monitoring": "false", "admin": "false", "hooks": "false",
			},
			want: stack.Options{Stage: "prod", Demo: true, Assets: "out", Architecture: "x86_64"},
		},
		{
			name:    "booleans of cdk.json",
			context: map[string]any{"demo": true, "retain": false, "admin": false},
			want:    stack.Options{Stage: "dev", Demo: true, Hooks: true, Assets: ".build", Architecture: "arm64", Monitoring: true},
		},
		{
			name:    "domain without api-domain",
			context: map[string]any{"domain": "rt.example.com", "certificate": certificate},
			want:    withDomain,
		},
		{
			name: "both domains in a zone",
			context: map[string]any{
				"domain": "rt.example.com", "api-domain": "publish.example.com", "certificate": certificate, "zone": "Z0123456789ABCDEFGHIJ",
			},
			want: withBoth,
		},
		{name: "alarms", context: map[string]any{"alarms": "ops@example.com"}, want: withAlarms},
		{name: "reserved-concurrency of the command line", context: map[string]any{"reserved-concurrency": "20"}, want: reserved},
		{name: "reserved-concurrency of cdk.json", context: map[string]any{"reserved-concurrency": 20.0}, want: reserved},
		{name: "reserved-concurrency: empty", context: map[string]any{"reserved-concurrency": ""}, want: defaults},
		{name: "reserved-concurrency: zero, which would stop the functions", context: map[string]any{"reserved-concurrency": "0"}, err: "reserved-concurrency"},
		{name: "reserved-concurrency: over 1000", context: map[string]any{"reserved-concurrency": "1001"}, err: "reserved-concurrency"},
		{name: "reserved-concurrency: a fraction", context: map[string]any{"reserved-concurrency": 1.5}, err: "reserved-concurrency"},
		{
			name:    "empty optional strings",
			context: map[string]any{"domain": "", "api-domain": "", "certificate": "", "zone": "", "alarms": ""},
			want:    defaults,
		},
		{name: "unknown keys are ignored", context: map[string]any{"cli-telemetry": false}, want: defaults},
		{name: "stage: an underscore", context: map[string]any{"stage": "my_stage"}, err: "stage"},
		{name: "stage: empty", context: map[string]any{"stage": ""}, err: "stage"},
		{name: "stage: 65 letters", context: map[string]any{"stage": strings.Repeat("a", 65)}, err: "stage"},
		{name: "stage: a number", context: map[string]any{"stage": 1.0}, err: "stage"},
		{name: "demo: not a boolean", context: map[string]any{"demo": "yes please"}, err: "demo"},
		{name: "admin: not a boolean", context: map[string]any{"admin": "secret"}, err: "admin"},
		{name: "hooks: not a boolean", context: map[string]any{"hooks": "https://example.com"}, err: "hooks"},
		{name: "retain: empty", context: map[string]any{"retain": ""}, err: "retain"},
		{name: "assets: empty", context: map[string]any{"assets": ""}, err: "assets"},
		{name: "architecture: unknown", context: map[string]any{"architecture": "riscv"}, err: "architecture"},
		{name: "domain: a URL", context: map[string]any{"domain": "wss://rt.example.com", "certificate": certificate}, err: "domain"},
		{name: "domain: capitals", context: map[string]any{"domain": "RT.example.com", "certificate": certificate}, err: "domain"},
		{name: "domain: a wildcard", context: map[string]any{"domain": "*.example.com", "certificate": certificate}, err: "domain"},
		{name: "domain: no dot", context: map[string]any{"domain": "localhost", "certificate": certificate}, err: "domain"},
		{name: "domain: 254 letters", context: map[string]any{"domain": strings.Repeat("a.", 125) + "com2", "certificate": certificate}, err: "domain"},
		{name: "domain without certificate", context: map[string]any{"domain": "rt.example.com"}, err: "certificate"},
		{name: "certificate: not an ARN", context: map[string]any{"domain": "rt.example.com", "certificate": "rt.pem"}, err: "certificate"},
		{name: "certificate without domain", context: map[string]any{"certificate": certificate}, err: "certificate"},
		{name: "zone without domain", context: map[string]any{"zone": "Z0123456789ABCDEFGHIJ"}, err: "zone"},
		{name: "api-domain without domain", context: map[string]any{"api-domain": "api.example.com"}, err: "api-domain"},
		{
			name:    "zone: a name",
			context: map[string]any{"domain": "rt.example.com", "certificate": certificate, "zone": "example.com"}, err: "zone",
		},
		{
			name:    "api-domain: same as domain",
			context: map[string]any{"domain": "rt.example.com", "api-domain": "rt.example.com", "certificate": certificate}, err: "api-domain",
		},
		{
			name:    "api-domain: a URL",
			context: map[string]any{"domain": "rt.example.com", "api-domain": "https://api.example.com", "certificate": certificate}, err: "api-domain",
		},
		{name: "monitoring: not a boolean", context: map[string]any{"monitoring": "some"}, err: "monitoring"},
		{name: "alarms: not an address", context: map[string]any{"alarms": "true"}, err: "alarms"},
		{name: "alarms: an address with a name", context: map[string]any{"alarms": "Ops <ops@example.com>"}, err: "alarms"},
		{name: "alarms without monitoring", context: map[string]any{"alarms": "ops@example.com", "monitoring": "false"}, err: "alarms"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := stack.ReadOptions(func(key string) any { return test.context[key] })
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), "context "+test.err+" ") {
					t.Fatalf("error %v, want one about %s", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
