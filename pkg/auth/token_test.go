package auth_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
)

// The secret and the project id are from the documentation of 2013.
const (
	secret  = "994021f2dc354d7893d88b90d430498e"
	project = "51b229f778b83c2eced3a76b"
)

var now = time.Unix(1_700_000_000, 0)

func newProject(id, secret string, md5 bool) *hub.Project {
	return &hub.Project{ID: id, Name: "test", Secret: secret, Options: hub.ProjectOptions{AllowMD5: md5}}
}

// vectors are tokens that other programs computed: MD5 by the server of 2013, except
// for the non-ASCII user, which it refuses; the rest by openssl.
var vectors = []struct {
	name, secret, user, project, md5, sha256 string
}{
	{
		"named user", secret, "2694", project,
		"c01715c3463704427c94780a4e43e326",
		"98916de95c84f217651cfdc0846051850fe551ee2312377d5c81114c20b8ea45",
	},
	{
		"anonymous user", secret, "", project,
		"284dee072c9084748f880aa98c9f1e9d",
		"4fff527a89f93f55e958680f9eae79d30e5eb3a75492cf8a590775f02d665ad5",
	},
	{
		"short strings", "secret", "user", "project",
		"73ad0d9ab6238c630c5f13fa006b5df1",
		"a7b71f7e4148eb0b641cd20982fc3c5be48627fe06b751d0df7ae81e7c1c16f3",
	},
	{
		"user 1 of project 23", "k", "1", "23",
		"e206a7990cdb09ae361253b63ec21c95",
		"54536c9357ebad32486620506599ff3d0542c9d9735c61e0f27bfc9d23d34806",
	},
	{
		"user 12 of project 3 with the same secret", "k", "12", "3",
		"e206a7990cdb09ae361253b63ec21c95",
		"54536c9357ebad32486620506599ff3d0542c9d9735c61e0f27bfc9d23d34806",
	},
	{
		"user in UTF-8", secret, "пользователь", project,
		"bfe0a2a3eefbe9076812b607fbc5ff3d",
		"9b9c0819ba61cc843d61d2ad920d78eab8b42186cbabeaf737c9742c54e87fdd",
	},
}

func TestTokenVectors(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			if got := auth.SignTokenMD5(v.secret, v.user, v.project); got != v.md5 {
				t.Errorf("MD5 token %s, expected %s", got, v.md5)
			}
			if got := auth.SignToken(v.secret, v.user, v.project); got != v.sha256 {
				t.Errorf("SHA-256 token %s, expected %s", got, v.sha256)
			}
			p := newProject(v.project, v.secret, true)
			for _, token := range []string{v.md5, v.sha256} {
				id, err := auth.VerifyToken(p, v.user, token, now)
				if err != nil {
					t.Errorf("verify %s: %v", token, err)
				}
				if diff := cmp.Diff(hub.Identity{User: v.user, MD5: token == v.md5, Secret: p.SecretID()}, id); diff != "" {
					t.Errorf("identity, -expected +got:\n%s", diff)
				}
			}
		})
	}
}

