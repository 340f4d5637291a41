package auth_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"centrifuge/pkg/auth"
)

// An admin password, what is stored of it, and the argon2id hash of both, computed with
// argon2-cffi of Python.
const (
	adminPassword = "correct horse battery staple"
	adminHash     = "$argon2id-sha256$v=19$m=19456,t=2,p=1$c2l4dGVlbiBieXRlIHNhbA$nMVJLa8/5+srk0CXX2KiPyygVUJY8B+aCP5Gx9f3JnU"
	adminKey      = "b4a936814aa6f12b19c48c0ac0d75ac7cb92ac5a5146aef96e56b6fd6f78fa80"
)

// purpose is the fixed part of the key that encrypts sessions.
const purpose = "centrifuge admin session 2"

// goodSession expires eight hours after now. It was made with AESGCM of Python's
// cryptography, and the nonce "twelve bytes".
const goodSession = "dHdlbHZlIGJ5dGVzn03aPuvBEAcm18um4iKySARNqycUsOn8B_aSx8sBF_ruxKTzSBjo7-GiMUp2B8k2DC3GHChMxQU"

// encryptSession makes a session of adminHash without the package under test.
func encryptSession(t testing.TB, purpose, key string, expires uint64) string {
	t.Helper()
	derive := hmac.New(sha256.New, []byte(adminHash))
	derive.Write([]byte(purpose))
	block, err := aes.NewCipher(derive.Sum(nil))
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	carried, err := hex.DecodeString(key)
	if err != nil {
		t.Fatal(err)
	}
	nonce := []byte("twelve bytes")
	return base64.RawURLEncoding.EncodeToString(gcm.Seal(nonce, nonce, append(binary.BigEndian.AppendUint64(nil, expires), carried...), nil))
}

func newSession(t *testing.T, expires time.Time) string {
	t.Helper()
	session, ok, err := auth.NewSession(adminHash, adminPassword, expires)
	if !ok || err != nil {
		t.Fatalf("the password is right: %v, error %v", ok, err)
	}
	return session
}

func TestNewSession(t *testing.T) {
	end := now.Add(8 * time.Hour)
	for name, c := range map[string]struct {
		stored, password string
		fails            bool
	}{
		"a wrong password":                {adminHash, adminPassword + "x", false},
		"no password":                     {adminHash, "", false},
		"nothing stored":                  {"", adminPassword, true},
		"nothing stored and no password":  {"", "", true},
		"something else stored":           {"a hash", adminPassword, true},
		"the stored string as a password": {adminHash, adminHash, false},
	} {
		t.Run(name, func(t *testing.T) {
			session, ok, err := auth.NewSession(c.stored, c.password, end)
			if session != "" || ok || (err != nil) != c.fails {
				t.Errorf("session %q, %v, error %v", session, ok, err)
			}
		})
	}
	if one, other := newSession(t, end), newSession(t, end); one == other {
		t.Error("two sessions are equal")
	}
}

func TestVerifySession(t *testing.T) {
	end := now.Add(8 * time.Hour)
	raw, err := base64.RawURLEncoding.DecodeString(goodSession)
	if err != nil {
		t.Fatal(err)
	}
	flipped := func(i int) string {
		b := []byte(string(raw))
		b[i] ^= 1
		return base64.RawURLEncoding.EncodeToString(b)
	}
	seconds := uint64(end.Unix())
	for name, c := range map[string]struct {
		stored, value string
		at            time.Time
		want          bool
	}{
		"new session":                         {adminHash, newSession(t, end), now, true},
		"session made outside the package":    {adminHash, goodSession, now, true},
		"a second before it expires":          {adminHash, goodSession, end.Add(-time.Second), true},
		"expires now":                         {adminHash, goodSession, end, false},
		"expired":                             {adminHash, goodSession, now.Add(24 * time.Hour), false},
		"same password with a new salt":       {auth.HashPassword(adminPassword), goodSession, now, false},
		"nothing stored":                      {"", goodSession, now, false},
		"empty value":                         {adminHash, "", now, false},
		"changed nonce":                       {adminHash, flipped(0), now, false},
		"changed expiry":                      {adminHash, flipped(19), now, false},
		"changed key":                         {adminHash, flipped(20), now, false},
		"changed tag":                         {adminHash, flipped(len(raw) - 1), now, false},
		"one byte too short":                  {adminHash, base64.RawURLEncoding.EncodeToString(raw[:len(raw)-1]), now, false},
		"one byte too long":                   {adminHash, base64.RawURLEncoding.EncodeToString(append(raw[:len(raw):len(raw)], 0)), now, false},
		"line break in the value":             {adminHash, goodSession[:10] + "\n" + goodSession[10:], now, false},
		"character outside URL-safe base64":   {adminHash, "+" + goodSession[1:], now, false},
		"value of 1 MiB":                      {adminHash, strings.Repeat("A", 1<<20), now, false},
		"made by a reader of the table":       {adminHash, encryptSession(t, purpose, strings.Repeat("00", 32), seconds), now, false},
		"with the stored digest as the key":   {adminHash, encryptSession(t, purpose, "9cc5492daf3fe7eb2b9340975f62a23f2ca0554258f01f9a08fe46c7d7f72675", seconds), now, false},
		"encrypted with a key of another use": {adminHash, encryptSession(t, "else", adminKey, seconds), now, false},
		"expiry over 63 bits":                 {adminHash, encryptSession(t, purpose, adminKey, 1<<63), now, false},
		"expiry before 1970":                  {adminHash, newSession(t, time.Unix(-1, 0)), time.Unix(-5, 0), false},
	} {
		t.Run(name, func(t *testing.T) {
			expires, ok := auth.VerifySession(c.stored, c.value, c.at)
			if ok != c.want {
				t.Fatalf("accepted %v, expected %v", ok, c.want)
			}
			if ok && !expires.Equal(end) {
				t.Errorf("expires at %v, expected %v", expires, end)
			}
			if !ok && !expires.IsZero() {
				t.Errorf("refused session expires at %v, expected the zero time", expires)
			}
		})
	}
}

func FuzzVerifySession(f *testing.F) {
	for _, value := range []string{"", goodSession, goodSession[1:], goodSession + "=", strings.ToUpper(goodSession), encryptSession(f, "", adminKey, 1)} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if _, ok := auth.VerifySession(adminHash, value, now); ok && value != goodSession {
			t.Fatalf("session %q is accepted", value)
		}
	})
}
