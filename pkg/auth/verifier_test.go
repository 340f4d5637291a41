package auth_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
)

// signers are the private keys of tests, by the algorithm that they sign with. They take long
// to make.
var signers = sync.OnceValue(func() map[string]crypto.Signer {
	must := func(key crypto.Signer, err error) crypto.Signer {
		if err != nil {
			panic(err)
		}
		return key
	}
	ec := func(curve elliptic.Curve) crypto.Signer { return must(ecdsa.GenerateKey(curve, rand.Reader)) }
	rs := must(rsa.GenerateKey(rand.Reader, 2048))
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	return map[string]crypto.Signer{
		"RS256": rs, "RS384": rs, "RS512": rs, "PS256": rs, "EdDSA": must(ed, err),
		"ES256": ec(elliptic.P256()), "ES384": ec(elliptic.P384()), "ES512": ec(elliptic.P521()),
	}
})

// publicPEM is the public key of a signer in PEM.
func publicPEM(tb testing.TB, alg string) string {
	tb.Helper()
	der, err := x509.MarshalPKIXPublicKey(signers()[alg].Public())
	if err != nil {
		tb.Fatal(err)
	}
	return strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
}

// signPublic makes a JWT that is signed with a signer. The kid "" is left out.
func signPublic(tb testing.TB, alg, kid, payload string) string {
	tb.Helper()
	var values jwt.MapClaims
	if err := json.Unmarshal([]byte(payload), &values); err != nil {
		tb.Fatal(err)
	}
	token := jwt.NewWithClaims(jwt.GetSigningMethod(alg), values)
	if kid != "" {
		token.Header["kid"] = kid
	}
	signed, err := token.SignedString(signers()[alg])
	if err != nil {
		tb.Fatal(err)
	}
	return signed
}

// offline is a verifier that can fetch nothing.
var offline = auth.NewVerifier(auth.VerifierOptions{Fetch: func(context.Context, string) ([]byte, error) {
	return nil, errors.New("offline")
}})

// chat is a channel in the form of tokens.
func chat(name string) hub.Channel { return hub.Channel{Category: "chat", Name: name} }

