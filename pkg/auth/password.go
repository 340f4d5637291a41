package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// MaxPasswordBytes limits an admin password.
const MaxPasswordBytes = 256

// A generated password has 190 bits. Letters and digits can be typed and pasted anywhere.
const (
	passwordChars    = 32
	passwordAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
)

// The cost of a hash: that of the OWASP Password Storage Cheat Sheet for argon2id with
// one lane. A check takes some tens of milliseconds with a whole CPU.
const (
	hashMemoryKiB = 19 * 1024
	hashPasses    = 2
	hashLanes     = 1
)

// The bounds of a stored hash: it must not make a check take seconds, or more memory than
// the function has.
const (
	maxHashMemoryKiB = 64 * 1024
	maxHashPasses    = 8
	maxHashLanes     = 4
	maxHashChars     = 256
)

const (
	hashSaltBytes = 16
	hashKeyBytes  = 32
	hashAlgorithm = "argon2id-sha256"
)

var errHash = errors.New("the stored admin password is damaged: set another one")

// passwordHash is what is stored of an admin password, in the PHC string format
// (github.com/P-H-C/phc-string-format):
//
//	$argon2id-sha256$v=19$m=19456,t=2,p=1$SALT$DIGEST
//
// digest is the SHA-256 of the argon2id hash of password and salt. The argon2id hash
// itself is not stored: it is the key that a session carries, and a person who reads
// the stored string must not be able to make a session.
type passwordHash struct {
	memoryKiB, passes uint32
	lanes             uint8
	salt, digest      []byte
}

// NewPassword generates an admin password: 32 random letters and digits.
func NewPassword() string {
	password := make([]byte, 0, passwordChars)
	for len(password) < passwordChars {
		for _, c := range randomBytes() {
			// Of 64 values 62 are used, each for one character, so that all are equally likely.
			if c %= 64; int(c) < len(passwordAlphabet) {
				password = append(password, passwordAlphabet[c])
			}
		}
	}
	return string(password[:passwordChars])
}

// HashPassword returns what to store of an admin password. Two calls return different
// strings: the salt is random.
func HashPassword(password string) string {
	h := passwordHash{memoryKiB: hashMemoryKiB, passes: hashPasses, lanes: hashLanes, salt: make([]byte, hashSaltBytes)}
	rand.Read(h.salt) // never returns an error
	return h.with(password).String()
}

// VerifyPassword reports whether HashPassword made stored from password. It compares in
// constant time. A password that is empty or longer than MaxPasswordBytes is refused
// without a check. It fails for a string that is no hash, or one that costs too much.
func VerifyPassword(stored, password string) (bool, error) {
	key, err := passwordKey(stored, password)
	return key != nil, err
}

// passwordKey returns the key that sessions of the password carry, or nil for a wrong
// password.
func passwordKey(stored, password string) ([]byte, error) {
	h, err := parsePasswordHash(stored)
	if err != nil {
		return nil, err
	}
	if password == "" || len(password) > MaxPasswordBytes {
		return nil, nil
	}
	key := h.key(password)
	if !h.has(key) {
		return nil, nil
	}
	return key, nil
}

func (h passwordHash) key(password string) []byte {
	return argon2.IDKey([]byte(password), h.salt, h.passes, h.memoryKiB, h.lanes, hashKeyBytes)
}

// with returns h with the digest of a password.
func (h passwordHash) with(password string) passwordHash {
	digest := sha256.Sum256(h.key(password))
	h.digest = digest[:]
	return h
}

// has reports, in constant time, whether key is that of the hashed password.
func (h passwordHash) has(key []byte) bool {
	digest := sha256.Sum256(key)
	return subtle.ConstantTimeCompare(digest[:], h.digest) == 1
}

func (h passwordHash) String() string {
	encode := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$%s$v=%d$m=%d,t=%d,p=%d$%s$%s",
		hashAlgorithm, argon2.Version, h.memoryKiB, h.passes, h.lanes, encode(h.salt), encode(h.digest))
}

// parsePasswordHash is the reverse of String. It accepts exactly what String writes,
// within the bounds of the cost.
func parsePasswordHash(s string) (passwordHash, error) {
	parts := strings.Split(s, "$")
	if len(s) > maxHashChars || len(parts) != 6 {
		return passwordHash{}, errHash
	}
	var h passwordHash
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memoryKiB, &h.passes, &h.lanes); err != nil {
		return passwordHash{}, errHash
	}
	var err error
	if h.salt, err = base64.RawStdEncoding.DecodeString(parts[4]); err != nil {
		return passwordHash{}, errHash
	}
	if h.digest, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil {
		return passwordHash{}, errHash
	}
	bounded := h.lanes >= 1 && h.lanes <= maxHashLanes && h.passes >= 1 && h.passes <= maxHashPasses &&
		h.memoryKiB >= 8*uint32(h.lanes) && h.memoryKiB <= maxHashMemoryKiB &&
		len(h.salt) == hashSaltBytes && len(h.digest) == sha256.Size
	if !bounded || h.String() != s {
		return passwordHash{}, errHash
	}
	return h, nil
}
