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

// purpose is part of the key of every session.
const purpose = "centrifuge admin session 1"

// sessionByHand makes a session of adminPassword without the package that reads it.
func sessionByHand(purpose string, expires uint64) string {
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
		"one just made":       {adminPassword, good, now, true},
		"one made by hand":    {adminPassword, sessionByHand(purpose, uint64(end.Unix())), now, true},
		"its last second":     {adminPassword, good, end.Add(-time.Second), true},
		"the moment it ends":  {adminPassword, good, end, false},
		"a day later":         {adminPassword, good, now.Add(24 * time.Hour), false},
		"another password":    {adminPassword + "x", good, now, false},
		"no password":         {"", auth.NewSession("", end), now, false},
		"nothing":             {adminPassword, "", now, false},
		"another id":          {adminPassword, flipped(0), now, false},
		"a later end":         {adminPassword, flipped(20), now, false},
		"another signature":   {adminPassword, flipped(len(raw) - 1), now, false},
		"a byte less":         {adminPassword, base64.RawURLEncoding.EncodeToString(raw[:len(raw)-1]), now, false},
		"a byte more":         {adminPassword, base64.RawURLEncoding.EncodeToString(append(raw[:len(raw):len(raw)], 0)), now, false},
		"a line break within": {adminPassword, good[:10] + "\n" + good[10:], now, false},
		"a character that is not of the alphabet": {adminPassword, "+" + good[1:], now, false},
		"a megabyte":                                {adminPassword, strings.Repeat("A", 1<<20), now, false},
		"the key of another purpose":                {adminPassword, sessionByHand("else", uint64(end.Unix())), now, false},
		"an end that no time can hold":              {adminPassword, sessionByHand(purpose, 1<<63), now, false},
		"an end before 1970":                        {adminPassword, auth.NewSession(adminPassword, time.Unix(-1, 0)), time.Unix(-5, 0), false},
		"the signature of a project with that name": {adminPassword, auth.SignToken(adminPassword, "user", "project"), now, false},
	} {
		t.Run(name, func(t *testing.T) {
			expires, ok := auth.VerifySession(c.password, c.value, c.at)
			if ok != c.want {
				t.Fatalf("good is %v, not %v", ok, c.want)
			}
			if ok && !expires.Equal(end) {
				t.Errorf("it ends at %v, not %v", expires, end)
			}
			if !ok && !expires.IsZero() {
				t.Errorf("it is refused, and ends at %v", expires)
			}
		})
	}
	t.Run("no two sessions are the same", func(t *testing.T) {
		if good == auth.NewSession(adminPassword, end) {
			t.Error("the same twice")
		}
	})
}

func FuzzVerifySession(f *testing.F) {
	// By hand, since the processes of a fuzz test must agree on it.
	good := sessionByHand(purpose, uint64(now.Add(time.Hour).Unix()))
	for _, value := range []string{"", good, good[1:], good + "=", strings.ToUpper(good), sessionByHand("", 1)} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if _, ok := auth.VerifySession(adminPassword, value, now); ok && value != good {
			t.Fatalf("%q passes", value)
		}
	})
}
