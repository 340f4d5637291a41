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

// signRaw makes a JWT by hand, without the library that reads it.
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
		"user and expiry are enough": {
			`{"sub":"2694","exp":1700000060}`,
			hub.Identity{User: "2694", Expires: expires},
		},
		"the feed is granted where the claim says so": {
			`{"sub":"","exp":1700000060,"feed":true}`,
			hub.Identity{Expires: expires, Permissions: &hub.Permissions{Feed: true, Confirmed: true}},
		},
		"the feed beside other permissions": {
			`{"sub":"","exp":1700000060,"feed":true,"permissions":{"a":[]}}`,
			hub.Identity{Expires: expires, Permissions: &hub.Permissions{Feed: true, Confirmed: true, Categories: map[string]hub.Grant{"a": {Whole: true}}}},
		},
		"the feed that is not granted": {
			`{"sub":"","exp":1700000060,"feed":false}`,
			hub.Identity{Expires: expires},
		},
		"the feed is not granted as part of everything, or by its name": {
			`{"sub":"","exp":1700000060,"permissions":{"":["feed"]}}`,
			hub.Identity{Expires: expires, Permissions: &hub.Permissions{Confirmed: true, Categories: map[string]hub.Grant{}}},
		},
		"an anonymous user is named as such": {
			`{"sub":"","exp":1700000060}`,
			hub.Identity{Expires: expires},
		},
		"a fraction of a second is cut off": {
			`{"sub":"2694","exp":1700000060.9}`,
			hub.Identity{User: "2694", Expires: expires},
		},
		"an empty object grants everything": {
			`{"sub":"2694","exp":1700000060,"permissions":{}}`,
			hub.Identity{User: "2694", Expires: expires, Permissions: &hub.Permissions{Everything: true, Confirmed: true}},
		},
		"categories and channels": {
			`{"sub":"2694","exp":1700000060,"permissions":{"chat":[],"news":["a",1],"odd":"x"}}`,
			hub.Identity{User: "2694", Expires: expires, Permissions: &hub.Permissions{Confirmed: true, Categories: map[string]hub.Grant{
				"chat": {Whole: true}, "news": {Channels: []string{"a"}}, "odd": {},
			}}},
		},
		"info is compacted": {
			`{"sub":"2694","exp":1700000060,"info": { "name" : "Ann" } }`,
			hub.Identity{User: "2694", Expires: expires, Info: json.RawMessage(`{"name":"Ann"}`)},
		},
		"info may be any value": {
			`{"sub":"2694","exp":1700000060,"info":false}`,
			hub.Identity{User: "2694", Expires: expires, Info: json.RawMessage(`false`)},
		},
		"info null is none": {
			`{"sub":"2694","exp":1700000060,"info":null}`,
			hub.Identity{User: "2694", Expires: expires},
		},
		"the clock of the application is a little ahead": {
			`{"sub":"2694","exp":1700000060,"iat":1700000059,"nbf":1700000060}`,
			hub.Identity{User: "2694", Expires: expires},
		},
		"claims that are not ours are passed over, whatever their case": {
			`{"sub":"2694","exp":1700000060,"SUB":"admin","Permissions":{},"aud":"x"}`,
			hub.Identity{User: "2694", Expires: expires},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProject(project, secret, false)
			got, err := auth.VerifyToken(p, c.want.User, signRaw(sha256.New, secret, hs256, c.payload), now)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestJWTThatIsNotRight(t *testing.T) {
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
		"no algorithm, with a signature":     {none, hub.ErrInvalidToken},
		"no algorithm, without a signature":  {none[:strings.LastIndexByte(none, '.')+1], hub.ErrInvalidToken},
		"no algorithm, written oddly":        {signRaw(sha256.New, secret, `{"alg":"nOnE"}`, good), hub.ErrInvalidToken},
		"an algorithm nobody knows":          {signRaw(sha256.New, secret, `{"alg":"HS1"}`, good), hub.ErrInvalidToken},
		"an algorithm that is not a string":  {signRaw(sha256.New, secret, `{"alg":["HS256"]}`, good), hub.ErrInvalidToken},
		"HS512":                              {signRaw(sha512.New, secret, `{"alg":"HS512"}`, good), hub.ErrInvalidToken},
		"RS256":                              {rs256, hub.ErrInvalidToken},
		"RS256 in the header of HS256":       {signRaw(sha256.New, secret, `{"alg":"RS256"}`, good), hub.ErrInvalidToken},
		"an extension that is critical":      {signRaw(sha256.New, secret, `{"alg":"HS256","crit":["b64"],"b64":false}`, good), hub.ErrInvalidToken},
		"another secret":                     {signRaw(sha256.New, secret+"x", hs256, good), hub.ErrInvalidToken},
		"another secret, expired":            {signRaw(sha256.New, "", hs256, `{"sub":"2694","exp":1}`), hub.ErrInvalidToken},
		"no signature":                       {parts[0] + "." + parts[1] + ".", hub.ErrInvalidToken},
		"the signature of other claims":      {parts[0] + "." + otherParts[1] + "." + parts[2], hub.ErrInvalidToken},
		"a signature that is not base64":     {parts[0] + "." + parts[1] + ".!", hub.ErrInvalidToken},
		"a header that is null":              {signRaw(sha256.New, secret, `null`, good), hub.ErrInvalidToken},
		"claims that are null":               {payload(`null`), hub.ErrInvalidToken},
		"claims that are a list":             {payload(`[]`), hub.ErrInvalidToken},
		"claims that are not JSON":           {payload(`{"sub":`), hub.ErrInvalidToken},
		"claims that are not UTF-8":          {payload("{\"sub\":\"2694\",\"exp\":1700000060,\"info\":\"\xff\"}"), hub.ErrInvalidToken},
		"another user":                       {payload(`{"sub":"2695","exp":1700000060}`), hub.ErrInvalidToken},
		"another user, expired":              {payload(`{"sub":"2695","exp":1}`), hub.ErrInvalidToken},
		"no user":                            {payload(`{"exp":1700000060}`), hub.ErrInvalidToken},
		"a user that is null":                {payload(`{"sub":null,"exp":1700000060}`), hub.ErrInvalidToken},
		"a user that is a number":            {payload(`{"sub":2694,"exp":1700000060}`), hub.ErrInvalidToken},
		"a user under another name":          {payload(`{"SUB":"2694","exp":1700000060}`), hub.ErrInvalidToken},
		"no expiry":                          {payload(`{"sub":"2694"}`), hub.ErrInvalidToken},
		"an expiry that is null":             {payload(`{"sub":"2694","exp":null}`), hub.ErrInvalidToken},
		"an expiry that is a string":         {payload(`{"sub":"2694","exp":"1700000060"}`), hub.ErrInvalidToken},
		"an expiry before 1970":              {payload(`{"sub":"2694","exp":-1}`), hub.ErrInvalidToken},
		"an expiry that no clock reaches":    {payload(`{"sub":"2694","exp":1e300}`), hub.ErrInvalidToken},
		"expired":                            {payload(`{"sub":"2694","exp":1699999999}`), hub.ErrTokenExpired},
		"expired at this very second":        {payload(`{"sub":"2694","exp":1700000000}`), hub.ErrTokenExpired},
		"good from later on":                 {payload(`{"sub":"2694","exp":1800000000,"nbf":1700000061}`), hub.ErrInvalidToken},
		"made later on":                      {payload(`{"sub":"2694","exp":1800000000,"iat":1700000061}`), hub.ErrInvalidToken},
		"made at no date":                    {payload(`{"sub":"2694","exp":1700000060,"iat":"x"}`), hub.ErrInvalidToken},
		"permissions that are null":          {payload(`{"sub":"2694","exp":1700000060,"permissions":null}`), hub.ErrInvalidToken},
		"permissions that are a list":        {payload(`{"sub":"2694","exp":1700000060,"permissions":[]}`), hub.ErrInvalidToken},
		"permissions with a category twice":  {payload(`{"sub":"2694","exp":1700000060,"permissions":{"a":["x"],"a":[]}}`), hub.ErrInvalidToken},
		"permissions of more than the limit": {payload(string(many)), hub.ErrLimitExceeded},
		"info of more than the limit":        {payload(`{"sub":"2694","exp":1700000060,"info":"` + strings.Repeat("x", hub.MaxInfoBytes-1) + `"}`), hub.ErrLimitExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			id, err := auth.VerifyToken(newProject(project, secret, true), "2694", c.token, now)
			if !errors.Is(err, c.want) {
				t.Errorf("error is %v, not %v", err, c.want)
			}
			if d := cmp.Diff(hub.Identity{}, id); d != "" {
				t.Error("refused, yet identified: " + d)
			}
		})
	}

	t.Run("a project without a secret accepts nothing", func(t *testing.T) {
		_, err := auth.VerifyToken(newProject(project, "", true), "2694", signRaw(sha256.New, "", hs256, good), now)
		if !errors.Is(err, hub.ErrInvalidToken) {
			t.Errorf("error is %v", err)
		}
	})
}