func TestInvalidTokens(t *testing.T) {
	md5, sha := vectors[0].md5, vectors[0].sha256
	for name, c := range map[string]struct {
		project     *hub.Project
		user, token string
	}{
		"SHA-256 with one wrong digit":            {newProject(project, secret, true), "2694", sha[:63] + "4"},
		"MD5 with one wrong digit":                {newProject(project, secret, true), "2694", "d" + md5[1:]},
		"token of another user":                   {newProject(project, secret, true), "2695", sha},
		"anonymous user, token of a user":         {newProject(project, secret, true), "", sha},
		"user, token of the anonymous user":       {newProject(project, secret, true), "2694", vectors[1].sha256},
		"token of another project":                {newProject("51b229f778b83c2eced3a76c", secret, true), "2694", sha},
		"token of another secret":                 {newProject(project, "994021f2dc354d7893d88b90d430498f", true), "2694", sha},
		"upper-case SHA-256":                      {newProject(project, secret, true), "2694", strings.ToUpper(sha)},
		"upper-case MD5":                          {newProject(project, secret, true), "2694", strings.ToUpper(md5)},
		"MD5, not allowed":                        {newProject(project, secret, false), "2694", md5},
		"empty token":                             {newProject(project, secret, true), "2694", ""},
		"empty token, anonymous user":             {newProject(project, secret, true), "", ""},
		"first half of a token":                   {newProject(project, secret, true), "2694", sha[:32]},
		"token and one more digit":                {newProject(project, secret, true), "2694", sha + "0"},
		"space before the token":                  {newProject(project, secret, true), "2694", " " + sha},
		"64 bytes, not hexadecimal":               {newProject(project, secret, true), "2694", strings.Repeat("я", 32)},
		"project before user, the format of 2014": {newProject(project, secret, true), "2694", "45ce7a38aa6de5f081a67a7da76be761"},
		"project without a secret":                {newProject(project, "", true), "2694", auth.SignToken("", "2694", project)},
		"two dots":                                {newProject(project, secret, true), "", ".."},
	} {
		t.Run(name, func(t *testing.T) {
			id, err := auth.VerifyToken(c.project, c.user, c.token, now)
			if !errors.Is(err, hub.ErrInvalidToken) || err.Error() != "invalid token" && strings.Count(c.token, ".") != 2 {
				t.Errorf("error %v, expected %v", err, hub.ErrInvalidToken)
			}
			if diff := cmp.Diff(hub.Identity{}, id); diff != "" {
				t.Errorf("identity, -expected +got:\n%s", diff)
			}
		})
	}
}

func TestTokenSizeLimit(t *testing.T) {
	for name, c := range map[string]struct {
		token string
		want  *hub.Error
	}{
		"classic token of the limit":        {strings.Repeat("a", auth.MaxTokenBytes), hub.ErrInvalidToken},
		"classic token over the limit":      {strings.Repeat("a", auth.MaxTokenBytes+1), hub.ErrLimitExceeded},
		"JWT of the limit":                  {strings.Repeat("a", auth.MaxTokenBytes-4) + ".a.a", hub.ErrInvalidToken},
		"JWT over the limit":                {strings.Repeat("a", auth.MaxTokenBytes-3) + ".a.a", hub.ErrLimitExceeded},
		"classic token far above the limit": {strings.Repeat("a", 100<<10), hub.ErrLimitExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := auth.VerifyToken(newProject(project, secret, true), "2694", c.token, now); !errors.Is(err, c.want) {
				t.Errorf("error %v, expected %v", err, c.want)
			}
		})
	}
}

// FuzzVerifyToken checks that no input but the right token authenticates a user.
func FuzzVerifyToken(f *testing.F) {
	p := newProject(project, secret, true)
	jwt := signClaims(f, secret, map[string]any{"sub": "2694", "exp": now.Unix() + 60, "permissions": map[string]any{"chat": []any{"a", 1}}, "info": []int{1}})
	for _, token := range []string{vectors[0].md5, vectors[0].sha256, "", "..", jwt, jwt[:len(jwt)-1], strings.Replace(jwt, ".", "\n.", 1)} {
		f.Add("2694", token)
		f.Add("", token)
	}
	f.Fuzz(func(t *testing.T, user, token string) {
		id, err := auth.VerifyToken(p, user, token, now)
		if err != nil {
			var e *hub.Error
			if !errors.As(err, &e) {
				t.Fatalf("error %v is not a *hub.Error", err)
			}
			return
		}
		if id.User != user {
			t.Fatalf("user %q is authenticated as %q", user, id.User)
		}
		if strings.Count(token, ".") != 2 && token != auth.SignToken(secret, user, project) && token != auth.SignTokenMD5(secret, user, project) {
			t.Fatalf("token %q authenticates %q", token, user)
		}
		if strings.Count(token, ".") == 2 && !strings.HasPrefix(token, jwt[:strings.LastIndexByte(jwt, '.')]) {
			t.Fatalf("unsigned JWT %q authenticates", token)
		}
	})
}

func BenchmarkVerifyToken(b *testing.B) {
	p := newProject(project, secret, true)
	jwt, err := auth.SignJWT(secret, map[string]any{"sub": "2694", "exp": now.Unix() + 60, "permissions": map[string]any{}})
	if err != nil {
		b.Fatal(err)
	}
	for name, token := range map[string]string{"SHA-256": vectors[0].sha256, "JWT": jwt} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := auth.VerifyToken(p, "2694", token, now); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
