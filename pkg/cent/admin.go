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

// AdminOptions say which Centrifuge to administer, and how. URL and Password are
// required; the others are those of Options.
type AdminOptions struct {
	// URL is the base of the HTTP API, without /admin: what the deployment printed
	// as HTTPURL.
	URL string
	// Password is that of the admin pages.
	Password string
	HTTP     *http.Client
	Timeout  time.Duration
	Attempts int
	BackOff  time.Duration
}

// Admin reads and changes the projects and categories of one Centrifuge, all of
// them. It signs in with the first call and again when its session is over, and
// keeps the session in memory; SignOut ends it. It is safe for concurrent use.
//
// Every call is repeated where that may help, as those of Client are: each says
// what should be, and so may be said twice. A call fails with an *Error for what
// Centrifuge refuses: CodeUnauthorized for a wrong password, CodeProjectNotFound,
// CodeCategoryNotFound, CodeBadRequest and CodeLimitExceeded for values that break
// their limits. Too many wrong passwords are refused for some minutes; the message
// says for how long.
type Admin struct {
	base, password string
	http           *http.Client
	tries          tries

	mu      sync.Mutex
	session []*http.Cookie // nil while signed out
}

// NewAdmin returns an Admin. It makes no request, and fails only for options that
// make no sense.
func NewAdmin(o AdminOptions) (*Admin, error) {
	base, err := baseURL(o.URL)
	switch {
	case err != nil:
		return nil, err
	case o.Password == "":
		return nil, errors.New("cent: Password is missing")
	}
	t, err := newTries(o.Timeout, o.Attempts, o.BackOff)
	if err != nil {
		return nil, err
	}
	own := unredirected(o.HTTP)
	own.Jar = nil // sessions are kept here
	return &Admin{base: base + "/admin/api/", password: o.Password, http: own, tries: t}, nil
}

// SignOut ends the session, if there is one; the next call begins another.
func (a *Admin) SignOut(ctx context.Context) error {
	a.mu.Lock()
	session := a.session
	a.session = nil
	a.mu.Unlock()
	if session == nil {
		return nil
	}
	err := a.tries.repeat(ctx, func(ctx context.Context) error {
		_, err := a.request(ctx, http.MethodPost, "sign-out", []byte("{}"), session, nil)
		if isStatus(err, http.StatusUnauthorized) {
			return nil // it was over
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("sign out: %w", err)
	}
	return nil
}

// call makes a request in the session until it has an answer, and decodes it into
// result.
func (a *Admin) call(ctx context.Context, method, path string, params, result any) error {
	var body []byte
	if params != nil {
		var err error
		if body, err = encode(params); err != nil {
			return err
		}
	}
	tried := 0
	return a.tries.repeat(ctx, func(ctx context.Context) error {
		tried++
		err := a.signedIn(ctx, method, path, body, result)
		// What an attempt without an answer has deleted is not there for the next.
		if method == http.MethodDelete && tried > 1 && isStatus(err, http.StatusNotFound) {
			return nil
		}
		return err
	})
}

// signedIn is one attempt, or two where the first tells that the session is over.
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

// signIn returns the session, and whether it is a new one. Callers who need one at
// the same time get the same.
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

// forget drops a session that is over, unless another has taken its place.
func (a *Admin) forget(session []*http.Cookie) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.session) > 0 && a.session[0] == session[0] {
		a.session = nil
	}
}

// request makes one request and returns the cookies of the answer. A nil result
// stands for an answer that does not matter.
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
		req.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value}) //nolint:gosec // what it may be used for is said to browsers, in answers
	}
	res, err := a.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := answer(res)
	if err != nil {
		return nil, err
	}
	return res.Cookies(), decodeAdmin(res, b, result)
}

// decodeAdmin reads an answer of the admin API, whose results have no envelope.
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
	e := unknownStatus(res.StatusCode)
	if json.Unmarshal(b, &refusal) == nil && refusal.Error != nil && refusal.Error.Code != 0 {
		e = refusal.Error.with(res.StatusCode)
	}
	if seconds, err := strconv.ParseUint(res.Header.Get("Retry-After"), 10, 31); err == nil && res.StatusCode == http.StatusTooManyRequests {
		e.Message += fmt.Sprintf("; try again in %v", time.Duration(seconds)*time.Second)
		e.Temporary = false // that is longer than a call should take
	}
	return &statusError{e, res.StatusCode}
}

// isObject tells a JSON object from null, which decodes into anything.
func isObject(b []byte) bool {
	b = bytes.TrimSpace(b)
	return len(b) > 0 && b[0] == '{'
}

// statusError is an Error that came with a status.
type statusError struct {
	err    *Error
	status int
}

// Error implements error.
func (e *statusError) Error() string { return e.err.Error() }

// Unwrap has errors.As find the Error.
func (e *statusError) Unwrap() error { return e.err }

func isStatus(err error, status int) bool {
	var e *statusError
	return errors.As(err, &e) && e.status == status
}