func TestInfoOfExactlyTheLimit(t *testing.T) {
	info := `"` + strings.Repeat("x", hub.MaxInfoBytes-2) + `"`
	token := signRaw(sha256.New, secret, hs256, `{"sub":"2694","exp":1700000060,"info":`+info+`}`)
	id, err := auth.VerifyToken(newProject(project, secret, false), "2694", token, now)
	if err != nil {
		t.Fatal(err)
	}
	if string(id.Info) != info {
		t.Errorf("info is %d bytes long", len(id.Info))
	}
}

// A visitor who chose to be called like the greater part of a JWT, in a project
// whose id happens to be the rest of it, would be handed its signature as a token.
func TestTokenIsNoSignatureOfAJWT(t *testing.T) {
	text := signRaw(sha256.New, secret, hs256, `{"sub":"admin","exp":1700000060,"permissions":{}}`)
	text = text[:strings.LastIndexByte(text, '.')]
	id := text[len(text)-2:]
	sum, err := hex.DecodeString(auth.SignToken(secret, strings.TrimSuffix(text, id), id))
	if err != nil {
		t.Fatal(err)
	}
	forged := text + "." + base64.RawURLEncoding.EncodeToString(sum)
	if _, err := auth.VerifyToken(newProject(id, secret, false), "admin", forged, now); !errors.Is(err, hub.ErrInvalidToken) {
		t.Errorf("a forged JWT: %v", err)
	}
	if _, err := auth.VerifyToken(newProject(project, secret, false), "admin", forged, now); err != nil {
		t.Errorf("the test forges nothing: %v", err)
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
		User: "Ann", Expires: now.Add(time.Minute), Info: json.RawMessage(`{"age":7}`),
		Permissions: &hub.Permissions{Confirmed: true, Categories: map[string]hub.Grant{"chat": {Whole: true}, "none": {}}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for name, c := range map[string]struct {
		secret string
		claims map[string]any
	}{
		"no secret":                 {"", map[string]any{"sub": "Ann", "exp": now.Unix() + 60}},
		"claims that are not JSON":  {secret, map[string]any{"info": make(chan int)}},
		"a claim that is half JSON": {secret, map[string]any{"info": json.RawMessage(`{`)}},
	} {
		t.Run(name+" signs nothing", func(t *testing.T) {
			if token, err := auth.SignJWT(c.secret, c.claims); err == nil {
				t.Errorf("got %s", token)
			}
		})
	}
}
