// Package auth verifies callers: the tokens of clients, the request signatures and
// API keys of applications, and the password and sessions of administrators.
//
// It reads no clock: the time is a parameter. Its only state is the key sets that a Verifier
// keeps, which it gets through a function. Its one lookup, of the project of an API key, goes
// through the interface APIKeys. It does not decide
// what an authenticated caller may do: the permissions of a JWT are passed on.
//
// The secret of a project signs four kinds of message. The first two are those of
// 2013:
//
//	client token   user ‖ project id              HMAC-SHA256, HMAC-MD5 if the project allows it
//	request        project id ‖ body              HMAC-SHA256, HMAC-MD5 if the project allows it
//	JWT            header . claims                HMAC-SHA256 (HS256), HMAC-SHA384, HMAC-SHA512
//	webhook        timestamp . body ‖ line feed   HMAC-SHA256 (made by package callback)
//
// An API key signs nothing: the project holds its SHA-256. The session of an
// administrator is encrypted, and carries a key that only the admin password gives.
//
// A token has no separator between user and project id. In one project no two users
// share a token, since the id is fixed. Two projects with the same secret can share
// tokens: user "1" of project "23" and user "12" of project "3" do. Secrets of
// NewSecret are random, so no two projects get the same.
//
// A token can equal the signature of a request or a JWT that ends with the project
// id: a visitor who chooses a user name could have the application sign such a
// message as a token. hub.CheckProjectID refuses the ids with which this is possible,
// such as "9", when a project is made. For the projects that had such an id before,
// VerifyRequest and VerifyToken refuse requests and JWTs that end with it, although
// their signature is right. A webhook ends with a line feed, and no id does. README.md
// lists every pair of signed texts.
package auth

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"strings"

	"centrifuge/pkg/hub"
)

// The length of a hexadecimal signature identifies its hash function.
const (
	md5Digits    = 2 * md5.Size
	sha256Digits = 2 * sha256.Size
)

// sign returns the lower-case hexadecimal HMAC of message.
func sign(h func() hash.Hash, secret, message string) string {
	mac := hmac.New(h, []byte(secret))
	mac.Write([]byte(message))
	return hex.EncodeToString(mac.Sum(nil))
}

// verify reports, in constant time, whether signature is the HMAC of message with
// a secret of the project: HMAC-SHA256, or HMAC-MD5 if the project allows it. Upper-case
// digits are refused, as in 2013, so that a message has one signature of each kind.
// It returns the secret of the project that made it, the present or the previous one.
// A project without a secret verifies nothing.
func verify(p *hub.Project, signature, message string) (secret string, ok bool) {
	h := sha256.New
	switch {
	case len(signature) == sha256Digits:
	case len(signature) == md5Digits && p.Options.AllowMD5:
		h = md5.New
	default:
		return "", false
	}
	for _, secret := range p.Secrets() {
		if hmac.Equal([]byte(signature), []byte(sign(h, secret, message))) {
			return secret, true
		}
	}
	return "", false
}

// endsLikeToken reports whether the token of some user of the project signs the same
// message.
func endsLikeToken(p *hub.Project, message string) bool {
	return strings.HasSuffix(message, p.ID)
}
