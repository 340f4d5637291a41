package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"centrifuge/pkg/hub"
)

// Leeway is how far in the future iat and nbf may be, for applications whose clock is
// ahead. It does not apply to exp.
const Leeway = time.Minute

// jwtParser decodes JWTs. Signatures and claims are verified in this package, which knows which
// of several keys signed, and distinguishes a missing exp from one that has passed.
var jwtParser = jwt.NewParser(jwt.WithStrictDecoding())

// jws is a JWT whose signature has not been verified.
type jws struct {
	method jwt.SigningMethod
	// kid names the key in the header, "" for none.
	kid string
	// text is what is signed.
	text      string
	signature []byte
	// critical means that the header has crit.
	critical bool
	// header is the header before it was decoded as JSON.
	header []byte
	claims claims
}

// errAlgorithm refuses a token for its alg.
var errAlgorithm = hub.ErrInvalidToken.With("the alg is not supported: sign the JWT with HS256, HS384 or HS512")

// parseJWT decodes a JWT. It fails with hub.ErrInvalidToken.
func parseJWT(token string) (jws, error) {
	var j jws
	parsed, parts, err := jwtParser.ParseUnverified(token, &j.claims)
	if err != nil {
		return jws{}, hub.ErrInvalidToken
	}
	if j.header, err = jwtParser.DecodeSegment(parts[0]); err != nil {
		return jws{}, hub.ErrInvalidToken
	}
	j.method, j.signature = parsed.Method, parsed.Signature
	j.kid, _ = parsed.Header["kid"].(string)
	_, j.critical = parsed.Header["crit"]
	j.text = token[:strings.LastIndexByte(token, '.')]
	return j, nil
}

// signedBy reports whether key, which is not secret, signed the token. The type of the key
// decides: a public key verifies the algorithms of its type alone, and no HMAC.
func (j jws) signedBy(key crypto.PublicKey) bool {
	var fits bool
	switch key := key.(type) {
	case *rsa.PublicKey:
		_, fits = j.method.(*jwt.SigningMethodRSA)
	case *ecdsa.PublicKey:
		m, ok := j.method.(*jwt.SigningMethodECDSA)
		fits = ok && m.CurveBits == key.Curve.Params().BitSize
	case ed25519.PublicKey:
		_, fits = j.method.(*jwt.SigningMethodEd25519)
	}
	return fits && j.method.Verify(j.text, j.signature, key) == nil
}

// secret returns the SecretID of the secret of p that signed the token. It fails with
// hub.ErrInvalidToken where none did.
func (j jws) secret(p *hub.Project) (string, error) {
	if _, ok := j.method.(*jwt.SigningMethodHMAC); !ok {
		return "", errAlgorithm
	}
	for _, secret := range p.Secrets() {
		if j.method.Verify(j.text, j.signature, []byte(secret)) != nil {
			continue
		}
		if endsLikeToken(p, j.text) {
			return "", hub.ErrInvalidToken.With("the claims end with the project id: use a longer project id")
		}
		return hub.SecretID(secret), nil
	}
	return "", hub.ErrInvalidToken
}

// check refuses a token that nothing of this package reads right, with hub.ErrInvalidToken or
// hub.ErrBadRequest. The signature has been verified.
func (j jws) check() error {
	if j.critical {
		return hub.ErrInvalidToken.With("the header has crit, which is not supported")
	}
	if j.claims.values == nil {
		return hub.ErrInvalidToken.With("the claims are null")
	}
	if wrong := hub.SyntaxError(j.header); wrong != "" {
		return hub.ErrBadRequest.With("the header of the JWT: " + wrong)
	}
	// The info is passed on as it is.
	if wrong := hub.SyntaxError(j.claims.payload, "info"); wrong != "" {
		return hub.ErrBadRequest.With("the claims of the JWT: " + wrong)
	}
	return nil
}

// verifyJWT verifies a JWT under the contract of VerifyToken. Before the signature is
// verified, the error distinguishes nothing but the algorithm. Afterwards its Detail
// names the wrong claim, or where the header or the claims are not text.
func verifyJWT(p *hub.Project, user, token string, now time.Time) (hub.Identity, error) {
	j, err := parseJWT(token)
	if err != nil {
		return hub.Identity{}, err
	}
	secret, err := j.secret(p)
	if err != nil {
		return hub.Identity{}, err
	}
	if err := j.check(); err != nil {
		return hub.Identity{}, err
	}
	id, err := j.claims.identity(p, user, now)
	if err != nil {
		return hub.Identity{}, err
	}
	id.Secret = secret
	return id, nil
}

// SignJWT returns a JWT with claims, signed with HS256. It does not verify the claims;
// VerifyToken documents which are required. It fails for an empty secret and for
// claims that cannot be encoded as JSON.
func SignJWT(secret string, claims map[string]any) (string, error) {
	if secret == "" {
		return "", errors.New("sign JWT: no secret")
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims(claims)).SignedString([]byte(secret))
	if err != nil {
		return "", fmt.Errorf("sign JWT: %w", err)
	}
	return token, nil
}
