package auth_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"centrifuge/pkg/auth"
)

const adminPassword = "correct horse battery staple"

// purpose is the fixed part of the key of sessions.
const purpose = "centrifuge admin session 1"

// signSession makes a session of adminPassword without the package under test.
func signSession(purpose string, expires uint64) string {
	signed := append([]byte("sixteen bytes id"), binary.BigEndian.AppendUint64(nil, expires)...)
	derive := hmac.New(sha256.New, []byte(adminPassword))
	derive.Write([]byte(purpose))
	mac := hmac.New(sha256.New, derive.Sum(nil))
	mac.Write(signed)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(signed))
}

func TestSession(t *testing.T) {
	end := now.Add(8 * time.Hour)
	good := auth.NewSession(adminPassword, end)
	raw, err := base64.RawURLEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	flipped := func(i int) string {
		b := []byte(string(raw))
		b[i] ^= 1
		return base64.RawURLEncoding.EncodeToString(b)
	}
	for name, c := range map[string]struct {
		password, value string
		at              time.Time
		want            bool
	}{
		"new session":                            {adminPassword, good, now, true},
		"session made outside the package":       {adminPassword, signSession(purpose, uint64(end.Unix())), now, true},
		"a second before it expires":             {adminPassword, good, end.Add(-time.Second), true},
		"expires now":                            {adminPassword, good, end, false},
		"expired":                                {adminPassword, good, now.Add(24 * time.Hour), false},
		"other password":                         {adminPassword + "x", good, now, false},
		"empty password":                         {"", auth.NewSession("", end), now, false},
		"empty value":                            {adminPassword, "", now, false},
		"changed id":                             {adminPassword, flipped(0), now, false},
		"changed expiry":                         {adminPassword, flipped(20), now, false},
		"changed signature":                      {adminPassword, flipped(len(raw) - 1), now, false},
		"one byte too short":                     {adminPassword, base64.RawURLEncoding.EncodeToString(raw[:len(raw)-1]), now, false},
		"one byte too long":                      {adminPassword, base64.RawURLEncoding.EncodeToString(append(raw[:len(raw):len(raw)], 0)), now, false},
		"line break in the value":                {adminPassword, good[:10] + "\n" + good[10:], now, false},
		"character outside URL-safe base64":      {adminPassword, "+" + good[1:], now, false},
		"value of 1 MiB":                         {adminPassword, strings.Repeat("A", 1<<20), now, false},
		"key of another purpose":                 {adminPassword, signSession("else", uint64(end.Unix())), now, false},
		"expiry over 63 bits":                    {adminPassword, signSession(purpose, 1<<63), now, false},
		"expiry before 1970":                     {adminPassword, auth.NewSession(adminPassword, time.Unix(-1, 0)), time.Unix(-5, 0), false},
		"project token signed with the password": {adminPassword, auth.SignToken(adminPassword, "user", "project"), now, false},
	} {
		t.Run(name, func(t *testing.T) {
			expires, ok := auth.VerifySession(c.password, c.value, c.at)
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
	t.Run("two sessions differ", func(t *testing.T) {
		if good == auth.NewSession(adminPassword, end) {
			t.Error("NewSession returned the same value twice")
		}
	})
}

func FuzzVerifySession(f *testing.F) {
	// Not from NewSession: it is random, and all processes of a fuzz test need the same value.
	good := signSession(purpose, uint64(now.Add(time.Hour).Unix()))
	for _, value := range []string{"", good, good[1:], good + "=", strings.ToUpper(good), signSession("", 1)} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if _, ok := auth.VerifySession(adminPassword, value, now); ok && value != good {
			t.Fatalf("session %q is accepted", value)
		}
	})
}
