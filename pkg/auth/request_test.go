package auth_test

import (
	"errors"
	"strings"
	"testing"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
)

// The bodies: a broadcast of 2013, in base64, and two bodies of later versions of the
// server, whose signature is computed in the same way.
const (
	broadcast = "eyJtZXRob2QiOiAiYnJvYWRjYXN0IiwgInBhcmFtcyI6IHsiY2F0ZWdvcnkiOiAicHl0aG9uIiwgImNoYW5uZWwiOiAiZGphbmdvIiwgImRhdGEiOiB7ImlucHV0IjogImhlbGxvIn19fQ=="
	publish   = "eyJtZXRob2QiOiAicHVibGlzaCIsICJwYXJhbXMiOiB7Im5hbWVzcGFjZSI6ICJweXRob24iLCAiY2hhbm5lbCI6ICJkamFuZ28iLCAiZGF0YSI6ICJoZWxsbyB3b3JsZCJ9fQ=="
	commands  = `[{"method": "publish", "params": {"channel": "python:django", "data": "hello world"}}]`

	broadcastMD5 = "bdcd2c70a96c289eddff4e0efbfd034b"
	broadcastSHA = "46e4951d92732e0471df7df6a6280c32f4a3e76bc1d117ce93e362404918114e"
	publishMD5   = "604f77262d08b0d5112dc1236e7eed86"
	commandsSHA  = "282dd4b330b9df5a758067359d2f2aa6d4c71373a9e963629e32c1fbf90fb14b"
)

// verify parses and verifies a signature as the server API does.
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
		"SHA-256":                                 {false, "sign=" + broadcastSHA, broadcast, right},
		"SHA-256 of a body that is not base64":    {false, "sign=" + commandsSHA, commands, right},
		"MD5, allowed":                            {true, "sign=" + broadcastMD5, broadcast, right},
		"MD5 of a later body":                     {true, "sign=" + publishMD5, publish, right},
		"other pairs":                             {false, "public_key=qwerty sign=" + broadcastSHA + "  a= =b", broadcast, right},
		"MD5, not allowed":                        {false, "sign=" + broadcastMD5, broadcast, wrong},
		"wrong digit":                             {true, "sign=56" + broadcastSHA[2:], broadcast, wrong},
		"upper case":                              {true, "sign=" + strings.ToUpper(broadcastSHA), broadcast, wrong},
		"signature of another body":               {true, "sign=" + broadcastSHA, broadcast + "\n", wrong},
		"token of the anonymous user, empty body": {true, "sign=" + vectors[1].sha256, "", wrong},
		"empty sign":                              {true, "sign=", broadcast, wrong},
		"no header":                               {true, "", broadcast, none},
		"blank header":                            {true, "  ", broadcast, malformed},
		"signature without a key":                 {true, broadcastSHA, broadcast, malformed},
		"word without =":                          {true, "sign=" + broadcastSHA + " x", broadcast, malformed},
		"pairs without sign":                      {true, "public_key=qwerty", broadcast, malformed},
		"sign in another case":                    {true, "Sign=" + broadcastSHA, broadcast, malformed},
		"sign twice":                              {true, "sign=0 sign=" + broadcastSHA, broadcast, malformed},
		"header of 100 KB":                        {true, "sign=" + broadcastSHA + strings.Repeat(" a=b", 25<<10), broadcast, malformed},
	} {
		t.Run(name, func(t *testing.T) {
			err := verify(newProject(project, secret, c.md5), c.header, []byte(c.body))
			switch {
			case c.want == right && err != nil:
				t.Error(err)
			case c.want != right && (!errors.Is(err, hub.ErrUnauthorized) || err.Error() != c.want):
				t.Errorf("error %v, expected %s", err, c.want)
			}
		})
	}
	t.Run("project without a secret", func(t *testing.T) {
		if err := verify(newProject(project, "", true), auth.SignRequest("", project, nil), nil); !errors.Is(err, hub.ErrUnauthorized) {
			t.Errorf("error %v, expected %v", err, hub.ErrUnauthorized)
		}
	})
}

func TestSignRequest(t *testing.T) {
	if got, want := auth.SignRequest(secret, project, []byte(broadcast)), "sign="+broadcastSHA; got != want {
		t.Errorf("signed %s, expected %s", got, want)
	}
}

// TestTokenAsRequestSignature forges a request from a token: the user name and the
// project id are the two parts of the signed message.
func TestTokenAsRequestSignature(t *testing.T) {
	const id = "fQ==" // the base64 of many JSON objects ends with it
	body := strings.TrimSuffix(id+broadcast, id) + id
	header := "sign=" + auth.SignToken(secret, strings.TrimSuffix(id+body, id), id)
	if header != auth.SignRequest(secret, id, []byte(body)) {
		t.Fatal("the forged signature is wrong")
	}
	if err := verify(newProject(id, secret, false), header, []byte(body)); !errors.Is(err, hub.ErrUnauthorized) {
		t.Errorf("error %v, expected %v", err, hub.ErrUnauthorized)
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
				t.Fatalf("header %q signs body %q", header, body)
			}
			return
		}
		if !errors.Is(err, hub.ErrUnauthorized) {
			t.Fatalf("error %v, expected %v", err, hub.ErrUnauthorized)
		}
	})
}
