package auth_test

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
)

const hs256 = `{"alg":"HS256","typ":"JWT"}`

// signRaw makes a JWT without the library under test.
func signRaw(h func() hash.Hash, key, header, payload string) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	mac := hmac.New(h, []byte(key))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func signClaims(tb testing.TB, key string, claims map[string]any) string {
	tb.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		tb.Fatal(err)
	}
	return signRaw(sha256.New, key, hs256, string(payload))
}

func TestJWT(t *testing.T) {
	expires := time.Unix(1_700_000_060, 0)
	for name, c := range map[string]struct {
		payload string
		want    hub.Identity
	}{
		"sub and exp only": {
			`{"sub":"2694","exp":1700000060}`,
			hub.Identity{User: "2694", Expires: expires},
		},
		"feed false": {
			`{"sub":"","exp":1700000060,"feed":false}`,
			hub.Identity{Expires: expires},
		},
		"channel feed of the category without a name": {
			`{"sub":"","exp":1700000060,"permissions":{"":["feed"]}}`,
			hub.Identity{Expires: expires, Permissions: &hub.Permissions{Confirmed: true, Categories: map[string]hub.Grant{"": {Channels: []string{"feed"}}}}},
		},
		"anonymous user": {
			`{"sub":"","exp":1700000060}`,
			hub.Identity{Expires: expires},
		},
		"exp with a fraction of a second": {
			`{"sub":"2694","exp":1700000060.9}`,
			hub.Identity{User: "2694", Expires: expires},
		},
		"permissions: empty object": {
			`{"sub":"2694","exp":1700000060,"permissions":{}}`,
			hub.Identity{User: "2694", Expires: expires, Permissions: &hub.Permissions{Everything: true, Confirmed: true}},
		},
		"permissions: categories and channels": {
			`{"sub":"2694","exp":1700000060,"permissions":{"chat":[],"news":["a",1],"odd":"x"}}`,
			hub.Identity{User: "2694", Expires: expires, Permissions: &hub.Permissions{Confirmed: true, Categories: map[string]hub.Grant{
				"chat": {Whole: true}, "news": {Channels: []string{"a"}}, "odd": {},
			}}},
		},
		"info with white space": {
			`{"sub":"2694","exp":1700000060,"info": { "name" : "Ann" } }`,
			hub.Identity{User: "2694", Expires: expires, Info: json.RawMessage(`{"name":"Ann"}`)},
		},
		"info that is not an object": {
			`{"sub":"2694","exp":1700000060,"info":false}`,
			hub.Identity{User: "2694", Expires: expires, Info: json.RawMessage(`false`)},
		},
		"info null": {
			`{"sub":"2694","exp":1700000060,"info":null}`,
			hub.Identity{User: "2694", Expires: expires},
		},
		"iat and nbf within the leeway": {
			`{"sub":"2694","exp":1700000060,"iat":1700000059,"nbf":1700000060}`,
			hub.Identity{User: "2694", Expires: expires},
		},
		"unknown claims and claims in another case": {
			`{"sub":"2694","exp":1700000060,"SUB":"admin","Permissions":{},"aud":"x"}`,
			hub.Identity{User: "2694", Expires: expires},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProject(project, secret, false)
			c.want.Secret = p.SecretID()
			got, err := auth.VerifyToken(p, c.want.User, signRaw(sha256.New, secret, hs256, c.payload), now)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("identity, -expected +got:\n%s", diff)
			}
		})
	}
}

func TestJWTAlgorithms(t *testing.T) {
	for alg, h := range map[string]func() hash.Hash{"HS256": sha256.New, "HS384": sha512.New384, "HS512": sha512.New} {
		token := signRaw(h, secret, `{"alg":"`+alg+`"}`, `{"sub":"2694","exp":1700000060}`)
		if _, err := auth.VerifyToken(newProject(project, secret, false), "2694", token, now); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
	}
}

