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

// The secret and the project id that the documentation of 2013 printed.
const (
	secret  = "994021f2dc354d7893d88b90d430498e"
	project = "51b229f778b83c2eced3a76b"
)

var now = time.Unix(1_700_000_000, 0)

func newProject(id, secret string, md5 bool) *hub.Project {
	return &hub.Project{ID: id, Name: "test", Secret: secret, Options: hub.ProjectOptions{AllowMD5: md5}}
}

// vectors are what the original computes (MD5; the non-ASCII user, which it
// refuses, aside) and openssl over the same message (SHA-256).
var vectors = []struct {
	name, secret, user, project, md5, sha256 string
}{
	{
		"a named user", secret, "2694", project,
		"c01715c3463704427c94780a4e43e326",
		"98916de95c84f217651cfdc0846051850fe551ee2312377d5c81114c20b8ea45",
	},
	{
		"an anonymous user", secret, "", project,
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
		"user 12 of project 3, which shares the secret", "k", "12", "3",
		"e206a7990cdb09ae361253b63ec21c95",
		"54536c9357ebad32486620506599ff3d0542c9d9735c61e0f27bfc9d23d34806",
	},
	{
		"a user in UTF-8", secret, "пользователь", project,
		"bfe0a2a3eefbe9076812b607fbc5ff3d",
		"9b9c0819ba61cc843d61d2ad920d78eab8b42186cbabeaf737c9742c54e87fdd",
	},
}

func TestTokenVectors(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			if got := auth.SignTokenMD5(v.secret, v.user, v.project); got != v.md5 {
				t.Errorf("MD5 is %s, not %s", got, v.md5)
			}
			if got := auth.SignToken(v.secret, v.user, v.project); got != v.sha256 {
				t.Errorf("SHA-256 is %s, not %s", got, v.sha256)
			}
			p := newProject(v.project, v.secret, true)
			for _, token := range []string{v.md5, v.sha256} {
				id, err := auth.VerifyToken(p, v.user, token, now)
				if err != nil {
					t.Errorf("%s is refused: %v", token, err)
				}
				if d := cmp.Diff(hub.Identity{User: v.user}, id); d != "" {
					t.Error(d)
				}
			}
		})
	}
}

func TestTokensThatAreNotRight(t *testing.T) {
	md5, sha := vectors[0].md5, vectors[0].sha256
	for name, c := range map[string]struct {
		project     *hub.Project
		user, token string
	}{
		"one nibble of the SHA-256 is off":       {newProject(project, secret, true), "2694", sha[:63] + "4"},
		"one nibble of the MD5 is off":           {newProject(project, secret, true), "2694", "d" + md5[1:]},
		"another user":                           {newProject(project, secret, true), "2695", sha},
		"nobody with the token of a user":        {newProject(project, secret, true), "", sha},
		"a user with the token of nobody":        {newProject(project, secret, true), "2694", vectors[1].sha256},
		"another project":                        {newProject("51b229f778b83c2eced3a76c", secret, true), "2694", sha},
		"the secret has been replaced":           {newProject(project, "994021f2dc354d7893d88b90d430498f", true), "2694", sha},
		"upper-case SHA-256":                     {newProject(project, secret, true), "2694", strings.ToUpper(sha)},
		"upper-case MD5":                         {newProject(project, secret, true), "2694", strings.ToUpper(md5)},
		"MD5 where it is not allowed":            {newProject(project, secret, false), "2694", md5},
		"an empty token":                         {newProject(project, secret, true), "2694", ""},
		"an empty token of nobody":               {newProject(project, secret, true), "", ""},
		"a part of one":                          {newProject(project, secret, true), "2694", sha[:32]},
		"one with more behind it":                {newProject(project, secret, true), "2694", sha + "0"},
		"one with a space":                       {newProject(project, secret, true), "2694", " " + sha},
		"64 characters that are not hexadecimal": {newProject(project, secret, true), "2694", strings.Repeat("я", 32)},
		"project before user, as from 2014":      {newProject(project, secret, true), "2694", "45ce7a38aa6de5f081a67a7da76be761"},
		"a project without a secret":             {newProject(project, "", true), "2694", auth.SignToken("", "2694", project)},
		"dots and nothing else":                  {newProject(project, secret, true), "", ".."},
	} {
		t.Run(name, func(t *testing.T) {
			id, err := auth.VerifyToken(c.project, c.user, c.token, now)
			if !errors.Is(err, hub.ErrInvalidToken) || err.Error() != "invalid token" && strings.Count(c.token, ".") != 2 {
				t.Errorf("error is %v", err)
			}
			if d := cmp.Diff(hub.Identity{}, id); d != "" {
				t.Error("refused, yet identified: " + d)
			}
		})
	}
}

func TestTokenOf100KBIsNotLookedAt(t *testing.T) {
	for _, token := range []string{strings.Repeat("a", 100<<10), strings.Repeat("a", 50<<10) + "." + strings.Repeat("a", 50<<10) + ".a"} {
		_, err := auth.VerifyToken(newProject(project, secret, true), "2694", token, now)
		if !errors.Is(err, hub.ErrLimitExceeded) {
			t.Errorf("error is %v", err)
		}
	}
}

// Whatever is presented, nobody but the bearer of the one right token gets in.
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
				t.Fatalf("the error is not one of ours: %v", err)
			}
			return
		}
		if id.User != user {
			t.Fatalf("%q is taken for %q", user, id.User)
		}
		if strings.Count(token, ".") != 2 && token != auth.SignToken(secret, user, project) && token != auth.SignTokenMD5(secret, user, project) {
			t.Fatalf("%q passes for %q", token, user)
		}
		if strings.Count(token, ".") == 2 && !strings.HasPrefix(token, jwt[:strings.LastIndexByte(jwt, '.')]) {
			t.Fatalf("a JWT that was never signed passes: %q", token)
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
