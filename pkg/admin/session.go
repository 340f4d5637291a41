package admin

import (
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
)

const (
	// sessionAge is how long a session lasts.
	sessionAge = 8 * time.Hour
	// maxAttempts is how often an address may try to sign in within attemptWindow.
	// Windows begin at whole multiples of their length.
	maxAttempts   = 10
	attemptWindow = 15 * time.Minute
)

// secure tells whether the pages are on https.
func (s *site) secure() bool { return strings.HasPrefix(s.HTTPURL, "https:") }

// cookie is the session's cookie. The prefix makes browsers refuse one that another
// host of the domain, or a page on http, has set; it needs https.
func (s *site) cookie(value string) *http.Cookie {
	c := &http.Cookie{
		Name: "centrifuge-admin", Value: value, Path: "/admin",
		HttpOnly: true, SameSite: http.SameSiteStrictMode,
	}
	if s.secure() {
		c.Name, c.Path, c.Secure = "__Host-centrifuge-admin", "/", true
	}
	return c
}

// hasSession tells whether a request carries a session that is good.
func (s *site) hasSession(r *http.Request) (bool, error) {
	for _, c := range r.CookiesNamed(s.cookie("").Name) {
		password, err := s.passwords.recent(r.Context())
		if err != nil {
			return false, err
		}
		if _, ok := auth.VerifySession(password, c.Value, s.Now()); ok {
			return true, nil
		}
	}
	return false, nil
}

// signedIn lets requests with a session through to a page and sends others to sign
// in, from where they come back.
func (s *site) signedIn(next http.HandlerFunc) http.HandlerFunc {
	return s.withSession(next, func(w http.ResponseWriter, r *http.Request) {
		if readsJSON(r) {
			s.failJSON(w, r, hub.ErrUnauthorized)
			return
		}
		to := "/admin/sign-in"
		if r.Method == http.MethodGet && r.URL.Path != home && r.URL.Path != home+"/" {
			to += "?" + url.Values{"return": {r.URL.RequestURI()}}.Encode()
		}
		redirect(w, r, to, "")
	})
}

// signedInAPI lets requests with a session through to the JSON API.
func (s *site) signedInAPI(next http.HandlerFunc) http.HandlerFunc {
	return s.withSession(next, func(w http.ResponseWriter, r *http.Request) { s.failJSON(w, r, hub.ErrUnauthorized) })
}

func (s *site) withSession(next, otherwise http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ok, err := s.hasSession(r)
		switch {
		case err != nil:
			s.refuse(w, r, err)
		case !ok:
			otherwise(w, r)
		default:
			next(w, withVisit(r))
		}
	}
}

// tooMany tells how long an address must wait.
type tooMany struct{ wait time.Duration }

// header tells it to programs, in seconds.
func (t *tooMany) header(w http.ResponseWriter) {
	w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(t.wait.Seconds()))))
}

// String tells it to people.
func (t *tooMany) String() string {
	minutes := int(math.Ceil(t.wait.Minutes()))
	if minutes == 1 {
		return "Too many attempts from your address. Try again in a minute."
	}
	return fmt.Sprintf("Too many attempts from your address. Try again in %d minutes.", minutes)
}

// authenticate gives a session for the password. Every attempt counts before the
// password is looked at, and a right one is taken off the count again, so that a
// tool may sign in as often as it likes. It returns tooMany where the address has no
// attempt left, and false for a wrong password.
func (s *site) authenticate(w http.ResponseWriter, r *http.Request, password string) (expires time.Time, wait *tooMany, ok bool, err error) {
	ctx, now, address := r.Context(), s.Now(), clientAddress(r.RemoteAddr)
	window := now.Truncate(attemptWindow)
	end := window.Add(attemptWindow)
	name := fmt.Sprintf("sign-in/%s/%d", address, window.Unix())
	n, err := s.Attempts(ctx, name, 1, end)
	if err != nil {
		return time.Time{}, nil, false, fmt.Errorf("count attempts to sign in: %w", err)
	}
	if n > maxAttempts {
		// Its password is not looked at, so it was no attempt: a burst of right ones does
		// not lock its address out.
		if _, err := s.Attempts(ctx, name, -1, end); err != nil {
			return time.Time{}, nil, false, fmt.Errorf("count attempts to sign in: %w", err)
		}
		s.Log.WarnContext(ctx, "admin sign-in refused: too many attempts", "address", address)
		return time.Time{}, &tooMany{end.Sub(now)}, false, nil
	}
	right, err := s.passwords.current(ctx)
	if err != nil {
		return time.Time{}, nil, false, err
	}
	if !matches(password, right) {
		s.Log.WarnContext(ctx, "admin sign-in refused: wrong password", "address", address)
		return time.Time{}, nil, false, nil
	}
	if _, err := s.Attempts(ctx, name, -1, end); err != nil {
		return time.Time{}, nil, false, fmt.Errorf("count attempts to sign in: %w", err)
	}
	s.Log.InfoContext(ctx, "admin signed in", "address", address)
	expires = now.Add(sessionAge).Truncate(time.Second)
	c := s.cookie(auth.NewSession(right, expires)) //nolint:gosec // it is Secure wherever there is https
	c.MaxAge = int(sessionAge.Seconds())
	http.SetCookie(w, c)
	return expires, nil, true, nil
}