func TestInvalidJWT(t *testing.T) {
	const good = `{"sub":"2694","exp":1700000060}`
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rs256, err := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{"sub": "2694", "exp": 1700000060}).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	none := signRaw(sha256.New, secret, `{"alg":"none"}`, good)
	right := signRaw(sha256.New, secret, hs256, good)
	other := signRaw(sha256.New, secret, hs256, `{"sub":"admin","exp":1700000060}`)
	parts, otherParts := strings.Split(right, "."), strings.Split(other, ".")
	payload := func(s string) string { return signRaw(sha256.New, secret, hs256, s) }
	names := make([]string, hub.MaxPermissions)
	many, err := json.Marshal(map[string]any{"sub": "2694", "exp": 1700000060, "permissions": map[string]any{"chat": names}})
	if err != nil {
		t.Fatal(err)
	}

	for name, c := range map[string]struct {
		token string
		want  *hub.Error
	}{
		"alg none, with a signature":          {none, hub.ErrInvalidToken},
		"alg none, without a signature":       {none[:strings.LastIndexByte(none, '.')+1], hub.ErrInvalidToken},
		"alg none in mixed case":              {signRaw(sha256.New, secret, `{"alg":"nOnE"}`, good), hub.ErrInvalidToken},
		"unknown alg":                         {signRaw(sha256.New, secret, `{"alg":"HS1"}`, good), hub.ErrInvalidToken},
		"alg that is not a string":            {signRaw(sha256.New, secret, `{"alg":["HS256"]}`, good), hub.ErrInvalidToken},
		"alg HS512, signed with HS256":        {signRaw(sha256.New, secret, `{"alg":"HS512"}`, good), hub.ErrInvalidToken},
		"PS256":                               {signRaw(sha256.New, secret, `{"alg":"PS256"}`, good), hub.ErrInvalidToken},
		"RS256":                               {rs256, hub.ErrInvalidToken},
		"alg RS256, signed with HS256":        {signRaw(sha256.New, secret, `{"alg":"RS256"}`, good), hub.ErrInvalidToken},
		"crit in the header":                  {signRaw(sha256.New, secret, `{"alg":"HS256","crit":["b64"],"b64":false}`, good), hub.ErrInvalidToken},
		"signed with another secret":          {signRaw(sha256.New, secret+"x", hs256, good), hub.ErrInvalidToken},
		"signed with another secret, expired": {signRaw(sha256.New, "", hs256, `{"sub":"2694","exp":1}`), hub.ErrInvalidToken},
		"no signature":                        {parts[0] + "." + parts[1] + ".", hub.ErrInvalidToken},
		"signature of other claims":           {parts[0] + "." + otherParts[1] + "." + parts[2], hub.ErrInvalidToken},
		"signature that is not base64":        {parts[0] + "." + parts[1] + ".!", hub.ErrInvalidToken},
		"header null":                         {signRaw(sha256.New, secret, `null`, good), hub.ErrInvalidToken},
		"claims null":                         {payload(`null`), hub.ErrInvalidToken},
		"claims that are a list":              {payload(`[]`), hub.ErrInvalidToken},
		"claims that are not JSON":            {payload(`{"sub":`), hub.ErrInvalidToken},
		"claims that are not UTF-8":           {payload("{\"sub\":\"2694\",\"exp\":1700000060,\"info\":\"\xff\"}"), hub.ErrBadRequest},
		"header that is not UTF-8":            {signRaw(sha256.New, secret, "{\"alg\":\"HS256\",\"kid\":\"\xff\"}", good), hub.ErrBadRequest},
		"header with half of a pair":          {signRaw(sha256.New, secret, `{"alg":"HS256","kid":"\ud800"}`, good), hub.ErrBadRequest},
		"subscription token":                  {payload(`{"sub":"2694","exp":1700000060,"channel":"chat:lobby"}`), hub.ErrInvalidToken},
		"sub of another user":                 {payload(`{"sub":"2695","exp":1700000060}`), hub.ErrInvalidToken},
		"sub of another user, expired":        {payload(`{"sub":"2695","exp":1}`), hub.ErrInvalidToken},
		"no sub":                              {payload(`{"exp":1700000060}`), hub.ErrInvalidToken},
		"sub null":                            {payload(`{"sub":null,"exp":1700000060}`), hub.ErrInvalidToken},
		"sub that is a number":                {payload(`{"sub":2694,"exp":1700000060}`), hub.ErrInvalidToken},
		"sub in another case":                 {payload(`{"SUB":"2694","exp":1700000060}`), hub.ErrInvalidToken},
		"no exp":                              {payload(`{"sub":"2694"}`), hub.ErrInvalidToken},
		"exp null":                            {payload(`{"sub":"2694","exp":null}`), hub.ErrInvalidToken},
		"exp that is a string":                {payload(`{"sub":"2694","exp":"1700000060"}`), hub.ErrInvalidToken},
		"exp before 1970":                     {payload(`{"sub":"2694","exp":-1}`), hub.ErrInvalidToken},
		"exp after the year 9999":             {payload(`{"sub":"2694","exp":1e300}`), hub.ErrInvalidToken},
		"expired a second ago":                {payload(`{"sub":"2694","exp":1699999999}`), hub.ErrTokenExpired},
		"expires now":                         {payload(`{"sub":"2694","exp":1700000000}`), hub.ErrTokenExpired},
		"nbf beyond the leeway":               {payload(`{"sub":"2694","exp":1800000000,"nbf":1700000061}`), hub.ErrInvalidToken},
		"iat beyond the leeway":               {payload(`{"sub":"2694","exp":1800000000,"iat":1700000061}`), hub.ErrInvalidToken},
		"iat that is a string":                {payload(`{"sub":"2694","exp":1700000060,"iat":"x"}`), hub.ErrInvalidToken},
		"permissions null":                    {payload(`{"sub":"2694","exp":1700000060,"permissions":null}`), hub.ErrInvalidToken},
		"permissions that are a list":         {payload(`{"sub":"2694","exp":1700000060,"permissions":[]}`), hub.ErrInvalidToken},
		"permissions with a category twice":   {payload(`{"sub":"2694","exp":1700000060,"permissions":{"a":["x"],"a":[]}}`), hub.ErrInvalidToken},
		"permissions over the limit":          {payload(string(many)), hub.ErrLimitExceeded},
		"info over the limit":                 {payload(`{"sub":"2694","exp":1700000060,"info":"` + strings.Repeat("x", hub.MaxInfoBytes-1) + `"}`), hub.ErrLimitExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			id, err := auth.VerifyToken(newProject(project, secret, true), "2694", c.token, now)
			if !errors.Is(err, c.want) {
				t.Errorf("error %v, expected %v", err, c.want)
			}
			if diff := cmp.Diff(hub.Identity{}, id); diff != "" {
				t.Errorf("identity, -expected +got:\n%s", diff)
			}
		})
	}

	t.Run("project without a secret", func(t *testing.T) {
		_, err := auth.VerifyToken(newProject(project, "", true), "2694", signRaw(sha256.New, "", hs256, good), now)
		if !errors.Is(err, hub.ErrInvalidToken) {
			t.Errorf("error %v, expected %v", err, hub.ErrInvalidToken)
		}
	})
}

