package admin

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
)

const (
	// sessionAge is how long a session lasts.
	sessionAge = 8 * time.Hour
	// maxAttempts is how often an address may fail to sign in within attemptWindow.
	// Windows start at whole multiples of their length.
	maxAttempts   = 10
	attemptWindow = 15 * time.Minute
)

// errNoPassword: the deployment is new, so nobody can sign in yet. It is no failure of the
// service: a 5xx would set off an alarm, and clients would repeat the request.
var errNoPassword = hub.ErrPermissionDenied.With("no admin password is set: make admin-password sets one and prints it")

// password returns the hash of the admin password. It fails with errNoPassword where there
// is none.
func (s *site) password(ctx context.Context) (hash string, err error) {
	if hash, err = s.Password(ctx); err == nil && hash == "" {
		err = errNoPassword
	}
	return hash, err
}

// secure reports whether the pages use https.
func (s *site) secure() bool { return strings.HasPrefix(s.HTTPURL, "https:") }

// cookie returns the cookie of a session. Its prefix, which requires https, makes
// browsers refuse a cookie set by another host of the domain or over http.
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

// hasSession reports whether a request has a valid session. It fails where nobody can have
// one, as password does.
func (s *site) hasSession(r *http.Request) (bool, error) {
	hash, err := s.password(r.Context())
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(r.CookiesNamed(s.cookie("").Name), func(c *http.Cookie) bool {
		_, ok := auth.VerifySession(hash, c.Value, s.Now())
		return ok
	}), nil
}

// signedIn passes requests with a session to a page. It redirects others to the sign-in
// page, which redirects back.
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

// signedInAPI passes requests with a session to the JSON API.
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

// tooMany is the refusal of an address that must wait.
type tooMany struct{ wait time.Duration }

// header sets Retry-After, in seconds.
func (t *tooMany) header(w http.ResponseWriter) {
	w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(t.wait.Seconds()))))
}

// String is the refusal for people.
func (t *tooMany) String() string {
	minutes := int(math.Ceil(t.wait.Minutes()))
	if minutes == 1 {
		return "Too many attempts from your address. Try again in a minute."
	}
	return fmt.Sprintf("Too many attempts from your address. Try again in %d minutes.", minutes)
}

// authenticate creates a session for the password. It counts every attempt before it
// checks the password, and uncounts a successful one, so that successful sign-ins have
// no limit. It returns tooMany where the address has no attempt left, and false for a
// wrong password.
func (s *site) authenticate(w http.ResponseWriter, r *http.Request, password string) (expires time.Time, wait *tooMany, ok bool, err error) {
	ctx, now, address := r.Context(), s.Now(), clientAddress(r.RemoteAddr)
	hash, err := s.password(ctx)
	if err != nil {
		return time.Time{}, nil, false, err
	}
	window := now.Truncate(attemptWindow)
	end := window.Add(attemptWindow)
	name := fmt.Sprintf("sign-in/%s/%d", address, window.Unix())
	n, err := s.Attempts(ctx, name, 1, end)
	if err != nil {
		return time.Time{}, nil, false, fmt.Errorf("count sign-in attempts: %w", err)
	}
	if n > maxAttempts {
		// The password was not checked, so this was no attempt: a burst of correct ones does
		// not lock the address out.
		if _, err := s.Attempts(ctx, name, -1, end); err != nil {
			return time.Time{}, nil, false, fmt.Errorf("count sign-in attempts: %w", err)
		}
		s.Log.WarnContext(ctx, "admin sign-in refused", "reason", "too many attempts", "address", address)
		return time.Time{}, &tooMany{end.Sub(now)}, false, nil
	}
	expires = now.Add(sessionAge).Truncate(time.Second)
	session, ok, err := auth.NewSession(hash, password, expires)
	if err != nil {
		return time.Time{}, nil, false, err
	}
	if !ok {
		s.Log.WarnContext(ctx, "admin sign-in refused", "reason", "wrong password", "address", address)
		return time.Time{}, nil, false, nil
	}
	if _, err := s.Attempts(ctx, name, -1, end); err != nil {
		return time.Time{}, nil, false, fmt.Errorf("count sign-in attempts: %w", err)
	}
	s.Log.InfoContext(ctx, "admin signed in", "address", address)
	c := s.cookie(session) //nolint:gosec // Secure is set where the pages use https
	c.MaxAge = int(sessionAge.Seconds())
	http.SetCookie(w, c)
	return expires, nil, true, nil
}

// clientAddress is the key of the attempt counter: an IPv4 address, or the /64 network
// of an IPv6 address, which usually belongs to one customer.
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

// endSession removes the session from the browser.
func (s *site) endSession(w http.ResponseWriter) {
	c := s.cookie("") //nolint:gosec // as above; it is empty
	c.MaxAge = -1
	http.SetCookie(w, c)
}

// returnPath is the page to show after a sign-in: the requested one where it is a page
// of this site, else the first page.
func returnPath(requested string) string {
	u, err := url.Parse(requested)
	// Browsers treat a backslash as a slash and ignore some white space. They never send
	// either in a path.
	odd := func(c rune) bool { return c <= ' ' || c == '\\' || c == 0x7f }
	if err != nil || !strings.HasPrefix(requested, home) || strings.ContainsFunc(requested, odd) ||
		u.Path != home && !strings.HasPrefix(u.Path, home+"/") || path.Clean(u.Path) != strings.TrimSuffix(u.Path, "/") {
		return home
	}
	for _, excluded := range []string{"/admin/sign-", "/admin/api/", "/admin/assets/"} {
		if strings.HasPrefix(u.Path, excluded) {
			return home
		}
	}
	return (&url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery}).RequestURI()
}

// signInData is the data of sign-in.html.
type signInData struct{ Return, Problem string }

// signInPage handles GET /admin/sign-in?return=….
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

// submitSignIn handles POST /admin/sign-in.
func (s *site) submitSignIn(w http.ResponseWriter, r *http.Request) {
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
		d.Problem = "The password is wrong."
		s.render(w, r, http.StatusUnauthorized, "sign-in.html", d)
	default:
		redirect(w, r, d.Return, "")
	}
}

// submitSignOut handles POST /admin/sign-out.
func (s *site) submitSignOut(w http.ResponseWriter, r *http.Request) {
	s.endSession(w)
	redirect(w, r, "/admin/sign-in", "signed-out")
}

// apiSignIn handles POST /admin/api/sign-in.
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
		writeFailure(w, http.StatusTooManyRequests, hub.ErrLimitExceeded.With("too many sign-in attempts"))
	case !ok:
		writeFailure(w, http.StatusUnauthorized, hub.ErrUnauthorized.With("the password is wrong"))
	default:
		writeJSON(w, http.StatusOK, map[string]int64{"expires": expires.Unix()})
	}
}

// apiSignOut handles POST /admin/api/sign-out.
func (s *site) apiSignOut(w http.ResponseWriter, _ *http.Request) {
	s.endSession(w)
	writeJSON(w, http.StatusOK, struct{}{})
}