// clientAddress is what attempts are counted by: an IPv4 address, or the network of
// an IPv6 one, all of which one customer has.
func clientAddress(remote string) string {
	a, err := netip.ParseAddr(remote)
	if err != nil {
		ap, err := netip.ParseAddrPort(remote)
		if err != nil {
			return "unknown"
		}
		a = ap.Addr()
	}
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return a.String()
	}
	return netip.PrefixFrom(a, 64).Masked().String()
}

// endSession has the browser forget its session.
func (s *site) endSession(w http.ResponseWriter) {
	c := s.cookie("") //nolint:gosec // as above, and it holds nothing
	c.MaxAge = -1
	http.SetCookie(w, c)
}

// returnPath is where to go after signing in: a page of ours, whatever it was asked
// to be.
func returnPath(wish string) string {
	u, err := url.Parse(wish)
	// Browsers take a backslash for a slash and pass over some white space, neither of
	// which they put into an address themselves.
	odd := func(c rune) bool { return c <= ' ' || c == '\\' || c == 0x7f }
	if err != nil || !strings.HasPrefix(wish, home) || strings.ContainsFunc(wish, odd) ||
		u.Path != home && !strings.HasPrefix(u.Path, home+"/") || path.Clean(u.Path) != strings.TrimSuffix(u.Path, "/") {
		return home
	}
	for _, no := range []string{"/admin/sign-", "/admin/api/", "/admin/assets/"} {
		if strings.HasPrefix(u.Path, no) {
			return home
		}
	}
	return (&url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery}).RequestURI()
}

// signInData is the data of sign-in.html.
type signInData struct{ Return, Problem string }

// signInPage answers GET /admin/sign-in?return=….
func (s *site) signInPage(w http.ResponseWriter, r *http.Request) {
	to := returnPath(r.URL.Query().Get("return"))
	ok, err := s.hasSession(r)
	switch {
	case err != nil:
		s.fail(w, r, err)
	case ok:
		redirect(w, r, to, "")
	default:
		s.render(w, r, http.StatusOK, "sign-in.html", signInData{Return: to})
	}
}

// signIn answers POST /admin/sign-in.
func (s *site) signIn(w http.ResponseWriter, r *http.Request) {
	if !s.readForm(w, r, maxPasswordBodyBytes) {
		return
	}
	d := signInData{Return: returnPath(r.PostForm.Get("return"))}
	_, wait, ok, err := s.authenticate(w, r, r.PostForm.Get("password"))
	switch {
	case err != nil:
		s.fail(w, r, err)
	case wait != nil:
		wait.header(w)
		d.Problem = wait.String()
		s.render(w, r, http.StatusTooManyRequests, "sign-in.html", d)
	case !ok:
		d.Problem = "That is not the password."
		s.render(w, r, http.StatusUnauthorized, "sign-in.html", d)
	default:
		redirect(w, r, d.Return, "")
	}
}

// signOut answers POST /admin/sign-out.
func (s *site) signOut(w http.ResponseWriter, r *http.Request) {
	s.endSession(w)
	redirect(w, r, "/admin/sign-in", "signed-out")
}

// apiSignIn answers POST /admin/api/sign-in.
func (s *site) apiSignIn(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Password string `json:"password"`
	}
	if !s.readJSON(w, r, maxPasswordBodyBytes, &in) {
		return
	}
	expires, wait, ok, err := s.authenticate(w, r, in.Password)
	switch {
	case err != nil:
		s.failJSON(w, r, err)
	case wait != nil:
		wait.header(w)
		writeFailure(w, http.StatusTooManyRequests, hub.ErrLimitExceeded.With("too many attempts to sign in"))
	case !ok:
		writeFailure(w, http.StatusUnauthorized, hub.ErrUnauthorized.With("that is not the password"))
	default:
		writeJSON(w, http.StatusOK, map[string]int64{"expires": expires.Unix()})
	}
}

// apiSignOut answers POST /admin/api/sign-out.
func (s *site) apiSignOut(w http.ResponseWriter, _ *http.Request) {
	s.endSession(w)
	writeJSON(w, http.StatusOK, struct{}{})
}