func TestJWTErrorTexts(t *testing.T) {
	for name, c := range map[string]struct{ token, want string }{
		"another algorithm":           {signRaw(sha256.New, secret, `{"alg":"PS256"}`, `{}`), "invalid token: the alg is not supported: sign the JWT with HS256, HS384 or HS512"},
		"subscription token":          {signRaw(sha256.New, secret, hs256, `{"sub":"2694","exp":1700000060,"channel":"chat:lobby"}`), "invalid token: channel is the claim of a subscription token, which does not connect"},
		"another secret":              {signRaw(sha256.New, "other", hs256, `{}`), "invalid token"},
		"crit in the header":          {signRaw(sha256.New, secret, `{"alg":"HS256","crit":["b64"]}`, `{}`), "invalid token: the header has crit, which is not supported"},
		"no sub":                      {signRaw(sha256.New, secret, hs256, `{}`), "invalid token: sub is missing or not a string"},
		"sub of another user":         {signRaw(sha256.New, secret, hs256, `{"sub":"2695"}`), "invalid token"},
		"iat that is a string":        {signRaw(sha256.New, secret, hs256, `{"sub":"2694","iat":"x"}`), "invalid token: iat is not a date in seconds since 1970"},
		"iat in the future":           {signRaw(sha256.New, secret, hs256, `{"sub":"2694","iat":1700000061}`), "invalid token: iat is in the future: check the clock of the application"},
		"nbf in the future":           {signRaw(sha256.New, secret, hs256, `{"sub":"2694","nbf":1700000061}`), "invalid token: nbf is in the future: check the clock of the application"},
		"no exp":                      {signRaw(sha256.New, secret, hs256, `{"sub":"2694"}`), "invalid token: exp is missing"},
		"exp in the past":             {signRaw(sha256.New, secret, hs256, `{"sub":"2694","exp":1}`), "token expired"},
		"permissions that are a list": {signRaw(sha256.New, secret, hs256, `{"sub":"2694","exp":1700000060,"permissions":[]}`), "invalid token: permissions are not an object"},
		"feed of a user":              {signRaw(sha256.New, secret, hs256, `{"sub":"2694","exp":1700000060,"feed":true}`), "invalid token: feed goes with an empty sub and without permissions"},
		"feed that is a string":       {signRaw(sha256.New, secret, hs256, `{"sub":"2694","exp":1700000060,"feed":"true"}`), "invalid token: feed is not a boolean"},
		"info over the limit":         {signRaw(sha256.New, secret, hs256, `{"sub":"2694","exp":1700000060,"info":"`+strings.Repeat("x", hub.MaxInfoBytes)+`"}`), "limit exceeded: info is longer than 1024 bytes"},
		"token over the limit":        {strings.Repeat("x", auth.MaxTokenBytes+1), "limit exceeded: the token is longer than 16384 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := auth.VerifyToken(newProject(project, secret, false), "2694", c.token, now)
			if err == nil || err.Error() != c.want {
				t.Errorf("error %v, expected %s", err, c.want)
			}
		})
	}
}

