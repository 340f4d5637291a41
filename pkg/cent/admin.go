package cent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// AdminOptions configure an Admin. URL and Password are required; the other fields
// are those of Options.
type AdminOptions struct {
	// URL is the base of the HTTP API, without /admin: the output HTTPURL of the
	// deployment.
	URL string
	// Password is the password of the admin pages.
	Password string
	HTTP     *http.Client
	Timeout  time.Duration
	Attempts int
	BackOff  time.Duration
}

// Admin reads and changes all projects and categories of an installation. It signs
// in with the first call, and again when its session has expired. It keeps the
// session in memory; SignOut ends it. It is safe for concurrent use.
//
// Every call is idempotent, and is repeated as the calls of Client are. A refusal is
// an *Error: CodeUnauthorized for a wrong password, CodeProjectNotFound,
// CodeCategoryNotFound, CodeBadRequest and CodeLimitExceeded for values outside their
// limits. After too many wrong passwords sign-in is refused for some minutes; the
// message says for how long.
type Admin struct {
	base, password string
	http           *http.Client
	retry          retry

	mu      sync.Mutex
	session []*http.Cookie // nil while signed out
}

// NewAdmin returns an Admin. It makes no request. It fails for invalid options.
func NewAdmin(o AdminOptions) (*Admin, error) {
	base, err := baseURL(o.URL)
	switch {
	case err != nil:
		return nil, err
	case o.Password == "":
		return nil, errors.New("cent: no password: set Password")
	}
	retry, err := newRetry(o.Timeout, o.Attempts, o.BackOff)
	if err != nil {
		return nil, err
	}
	own := withoutRedirects(o.HTTP)
	own.Jar = nil // Admin keeps the session itself
	return &Admin{base: base + "/admin/api/", password: o.Password, http: own, retry: retry}, nil
}

// SignOut ends the session, if there is one. The next call starts a new one.
func (a *Admin) SignOut(ctx context.Context) error {
	a.mu.Lock()
	session := a.session
	a.session = nil
	a.mu.Unlock()
	if session == nil {
		return nil
	}
	err := a.retry.do(ctx, func(ctx context.Context) error {
		_, err := a.request(ctx, http.MethodPost, "sign-out", []byte("{}"), session, nil)
		if isStatus(err, http.StatusUnauthorized) {
			return nil // it had expired
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("sign out: %w", err)
	}
	return nil
}

// call makes a request in the session, repeats what may be repeated, and decodes the
// response into result.
func (a *Admin) call(ctx context.Context, method, path string, params, result any) error {
	var body []byte
	if params != nil {
		var err error
		if body, err = encode(params); err != nil {
			return err
		}
	}
	attempts := 0
	return a.retry.do(ctx, func(ctx context.Context) error {
		attempts++
		err := a.signedIn(ctx, method, path, body, result)
		// An earlier attempt without a response may have deleted it.
		if method == http.MethodDelete && attempts > 1 && isStatus(err, http.StatusNotFound) {
			return nil
		}
		return err
	})
}

// signedIn makes a request in the session, and once more in a new session if the
// first had expired.
func (a *Admin) signedIn(ctx context.Context, method, path string, body []byte, result any) error {
	session, fresh, err := a.signIn(ctx)
	if err != nil {
		return fmt.Errorf("sign in: %w", err)
	}
	_, err = a.request(ctx, method, path, body, session, result)
	if fresh || !isStatus(err, http.StatusUnauthorized) {
		return err
	}
	a.forget(session)
	if session, _, err = a.signIn(ctx); err != nil {
		return fmt.Errorf("sign in: %w", err)
	}
	_, err = a.request(ctx, method, path, body, session, result)
	return err
}

// signIn returns the session and reports whether it is new. Concurrent callers share
// one session.
func (a *Admin) signIn(ctx context.Context) (session []*http.Cookie, fresh bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.session != nil {
		return a.session, false, nil
	}
	body, err := encode(map[string]string{"password": a.password})
	if err != nil {
		return nil, false, err
	}
	cookies, err := a.request(ctx, http.MethodPost, "sign-in", body, nil, &struct{}{})
	switch {
	case err != nil:
		return nil, false, err
	case len(cookies) == 0:
		return nil, false, errNotCentrifuge
	}
	a.session = cookies
	return cookies, true, nil
}

// forget drops an expired session, unless another has replaced it.
func (a *Admin) forget(session []*http.Cookie) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.session) > 0 && a.session[0] == session[0] {
		a.session = nil
	}
}

// request makes one request and returns the cookies of the response. With a nil
// result it ignores the body.
func (a *Admin) request(ctx context.Context, method, path string, body []byte, session []*http.Cookie, result any) ([]*http.Cookie, error) {
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	for _, c := range session {
		req.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value}) //nolint:gosec // a request has no attributes of cookies
	}
	res, err := a.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := readBody(res)
	if err != nil {
		return nil, err
	}
	return res.Cookies(), decodeAdmin(res, b, result)
}

// decodeAdmin decodes a response of the admin API, whose results have no envelope.
func decodeAdmin(res *http.Response, b []byte, result any) error {
	if res.StatusCode == http.StatusOK || res.StatusCode == http.StatusCreated {
		if result != nil && (!isObject(b) || json.Unmarshal(b, result) != nil) {
			return errNotCentrifuge
		}
		return nil
	}
	var refusal struct {
		Error *failure `json:"error"`
	}
	e := statusOnly(res.StatusCode)
	if json.Unmarshal(b, &refusal) == nil && refusal.Error != nil && refusal.Error.Code != 0 {
		e = refusal.Error.with(res.StatusCode)
	}
	if seconds, err := strconv.ParseUint(res.Header.Get("Retry-After"), 10, 31); err == nil && res.StatusCode == http.StatusTooManyRequests {
		e.Message += fmt.Sprintf("; try again in %v", time.Duration(seconds)*time.Second)
		e.Temporary = false // the wait is longer than a call should take
	}
	return &statusError{e, res.StatusCode}
}

// isObject reports whether b begins like a JSON object. null, which decodes into
// anything, does not.
func isObject(b []byte) bool {
	b = bytes.TrimSpace(b)
	return len(b) > 0 && b[0] == '{'
}

// statusError is an Error with the status of its response.
type statusError struct {
	err    *Error
	status int
}

// Error implements error.
func (e *statusError) Error() string { return e.err.Error() }

// Unwrap lets errors.As find the Error.
func (e *statusError) Unwrap() error { return e.err }

func isStatus(err error, status int) bool {
	var e *statusError
	return errors.As(err, &e) && e.status == status
}
