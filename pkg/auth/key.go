package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
)

// secretBytes is the strength of what is generated here.
const secretBytes = 32

// NewSecret generates the secret of a project: 32 random bytes in hexadecimal.
func NewSecret() string {
	return hex.EncodeToString(random())
}

// NewAPIKey generates an API key: 32 random bytes in URL-safe base64. Keep its
// hash and show the key once.
func NewAPIKey() string {
	return base64.RawURLEncoding.EncodeToString(random())
}

// HashAPIKey is what is stored of an API key: its lower-case hexadecimal SHA-256.
// A generated key is as random as its hash is long, so that neither salt nor
// slowness would add anything, and looking a hash up tells nothing about keys.
func HashAPIKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

func random() []byte {
	b := make([]byte, secretBytes)
	rand.Read(b) // never fails: crypto/rand ends the process instead
	return b
}
