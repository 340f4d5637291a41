package auth

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"centrifuge/pkg/hub"
)

// MaxTokenBytes limits a token. A JWT of this size has room for an info of
// hub.MaxInfoBytes and several hundred channels in its permissions.
const MaxTokenBytes = 16 << 10

// VerifyToken checks that token authenticates user in project p at the time now. It
// is a hub.VerifyToken. A token is one of
//
//   - 64 hexadecimal digits: HMAC-SHA256(secret, user ‖ project id);
//   - 32 hexadecimal digits: HMAC-MD5 of the same, if p allows MD5;
//   - a JWT signed with HS256, HS384 or HS512 and the secret. Other algorithms, also
//     "none", are refused. A header with crit is refused: no extension is supported.
//
// The secret is any of p.Secrets. Digits are lower-case. A user is signed as its UTF-8 bytes; the server of 2013
// accepted Latin-1 only. The anonymous user "" requires a token, too.
//
// The names of the claims of a JWT are case-sensitive:
//
//   - sub, required: the user, a string;
//   - exp, required: when the token expires, in seconds since 1970;
//   - nbf, iat, optional: at most Leeway after now;
//   - aud, iss: required where p has the options token_audience and token_issuer;
//   - permissions, optional: the granted permissions, as hub.DecodePermissions reads
//     them. Without this claim the identity has none; null is an error;
//   - info, optional: any JSON value of at most hub.MaxInfoBytes when compacted; null
//     means no info;
//   - feed: refused where it is true, as it is the claim of the tokens of the admin feed, which
//     is for clients of Centrifugo's protocol;
//   - channel: refused, as it is the claim of a subscription token of Centrifugo's protocol.
//
// The permissions of a JWT are confirmed. Only a JWT expires; fractions of a second
// are cut off.
//
// VerifyToken fails with hub.ErrInvalidToken. Once the signature of a JWT is verified,
// the Detail of the error names the wrong claim and the cause, except for a sub of
// another user; a header or claims that hub.SyntaxError refuses fail with
// hub.ErrBadRequest. VerifyToken fails with hub.ErrTokenExpired for a JWT of user whose
// exp has passed, and with hub.ErrLimitExceeded for a token longer than MaxTokenBytes and
// for a JWT whose permissions or info exceed their limit.
func VerifyToken(p *hub.Project, user, token string, now time.Time) (hub.Identity, error) {
	switch {
	case len(token) > MaxTokenBytes:
		return hub.Identity{}, hub.ErrLimitExceeded.With(fmt.Sprintf("the token is longer than %d bytes", MaxTokenBytes))
	case strings.Count(token, ".") == 2:
		return verifyJWT(p, user, token, now)
	}
	secret, ok := verify(p, token, user+p.ID)
	if !ok {
		return hub.Identity{}, hub.ErrInvalidToken
	}
	return hub.Identity{User: user, MD5: len(token) == hex.EncodedLen(md5.Size), Secret: hub.SecretID(secret)}, nil
}

// SignToken returns the token of a user, which may be "": the lower-case hexadecimal
// HMAC-SHA256 of user ‖ project id. It does not expire.
func SignToken(secret, user, project string) string {
	return sign(sha256.New, secret, user+project)
}

// SignTokenMD5 returns a token of 2013, HMAC-MD5. Only projects that allow MD5 accept
// it. UNSAFE: use it for tests and for clients that cannot be changed.
func SignTokenMD5(secret, user, project string) string {
	return sign(md5.New, secret, user+project)
}

var _ hub.VerifyToken = VerifyToken
