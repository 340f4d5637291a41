package auth_test

import (
	"encoding/base64"
	"encoding/hex"
	"testing"

	"centrifuge/pkg/auth"
)

func TestHashAPIKey(t *testing.T) {
	// As sha256sum prints it.
	const hash = "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683"
	if got := auth.HashAPIKey("key"); got != hash {
		t.Errorf("the hash is %s, not %s", got, hash)
	}
}

func TestGeneratedSecretsAreLongAndDiffer(t *testing.T) {
	for name, c := range map[string]struct {
		generate func() string
		decode   func(string) ([]byte, error)
	}{
		"a secret":   {auth.NewSecret, hex.DecodeString},
		"an API key": {auth.NewAPIKey, base64.RawURLEncoding.DecodeString},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := c.generate(), c.generate()
			if raw, err := c.decode(a); err != nil || len(raw) != 32 {
				t.Errorf("%d bytes, %v", len(raw), err)
			}
			if a == b {
				t.Error("the same twice")
			}
		})
	}
}
