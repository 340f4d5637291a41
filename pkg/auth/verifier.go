package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"centrifuge/pkg/hub"
)

// VerifierOptions configure a Verifier.
type VerifierOptions struct {
	// Fetch returns the body of a GET of a URL, which a project chose. It must limit its time
	// and the size of the body, and check that the URL leads nowhere private. Its errors are
	// logged: they must hold nothing secret. It is required.
	Fetch func(ctx context.Context, url string) ([]byte, error)
	// Log receives failures to read a key set; nil discards them.
	Log *slog.Logger
}

// Verifier verifies the JWTs of Centrifugo's protocol. It is safe for concurrent use. A process
// needs one: it keeps the key sets of projects.
type Verifier struct{ sets *keySets }

var _ hub.Tokens = (*Verifier)(nil)

// NewVerifier returns a Verifier.
func NewVerifier(o VerifierOptions) *Verifier {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Verifier{newKeySets(o.Fetch, o.Log)}
}

// Connection implements hub.Tokens. README.md lists the claims.
func (v *Verifier) Connection(ctx context.Context, p *hub.Project, token string, now time.Time) (hub.ConnectionToken, error) {
	c, secret, err := v.claims(ctx, p, token, now)
	if err != nil {
		return hub.ConnectionToken{}, invalid(err)
	}
	t, err := c.connection(p, now)
	if err != nil {
		return hub.ConnectionToken{}, invalid(err)
	}
	t.Secret = secret
	return t, nil
}

// Subscription implements hub.Tokens. README.md lists the claims.
func (v *Verifier) Subscription(ctx context.Context, p *hub.Project, token string, now time.Time) (hub.SubscriptionToken, error) {
	c, secret, err := v.claims(ctx, p, token, now)
	if err != nil {
		return hub.SubscriptionToken{}, invalid(err)
	}
	t, err := c.subscription(p, now)
	if err != nil {
		return hub.SubscriptionToken{}, invalid(err)
	}
	t.Secret = secret
	return t, nil
}

// invalid makes an error of hub's table one that hub.Tokens has. It keeps others.
func invalid(err error) error {
	var e *hub.Error
	if !errors.As(err, &e) || errors.Is(err, hub.ErrTokenExpired) || errors.Is(err, hub.ErrInvalidToken) {
		return err
	}
	return hub.ErrInvalidToken.With(e.Detail)
}

// claims verifies the signature of a token of p, and returns its claims and the SecretID of
// what made it.
func (v *Verifier) claims(ctx context.Context, p *hub.Project, token string, now time.Time) (*claims, string, error) {
	if len(token) > MaxTokenBytes {
		return nil, "", hub.ErrLimitExceeded.With(fmt.Sprintf("the token is longer than %d bytes", MaxTokenBytes))
	}
	j, err := parseJWT(token)
	if err != nil {
		return nil, "", err
	}
	var secret string
	switch j.method.(type) {
	case *jwt.SigningMethodRSA:
		secret, err = v.publicKey(ctx, p, j, p.Options.TokenRSAPublicKey, now)
	case *jwt.SigningMethodECDSA:
		secret, err = v.publicKey(ctx, p, j, p.Options.TokenECDSAPublicKey, now)
	case *jwt.SigningMethodEd25519:
		secret, err = v.publicKey(ctx, p, j, "", now)
	default:
		secret, err = j.secret(p)
	}
	if err == nil {
		err = j.check()
	}
	if _, secretly := j.method.(*jwt.SigningMethodHMAC); err == nil && !secretly && j.claims.has("feed") {
		err = hub.ErrInvalidToken.With("feed is a claim of the admin pages")
	}
	if p.Options.Insecure && (j.claims.has("exp") || j.claims.has("expire_at")) {
		// As in Centrifugo they do not matter. They would where the project is secure again.
		delete(j.claims.values, "exp")
		delete(j.claims.values, "expire_at")
		secret = hub.WithoutRules
	}
	return &j.claims, secret, err
}

// publicKey returns the SecretID of the public key of p that verifies the token: the one in
// PEM, "" for none, or one in the key set of p.
func (v *Verifier) publicKey(ctx context.Context, p *hub.Project, j jws, pem string, now time.Time) (string, error) {
	if pem != "" {
		key, err := hub.ParsePublicKey(pem)
		if err != nil {
			return "", fmt.Errorf("read the public key of project %q: %w", p.ID, err)
		}
		if j.signedBy(key) {
			return hub.SecretID(pem), nil
		}
	}
	url := p.Options.TokenJWKSURL
	switch {
	case pem == "" && url == "":
		return "", hub.ErrInvalidToken.With("the project has no public key for " + j.method.Alg())
	case url == "":
		return "", hub.ErrInvalidToken
	case j.kid == "":
		return "", hub.ErrInvalidToken.With("the header has no kid, which names the key at token_jwks_url")
	}
	keys, err := v.sets.keys(ctx, url, j.kid, now)
	if err != nil {
		return "", err
	}
	for _, key := range keys {
		if (key.alg == "" || key.alg == j.method.Alg()) && j.signedBy(key.public) {
			return hub.SecretID(url), nil
		}
	}
	return "", hub.ErrInvalidToken
}
