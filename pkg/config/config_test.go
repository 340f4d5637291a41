package config_test

import (
	"log/slog"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/config"
)

func TestLoad(t *testing.T) {
	required := map[string]string{config.Table: "t", config.Region: "eu-central-1"}
	for _, tt := range []struct {
		name  string
		set   map[string]string
		want  config.Config
		fails string // the error
	}{
		{name: "required only", want: config.Config{Table: "t", Region: "eu-central-1", Concurrency: 64, DemoProject: "demo"}},
		{name: "all", set: map[string]string{
			config.ManagementURL: "https://a.example/dev", config.Concurrency: "8", config.InsecureCallbacks: "true", config.LogLevel: "debug",
			config.DynamoDBEndpoint: "http://127.0.0.1:8000", config.DemoProject: "shop", config.WebSocketURL: "wss://a.example/dev",
			config.HTTPURL: "https://b.example", config.MetricsNamespace: "Centrifuge/dev", config.AccessKeyID: "id", config.SecretAccessKey: "secret", config.SessionToken: "session",
			config.SDK: "centrifuge.js",
		}, want: config.Config{
			Table: "t", Region: "eu-central-1", ManagementURL: "https://a.example/dev", Concurrency: 8, InsecureCallbacks: true, LogLevel: slog.LevelDebug,
			DynamoDBEndpoint: "http://127.0.0.1:8000", DemoProject: "shop", WebSocketURL: "wss://a.example/dev",
			HTTPURL: "https://b.example", MetricsNamespace: "Centrifuge/dev", AccessKeyID: "id", SecretAccessKey: "secret", SessionToken: "session", SDK: "centrifuge.js",
		}},
		{name: "no table", set: map[string]string{config.Table: ""}, fails: "CENTRIFUGE_TABLE is not set: it is required"},
		{name: "no region", set: map[string]string{config.Region: ""}, fails: "AWS_REGION is not set: it is required"},
		{name: "management URL without a scheme", set: map[string]string{config.ManagementURL: "a.example/dev"}, fails: `CENTRIFUGE_MANAGEMENT_URL is not an absolute URL: "a.example/dev"`},
		{name: "concurrency 0", set: map[string]string{config.Concurrency: "0"}, fails: `CENTRIFUGE_CONCURRENCY is not a number from 1 to 1024: "0"`},
		{name: "concurrency over the limit", set: map[string]string{config.Concurrency: "1025"}, fails: `CENTRIFUGE_CONCURRENCY is not a number from 1 to 1024: "1025"`},
		{name: "concurrency that is not a number", set: map[string]string{config.Concurrency: "many"}, fails: `CENTRIFUGE_CONCURRENCY is not a number from 1 to 1024: "many"`},
		{name: "insecure callbacks not a boolean", set: map[string]string{config.InsecureCallbacks: "perhaps"}, fails: `CENTRIFUGE_INSECURE_CALLBACKS is not true or false: "perhaps"`},
		{name: "unknown log level", set: map[string]string{config.LogLevel: "loud"}, fails: `CENTRIFUGE_LOG_LEVEL is not debug, info, warn or error: "loud"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			env := maps.Clone(required)
			maps.Copy(env, tt.set)
			got, err := config.Load(func(name string) string { return env[name] })
			if tt.fails != "" {
				if err == nil || err.Error() != tt.fails {
					t.Errorf("error %v, expected %s", err, tt.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-expected +loaded:\n%s", diff)
			}
		})
	}
}
