package admin_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/admin"
	"centrifuge/pkg/auth"
)

func TestSignIn(t *testing.T) {
	r := newRig(t)

	t.Run("a page without a session redirects to the sign-in page, which returns to it", func(t *testing.T) {
		r := r.in(t)
		const wanted = "/admin/projects/" + projectID + "/categories/edit?category=a%2Fb+%22%3F"
		got := r.get(wanted)
		r.redirects(got, "/admin/sign-in?return="+url.QueryEscape(wanted))
		form := parse(t, r.is(r.get(got.header.Get("Location")), http.StatusOK).body)
		back := form.with("name", "return").attr["value"]
		if back != wanted {
			t.Fatalf("the form returns to %s", back)
		}
		r.redirects(r.post("/admin/sign-in", "password", password, "return", back), wanted)
		r.is(r.get(wanted), http.StatusOK)
	})
	t.Run("a session skips the sign-in page", func(t *testing.T) {
		r := r.in(t)
		r.redirects(r.get("/admin/sign-in?return=/admin/new"), "/admin/new")
	})
	t.Run("sign-out ends the session in this browser", func(t *testing.T) {
		r := r.in(t)
		got := r.post("/admin/sign-out")
		r.redirects(got, "/admin/sign-in?done=signed-out")
		r.shows(r.get("/admin/sign-in?done=signed-out"), http.StatusOK, "You are signed out.")
		r.redirects(r.get("/admin/"), "/admin/sign-in")
	})
	t.Run("a form without a session does nothing and is not the return page", func(t *testing.T) {
		r := r.in(t)
		r.redirects(r.post("/admin/new", "name", "x"), "/admin/sign-in")
		if all, err := r.store.ListProjects(t.Context()); err != nil || len(all) != 1 {
			t.Errorf("there are %d projects, %v", len(all), err)
		}
	})
	t.Run("a script without a session gets a JSON error", func(t *testing.T) {
		r := r.in(t)
		request := r.request(http.MethodGet, "/admin/projects/"+projectID+"/chart", "", "")
		request.Header.Set("Accept", "application/json")
		r.says(r.do(request), http.StatusUnauthorized, `{"error":{"code":101,"message":"unauthorized"}}`)
	})
	t.Run("a forged session", func(t *testing.T) {
		r := r.in(t)
		request := r.request(http.MethodGet, "/admin/", "", "")
		hash := auth.HashPassword("guess")
		value, _, err := auth.NewSession(hash, "guess", time.Unix(1<<40, 0))
		if err != nil {
			t.Fatal(err)
		}
		request.AddCookie(&http.Cookie{Name: "centrifuge-admin", Value: value})
		r.redirects(r.do(request), "/admin/sign-in")
	})
	t.Run("a session ends after eight hours", func(t *testing.T) {
		r := r.in(t)
		r.signIn()
		r.advance(8*time.Hour - time.Second)
		r.is(r.get("/admin/"), http.StatusOK)
		r.advance(time.Second)
		r.redirects(r.get("/admin/"), "/admin/sign-in")
	})
	t.Run("a new password ends all sessions and works immediately", func(t *testing.T) {
		r := r.in(t)
		const next = "another password"
		r.secrets = append(r.secrets, next)
		r.signIn()
		r.setPasswordHash(auth.HashPassword(next))
		r.redirects(r.get("/admin/"), "/admin/sign-in")
		r.shows(r.post("/admin/sign-in", "password", password), http.StatusUnauthorized, "The password is wrong.")
		r.redirects(r.post("/admin/sign-in", "password", next), "/admin")
		r.is(r.get("/admin/"), http.StatusOK)
	})
	t.Run("the same password with another salt ends all sessions", func(t *testing.T) {
		r := r.in(t)
		r.setPasswordHash(passwordHash)
		r.signIn()
		r.setPasswordHash(auth.HashPassword(password))
		r.redirects(r.get("/admin/"), "/admin/sign-in")
		r.signIn()
	})
}

func TestWrongPassword(t *testing.T) {
	for name, typed := range map[string]string{
		"another password":          "guess",
		"no password":               "",
		"a prefix of the password":  password[:8],
		"a longer password":         password + " ",
		"a password over 256 bytes": strings.Repeat("x", 1000),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			got := r.post("/admin/sign-in", "password", typed)
			r.shows(got, http.StatusUnauthorized, "The password is wrong.")
			if got.header.Get("Set-Cookie") != "" || typed != "" && typed != password[:8] && strings.Contains(got.body, typed) {
				t.Errorf("%s %s", got.header.Get("Set-Cookie"), got.body)
			}
			r.says(r.call(http.MethodPost, "/sign-in", `{"password":"`+typed+`"}`), http.StatusUnauthorized,
				`{"error":{"code":101,"message":"unauthorized: the password is wrong"}}`)
			r.redirects(r.get("/admin/"), "/admin/sign-in")
		})
	}
	t.Run("the correct password over 256 bytes", func(t *testing.T) {
		r := newRig(t)
		long := strings.Repeat("x", auth.MaxPasswordBytes+1)
		r.setPasswordHash(auth.HashPassword(long))
		r.shows(r.post("/admin/sign-in", "password", long), http.StatusUnauthorized, "The password is wrong.")
		r.setPasswordHash(auth.HashPassword(long[1:]))
		r.redirects(r.post("/admin/sign-in", "password", long[1:]), "/admin")
	})
}

