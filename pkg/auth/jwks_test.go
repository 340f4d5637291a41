package auth_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/callback"
	"centrifuge/pkg/hub"
)

// key is a JSON Web Key.
type key map[string]any

// with returns the key with other members; nil removes one.
func (k key) with(members key) key {
	k = maps.Clone(k)
	for name, value := range members {
		if k[name] = value; value == nil {
			delete(k, name)
		}
	}
	return k
}

// keyOf is the public key of a signer.
func keyOf(tb testing.TB, alg, kid string) key {
	tb.Helper()
	encode := base64.RawURLEncoding.EncodeToString
	switch public := signers()[alg].Public().(type) {
	case *rsa.PublicKey:
		return key{"kty": "RSA", "kid": kid, "n": encode(public.N.Bytes()), "e": encode(big.NewInt(int64(public.E)).Bytes())}
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		if err != nil {
			tb.Fatal(err)
		}
		half := (len(point) - 1) / 2
		return key{"kty": "EC", "kid": kid, "crv": public.Curve.Params().Name, "x": encode(point[1 : 1+half]), "y": encode(point[1+half:])}
	case ed25519.PublicKey:
		return key{"kty": "OKP", "kid": kid, "crv": "Ed25519", "x": encode(public)}
	default:
		tb.Fatalf("a key of type %T", public)
		return nil
	}
}

// keyServer serves a key set, and a verifier reads it.
type keyServer struct {
	*httptest.Server
	verifier *auth.Verifier
	log      *bytes.Buffer

	mu       sync.Mutex
	body     string
	status   int
	requests int
	// before is called before an answer, where it is set.
	before func()
}

func newKeyServer(tb testing.TB, keys ...key) *keyServer {
	tb.Helper()
	s := &keyServer{status: http.StatusOK, log: &bytes.Buffer{}}
	s.serve(tb, keys...)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		s.requests++
		before, status, body := s.before, s.status, s.body
		s.mu.Unlock()
		if before != nil {
			before()
		}
		w.WriteHeader(status)
		w.Write([]byte(body))
	}))
	tb.Cleanup(s.Close)
	s.verifier = auth.NewVerifier(auth.VerifierOptions{Fetch: callback.Fetcher(true), Log: slog.New(slog.NewTextHandler(s.log, nil))})
	return s
}

// serve replaces the key set.
func (s *keyServer) serve(tb testing.TB, keys ...key) {
	tb.Helper()
	b, err := json.Marshal(map[string]any{"keys": append([]key{}, keys...)})
	if err != nil {
		tb.Fatal(err)
	}
	s.answer(http.StatusOK, string(b))
}

// answer replaces the answer.
func (s *keyServer) answer(status int, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.body = status, body
}

// asked returns how many requests there were.
func (s *keyServer) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// project is a project with the key set at a path.
func (s *keyServer) project(path string) *hub.Project {
	return &hub.Project{ID: project, Secret: secret, Options: hub.ProjectOptions{TokenJWKSURL: s.URL + path}}
}

// verify verifies a token, and returns the text of the error, "" for none.
func (s *keyServer) verify(ctx context.Context, token string, at time.Time) string {
	if _, err := s.verifier.Connection(ctx, s.project("/"), token, at); err != nil {
		return err.Error()
	}
	return ""
}

