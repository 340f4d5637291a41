package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"

	"centrifuge/pkg/hub"
)

// secretBytes is the number of random bytes in a generated secret or API key.
const secretBytes = 32

// MaxAPIKeyBytes limits an API key. A generated key has 43 bytes.
const MaxAPIKeyBytes = 255

// APIKeys looks up projects by the hashes of their API keys.
type APIKeys interface {
	// ProjectByAPIKeyHash returns the project that hash, made by HashAPIKey, was
	// stored for. It fails with hub.ErrProjectNotFound if there is none. The result
	// may be stale: CheckAPIKey decides whether the project still has the key.
	ProjectByAPIKeyHash(ctx context.Context, hash string) (*hub.Project, error)
}

// errWrongKey: no project has the API key.
var errWrongKey = hub.ErrUnauthorized.With("no project has this API key").WithHelp("check it, or create a new one on the admin pages")

// ProjectByAPIKey returns the project that key belongs to. It fails with
// hub.ErrUnauthorized for a key of no project, and with the error of keys if the
// lookup fails otherwise. A key that is empty or longer than MaxAPIKeyBytes fails
// without a lookup.
func ProjectByAPIKey(ctx context.Context, keys APIKeys, key string) (*hub.Project, error) {
	if !isAPIKey(key) {
		return nil, errWrongKey
	}
	p, err := keys.ProjectByAPIKeyHash(ctx, HashAPIKey(key))
	if errors.Is(err, hub.ErrProjectNotFound) {
		return nil, errWrongKey
	}
	if err != nil {
		return nil, err
	}
	if err := CheckAPIKey(p, key); err != nil {
		return nil, err
	}
	return p, nil
}

// CheckAPIKey checks that key is one of the API keys of p. It compares with all of
// them in constant time. It fails with hub.ErrUnauthorized, also for a key that is
// empty or longer than MaxAPIKeyBytes.
func CheckAPIKey(p *hub.Project, key string) error {
	if !isAPIKey(key) {
		return errWrongKey
	}
	hash := []byte(HashAPIKey(key))
	found := 0
	for _, h := range p.APIKeyHashes {
		found |= subtle.ConstantTimeCompare([]byte(h), hash)
	}
	if found == 0 {
		return errWrongKey
	}
	return nil
}

// isAPIKey reports whether key has the length of an API key.
func isAPIKey(key string) bool { return key != "" && len(key) <= MaxAPIKeyBytes }

// NewSecret generates the secret of a project: 32 random bytes in hexadecimal.
func NewSecret() string {
	return hex.EncodeToString(randomBytes())
}

// NewAPIKey generates an API key: 32 random bytes in URL-safe base64. Store its hash
// only.
func NewAPIKey() string {
	return base64.RawURLEncoding.EncodeToString(randomBytes())
}

// DeriveAPIKey returns an API key, of the form of NewAPIKey, that only who knows the secret
// of the project and the random text can make.
func DeriveAPIKey(secret, text string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	// A token signs a message that ends with the project id, which does not end with a line
	// feed. So no user name makes a token that is an API key.
	mac.Write([]byte("API key\x00" + text + "\n"))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// DeriveSecret returns a secret, of the form of NewSecret, that only who knows the random text
// and the secret that it replaces can make.
func DeriveSecret(text, replaced string) string {
	return sign(sha256.New, text, "secret\x00"+replaced)
}

// HashAPIKey returns the lower-case hexadecimal SHA-256 of an API key, which projects
// store instead of the key. A generated key has 256 random bits: salt or a slow hash
// would not make it harder to guess.
func HashAPIKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

func randomBytes() []byte {
	b := make([]byte, secretBytes)
	rand.Read(b) // never returns an error
	return b
}
