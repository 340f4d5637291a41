package app_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"centrifuge/pkg/app"
	"centrifuge/pkg/config"
)

func TestSDK(t *testing.T) {
	file := filepath.Join(t.TempDir(), "centrifuge.js")
	if err := os.WriteFile(file, []byte("the SDK"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, path, sdk, fails string }{
		{name: "no path"},
		{name: "a file", path: file, sdk: "the SDK"},
		{name: "a file that does not exist", path: file + "x", fails: "read CENTRIFUGE_SDK: open " + file + "x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, err := app.Load(func(name string) string {
				return map[string]string{config.Table: "t", config.Region: "us-east-1", config.SDK: tt.path}[name]
			}, io.Discard)
			switch {
			case tt.fails != "":
				if err == nil || !strings.HasPrefix(err.Error(), tt.fails) {
					t.Errorf("error %v", err)
				}
			case err != nil || string(b.SDK) != tt.sdk:
				t.Errorf("the SDK is %q, error %v", b.SDK, err)
			}
		})
	}
}
