package auth

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"math"
	"time"
)

// A session is encrypted with AES-256-GCM: its expiry in seconds since 1970 (8 bytes,
// big-endian) and the key of the password. The key of the encryption is derived from what
// is stored of the password. So a session is made by someone who had the password, cannot
// be changed by its holder, and ends with the next password, whose salt is another one.
const (
	sessionExpiryBytes = 8
	sessionNonceBytes  = 12
	sessionTagBytes    = 16
	sessionBytes       = sessionNonceBytes + sessionExpiryBytes + hashKeyBytes + sessionTagBytes
)

// sessionPurpose separates the key of sessions from any other key derived from the
// stored hash. It changes with the format of sessions.
const sessionPurpose = "centrifuge admin session 2"

// NewSession checks an admin password against what HashPassword made, as VerifyPassword
// does, and returns a session in URL-safe base64. VerifySession accepts it until expires,
// whose fractions of a second are cut off, and only with the same stored string. ok is
// false for a wrong password.
func NewSession(stored, password string, expires time.Time) (session string, ok bool, err error) {
	key, err := passwordKey(stored, password)
	if key == nil || err != nil {
		return "", false, err
	}
	aead, err := sessionCipher(stored)
	if err != nil {
		return "", false, err
	}
	b := binary.BigEndian.AppendUint64(nil, uint64(expires.Unix())) //nolint:gosec // VerifySession refuses a time before 1970
	return base64.RawURLEncoding.EncodeToString(aead.Seal(nil, nil, append(b, key...), nil)), true, nil
}

// VerifySession reports whether NewSession made value with this stored string and value
// has not expired at now, and returns when it expires. It compares in constant time. A
// string that is no hash accepts no session.
func VerifySession(stored, value string, now time.Time) (expires time.Time, ok bool) {
	h, err := parsePasswordHash(stored)
	if err != nil || len(value) != base64.RawURLEncoding.EncodedLen(sessionBytes) {
		return time.Time{}, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(value)
	if err != nil || len(b) != sessionBytes {
		return time.Time{}, false
	}
	aead, err := sessionCipher(stored)
	if err != nil {
		return time.Time{}, false
	}
	content, err := aead.Open(nil, nil, b, nil)
	if err != nil || !h.has(content[sessionExpiryBytes:]) {
		return time.Time{}, false
	}
	seconds := binary.BigEndian.Uint64(content)
	if seconds > math.MaxInt64 {
		return time.Time{}, false
	}
	if expires = time.Unix(int64(seconds), 0); !now.Before(expires) {
		return time.Time{}, false
	}
	return expires, true
}

// sessionCipher puts the random nonce in front of what it encrypts.
func sessionCipher(stored string) (cipher.AEAD, error) {
	derive := hmac.New(sha256.New, []byte(stored))
	derive.Write([]byte(sessionPurpose))
	block, err := aes.NewCipher(derive.Sum(nil))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
