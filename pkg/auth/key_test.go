package auth_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
)

// hashOfKey is the output of: printf key | sha256sum
const hashOfKey = "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683"

func TestHashAPIKey(t *testing.T) {
	if got := auth.HashAPIKey("key"); got != hashOfKey {
		t.Errorf("hash %s, expected %s", got, hashOfKey)
	}
}

func TestCheckAPIKey(t *testing.T) {
	longest := strings.Repeat("k", auth.MaxAPIKeyBytes)
	hashes := []string{auth.HashAPIKey("other"), hashOfKey, auth.HashAPIKey(longest), auth.HashAPIKey(longest + "k"), auth.HashAPIKey("")}
	for name, c := range map[string]struct {
		hashes []string
		key    string
		want   error
	}{
		"first key":            {hashes, "other", nil},
		"second key":           {hashes, "key", nil},
		"longest key":          {hashes, longest, nil},
		"key over the limit":   {hashes, longest + "k", hub.ErrUnauthorized},
		"empty key":            {hashes, "", hub.ErrUnauthorized},
		"unknown key":          {hashes, "guess", hub.ErrUnauthorized},
		"key in another case":  {hashes, "KEY", hub.ErrUnauthorized},
		"hash as the key":      {hashes, hashOfKey, hub.ErrUnauthorized},
		"project without keys": {nil, "key", hub.ErrUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			if err := auth.CheckAPIKey(&hub.Project{APIKeyHashes: c.hashes}, c.key); !errors.Is(err, c.want) {
				t.Errorf("error %v, expected %v", err, c.want)
			}
		})
	}
}

// apiKeys is an auth.APIKeys in memory: projects by the hash of a key. It counts the
// lookups.
type apiKeys struct {
	projects map[string]*hub.Project
	err      error
	lookups  int
}

func (k *apiKeys) ProjectByAPIKeyHash(_ context.Context, hash string) (*hub.Project, error) {
	k.lookups++
	if k.err != nil {
		return nil, k.err
	}
	p, ok := k.projects[hash]
	if !ok {
		return nil, hub.ErrProjectNotFound
	}
	return p, nil
}

func TestProjectByAPIKey(t *testing.T) {
	errStore := errors.New("no table")
	longest := strings.Repeat("k", auth.MaxAPIKeyBytes)
	p := newProject(project, secret, false)
	p.APIKeyHashes = []string{hashOfKey, auth.HashAPIKey(longest)}
	for name, c := range map[string]struct {
		key     string
		fails   error // of the lookup
		want    error
		lookups int
	}{
		"key of the project":        {"key", nil, nil, 1},
		"longest key":               {longest, nil, nil, 1},
		"unknown key":               {"guess", nil, hub.ErrUnauthorized, 1},
		"revoked key, stale lookup": {"revoked", nil, hub.ErrUnauthorized, 1},
		"empty key":                 {"", nil, hub.ErrUnauthorized, 0},
		"key over the limit":        {longest + "k", nil, hub.ErrUnauthorized, 0},
		"lookup fails":              {"key", errStore, errStore, 1},
		"lookup refuses the key":    {"key", hub.ErrUnauthorized, hub.ErrUnauthorized, 1},
	} {
		t.Run(name, func(t *testing.T) {
			keys := &apiKeys{err: c.fails, projects: map[string]*hub.Project{
				hashOfKey: p, auth.HashAPIKey(longest): p, auth.HashAPIKey("revoked"): p, auth.HashAPIKey(""): p,
			}}
			got, err := auth.ProjectByAPIKey(t.Context(), keys, c.key)
			if !errors.Is(err, c.want) {
				t.Errorf("error %v, expected %v", err, c.want)
			}
			if c.want == nil && got != p || c.want != nil && got != nil {
				t.Errorf("project %v", got)
			}
			if keys.lookups != c.lookups {
				t.Errorf("%d lookups, expected %d", keys.lookups, c.lookups)
			}
		})
	}
}

func TestDeriveSecret(t *testing.T) {
	// printf 'secret\0old' | openssl dgst -sha256 -hmac 'a random text'
	const want = "15bdda8ed085d12dc1f79125cbc69205154c41e954b1d4030dab1673d4d4b4bd"
	if got := auth.DeriveSecret("a random text", "old"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if auth.DeriveSecret("a random text", "other") == want || auth.DeriveSecret("another text", "old") == want {
		t.Error("the secret does not depend on both texts")
	}
}

func TestGeneratedSecrets(t *testing.T) {
	for name, c := range map[string]struct {
		generate func() string
		decode   func(string) ([]byte, error)
	}{
		"NewSecret": {auth.NewSecret, hex.DecodeString},
		"NewAPIKey": {auth.NewAPIKey, base64.RawURLEncoding.DecodeString},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := c.generate(), c.generate()
			if raw, err := c.decode(a); err != nil || len(raw) != 32 {
				t.Errorf("%q has %d bytes, expected 32; error %v", a, len(raw), err)
			}
			if a == b {
				t.Error("the same value twice")
			}
		})
	}
}
