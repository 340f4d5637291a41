package auth

import (
	"crypto/md5"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"centrifuge/pkg/hub"
)

// MaxTokenBytes is the longest token that is looked at: room for the largest
// info and several hundred channels in the permissions of a JWT.
const MaxTokenBytes = 16 << 10

// VerifyToken returns whom the token proves to be user of p at now. A token is one
// of
//
//   - 64 hexadecimal digits, the HMAC-SHA256 of user ‖ project id;
//   - 32 hexadecimal digits, the HMAC-MD5 of the same, where p allows MD5;
//   - a JWT signed with HS256 and the secret of p. Other algorithms, none among
//     them, are refused, and so is a header with crit: no extension is understood.
//
// Digits are lower-case. A user is signed as its UTF-8 bytes; the original
// refused what is not Latin-1. The user may be "", which needs a token as well.
//
// The claims of a JWT, whose names are compared exactly:
//
//   - sub, required: the user, a string;
//   - exp, required: when the token ends, in seconds since 1970;
//   - nbf, iat: not before this moment, give or take Leeway;
//   - permissions: what is granted, in the wire form of package permission. Left
//     out, the token says nothing of permissions; null is an error;
//   - info: any JSON value up to hub.MaxInfoBytes when compacted; null is none.
//
// The identity has permissions, confirmed, where a JWT states them, and expires
// with a JWT only, in whole seconds.
//
// It fails with hub.ErrInvalidToken, which names the claim in its Detail where a
// JWT was signed right and is not of use; with hub.ErrTokenExpired for a JWT that
// was right until its exp; and with hub.ErrLimitExceeded for a token longer than
// MaxTokenBytes, or one that is right and says too much. It is a hub.VerifyToken.
func VerifyToken(p *hub.Project, user, token string, now time.Time) (hub.Identity, error) {
	switch {
	case len(token) > MaxTokenBytes:
		return hub.Identity{}, hub.ErrLimitExceeded.With(fmt.Sprintf("a token is at most %d bytes long", MaxTokenBytes))
	case strings.Count(token, ".") == 2:
		return verifyJWT(p, user, token, now)
	case !matches(p, token, user+p.ID):
		return hub.Identity{}, hub.ErrInvalidToken
	}
	return hub.Identity{User: user}, nil
}

// SignToken makes the token of a user, which may be "": the lower-case
// hexadecimal HMAC-SHA256 of user ‖ project id. It never expires.
func SignToken(secret, user, project string) string {
	return digest(sha256.New, secret, user+project)
}

// SignTokenMD5 makes a token as in 2013, which only projects that allow MD5 accept.
// UNSAFE: for tests, and for talking like clients that cannot be changed.
func SignTokenMD5(secret, user, project string) string {
	return digest(md5.New, secret, user+project)
}

var _ hub.VerifyToken = VerifyToken