// TestJWTOfTheFeed: the feed is for clients of Centrifugo's protocol.
func TestJWTOfTheFeed(t *testing.T) {
	const want = "invalid token: feed is a claim of the admin pages, which speak another protocol"
	token := signRaw(sha256.New, secret, hs256, `{"sub":"","exp":1700000060,"feed":true}`)
	if _, err := auth.VerifyToken(newProject(project, secret, false), "", token, now); err == nil || err.Error() != want {
		t.Errorf("error %v, expected %s", err, want)
	}
}

func TestJWTInfoOfTheLimit(t *testing.T) {
	info := `"` + strings.Repeat("x", hub.MaxInfoBytes-2) + `"`
	token := signRaw(sha256.New, secret, hs256, `{"sub":"2694","exp":1700000060,"info":`+info+`}`)
	id, err := auth.VerifyToken(newProject(project, secret, false), "2694", token, now)
	if err != nil {
		t.Fatal(err)
	}
	if string(id.Info) != info {
		t.Errorf("info has %d bytes, expected %d", len(id.Info), len(info))
	}
}

// TestTokenAsJWTSignature forges a JWT from a token: the user name and the project id
// are the two parts of header.claims.
func TestTokenAsJWTSignature(t *testing.T) {
	text := signRaw(sha256.New, secret, hs256, `{"sub":"admin","exp":1700000060,"permissions":{}}`)
	text = text[:strings.LastIndexByte(text, '.')]
	id := text[len(text)-2:]
	sum, err := hex.DecodeString(auth.SignToken(secret, strings.TrimSuffix(text, id), id))
	if err != nil {
		t.Fatal(err)
	}
	forged := text + "." + base64.RawURLEncoding.EncodeToString(sum)
	if _, err := auth.VerifyToken(newProject(id, secret, false), "admin", forged, now); !errors.Is(err, hub.ErrInvalidToken) {
		t.Errorf("error %v, expected %v", err, hub.ErrInvalidToken)
	}
	if _, err := auth.VerifyToken(newProject(project, secret, false), "admin", forged, now); err != nil {
		t.Errorf("the forged signature is wrong: %v", err)
	}
}

func TestSignJWT(t *testing.T) {
	token, err := auth.SignJWT(secret, map[string]any{
		"sub": "Ann", "exp": now.Unix() + 60, "info": map[string]any{"age": 7},
		"permissions": hub.EncodePermissions(hub.Permissions{Categories: map[string]hub.Grant{"chat": {Whole: true}, "none": {}}}),
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := auth.VerifyToken(newProject(project, secret, false), "Ann", token, now)
	if err != nil {
		t.Fatal(err)
	}
	want := hub.Identity{
		User: "Ann", Secret: hub.SecretID(secret), Expires: now.Add(time.Minute), Info: json.RawMessage(`{"age":7}`),
		Permissions: &hub.Permissions{Confirmed: true, Categories: map[string]hub.Grant{"chat": {Whole: true}, "none": {}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("identity, -expected +got:\n%s", diff)
	}
	for name, c := range map[string]struct {
		secret string
		claims map[string]any
	}{
		"no secret":                 {"", map[string]any{"sub": "Ann", "exp": now.Unix() + 60}},
		"claim without a JSON form": {secret, map[string]any{"info": make(chan int)}},
		"claim of malformed JSON":   {secret, map[string]any{"info": json.RawMessage(`{`)}},
	} {
		t.Run(name, func(t *testing.T) {
			if token, err := auth.SignJWT(c.secret, c.claims); err == nil {
				t.Errorf("signed %s, expected an error", token)
			}
		})
	}
}
