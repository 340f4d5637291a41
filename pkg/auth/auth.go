// Package auth proves who is calling: the tokens of clients, the request
// signatures and API keys of applications.
//
// Everything in it is a pure function of a project, what was presented and the
// time. It does no I/O, keeps no state and does not know what the proven may do.
//
// One secret of a project signs four kinds of message, of which the first two
// have been plain concatenations since 2013:
//
//	client token   user ‖ project id
//	request        project id ‖ body
//	JWT            header . claims
//	webhook        timestamp . body ‖ line feed   (package callback makes it)
//
// Secrets are per project, so that the tokens of two projects have nothing to do
// with each other. Within a project the id is fixed, so that no two users share a
// token; "1" in project "23" and "12" in project "3" do share theirs where the
// two projects were given the same secret, which generated ones never are.
//
// Between the kinds there is one overlap: whoever may choose the user of a token
// could have the application sign what is really a request or a JWT, if that
// happens to end with the project id. Such requests and JWTs are refused. An id
// as generated (24 hexadecimal digits) ends no request and no JWT that makes
// sense; with an id of one or two characters, such as "9", some would be refused.
// A webhook ends with a line feed, which no id does.
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

// The lengths by which the two kinds of digest are told apart.
const (
	md5Digits    = 2 * md5.Size
	sha256Digits = 2 * sha256.Size
)

// digest is the lower-case hexadecimal HMAC of message.
func digest(h func() hash.Hash, secret, message string) string {
	mac := hmac.New(h, []byte(secret))
	mac.Write([]byte(message))
	return hex.EncodeToString(mac.Sum(nil))
}

// matches tells, in constant time, whether given is the digest of message under
// the project's secret: SHA-256, or MD5 where the project allows it. Only lower
// case counts, as in 2013, so that a message has one digest of a kind.
func matches(p *hub.Project, given, message string) bool {
	h := sha256.New
	switch {
	case p.Secret == "":
		return false
	case len(given) == sha256Digits:
	case len(given) == md5Digits && p.Options.AllowMD5:
		h = md5.New
	default:
		return false
	}
	return hmac.Equal([]byte(given), []byte(digest(h, p.Secret, message)))
}

// isTokenMessage tells whether message is also what the token of some user of
// the project signs.
func isTokenMessage(p *hub.Project, message string) bool {
	return strings.HasSuffix(message, p.ID)
}
