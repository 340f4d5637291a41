package auth_test

import (
	"errors"
	"strings"
	"testing"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
)

// Bodies: a broadcast as of 2013, base64, and two later ones whose signature is
// computed in the same way.
const (
	broadcast = "eyJtZXRob2QiOiAiYnJvYWRjYXN0IiwgInBhcmFtcyI6IHsiY2F0ZWdvcnkiOiAicHl0aG9uIiwgImNoYW5uZWwiOiAiZGphbmdvIiwgImRhdGEiOiB7ImlucHV0IjogImhlbGxvIn19fQ=="
	publish   = "eyJtZXRob2QiOiAicHVibGlzaCIsICJwYXJhbXMiOiB7Im5hbWVzcGFjZSI6ICJweXRob24iLCAiY2hhbm5lbCI6ICJkamFuZ28iLCAiZGF0YSI6ICJoZWxsbyB3b3JsZCJ9fQ=="
	commands  = `[{"method": "publish", "params": {"channel": "python:django", "data": "hello world"}}]`

	broadcastMD5 = "bdcd2c70a96c289eddff4e0efbfd034b"
	broadcastSHA = "46e4951d92732e0471df7df6a6280c32f4a3e76bc1d117ce93e362404918114e"
	publishMD5   = "604f77262d08b0d5112dc1236e7eed86"
	commandsSHA  = "282dd4b330b9df5a758067359d2f2aa6d4c71373a9e963629e32c1fbf90fb14b"
)

// verify does what the server API does.
func verify(p *hub.Project, header string, body []byte) error {
	signature, err := auth.ParseSignature(header)
	if err != nil {
		return err
	}
	return auth.VerifyRequest(p, signature, body)
}

func TestRequestSignature(t *testing.T) {
	const (
		right     = ""
		wrong     = "unauthorized"
		none      = "no auth header found"
		malformed = "malformed auth header"
	)
	for name, c := range map[string]struct {
		md5          bool
		header, body string
		want         string
	}{
		"SHA-256":                               {false, "sign=" + broadcastSHA, broadcast, right},
		"SHA-256 over bytes that are no base64": {false, "sign=" + commandsSHA, commands, right},
		"MD5 where it is allowed":               {true, "sign=" + broadcastMD5, broadcast, right},
		"MD5 of the later format":               {true, "sign=" + publishMD5, publish, right},
		"pairs besides it":                      {false, "public_key=qwerty sign=" + broadcastSHA + "  a= =b", broadcast, right},
		"MD5 where it is not allowed":           {false, "sign=" + broadcastMD5, broadcast, wrong},
		"one nibble is off":                     {true, "sign=56" + broadcastSHA[2:], broadcast, wrong},
		"upper case":                            {true, "sign=" + strings.ToUpper(broadcastSHA), broadcast, wrong},
		"another body":                          {true, "sign=" + broadcastSHA, broadcast + "\n", wrong},
		"the client token of nobody, no body":   {true, "sign=" + vectors[1].sha256, "", wrong},
		"an empty sign":                         {true, "sign=", broadcast, wrong},
		"no header":                             {true, "", broadcast, none},
		"white space":                           {true, "  ", broadcast, malformed},
		"a bare signature":                      {true, broadcastSHA, broadcast, malformed},
		"a word that is no pair":                {true, "sign=" + broadcastSHA + " x", broadcast, malformed},
		"no sign among the pairs":               {true, "public_key=qwerty", broadcast, malformed},
		"a key that differs in case":            {true, "Sign=" + broadcastSHA, broadcast, malformed},
		"two signs":                             {true, "sign=0 sign=" + broadcastSHA, broadcast, malformed},
		"a header of 100 KB":                    {true, "sign=" + broadcastSHA + strings.Repeat(" a=b", 25<<10), broadcast, malformed},
	} {
		t.Run(name, func(t *testing.T) {
			err := verify(newProject(project, secret, c.md5), c.header, []byte(c.body))
			switch {
			case c.want == right && err != nil:
				t.Error(err)
			case c.want != right && (!errors.Is(err, hub.ErrUnauthorized) || err.Error() != c.want):
				t.Errorf("error is %v, not %s", err, c.want)
			}
		})
	}
	t.Run("a project without a secret accepts nothing", func(t *testing.T) {
		if err := verify(newProject(project, "", true), auth.SignRequest("", project, nil), nil); !errors.Is(err, hub.ErrUnauthorized) {
			t.Errorf("error is %v", err)
		}
	})
}

func TestSignRequest(t *testing.T) {
	if got, want := auth.SignRequest(secret, project, []byte(broadcast)), "sign="+broadcastSHA; got != want {
		t.Errorf("got %s, not %s", got, want)
	}
}

// The token of a visitor who chose to be called like a request, less the project
// id at its end, would sign that request.
func TestTokenIsNoSignatureOfARequest(t *testing.T) {
	const id = "fQ==" // ends the base64 of many an object
	body := strings.TrimSuffix(id+broadcast, id) + id
	header := "sign=" + auth.SignToken(secret, strings.TrimSuffix(id+body, id), id)
	if header != auth.SignRequest(secret, id, []byte(body)) {
		t.Fatal("the test forges nothing")
	}
	if err := verify(newProject(id, secret, false), header, []byte(body)); !errors.Is(err, hub.ErrUnauthorized) {
		t.Errorf("error is %v", err)
	}
}

func FuzzVerifyRequest(f *testing.F) {
	p := newProject(project, secret, true)
	for _, header := range []string{"", "sign=" + broadcastSHA, "sign=" + broadcastMD5, "a=b sign=x", "sign", "sign=a\u00a0b=c", "=="} {
		f.Add(header, []byte(broadcast))
	}
	f.Fuzz(func(t *testing.T, header string, body []byte) {
		err := verify(p, header, body)
		if err == nil {
			if !strings.Contains(header, auth.SignRequest(secret, project, body)) && !strings.Contains(header, "sign="+auth.SignTokenMD5(secret, project, string(body))) {
				t.Fatalf("%q passes for %q", header, body)
			}
			return
		}
		if !errors.Is(err, hub.ErrUnauthorized) {
			t.Fatalf("error is %v", err)
		}
	})
}
