package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/store"
	"centrifuge/pkg/store/storetest"
)

// setEnvironment gives this process the AWS configuration of a database and no other.
func setEnvironment(t *testing.T, endpoint string) {
	t.Helper()
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
		}
	}
	for _, variable := range (emulator{endpoint: endpoint}).environment() {
		if name, value, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, value)
		}
	}
}

// writeOutputs writes the outputs of a stack with a table.
func writeOutputs(t *testing.T, table, admin string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "outputs.json")
	content := `{"centrifuge-dev":{"WebSocketURL":"wss://a","HTTPURL":"https://b","TableName":"` + table + `","AdminURL":"` + admin + `"}}`
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSetAdminPassword(t *testing.T) {
	s := storetest.New(t, store.Options{})
	setEnvironment(t, *s.Client.Options().BaseEndpoint)
	path, earlier := writeOutputs(t, s.Table, "https://b/admin/"), ""
	for range 2 {
		var out, notes bytes.Buffer
		if err := setAdminPassword(t.Context(), path, &out, &notes); err != nil {
			t.Fatal(err)
		}
		password := strings.TrimSuffix(out.String(), "\n")
		if !regexp.MustCompile(`^[A-Za-z0-9]{32}\n$`).MatchString(out.String()) || password == earlier {
			t.Errorf("printed %q after %q, want another line of 32 letters and digits", out.String(), earlier)
		}
		if !strings.Contains(notes.String(), "https://b/admin/") || strings.Contains(notes.String(), password) {
			t.Errorf("the notes are %q", notes.String())
		}
		hash, err := s.AdminPassword(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := auth.VerifyPassword(hash, password); !ok || err != nil {
			t.Errorf("the printed password is that of the table: %v, error %v", ok, err)
		}
		earlier = password
	}
}

func TestSetAdminPasswordRefusals(t *testing.T) {
	endpoint, table := storetest.Table(t)
	for _, tt := range []struct {
		name, path string
		lacks      string // a variable
		fails      string
	}{
		{"no deployment", filepath.Join(t.TempDir(), "outputs.json"), "", "outputs.json: no such file or directory: run make deploy first"},
		{"no admin pages", writeOutputs(t, table, ""), "", "the stack has no admin pages: deploy it with ADMIN=true"},
		{"another region or account", writeOutputs(t, "gone", "https://b/admin/"), "", "the table gone of "},
		{"no region", writeOutputs(t, table, "https://b/admin/"), "AWS_REGION", "no AWS region: set AWS_REGION"},
		{"no credentials", writeOutputs(t, table, "https://b/admin/"), "AWS_ACCESS_KEY_ID", "no AWS credentials: set those of the deployment"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			setEnvironment(t, endpoint)
			t.Setenv("AWS_DEFAULT_REGION", "")
			if tt.lacks != "" {
				t.Setenv(tt.lacks, "")
			}
			var out, notes bytes.Buffer
			err := setAdminPassword(t.Context(), tt.path, &out, &notes)
			if err == nil || !strings.Contains(err.Error(), tt.fails) {
				t.Errorf("error %v, want %q", err, tt.fails)
			}
			if out.Len()+notes.Len() > 0 {
				t.Errorf("printed %q and %q", out.String(), notes.String())
			}
		})
	}
}
