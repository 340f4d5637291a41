package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"centrifuge/pkg/hub"
)

// Leeway is how far in the future iat and nbf may be, for applications whose clock is
// ahead. It does not apply to exp.
const Leeway = time.Minute

// maxDate limits dates to the year 9999. It is its last second.
const maxDate = 253402300799

// verifyJWT verifies a JWT under the contract of VerifyToken. Before the signature is
// verified, the error distinguishes nothing but the algorithm. Afterwards its Detail
// names the wrong claim, or where the claims are not text.
func verifyJWT(p *hub.Project, user, token string, now time.Time) (hub.Identity, error) {
	var c claims
	parsed, err := jwtParser.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) {
		if p.Secret == "" {
			return nil, errors.New("the project has no secret")
		}
		return []byte(p.Secret), nil
	})
	if err != nil {
		if parsed != nil && parsed.Method != nil && parsed.Method != jwt.SigningMethodHS256 {
			return hub.Identity{}, hub.ErrInvalidToken.With("sign the JWT with HS256")
		}
		return hub.Identity{}, hub.ErrInvalidToken
	}
	if _, critical := parsed.Header["crit"]; critical {
		return hub.Identity{}, hub.ErrInvalidToken.With("the header has crit, which is not supported")
	}
	if endsLikeToken(p, token[:strings.LastIndexByte(token, '.')]) {
		return hub.Identity{}, hub.ErrInvalidToken.With("the claims end with the project id: use a longer project id")
	}
	// The info is passed on as it is.
	if wrong := hub.SyntaxError(c.text, "info"); c.values != nil && wrong != "" {
		return hub.Identity{}, hub.ErrBadRequest.With("the claims of the JWT: " + wrong)
	}
	return c.identity(p, user, now)
}

// jwtParser verifies format and signature. The claims are verified in this package,
// which distinguishes a missing exp from one that has passed.
var jwtParser = jwt.NewParser(
	jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
	jwt.WithStrictDecoding(),
	jwt.WithoutClaimsValidation(),
)

// claims holds the undecoded claims of a JWT, by their case-sensitive names.
type claims struct {
	text   []byte
	values map[string]json.RawMessage
	// RegisteredClaims stays empty. Its methods implement jwt.Claims.
	jwt.RegisteredClaims
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *claims) UnmarshalJSON(b []byte) error {
	c.text = bytes.Clone(b)
	return json.Unmarshal(b, &c.values)
}

// identity verifies the claims for user of p at now, under the contract of VerifyToken.
func (c *claims) identity(p *hub.Project, user string, now time.Time) (hub.Identity, error) {
	var sub *string
	if raw, ok := c.values["sub"]; !ok || json.Unmarshal(raw, &sub) != nil || sub == nil {
		return hub.Identity{}, hub.ErrInvalidToken.With("sub is missing or not a string")
	}
	if *sub != user {
		return hub.Identity{}, hub.ErrInvalidToken
	}

	for _, name := range []string{"nbf", "iat"} {
		from, err := c.date(name)
		if err != nil {
			return hub.Identity{}, err
		}
		if now.Add(Leeway).Before(from) {
			return hub.Identity{}, hub.ErrInvalidToken.With(name + " is in the future: check the clock of the application")
		}
	}
	expires, err := c.date("exp")
	switch {
	case err != nil:
		return hub.Identity{}, err
	case expires.IsZero():
		return hub.Identity{}, hub.ErrInvalidToken.With("exp is missing")
	case !now.Before(expires):
		return hub.Identity{}, hub.ErrTokenExpired
	}

	if feed, err := c.feed(); err != nil {
		return hub.Identity{}, err
	} else if feed {
		if _, stated := c.values["permissions"]; stated || user != "" {
			return hub.Identity{}, hub.ErrInvalidToken.With("feed goes with an empty sub and without permissions")
		}
		return hub.FeedIdentity(p.ID, expires), nil
	}
	permissions, err := c.permissions()
	if err != nil {
		return hub.Identity{}, err
	}
	info, err := c.info()
	if err != nil {
		return hub.Identity{}, err
	}
	return hub.Identity{User: user, Info: info, Permissions: permissions, Expires: expires}, nil
}

// date decodes a claim in seconds since 1970, rounded down. It returns the zero time
// for a missing claim.
func (c *claims) date(name string) (time.Time, error) {
	raw, ok := c.values[name]
	if !ok {
		return time.Time{}, nil
	}
	var seconds *float64
	if json.Unmarshal(raw, &seconds) != nil || seconds == nil || *seconds < 0 || *seconds > maxDate {
		return time.Time{}, hub.ErrInvalidToken.With(name + " is not a date in seconds since 1970")
	}
	return time.Unix(int64(math.Floor(*seconds)), 0), nil
}

// permissions decodes the granted permissions. It returns nil for a missing claim.
func (c *claims) permissions() (*hub.Permissions, error) {
	raw, ok := c.values["permissions"]
	if !ok {
		return nil, nil
	}
	granted, err := hub.DecodePermissions(raw)
	var e *hub.Error
	switch {
	case errors.Is(err, hub.ErrLimitExceeded):
		return nil, err
	case errors.As(err, &e):
		return nil, hub.ErrInvalidToken.With(e.Detail)
	case err != nil:
		return nil, fmt.Errorf("decode permissions: %w", err)
	}
	granted.Confirmed = true
	return &granted, nil
}

// feed reports whether the token opens the admin feed of the project, and nothing else.
func (c *claims) feed() (bool, error) {
	raw, ok := c.values["feed"]
	if !ok {
		return false, nil
	}
	var feed *bool
	if json.Unmarshal(raw, &feed) != nil || feed == nil {
		return false, hub.ErrInvalidToken.With("feed is not a boolean")
	}
	return *feed, nil
}

// info decodes and compacts the info. It returns nil for a missing claim and for null.
func (c *claims) info() (json.RawMessage, error) {
	raw, ok := c.values["info"]
	if !ok || string(raw) == "null" {
		return nil, nil
	}
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return nil, hub.ErrInvalidToken.With("info is not valid JSON")
	}
	if b.Len() > hub.MaxInfoBytes {
		return nil, hub.ErrLimitExceeded.With(fmt.Sprintf("info is longer than %d bytes", hub.MaxInfoBytes))
	}
	return b.Bytes(), nil
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