func TestNoPassword(t *testing.T) {
	attempts := 0
	r := newRig(t, func(o *admin.Options) {
		count := o.Attempts
		o.Attempts = func(ctx context.Context, name string, by int, until time.Time) (int, error) {
			attempts++
			return count(ctx, name, by, until)
		}
	})
	r.signIn() // a session whose password is gone is none
	r.setPasswordHash("")
	attempts = 0
	for name, got := range map[string]answer{
		"a page":           r.get("/admin/"),
		"the sign-in page": r.get("/admin/sign-in"),
		"a sign-in":        r.post("/admin/sign-in", "password", ""),
	} {
		t.Run(name, func(t *testing.T) {
			r.in(t).shows(got, http.StatusForbidden, "No admin password is set", "make admin-password")
		})
	}
	const refusal = `{"error":{"code":103,"message":"permission denied: no admin password is set: make admin-password sets one and prints it"}}`
	for name, got := range map[string]answer{
		"a request of a tool": r.call(http.MethodGet, "/projects", ""),
		"a sign-in of a tool": r.call(http.MethodPost, "/sign-in", `{"password":""}`),
	} {
		t.Run(name, func(t *testing.T) { r.in(t).says(got, http.StatusForbidden, refusal) })
	}
	if attempts != 0 {
		t.Errorf("%d attempts are counted, want 0: no password can be guessed", attempts)
	}
	r.setPasswordHash(passwordHash)
	r.signIn()
}

func TestSignInAttempts(t *testing.T) {
	r := newRig(t)
	t.Run("successful attempts do not count", func(t *testing.T) {
		r := r.in(t)
		for range 12 {
			r.signIn()
		}
		r.post("/admin/sign-out")
	})
	t.Run("a burst of successful attempts does not lock the address out", func(t *testing.T) {
		r := r.in(t)
		var g sync.WaitGroup
		for range 40 {
			g.Go(func() {
				request := r.request(http.MethodPost, "/admin/api/sign-in", "application/json", `{"password":"`+password+`"}`)
				if got := r.do(request); got.status != http.StatusOK && got.status != http.StatusTooManyRequests {
					t.Errorf("status %d", got.status)
				}
			})
		}
		g.Wait()
		r.signIn()
		r.post("/admin/sign-out")
	})
	t.Run("after ten failures an address waits until the quarter of an hour ends", func(t *testing.T) {
		r := r.in(t)
		r.advance(14*time.Minute - time.Second) // 1,800,000,000 is a multiple of 15 minutes
		for n := range 10 {
			if n%2 == 0 {
				r.is(r.post("/admin/sign-in", "password", "guess"), http.StatusUnauthorized)
			} else {
				r.is(r.call(http.MethodPost, "/sign-in", `{"password":"guess"}`), http.StatusUnauthorized)
			}
		}
		got := r.post("/admin/sign-in", "password", password)
		r.shows(got, http.StatusTooManyRequests, "Too many attempts from your address. Try again in 2 minutes.")
		if wait := got.header.Get("Retry-After"); wait != "61" {
			t.Errorf("Retry-After is %s", wait)
		}
		r.advance(time.Second)
		r.shows(r.post("/admin/sign-in", "password", password), http.StatusTooManyRequests, "Try again in a minute.")
		got = r.call(http.MethodPost, "/sign-in", `{"password":"`+password+`"}`)
		r.says(got, http.StatusTooManyRequests, `{"error":{"code":106,"message":"limit exceeded: too many sign-in attempts"}}`)
		if wait := got.header.Get("Retry-After"); wait != "60" {
			t.Errorf("Retry-After is %s", wait)
		}
		r.redirects(r.get("/admin/"), "/admin/sign-in")
		r.advance(time.Minute)
		r.signIn()
	})
}

