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

// The parts of a session: a random id, when it ends in seconds since 1970 (8 bytes,
// big-endian), and the HMAC-SHA256 of both.
const (
	sessionIDBytes     = 16
	sessionSignedBytes = sessionIDBytes + 8
	sessionBytes       = sessionSignedBytes + sha256.Size
)

// sessionPurpose keeps the key of sessions apart from whatever else may one day be
// derived from the password, and from another form of sessions.
const sessionPurpose = "centrifuge admin session 1"

// NewSession makes the value of an administrator's session: URL-safe base64 that
// proves, until expires and for as long as the password stays, that whoever made it
// knew the password. It tells nothing about the password. Fractions of a second are
// cut off.
func NewSession(password string, expires time.Time) string {
	b := make([]byte, sessionSignedBytes, sessionBytes)
	rand.Read(b[:sessionIDBytes])                                          // never fails: crypto/rand ends the process instead
	binary.BigEndian.PutUint64(b[sessionIDBytes:], uint64(expires.Unix())) //nolint:gosec // a time before 1970 is none that verifies
	b = append(b, sessionMAC(password, b)...)
	return base64.RawURLEncoding.EncodeToString(b)
}

// VerifySession tells whether value is a session that NewSession made with this
// password and that is good at now, and until when it is. Without a password none
// is. The signature is compared in constant time.
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