func TestConnectionToken(t *testing.T) {
	yes, no := true, false
	at := func(seconds int64) time.Time { return time.Unix(1_700_000_000+seconds, 0) }
	for name, c := range map[string]struct {
		payload string
		want    hub.ConnectionToken
	}{
		"nothing":                      {`{}`, hub.ConnectionToken{}},
		"sub":                          {`{"sub":"42"}`, hub.ConnectionToken{User: "42"}},
		"sub null":                     {`{"sub":null}`, hub.ConnectionToken{}},
		"exp":                          {`{"exp":1700000001}`, hub.ConnectionToken{Expires: at(1), ConnectionExpires: at(1)}},
		"exp and expire_at":            {`{"exp":1700000001,"expire_at":1700000009}`, hub.ConnectionToken{Expires: at(1), ConnectionExpires: at(9)}},
		"exp and expire_at 0":          {`{"exp":1700000001,"expire_at":0}`, hub.ConnectionToken{Expires: at(1)}},
		"exp and expire_at null":       {`{"exp":1700000001,"expire_at":null}`, hub.ConnectionToken{Expires: at(1), ConnectionExpires: at(1)}},
		"expire_at":                    {`{"expire_at":1700000009}`, hub.ConnectionToken{ConnectionExpires: at(9)}},
		"nbf and iat within leeway":    {`{"nbf":1700000060,"iat":1700000060}`, hub.ConnectionToken{}},
		"aud, iss and jti":             {`{"aud":["x"],"iss":"y","jti":"z"}`, hub.ConnectionToken{}},
		"info":                         {`{"info":{ "a" : 1 }}`, hub.ConnectionToken{Info: json.RawMessage(`{"a":1}`)}},
		"info null":                    {`{"info":null}`, hub.ConnectionToken{}},
		"b64info before info":          {`{"info":1,"b64info":"eyJhIjoxfQ=="}`, hub.ConnectionToken{Info: json.RawMessage(`{"a":1}`)}},
		"b64info empty":                {`{"info":1,"b64info":""}`, hub.ConnectionToken{Info: json.RawMessage(`1`)}},
		"meta":                         {`{"meta":{"plan": "free"}}`, hub.ConnectionToken{Meta: json.RawMessage(`{"plan":"free"}`)}},
		"permissions":                  {`{"permissions":{}}`, hub.ConnectionToken{Permissions: &hub.Permissions{Everything: true, Confirmed: true}}},
		"channels null and subs null":  {`{"channels":null,"subs":null}`, hub.ConnectionToken{}},
		"channels and subs empty":      {`{"channels":[],"subs":{}}`, hub.ConnectionToken{}},
		"channel empty":                {`{"channel":""}`, hub.ConnectionToken{}},
		"unknown claims, another case": {`{"SUB":"root","Subs":{"chat:a":{}},"x":1}`, hub.ConnectionToken{}},
		"channels, one of them twice": {`{"channels":["chat:a","chat:b","chat:a"]}`, hub.ConnectionToken{
			Subscriptions: map[hub.Channel]hub.SubscribeOptions{chat("a"): {}, chat("b"): {}},
		}},
		"subs before channels": {`{"channels":["chat:b"],"subs":{"chat:a":{}}}`, hub.ConnectionToken{
			Subscriptions: map[hub.Channel]hub.SubscribeOptions{chat("a"): {}},
		}},
		"subs null for a channel": {`{"subs":{"chat:a":null}}`, hub.ConnectionToken{
			Subscriptions: map[hub.Channel]hub.SubscribeOptions{chat("a"): {}},
		}},
		"subs with everything": {
			`{"subs":{"chat:#42":{"info":{"i": 1},"data":[ 1 ],"x":1,"override":{"presence":{"value":true},"join_leave":{"value":false},
			 "force_recovery":{"value":true},"force_positioning":{},"force_push_join_leave":null,"other":{"value":true}}}}}`,
			hub.ConnectionToken{Subscriptions: map[hub.Channel]hub.SubscribeOptions{chat("#42"): {
				Info: json.RawMessage(`{"i":1}`), Data: json.RawMessage(`[1]`),
				Override: hub.Override{Presence: &yes, JoinLeave: &no, ForceRecovery: &yes, ForcePositioning: &no},
			}}},
		},
		"subs with base64": {`{"subs":{"chat:a":{"b64info":"MQ==","b64data":"Mg=="}}}`, hub.ConnectionToken{
			Subscriptions: map[hub.Channel]hub.SubscribeOptions{chat("a"): {Info: json.RawMessage(`1`), Data: json.RawMessage(`2`)}},
		}},
		"feed": {`{"sub":"","exp":1700000060,"feed":true}`, hub.ConnectionToken{
			Expires: at(60), ConnectionExpires: at(60), AnyOrigin: true, Permissions: &hub.Permissions{Confirmed: true},
			Subscriptions: map[hub.Channel]hub.SubscribeOptions{hub.Feed(""): {}},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProject(project, secret, false)
			c.want.Secret = p.SecretID()
			got, err := offline.Connection(t.Context(), p, signRaw(sha256.New, secret, hs256, c.payload), now)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestInvalidConnectionToken(t *testing.T) {
	long := strings.Repeat("x", 1024)
	many, err := json.Marshal(func() (list []string) {
		for n := range hub.MaxChannels + 1 {
			list = append(list, fmt.Sprintf("chat:%d", n))
		}
		return list
	}())
	if err != nil {
		t.Fatal(err)
	}
	for payload, want := range map[string]string{
		`{"exp":1700000000}`:                                 "token expired",
		`{"exp":0}`:                                          "token expired",
		`{"expire_at":1700000000}`:                           "token expired",
		`{"exp":null}`:                                       "invalid token: exp is not a date in seconds since 1970",
		`{"exp":"1800000000"}`:                               "invalid token: exp is not a date in seconds since 1970",
		`{"expire_at":-1}`:                                   "invalid token: expire_at is not a date in seconds since 1970",
		`{"nbf":1700000061}`:                                 "invalid token: nbf is in the future: check the clock of the application",
		`{"iat":1700000061}`:                                 "invalid token: iat is in the future: check the clock of the application",
		`{"sub":42}`:                                         "invalid token: sub is not a string",
		`{"sub":"` + long + `"}`:                             "invalid token: sub is longer than 255 bytes",
		`{"sub":"\ud800"}`:                                   `invalid token: the claims of the JWT: line 1, column 9: \ud800 is half of a surrogate pair and no character`,
		`{"channel":"chat:a"}`:                               "invalid token: channel is the claim of a subscription token, which does not connect",
		`{"channel":1}`:                                      "invalid token: channel is not a string",
		`{"info":"` + long + `"}`:                            "invalid token: info is longer than 1024 bytes",
		`{"meta":"` + long + `"}`:                            "invalid token: meta is longer than 1024 bytes",
		`{"b64info":"?"}`:                                    "invalid token: b64info is not base64",
		`{"b64info":"aGVsbG8="}`:                             "invalid token: b64info is not JSON in base64: line 1, column 1: invalid character 'h' looking for beginning of value",
		`{"b64info":"/w=="}`:                                 "invalid token: b64info is not JSON in base64: line 1, column 1: this byte is not UTF-8",
		`{"b64info":7}`:                                      "invalid token: b64info is not a string",
		`{"permissions":[]}`:                                 "invalid token: permissions are not an object",
		`{"permissions":null}`:                               "invalid token: permissions are not an object",
		`{"channels":"chat:a"}`:                              "invalid token: channels is not a list of strings",
		`{"channels":[1]}`:                                   "invalid token: channels is not a list of strings",
		`{"channels":["chat:"]}`:                             `invalid token: channel of the subs or channels "chat:": channel name is empty`,
		`{"channels":` + string(many) + `}`:                  "invalid token: it has more than 128 channels",
		`{"subs":["chat:a"]}`:                                "invalid token: subs is not an object of objects, one for each channel",
		`{"subs":{"chat:a":1}}`:                              "invalid token: subs is not an object of objects, one for each channel",
		`{"subs":{"chat:a":{"info":"` + long + `"}}}`:        `invalid token: the channel "chat:a": info is longer than 1024 bytes`,
		`{"subs":{"chat:a":{"b64data":"?"}}}`:                `invalid token: the channel "chat:a": b64data is not base64`,
		`{"subs":{"chat:a":{"override":[]}}}`:                `invalid token: the channel "chat:a": override is not an object such as {"presence": {"value": true}}`,
		`{"subs":{"chat:a":{"override":{"presence":true}}}}`: `invalid token: the channel "chat:a": override is not an object such as {"presence": {"value": true}}`,
		`{"feed":true,"sub":"42"}`:                           "invalid token: feed goes with an empty sub and without permissions",
		`{"feed":1}`:                                         "invalid token: feed is not a boolean",
		`null`:                                               "invalid token: the claims are null",
		`[]`:                                                 "invalid token",
		`{`:                                                  "invalid token",
		``:                                                   "invalid token",
	} {
		got := ""
		token, err := offline.Connection(t.Context(), newProject(project, secret, false), signRaw(sha256.New, secret, hs256, payload), now)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%.100s: error %q, want %q", payload, got, want)
		}
		if err != nil {
			if diff := cmp.Diff(hub.ConnectionToken{}, token); diff != "" {
				t.Errorf("%.100s: %v, and a token\n%s", payload, err, diff)
			}
		}
	}
}

func TestSubscriptionToken(t *testing.T) {
	yes := true
	for name, c := range map[string]struct {
		payload string
		want    hub.SubscriptionToken
		err     string
	}{
		"channel alone": {`{"channel":"$chat:a"}`, hub.SubscriptionToken{}, ""},
		"everything": {
			`{"sub":"42","channel":"chat:a","client":"c-1","exp":1700000001,"expire_at":0,"info":{ "i" : 1 },"b64data":"Mg==","override":{"force_recovery":{"value":true}}}`,
			hub.SubscriptionToken{
				User: "42", Client: "c-1", Expires: time.Unix(1_700_000_001, 0),
				SubscribeOptions: hub.SubscribeOptions{Info: json.RawMessage(`{"i":1}`), Data: json.RawMessage(`2`), Override: hub.Override{ForceRecovery: &yes}},
			}, "",
		},
		"no channel":              {`{"sub":"42"}`, hub.SubscriptionToken{}, "invalid token: channel is missing: this is no subscription token"},
		"channel null":            {`{"channel":null}`, hub.SubscriptionToken{}, "invalid token: channel is missing: this is no subscription token"},
		"channel that is a list":  {`{"channel":["chat:a"]}`, hub.SubscriptionToken{}, "invalid token: channel is not a string"},
		"channel without a name":  {`{"channel":"chat:"}`, hub.SubscriptionToken{}, `invalid token: channel "chat:": channel name is empty`},
		"client that is a number": {`{"channel":"chat:a","client":1}`, hub.SubscriptionToken{}, "invalid token: client is not a string"},
		"exp passed":              {`{"channel":"chat:a","exp":1700000000}`, hub.SubscriptionToken{}, "token expired"},
		"expire_at passed":        {`{"channel":"chat:a","expire_at":1700000000}`, hub.SubscriptionToken{}, "token expired"},
		"override that is text":   {`{"channel":"chat:a","override":"x"}`, hub.SubscriptionToken{}, `invalid token: override is not an object such as {"presence": {"value": true}}`},
		"the token of the feed":   {`{"sub":"","exp":1700000060,"feed":true}`, hub.SubscriptionToken{}, "invalid token: channel is missing: this is no subscription token"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProject(project, secret, false)
			if c.err == "" {
				var named struct{ Channel string }
				if err := json.Unmarshal([]byte(c.payload), &named); err != nil {
					t.Fatal(err)
				}
				var err error
				if c.want.Channel, err = hub.ParseChannel("", named.Channel); err != nil {
					t.Fatal(err)
				}
				c.want.Secret = p.SecretID()
			}
			got, err := offline.Subscription(t.Context(), p, signRaw(sha256.New, secret, hs256, c.payload), now)
			text := ""
			if err != nil {
				text = err.Error()
			}
			if text != c.err {
				t.Errorf("error %q, want %q", text, c.err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// TestSignatures verifies tokens of every algorithm under every kind of key.
func TestSignatures(t *testing.T) {
	const payload = `{"sub":"42"}`
	rsaPEM, ecPEM := publicPEM(t, "RS256"), publicPEM(t, "ES256")
	with := func(o hub.ProjectOptions) *hub.Project { return &hub.Project{ID: project, Secret: secret, Options: o} }
	both := with(hub.ProjectOptions{TokenRSAPublicKey: rsaPEM, TokenECDSAPublicKey: ecPEM})
	hmac := func(h func() hash.Hash, alg, key string) string { return signRaw(h, key, `{"alg":"`+alg+`"}`, payload) }
	es384 := with(hub.ProjectOptions{TokenECDSAPublicKey: publicPEM(t, "ES384")})
	rs256 := signPublic(t, "RS256", "", payload)
	for _, c := range []struct {
		name    string
		project *hub.Project
		token   string
		secret  string // what made it
		err     string // "" for none
	}{
		{"HS256", both, hmac(sha256.New, "HS256", secret), secret, ""},
		{"HS384", both, hmac(sha512.New384, "HS384", secret), secret, ""},
		{"HS512", both, hmac(sha512.New, "HS512", secret), secret, ""},
		{"HS256 with the previous secret", &hub.Project{ID: project, Secret: "new", PreviousSecret: secret}, hmac(sha256.New, "HS256", secret), secret, ""},
		{"HS256 with another secret", both, hmac(sha256.New, "HS256", "x"), "", "invalid token"},
		{"HS256 in a project without a secret", &hub.Project{ID: project}, hmac(sha256.New, "HS256", ""), "", "invalid token"},
		{"RS256", both, rs256, rsaPEM, ""},
		{"RS384", both, signPublic(t, "RS384", "", payload), rsaPEM, ""},
		{"RS512, with a kid", both, signPublic(t, "RS512", "any", payload), rsaPEM, ""},
		{"ES256", both, signPublic(t, "ES256", "", payload), ecPEM, ""},
		{"ES384", es384, signPublic(t, "ES384", "", payload), es384.Options.TokenECDSAPublicKey, ""},
		{"ES512", with(hub.ProjectOptions{TokenECDSAPublicKey: publicPEM(t, "ES512")}), signPublic(t, "ES512", "", payload), publicPEM(t, "ES512"), ""},
		{"ES384 and a key of ES256", both, signPublic(t, "ES384", "", payload), "", "invalid token"},
		{"ES256 and a key of ES384", es384, signPublic(t, "ES256", "", payload), "", "invalid token"},
		{"RS256 and no key", with(hub.ProjectOptions{}), rs256, "", "invalid token: the project has no public key for RS256"},
		{"ES256 and an RSA key", with(hub.ProjectOptions{TokenRSAPublicKey: rsaPEM}), signPublic(t, "ES256", "", payload), "", "invalid token: the project has no public key for ES256"},
		{"EdDSA and no key set", both, signPublic(t, "EdDSA", "", payload), "", "invalid token: the project has no public key for EdDSA"},
		{"RS256 and no kid for the key set", with(hub.ProjectOptions{TokenJWKSURL: "https://a.example"}), rs256, "", "invalid token: the header has no kid, which names the key at token_jwks_url"},
		{"PS256", both, signPublic(t, "PS256", "", payload), "", "invalid token: the alg is not supported: sign the JWT with HS256, HS384 or HS512"},
		{"alg none", both, signRaw(sha256.New, secret, `{"alg":"none"}`, payload), "", "invalid token: the alg is not supported: sign the JWT with HS256, HS384 or HS512"},
		{"alg none without a signature", both, strings.Join(strings.Split(signRaw(sha256.New, secret, `{"alg":"none"}`, payload), ".")[:2], ".") + ".", "", "invalid token: the alg is not supported: sign the JWT with HS256, HS384 or HS512"},
		{"HS256 with the RSA key in PEM as the secret", both, hmac(sha256.New, "HS256", rsaPEM), "", "invalid token"},
		{"HS256 with the ECDSA key in PEM as the secret", both, hmac(sha256.New, "HS256", ecPEM+"\n"), "", "invalid token"},
		{"HS256 that says RS256", both, hmac(sha256.New, "RS256", secret), "", "invalid token"},
		{"RS256 with other claims", both, strings.Join([]string{strings.Split(rs256, ".")[0], base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"1"}`)), strings.Split(rs256, ".")[2]}, "."), "", "invalid token"},
		{"RS256 with crit", both, critical(t), "", "invalid token: the header has crit, which is not supported"},
		{"RS256 with feed", both, signPublic(t, "RS256", "", `{"feed":true}`), "", "invalid token: feed is a claim of the admin pages"},
		{"a token of 16 KB and a byte", both, strings.Repeat("x", auth.MaxTokenBytes+1), "", "invalid token: the token is longer than 16384 bytes"},
		{"a classic token", both, auth.SignToken(secret, "42", project), "", "invalid token"},
		{"nothing", both, "", "", "invalid token"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := offline.Connection(t.Context(), c.project, c.token, now)
			text := ""
			if err != nil {
				text = err.Error()
			}
			if text != c.err {
				t.Errorf("error %q, want %q", text, c.err)
			}
			want := hub.ConnectionToken{}
			if c.err == "" {
				want = hub.ConnectionToken{User: "42", Secret: hub.SecretID(c.secret)}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// critical makes a JWT with an extension that must be understood.
func critical(t *testing.T) string {
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{})
	token.Header["crit"] = []string{"b64"}
	signed, err := token.SignedString(signers()["RS256"])
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// TestAudienceAndIssuer holds for the tokens of both protocols.
func TestAudienceAndIssuer(t *testing.T) {
	const audience, issuer = "invalid token: aud is not the token_audience of the project", "invalid token: iss is not the token_issuer of the project"
	for name, c := range map[string]struct {
		options     hub.ProjectOptions
		claims, err string
	}{
		"no aud":               {hub.ProjectOptions{TokenAudience: "a"}, ``, audience},
		"another aud":          {hub.ProjectOptions{TokenAudience: "a"}, `,"aud":"b"`, audience},
		"a list without it":    {hub.ProjectOptions{TokenAudience: "a"}, `,"aud":["b","A"]`, audience},
		"aud that is a number": {hub.ProjectOptions{TokenAudience: "a"}, `,"aud":1`, "invalid token: aud is neither a string nor a list of strings"},
		"the aud":              {hub.ProjectOptions{TokenAudience: "a"}, `,"aud":"a"`, ""},
		"a list with it":       {hub.ProjectOptions{TokenAudience: "a"}, `,"aud":["b","a"]`, ""},
		"no iss":               {hub.ProjectOptions{TokenIssuer: "i"}, ``, issuer},
		"another iss":          {hub.ProjectOptions{TokenIssuer: "i"}, `,"iss":"I"`, issuer},
		"iss that is a list":   {hub.ProjectOptions{TokenIssuer: "i"}, `,"iss":["i"]`, "invalid token: iss is not a string"},
		"the iss":              {hub.ProjectOptions{TokenIssuer: "i"}, `,"iss":"i"`, ""},
		"feed false, no aud":   {hub.ProjectOptions{TokenAudience: "a"}, `,"feed":false`, audience},
	} {
		p := &hub.Project{ID: project, Secret: secret, Options: c.options}
		token := signRaw(sha256.New, secret, hs256, `{"sub":"","exp":1700000060`+c.claims+`}`)
		_, connection := offline.Connection(t.Context(), p, token, now)
		_, classic := auth.VerifyToken(p, "", token, now)
		for protocol, err := range map[string]error{"Centrifugo": connection, "classic": classic} {
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != c.err {
				t.Errorf("%s, %s: error %q, want %q", name, protocol, got, c.err)
			}
		}
	}
}

// TestAudienceOfTheFeed: the tokens of the feed have neither aud nor iss.
func TestAudienceOfTheFeed(t *testing.T) {
	p := &hub.Project{ID: project, Secret: secret, Options: hub.ProjectOptions{TokenAudience: "a", TokenIssuer: "i"}}
	token := signRaw(sha256.New, secret, hs256, `{"sub":"","exp":1700000060,"feed":true}`)
	if _, err := offline.Connection(t.Context(), p, token, now); err != nil {
		t.Error(err)
	}
}

// TestPreviousSecret verifies what was made with either secret of a project.
func TestPreviousSecret(t *testing.T) {
	p := &hub.Project{ID: project, Secret: "new", PreviousSecret: "old", Options: hub.ProjectOptions{AllowMD5: true}}
	for _, c := range []struct {
		secret string
		valid  bool
	}{{"new", true}, {"old", true}, {"older", false}} {
		jwt, err := auth.SignJWT(c.secret, map[string]any{"sub": "42", "exp": now.Unix() + 60})
		if err != nil {
			t.Fatal(err)
		}
		for kind, token := range map[string]string{
			"token": auth.SignToken(c.secret, "42", project), "MD5 token": auth.SignTokenMD5(c.secret, "42", project), "JWT": jwt,
		} {
			id, err := auth.VerifyToken(p, "42", token, now)
			if c.valid != (err == nil) || c.valid && id.Secret != hub.SecretID(c.secret) {
				t.Errorf("%s of the secret %s: secret %q, error %v", kind, c.secret, id.Secret, err)
			}
		}
		signature, err := auth.ParseSignature(auth.SignRequest(c.secret, project, []byte("body")))
		if err != nil {
			t.Fatal(err)
		}
		if err := auth.VerifyRequest(p, signature, []byte("body")); c.valid != (err == nil) {
			t.Errorf("request of the secret %s: error %v", c.secret, err)
		}
	}
}

// FuzzClaims signs any claims: no value may stop the process, and every refusal is one that
// hub.Tokens has.
func FuzzClaims(f *testing.F) {
	for _, seed := range []string{
		`{}`, `null`, `{"sub":"42","exp":1700000060,"expire_at":0,"info":1,"b64info":"MQ==","meta":{},"aud":["a"],"iss":"i"}`,
		`{"channels":["a:b"],"subs":{"a:b":{"info":1,"data":2,"override":{"presence":{"value":true},"join_leave":null}}}}`,
		`{"channel":"a:b","client":"c","override":null,"b64data":"MQ=="}`, `{"feed":true}`, `{"permissions":{"a":[]}}`, `{"subs":{"":null}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		token := signRaw(sha256.New, secret, hs256, payload)
		for _, o := range []hub.ProjectOptions{{}, {TokenAudience: "a", TokenIssuer: "i"}} {
			p := &hub.Project{ID: project, Secret: secret, Options: o}
			connection, err := offline.Connection(t.Context(), p, token, now)
			if err != nil && !errors.Is(err, hub.ErrInvalidToken) && !errors.Is(err, hub.ErrTokenExpired) {
				t.Errorf("connection: %v", err)
			}
			if len(connection.Subscriptions) > hub.MaxChannels || len(connection.Info) > hub.MaxInfoBytes || len(connection.User) > hub.MaxNameBytes {
				t.Errorf("connection beyond a limit: %+v", connection)
			}
			subscription, err := offline.Subscription(t.Context(), p, token, now)
			if err != nil && !errors.Is(err, hub.ErrInvalidToken) && !errors.Is(err, hub.ErrTokenExpired) {
				t.Errorf("subscription: %v", err)
			}
			if err == nil && subscription.Channel.Validate() != nil {
				t.Errorf("subscription to the channel %+v", subscription.Channel)
			}
		}
	})
}

// FuzzVerifier verifies any text: none is a token.
func FuzzVerifier(f *testing.F) {
	for _, seed := range []string{"", "..", "a.b.c", "e30.e30.", "bnVsbA.bnVsbA.", "eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJSUzI1NiIsImtpZCI6W119.e30.AA"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		p := &hub.Project{ID: project, Secret: secret}
		if _, err := offline.Connection(t.Context(), p, token, now); !errors.Is(err, hub.ErrInvalidToken) {
			t.Errorf("connection: error %v, expected %v", err, hub.ErrInvalidToken)
		}
	})
}