func TestSignInAttemptAddresses(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.1:1234":                 "sign-in/192.0.2.1/1800000000",
		"192.0.2.1":                      "sign-in/192.0.2.1/1800000000",
		"[::ffff:192.0.2.1]:1234":        "sign-in/192.0.2.1/1800000000",
		"[2001:db8:1:2:3:4:5:6]:1234":    "sign-in/2001:db8:1:2::/64/1800000000",
		"2001:db8:1:2:ffff:ffff:ffff::":  "sign-in/2001:db8:1:2::/64/1800000000",
		"[fe80::1%eth0]:1234":            "sign-in/fe80::/64/1800000000",
		"":                               "sign-in/unknown/1800000000",
		"a name that is no address:1234": "sign-in/unknown/1800000000",
	} {
		t.Run(remote, func(t *testing.T) {
			var counted []string
			handler := admin.New(admin.Options{
				Password: func(context.Context) (string, error) { return passwordHash, nil },
				Attempts: func(_ context.Context, name string, by int, until time.Time) (int, error) {
					if by != 1 || until.Unix() != 1_800_000_900 {
						t.Errorf("%d until %v", by, until)
					}
					counted = append(counted, name)
					return 1, nil
				},
				Now: func() time.Time { return time.Unix(1_800_000_001, 0) },
			})
			request := httptest.NewRequest(http.MethodPost, "/admin/sign-in", strings.NewReader("password=guess"))
			request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			request.RemoteAddr = remote
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, request)
			if w.Code != http.StatusUnauthorized {
				t.Errorf("status %d", w.Code)
			}
			if diff := cmp.Diff([]string{want}, counted); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestSessionCookie(t *testing.T) {
	for name, c := range map[string]struct{ url, want string }{
		"on https": {"https://admin.example", "__Host-centrifuge-admin=V; Path=/; Max-Age=28800; HttpOnly; Secure; SameSite=Strict"},
		"on http":  {"http://127.0.0.1:8080", "centrifuge-admin=V; Path=/admin; Max-Age=28800; HttpOnly; SameSite=Strict"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(o *admin.Options) { o.HTTPURL = c.url })
			serve := func(method, path, cookie string) *http.Response {
				request := httptest.NewRequest(method, path, strings.NewReader(url.Values{"password": {password}}.Encode()))
				request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				request.Header.Set("Cookie", cookie)
				w := httptest.NewRecorder()
				r.handler.ServeHTTP(w, request)
				return w.Result()
			}
			given := serve(http.MethodPost, "/admin/sign-in", "")
			cookie := given.Cookies()[0]
			r.secrets = append(r.secrets, cookie.Value)
			if got := strings.Replace(given.Header.Get("Set-Cookie"), cookie.Value, "V", 1); got != c.want {
				t.Errorf("the cookie is %s, expected %s", got, c.want)
			}
			if got := serve(http.MethodGet, "/admin/", "other=1; "+cookie.Name+"=x; "+cookie.Name+"="+cookie.Value); got.StatusCode != http.StatusOK {
				t.Errorf("status %d", got.StatusCode)
			}
			gone := serve(http.MethodPost, "/admin/sign-out", "").Header.Get("Set-Cookie")
			if want := strings.NewReplacer("=V", "=", "28800", "0").Replace(c.want); gone != want {
				t.Errorf("sign-out sets %s, expected %s", gone, want)
			}
		})
	}
}

func TestSignInReturnPath(t *testing.T) {
	r := newRig(t)
	for requested, want := range map[string]string{
		"":                              "/admin",
		"/admin":                        "/admin",
		"/admin?q=x":                    "/admin?q=x",
		"/admin/":                       "/admin/",
		"/admin/new":                    "/admin/new",
		"/admin/?q=shop%26":             "/admin/?q=shop%26",
		"/admin/projects/a%2Fb/keys":    "/admin/projects/a%2Fb/keys",
		"/":                             "/admin",
		"/api/info":                     "/admin",
		"//evil.example/admin/":         "/admin",
		"https://evil.example/admin/":   "/admin",
		"javascript:alert(1)":           "/admin",
		"/admin/../../evil":             "/admin",
		"/admin/..//evil.example":       "/admin",
		"/admin/\\evil.example":         "/admin",
		"/admin/\r\nSet-Cookie: a=b":    "/admin",
		"/admin/sign-out":               "/admin",
		"/admin/api/projects":           "/admin",
		"/admin/new#fragment":           "/admin/new",
		"/administrator":                "/admin",
		"/admin/%zz":                    "/admin",
		"/admin/new?return=//a.example": "/admin/new?return=//a.example",
	} {
		t.Run(requested, func(t *testing.T) {
			r := r.in(t)
			r.redirects(r.post("/admin/sign-in", "password", password, "return", requested), want)
		})
	}
}

func TestInternalFailuresAreHidden(t *testing.T) {
	for name, change := range map[string]func(*admin.Options){
		"a password that cannot be read": func(o *admin.Options) {
			o.Password = func(context.Context) (string, error) { return "", errors.New("inner detail") }
		},
		"a damaged hash": func(o *admin.Options) {
			o.Password = func(context.Context) (string, error) { return "inner detail", nil }
		},
		"attempts that cannot be counted": func(o *admin.Options) {
			o.Attempts = func(context.Context, string, int, time.Time) (int, error) { return 0, errors.New("inner detail") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, change)
			for _, typed := range []string{"", password} {
				got := r.post("/admin/sign-in", "password", typed)
				r.shows(got, http.StatusInternalServerError, "Internal server error.")
				if strings.Contains(got.body, "detail") || got.header.Get("Set-Cookie") != "" {
					t.Errorf("%v %s", got.header, got.body)
				}
			}
			r.says(r.call(http.MethodPost, "/sign-in", `{"password":""}`), http.StatusInternalServerError,
				`{"error":{"code":100,"message":"internal server error"}}`)
			if log := r.log.String(); strings.Count(log, `"level":"ERROR"`) != 3 {
				t.Errorf("the failure is not logged once per request: %s", log)
			}
		})
	}
}
