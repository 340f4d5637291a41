package auth

import (
	"encoding/base64"
	"regexp"
	"strings"
	"testing"
)

const password = "correct horse battery staple"

// Computed with argon2-cffi and hashlib of Python: the SHA-256 of
// hash_secret_raw(password, b"sixteen byte sal", …, 32, Type.ID).
const (
	storedPassword = "$argon2id-sha256$v=19$m=19456,t=2,p=1$c2l4dGVlbiBieXRlIHNhbA$nMVJLa8/5+srk0CXX2KiPyygVUJY8B+aCP5Gx9f3JnU"
	cheap          = "$argon2id-sha256$v=19$m=64,t=1,p=1$c2l4dGVlbiBieXRlIHNhbA$eJ0Q5BhTQLSnizAm7BZj+PWgcaYTJ+O81dg/Kr1BcfU"
	twoLanes       = "$argon2id-sha256$v=19$m=64,t=3,p=2$c2l4dGVlbiBieXRlIHNhbA$nLx+3McVG6A9iqorYQjbfbzWE0V5W2dGx5oJ56tmAhg"
)

func TestNewPassword(t *testing.T) {
	password := NewPassword()
	if !regexp.MustCompile(`^[A-Za-z0-9]{32}$`).MatchString(password) {
		t.Errorf("%s is not 32 letters and digits", password)
	}
	if password == NewPassword() {
		t.Error("two passwords are equal")
	}
}

func TestHashPassword(t *testing.T) {
	stored := HashPassword(password)
	const prefix = "$argon2id-sha256$v=19$m=19456,t=2,p=1$"
	if !strings.HasPrefix(stored, prefix) || len(stored) != len(storedPassword) {
		t.Errorf("%s does not begin with %s or has another length than %s", stored, prefix, storedPassword)
	}
	if ok, err := VerifyPassword(stored, password); !ok || err != nil {
		t.Errorf("verified %v, error %v", ok, err)
	}
	if stored == HashPassword(password) {
		t.Error("two hashes are equal: the salt is not random")
	}
}

func TestVerifyPassword(t *testing.T) {
	for name, c := range map[string]struct {
		stored, password string
		want             bool
	}{
		"the password":                      {storedPassword, password, true},
		"another cost":                      {cheap, password, true},
		"two lanes":                         {twoLanes, password, true},
		"a password with one more byte":     {cheap, password + " ", false},
		"a prefix of the password":          {cheap, password[:8], false},
		"another case":                      {cheap, strings.ToUpper(password), false},
		"no password":                       {cheap, "", false},
		"the hash of no password":           {cheapHash(""), "", false},
		"a password of 256 bytes":           {cheapHash(strings.Repeat("x", 256)), strings.Repeat("x", 256), true},
		"a password of 257 bytes":           {cheapHash(strings.Repeat("x", 257)), strings.Repeat("x", 257), false},
		"the stored string as the password": {cheap, cheap, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := VerifyPassword(c.stored, c.password); got != c.want || err != nil {
				t.Errorf("verified %v, error %v, want %v", got, err, c.want)
			}
		})
	}
}

// cheapHash is the hash of a password at a low cost.
func cheapHash(password string) string {
	return passwordHash{memoryKiB: 8, passes: 1, lanes: 1, salt: []byte("sixteen byte sal")}.with(password).String()
}

func TestDamagedPasswordHash(t *testing.T) {
	part := func(i int, value string) string {
		parts := strings.Split(cheap, "$")
		parts[i] = value
		return strings.Join(parts, "$")
	}
	encoded := func(n int) string { return base64.RawStdEncoding.EncodeToString(make([]byte, n)) }
	for name, stored := range map[string]string{
		"nothing":                   "",
		"text before it":            part(0, "x"),
		"plain argon2id":            part(1, "argon2id"),
		"another version":           part(2, "v=16"),
		"no version":                strings.Replace(cheap, "$v=19", "", 1),
		"one part more":             cheap + "$",
		"memory over 64 MiB":        part(3, "m=65537,t=1,p=1"),
		"memory under 8 KiB a lane": part(3, "m=15,t=1,p=2"),
		"no pass":                   part(3, "m=64,t=0,p=1"),
		"nine passes":               part(3, "m=64,t=9,p=1"),
		"no lane":                   part(3, "m=64,t=1,p=0"),
		"five lanes":                part(3, "m=64,t=1,p=5"),
		"memory over 32 bits":       part(3, "m=4294967360,t=1,p=1"),
		"a sign":                    part(3, "m=+64,t=1,p=1"),
		"a leading zero":            part(3, "m=064,t=1,p=1"),
		"another order":             part(3, "t=1,m=64,p=1"),
		"one more parameter":        part(3, "m=64,t=1,p=1,keyid=a"),
		"a salt of 15 bytes":        part(4, encoded(15)),
		"a salt of 17 bytes":        part(4, encoded(17)),
		"a salt that is not base64": part(4, "c2l4dGVlbiBieXRlIHNhb!"),
		"a salt with loose bits":    part(4, "c2l4dGVlbiBieXRlIHNhbB"),
		"a digest of 31 bytes":      part(5, encoded(31)),
		"a digest with padding":     cheap + "=",
		"a line feed":               cheap + "\n",
		"1 MiB":                     cheap + strings.Repeat("A", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			const want = "the stored admin password is damaged: set another one"
			if ok, err := VerifyPassword(stored, password); ok || err == nil || err.Error() != want {
				t.Errorf("verified %v, error %v, want %s", ok, err, want)
			}
		})
	}
}

func FuzzParsePasswordHash(f *testing.F) {
	for _, s := range []string{"", storedPassword, cheap, twoLanes, cheap[1:], strings.Repeat("$", 5), "$argon2id-sha256$v=19$m=1,t=1,p=1$$"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		h, err := parsePasswordHash(s)
		if err != nil {
			return
		}
		if h.String() != s {
			t.Errorf("%q is read as %q", s, h)
		}
		if h.memoryKiB > maxHashMemoryKiB || h.passes > maxHashPasses || h.lanes > maxHashLanes {
			t.Errorf("%q costs too much", s)
		}
	})
}
