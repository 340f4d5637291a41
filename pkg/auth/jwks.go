package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/url"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"centrifuge/pkg/hub"
)

const (
	// KeySetAge is how long a key set is used before it is read again, and so how long a key
	// that was removed from it stays valid.
	KeySetAge = 10 * time.Minute
	// KeySetStale is how long a key set is used when its URL does not answer.
	KeySetStale = time.Hour
	// KeySetInterval is the time between two requests to a URL by one process: an unknown kid
	// does not cause more.
	KeySetInterval = 10 * time.Second
	// maxKeySets limits the key sets that a process keeps. Another one replaces the one that
	// was used least recently.
	maxKeySets = 64
	// maxKeys limits the keys of a set.
	maxKeys = 100
)

// keySets are the key sets of projects, by URL. It is safe for concurrent use.
type keySets struct {
	fetch   func(context.Context, string) ([]byte, error)
	log     *slog.Logger
	flights singleflight.Group

	mu   sync.Mutex
	sets map[string]*keySet
}

// keySet is a key set as it was read. Only used changes.
type keySet struct {
	keys map[string][]publicKey // by kid
	read time.Time              // the zero time for one that was never read
	// tried is when the URL was last asked, and err why it did not answer then.
	tried time.Time
	err   error
	used  time.Time
}

// publicKey is a key of a set.
type publicKey struct {
	public crypto.PublicKey
	alg    string // "" for every algorithm of its type
}

func newKeySets(fetch func(context.Context, string) ([]byte, error), log *slog.Logger) *keySets {
	return &keySets{fetch: fetch, log: log, sets: make(map[string]*keySet)}
}

// keys returns the keys with this kid at a URL, at least one. It fails with hub.ErrInvalidToken
// where the set has none, and otherwise where the set cannot be read.
func (s *keySets) keys(ctx context.Context, url, kid string, now time.Time) ([]publicKey, error) {
	set := s.get(url, now)
	if len(set.keys[kid]) == 0 || now.Sub(set.read) >= KeySetAge {
		var err error
		if set, err = s.refresh(ctx, url, now); err != nil {
			return nil, err
		}
	}
	switch {
	case now.Sub(set.read) >= KeySetStale:
		return nil, fmt.Errorf("read token_jwks_url: %w", set.err)
	case len(set.keys[kid]) == 0:
		return nil, hub.ErrInvalidToken.With(fmt.Sprintf("token_jwks_url has no public key with the kid %.64q", kid))
	}
	return set.keys[kid], nil
}

// get returns the key set at a URL, an empty one where it is not known.
func (s *keySets) get(url string, now time.Time) *keySet {
	s.mu.Lock()
	defer s.mu.Unlock()
	set, ok := s.sets[url]
	if !ok {
		return &keySet{}
	}
	set.used = now
	return set
}

// put keeps a key set.
func (s *keySets) put(url string, set *keySet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.sets[url] == nil && len(s.sets) >= maxKeySets {
		oldest := ""
		for other, set := range s.sets {
			if oldest == "" || set.used.Before(s.sets[oldest].used) {
				oldest = other
			}
		}
		delete(s.sets, oldest)
	}
	s.sets[url] = set
}

// refresh asks a URL for its key set, unless it was asked within KeySetInterval. Concurrent calls share one request, which does not end
// with the context of any of them. It fails only with the error of ctx, wrapped: where the URL
// does not answer, the set is the present one.
func (s *keySets) refresh(ctx context.Context, address string, now time.Time) (*keySet, error) {
	shared := context.WithoutCancel(ctx)
	answer := s.flights.DoChan(address, func() (any, error) {
		present := s.get(address, now)
		if now.Sub(present.tried) < KeySetInterval {
			return present, nil
		}
		set := &keySet{tried: now, used: now, read: now}
		var body []byte
		body, set.err = s.fetch(shared, address)
		if set.err == nil {
			set.keys, set.err = parseKeySet(body)
		}
		if set.err != nil {
			set.keys, set.read = present.keys, present.read
			s.log.WarnContext(shared, "token_jwks_url failed", "host", hostOf(address), "error", set.err)
		}
		s.put(address, set)
		return set, nil
	})
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("read token_jwks_url: %w", ctx.Err())
	case r := <-answer:
		return r.Val.(*keySet), nil
	}
}

// hostOf is the part of a URL that a log may have.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// parseKeySet returns the public keys of a JWK set that verify signatures, by kid. It ignores
// keys of other types, for other uses, without a kid, and those that are malformed or too weak.
// The error has nothing of the body.
func parseKeySet(body []byte) (map[string][]publicKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	switch err := json.Unmarshal(body, &set); {
	case err != nil || set.Keys == nil:
		return nil, errors.New("the answer is not a JSON Web Key Set")
	case len(set.Keys) > maxKeys:
		return nil, fmt.Errorf("the key set has more than %d keys", maxKeys)
	}
	keys := make(map[string][]publicKey)
	for _, raw := range set.Keys {
		var k jwk
		if hub.SyntaxError(raw) != "" || json.Unmarshal(raw, &k) != nil || k.Kid == "" || !k.verifies() {
			continue
		}
		if public := k.public(); public != nil {
			keys[k.Kid] = append(keys[k.Kid], publicKey{public, k.Alg})
		}
	}
	return keys, nil
}

// jwk is a JSON Web Key: RFC 7517, RFC 7518 section 6, and RFC 8037 for OKP.
type jwk struct {
	Kty string   `json:"kty"`
	Kid string   `json:"kid"`
	Use string   `json:"use"`
	Ops []string `json:"key_ops"`
	Alg string   `json:"alg"`
	N   number   `json:"n"`
	E   number   `json:"e"`
	Crv string   `json:"crv"`
	X   number   `json:"x"`
	Y   number   `json:"y"`
}

// number is base64url, without padding, of bytes.
type number []byte

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(b []byte) error {
	var s string
	err := json.Unmarshal(b, &s)
	if err == nil {
		*n, err = base64.RawURLEncoding.DecodeString(s)
	}
	return err
}

// verifies reports whether the key may verify signatures.
func (k jwk) verifies() bool {
	return (k.Use == "" || k.Use == "sig") && (k.Ops == nil || slices.Contains(k.Ops, "verify"))
}

// public returns the public key, nil for one that is of another type, malformed or too weak.
func (k jwk) public() crypto.PublicKey {
	switch {
	case k.Kty == "RSA":
		e := new(big.Int).SetBytes(k.E)
		if !e.IsInt64() || e.Int64() > 1<<31-1 {
			return nil
		}
		return checked(&rsa.PublicKey{N: new(big.Int).SetBytes(k.N), E: int(e.Int64())})
	case k.Kty == "EC":
		curve := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}[k.Crv]
		if curve == nil {
			return nil
		}
		size := (curve.Params().BitSize + 7) / 8
		if len(k.X) != size || len(k.Y) != size {
			return nil
		}
		public, err := ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, k.X, k.Y))
		if err != nil {
			return nil
		}
		return public
	case k.Kty == "OKP" && k.Crv == "Ed25519" && len(k.X) == ed25519.PublicKeySize:
		return ed25519.PublicKey(k.X)
	}
	return nil
}

// checked returns the key, or nil for one that hub.CheckPublicKey refuses.
func checked(key crypto.PublicKey) crypto.PublicKey {
	if hub.CheckPublicKey(key) != nil {
		return nil
	}
	return key
}
