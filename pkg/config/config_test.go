package config_test

import (
	"log/slog"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/config"
)

func TestLoad(t *testing.T) {
	least := map[string]string{config.Table: "t", config.Region: "eu-central-1"}
	for _, tt := range []struct {
		name  string
		set   map[string]string
		want  config.Config
		fails string
	}{
		{name: "the least", want: config.Config{Table: "t", Region: "eu-central-1", Concurrency: 64, DemoProject: "demo"}},
		{name: "everything", set: map[string]string{
			config.ManagementURL: "https://a.example/dev", config.Concurrency: "8", config.InsecureCallbacks: "true", config.LogLevel: "debug",
			config.DynamoDBEndpoint: "http://127.0.0.1:8000", config.DemoProject: "shop", config.WebSocketURL: "wss://a.example/dev",
			config.HTTPURL: "https://b.example", config.MetricsNamespace: "Centrifuge/dev", config.AccessKeyID: "id", config.SecretAccessKey: "secret", config.SessionToken: "session",
		}, want: config.Config{
			Table: "t", Region: "eu-central-1", ManagementURL: "https://a.example/dev", Concurrency: 8, InsecureCallbacks: true, LogLevel: slog.LevelDebug,
			DynamoDBEndpoint: "http://127.0.0.1:8000", DemoProject: "shop", WebSocketURL: "wss://a.example/dev",
			HTTPURL: "https://b.example", MetricsNamespace: "Centrifuge/dev", AccessKeyID: "id", SecretAccessKey: "secret", SessionToken: "session",
		}},
		{name: "no table", set: map[string]string{config.Table: ""}, fails: config.Table},
		{name: "no region", set: map[string]string{config.Region: ""}, fails: config.Region},
		{name: "a management URL that is none", set: map[string]string{config.ManagementURL: "a.example/dev"}, fails: config.ManagementURL},
		{name: "no concurrency at all", set: map[string]string{config.Concurrency: "0"}, fails: config.Concurrency},
		{name: "too much concurrency", set: map[string]string{config.Concurrency: "1025"}, fails: config.Concurrency},
		{name: "a concurrency that is no number", set: map[string]string{config.Concurrency: "many"}, fails: config.Concurrency},
		{name: "callbacks neither safe nor unsafe", set: map[string]string{config.InsecureCallbacks: "perhaps"}, fails: config.InsecureCallbacks},
		{name: "a log level that is none", set: map[string]string{config.LogLevel: "loud"}, fails: config.LogLevel},
	} {
		t.Run(tt.name, func(t *testing.T) {
			env := maps.Clone(least)
			maps.Copy(env, tt.set)
			got, err := config.Load(func(name string) string { return env[name] })
			if tt.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fails) {
					t.Errorf("error %v, expected one that names %s", err, tt.fails)
				}
				return
			}
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Errorf("error %v, -expected +loaded:\n%s", err, diff)
			}
		})
	}
}
