package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"math"
	"time"
)

// A session consists of a random id, its expiry in seconds since 1970 (8 bytes,
// big-endian), and the HMAC-SHA256 of both.
const (
	sessionIDBytes     = 16
	sessionSignedBytes = sessionIDBytes + 8
	sessionBytes       = sessionSignedBytes + sha256.Size
)

// sessionPurpose separates the key of sessions from any other key derived from the
// admin password. It changes with the format of sessions.
const sessionPurpose = "centrifuge admin session 1"

// NewSession returns a session of an administrator, signed with a key derived from
// password, in URL-safe base64. VerifySession accepts it until expires, whose
// fractions of a second are cut off. A change of the password ends all sessions.
func NewSession(password string, expires time.Time) string {
	b := make([]byte, sessionSignedBytes, sessionBytes)
	rand.Read(b[:sessionIDBytes])                                          // never returns an error
	binary.BigEndian.PutUint64(b[sessionIDBytes:], uint64(expires.Unix())) //nolint:gosec // VerifySession refuses a time before 1970
	b = append(b, sessionMAC(password, b)...)
	return base64.RawURLEncoding.EncodeToString(b)
}

// VerifySession reports whether NewSession made value with this password and value has
// not expired at now, and returns when it expires. With an empty password it accepts
// no session. It compares the signature in constant time.
func VerifySession(password, value string, now time.Time) (expires time.Time, ok bool) {
	if password == "" || len(value) != base64.RawURLEncoding.EncodedLen(sessionBytes) {
		return time.Time{}, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(value)
	if err != nil || len(b) != sessionBytes {
		return time.Time{}, false
	}
	if !hmac.Equal(b[sessionSignedBytes:], sessionMAC(password, b[:sessionSignedBytes])) {
		return time.Time{}, false
	}
	seconds := binary.BigEndian.Uint64(b[sessionIDBytes:sessionSignedBytes])
	if seconds > math.MaxInt64 {
		return time.Time{}, false
	}
	if expires = time.Unix(int64(seconds), 0); !now.Before(expires) {
		return time.Time{}, false
	}
	return expires, true
}

func sessionMAC(password string, signed []byte) []byte {
	derive := hmac.New(sha256.New, []byte(password))
	derive.Write([]byte(sessionPurpose))
	mac := hmac.New(sha256.New, derive.Sum(nil))
	mac.Write(signed)
	return mac.Sum(nil)
}