func TestKeySet(t *testing.T) {
	const unknown = `invalid token: token_jwks_url has no public key with the kid "k"`
	sign := func(alg string) string { return signPublic(t, alg, "k", `{"sub":"42"}`) }
	rs, es, ed := keyOf(t, "RS256", "k"), keyOf(t, "ES256", "k"), keyOf(t, "EdDSA", "k")
	short := base64.RawURLEncoding.EncodeToString(new(big.Int).Lsh(big.NewInt(1), 2046).Bytes())
	for name, c := range map[string]struct {
		keys       []key
		token, err string
	}{
		"RS256":                            {[]key{rs}, sign("RS256"), ""},
		"RS512":                            {[]key{rs}, sign("RS512"), ""},
		"ES256":                            {[]key{es}, sign("ES256"), ""},
		"ES384":                            {[]key{keyOf(t, "ES384", "k")}, sign("ES384"), ""},
		"ES512":                            {[]key{keyOf(t, "ES512", "k")}, sign("ES512"), ""},
		"EdDSA":                            {[]key{ed}, sign("EdDSA"), ""},
		"the alg, use and key_ops":         {[]key{rs.with(key{"alg": "RS256", "use": "sig", "key_ops": []string{"verify"}})}, sign("RS256"), ""},
		"two keys with one kid":            {[]key{es, rs}, sign("RS256"), ""},
		"keys that cannot be used before":  {[]key{{"kty": "oct", "kid": "k", "k": "AA"}, {"kid": 1}, {}, rs}, sign("RS256"), ""},
		"another alg":                      {[]key{rs.with(key{"alg": "RS256"})}, sign("RS512"), "invalid token"},
		"a key of another type":            {[]key{es}, sign("RS256"), "invalid token"},
		"a key of another curve":           {[]key{keyOf(t, "ES384", "k")}, sign("ES256"), "invalid token"},
		"the key of another signer":        {[]key{keyOf(t, "ES512", "k").with(key{"crv": "P-521"})}, sign("ES384"), "invalid token"},
		"a kid that is no text":            {[]key{rs.with(key{"kid": json.RawMessage(`"\udc00"`)})}, signPublic(t, "RS256", "\ufffd", `{"sub":"42"}`), "invalid token: token_jwks_url has no public key with the kid \"\ufffd\""},
		"another kid":                      {[]key{rs.with(key{"kid": "K"})}, sign("RS256"), unknown},
		"no kid in the set":                {[]key{rs.with(key{"kid": nil})}, sign("RS256"), unknown},
		"no keys":                          {nil, sign("RS256"), unknown},
		"a key for encryption":             {[]key{rs.with(key{"use": "enc"})}, sign("RS256"), unknown},
		"a key for other operations":       {[]key{rs.with(key{"key_ops": []string{"sign"}})}, sign("RS256"), unknown},
		"a symmetric key":                  {[]key{{"kty": "oct", "kid": "k", "k": base64.RawURLEncoding.EncodeToString([]byte(secret))}}, sign("RS256"), unknown},
		"an RSA key of 2047 bits":          {[]key{rs.with(key{"n": short})}, sign("RS256"), unknown},
		"an RSA key with an even e":        {[]key{rs.with(key{"e": "Ag"})}, sign("RS256"), unknown},
		"an RSA key with a large e":        {[]key{rs.with(key{"e": rs["n"]})}, sign("RS256"), unknown},
		"an RSA key without n":             {[]key{rs.with(key{"n": nil})}, sign("RS256"), unknown},
		"an RSA key that is not base64":    {[]key{rs.with(key{"n": "?"})}, sign("RS256"), unknown},
		"a point that is not on its curve": {[]key{es.with(key{"y": es["x"]})}, sign("ES256"), unknown},
		"a point of another size":          {[]key{es.with(key{"x": "AA"})}, sign("ES256"), unknown},
		"an unknown curve":                 {[]key{es.with(key{"crv": "secp256k1"})}, sign("ES256"), unknown},
		"an Ed25519 key that is short":     {[]key{ed.with(key{"x": "AA"})}, sign("EdDSA"), unknown},
		"a key of X25519":                  {[]key{ed.with(key{"crv": "X25519"})}, sign("EdDSA"), unknown},
	} {
		t.Run(name, func(t *testing.T) {
			s := newKeyServer(t, c.keys...)
			got, err := s.verifier.Connection(t.Context(), s.project("/"), c.token, now)
			text := ""
			if err != nil {
				text = err.Error()
			}
			if text != c.err {
				t.Errorf("error %q, want %q", text, c.err)
			}
			want := hub.ConnectionToken{}
			if c.err == "" {
				want = hub.ConnectionToken{User: "42", Secret: hub.SecretID(s.URL + "/")}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// TestKeySetAge follows the key set of one URL by the clock.
func TestKeySetAge(t *testing.T) {
	const (
		unavailable = "read token_jwks_url: status 503"
		unknown     = `invalid token: token_jwks_url has no public key with the kid "new"`
	)
	s := newKeyServer(t, keyOf(t, "ES256", "old"))
	previous, next := signPublic(t, "ES256", "old", `{}`), signPublic(t, "ES384", "new", `{}`)
	both := func() { s.serve(t, keyOf(t, "ES256", "old"), keyOf(t, "ES384", "new")) }
	for _, step := range []struct {
		what     string
		after    time.Duration // since the first step
		change   func()
		token    string
		err      string
		requests int
	}{
		{"the first token", 0, nil, previous, "", 1},
		{"a known kid, just before its age", auth.KeySetAge - 1, nil, previous, "", 1},
		{"a known kid at its age", auth.KeySetAge, nil, previous, "", 2},
		{"an unknown kid within the interval", auth.KeySetAge + auth.KeySetInterval - 1, both, next, unknown, 2},
		{"an unknown kid at the interval", auth.KeySetAge + auth.KeySetInterval, nil, next, "", 3},
		{"the URL fails, a known kid", 2*auth.KeySetAge + auth.KeySetInterval, func() { s.answer(http.StatusServiceUnavailable, "") }, previous, "", 4},
		{"the URL fails, within the interval", 2*auth.KeySetAge + 2*auth.KeySetInterval - 1, nil, previous, "", 4},
		{"the URL fails, at the interval", 2*auth.KeySetAge + 2*auth.KeySetInterval, nil, previous, "", 5},
		{"the set is stale, just before its end", auth.KeySetAge + auth.KeySetInterval + auth.KeySetStale - 1, nil, previous, "", 6},
		{"the set is stale at its end, within the interval", auth.KeySetAge + auth.KeySetInterval + auth.KeySetStale, nil, previous, unavailable, 6},
		{"the set has ended", auth.KeySetAge + 2*auth.KeySetInterval + auth.KeySetStale, nil, previous, unavailable, 7},
		{"the URL is back, without the previous key", auth.KeySetAge + 3*auth.KeySetInterval + auth.KeySetStale, func() { s.serve(t, keyOf(t, "ES384", "new")) }, next, "", 8},
		{"the key that was removed", auth.KeySetAge + 3*auth.KeySetInterval + auth.KeySetStale, nil, previous, `invalid token: token_jwks_url has no public key with the kid "old"`, 8},
	} {
		if step.change != nil {
			step.change()
		}
		if got := s.verify(t.Context(), step.token, now.Add(step.after)); got != step.err {
			t.Errorf("%s: error %q, want %q", step.what, got, step.err)
		}
		if got := s.asked(); got != step.requests {
			t.Errorf("%s: %d requests, want %d", step.what, got, step.requests)
		}
	}
	if got := strings.Count(s.log.String(), "token_jwks_url failed"); got != 4 {
		t.Errorf("%d failures are logged, want 4:\n%s", got, s.log)
	}
}

func TestKeySetAnswers(t *testing.T) {
	token := signPublic(t, "ES256", "k", `{}`)
	many := make([]key, 101)
	for i := range many {
		many[i] = keyOf(t, "ES256", "k")
	}
	large, err := json.Marshal(map[string]any{"keys": many})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		status    int
		body, err string
	}{
		"a page":          {http.StatusOK, "<html>", "read token_jwks_url: the answer is not a JSON Web Key Set"},
		"null":            {http.StatusOK, "null", "read token_jwks_url: the answer is not a JSON Web Key Set"},
		"a list":          {http.StatusOK, "[]", "read token_jwks_url: the answer is not a JSON Web Key Set"},
		"no keys":         {http.StatusOK, `{"keys":null}`, "read token_jwks_url: the answer is not a JSON Web Key Set"},
		"a key, no set":   {http.StatusOK, `{"kty":"EC"}`, "read token_jwks_url: the answer is not a JSON Web Key Set"},
		"101 keys":        {http.StatusOK, string(large), "read token_jwks_url: the key set has more than 100 keys"},
		"64 KB":           {http.StatusOK, strings.Repeat(" ", 64<<10) + "{}", "read token_jwks_url: the response is larger than 64 KB"},
		"a redirect":      {http.StatusFound, "", "read token_jwks_url: status 302"},
		"keys that are 1": {http.StatusOK, `{"keys":[1,null,"x",[]]}`, `invalid token: token_jwks_url has no public key with the kid "k"`},
	} {
		s := newKeyServer(t)
		s.answer(c.status, c.body)
		if got := s.verify(t.Context(), token, now); got != c.err {
			t.Errorf("%s: error %q, want %q", name, got, c.err)
		}
		if got := s.verify(t.Context(), token, now); got != c.err || s.asked() != 1 {
			t.Errorf("%s, again: error %q, want %q; %d requests, want 1", name, got, c.err, s.asked())
		}
	}
}

// TestKeySetFlood sends tokens with a thousand unknown kids, and one that is right.
func TestKeySetFlood(t *testing.T) {
	s := newKeyServer(t, keyOf(t, "ES256", "k"))
	for n := range 1000 {
		kid := fmt.Sprint("bad", n)
		want := fmt.Sprintf("invalid token: token_jwks_url has no public key with the kid %q", kid)
		if got := s.verify(t.Context(), signPublic(t, "ES256", kid, `{}`), now); got != want {
			t.Fatalf("error %q, want %q", got, want)
		}
	}
	if got := s.verify(t.Context(), signPublic(t, "ES256", "k", `{}`), now); got != "" {
		t.Errorf("the right token: error %q", got)
	}
	if s.asked() != 1 {
		t.Errorf("%d requests, want 1", s.asked())
	}
}

// TestKeySetIsShared verifies tokens concurrently while the URL has not answered. One of the
// callers does not wait.
func TestKeySetIsShared(t *testing.T) {
	s := newKeyServer(t, keyOf(t, "ES256", "k"))
	asked, release := make(chan struct{}), make(chan struct{})
	s.before = func() { close(asked); <-release }
	token := signPublic(t, "ES256", "k", `{}`)
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error)
	go func() {
		_, err := s.verifier.Connection(ctx, s.project("/"), token, now)
		first <- err
	}()
	<-asked
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("the caller whose context has ended: error %v, want %v", err, context.Canceled)
	}
	var others sync.WaitGroup
	for range 20 {
		others.Go(func() {
			if got := s.verify(t.Context(), token, now); got != "" {
				t.Errorf("error %q", got)
			}
		})
	}
	close(release)
	others.Wait()
	if s.asked() != 1 {
		t.Errorf("%d requests, want 1", s.asked())
	}
}

// TestKeySetsAreBounded reads one key set more than a process keeps.
func TestKeySetsAreBounded(t *testing.T) {
	s := newKeyServer(t, keyOf(t, "ES256", "k"))
	token := signPublic(t, "ES256", "k", `{}`)
	read := func(n, second int) {
		t.Helper()
		if _, err := s.verifier.Connection(t.Context(), s.project(fmt.Sprint("/", n)), token, now.Add(time.Duration(second)*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 64 {
		read(n, n)
	}
	read(0, 64)  // now /1 is the one that was used least recently
	read(64, 65) // takes its place
	before := s.asked()
	read(0, 66)
	read(64, 66)
	if got := s.asked() - before; got != 0 {
		t.Errorf("%d requests for sets that are kept, want 0", got)
	}
	read(1, 66)
	if got := s.asked() - before; got != 1 {
		t.Errorf("%d requests for the set that was replaced, want 1", got)
	}
}

// TestKeySetAddress reads from addresses that a project must not name.
func TestKeySetAddress(t *testing.T) {
	s := newKeyServer(t, keyOf(t, "ES256", "k"))
	token := signPublic(t, "ES256", "k", `{}`)
	guarded := auth.NewVerifier(auth.VerifierOptions{Fetch: callback.Fetcher(false)})
	for address, want := range map[string]string{
		s.URL: "read token_jwks_url: the address is not https",
		strings.Replace(s.URL, "http:", "https:", 1): "the address is not public",
	} {
		p := &hub.Project{ID: project, Options: hub.ProjectOptions{TokenJWKSURL: address}}
		_, err := guarded.Connection(t.Context(), p, token, now)
		if err == nil || !strings.HasSuffix(err.Error(), want) || errors.Is(err, hub.ErrInvalidToken) {
			t.Errorf("%s: error %v, want %s", address, err, want)
		}
	}
	if s.asked() != 0 {
		t.Errorf("%d requests, want 0", s.asked())
	}
}

// FuzzKeySet reads any key set: none may stop the process.
func FuzzKeySet(f *testing.F) {
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		b, err := json.Marshal(map[string]any{"keys": []key{keyOf(f, alg, "k")}})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"keys":[{"kty":"RSA","kid":"k","n":"","e":""},{"kty":"EC","kid":"k","crv":"P-256","x":"","y":""},{"kty":"OKP","kid":"k","crv":"Ed25519"}]}`))
	tokens := []string{signPublic(f, "RS256", "k", `{}`), signPublic(f, "ES256", "k", `{}`), signPublic(f, "EdDSA", "k", `{}`)}
	f.Fuzz(func(_ *testing.T, body []byte) {
		v := auth.NewVerifier(auth.VerifierOptions{Fetch: func(context.Context, string) ([]byte, error) { return body, nil }})
		p := &hub.Project{ID: project, Options: hub.ProjectOptions{TokenJWKSURL: "https://a.example"}}
		for _, token := range tokens {
			_, _ = v.Connection(context.Background(), p, token, now)
		}
	})
}
