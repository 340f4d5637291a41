package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"

	"centrifuge/pkg/hub"
)

// Leeway is how far ahead of ours the clock of an application may be: by that
// much iat and nbf may lie in the future. An exp is taken at its word.
const Leeway = time.Minute

// maxDate is the last second of the year 9999, after which no date is believed.
const maxDate = 253402300799

// verifyJWT reads a JWT as VerifyToken describes it. Nothing of one is told apart
// before its signature has been found right, save the algorithm; after that the
// Detail of the error says which claim is wrong.
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
			return hub.Identity{}, hub.ErrInvalidToken.With("a JWT is signed with HS256")
		}
		return hub.Identity{}, hub.ErrInvalidToken
	}
	if _, critical := parsed.Header["crit"]; critical {
		return hub.Identity{}, hub.ErrInvalidToken.With("a critical extension is not understood")
	}
	if isTokenMessage(p, token[:strings.LastIndexByte(token, '.')]) {
		return hub.Identity{}, hub.ErrInvalidToken.With("its claims end with the project id, which is too short")
	}
	return c.identity(user, now)
}

// The claims are validated here, where one that is missing and one that is too
// old can be told apart. The library does form and signature.
var jwtParser = jwt.NewParser(
	jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
	jwt.WithStrictDecoding(),
	jwt.WithoutClaimsValidation(),
)

// claims are the claims as they came, by their exact names.
type claims struct {
	values map[string]json.RawMessage
	// RegisteredClaims makes this a jwt.Claims and stays empty.
	jwt.RegisteredClaims
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *claims) UnmarshalJSON(b []byte) error {
	if !utf8.Valid(b) {
		return errors.New("claims are not UTF-8")
	}
	return json.Unmarshal(b, &c.values)
}

// identity is what the claims say of user at now, in the terms of VerifyToken.
func (c *claims) identity(user string, now time.Time) (hub.Identity, error) {
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
			return hub.Identity{}, hub.ErrInvalidToken.With(name + " lies in the future")
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

// date reads a claim in seconds since 1970, rounded down; one that is left out is
// the zero time.
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

func (c *claims) permissions() (*hub.Permissions, error) {
	feed, err := c.feed()
	if err != nil {
		return nil, err
	}
	raw, ok := c.values["permissions"]
	switch {
	case !ok && feed:
		return &hub.Permissions{Feed: true, Confirmed: true}, nil
	case !ok:
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
	granted.Confirmed, granted.Feed = true, feed
	return &granted, nil
}

// feed tells whether the token opens the feed of the project's administrators.
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
		return nil, hub.ErrLimitExceeded.With(fmt.Sprintf("info is at most %d bytes long", hub.MaxInfoBytes))
	}
	return b.Bytes(), nil
}

// SignJWT signs claims with HS256. VerifyToken tells which it needs; that they make
// sense is left to the caller. It fails without a secret, and with claims that are
// not JSON.
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
