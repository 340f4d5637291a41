// Package cent calls a Centrifuge over HTTPS. Client is what an application written
// in Go uses to publish messages, and to see and change who is subscribed; Admin is
// what keeps projects and categories as they should be.
//
// It knows those two APIs alone. Tokens for clients are made by package auth;
// receiving messages is what clients do, over a WebSocket.
package cent

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// The defaults and bounds of Options.
const (
	DefaultTimeout  = 10 * time.Second
	MaxTimeout      = time.Minute
	DefaultAttempts = 4
	MaxAttempts     = 10
	DefaultBackOff  = 100 * time.Millisecond
	MaxBackOff      = 5 * time.Second
)

// MaxAnswerBytes is the longest answer that is read; Lambda gives none above 6 MiB.
const MaxAnswerBytes = 8 << 20

// Options say which Centrifuge to call, and how. URL and APIKey are required.
type Options struct {
	// URL is the base of the HTTP API, without /api: what the deployment printed as
	// HTTPURL.
	URL string
	// APIKey is a key of the project.
	APIKey string
	// HTTP makes the requests; nil means a client of its own. Redirects are never
	// followed, whatever it says: they would carry the key elsewhere.
	HTTP *http.Client
	// Timeout bounds one attempt, up to MaxTimeout; 0 means DefaultTimeout. A
	// context bounds the whole call.
	Timeout time.Duration
	// Attempts is how often a call is tried, the first included, up to MaxAttempts;
	// 0 means DefaultAttempts, 1 is never to repeat.
	Attempts int
	// BackOff bounds the wait after the first attempt; each next bound is twice as
	// long, up to MaxBackOff. The wait is random between 0 and the bound, so that
	// many callers do not come back at once. 0 means DefaultBackOff.
	BackOff time.Duration
}

// Client calls one Centrifuge for one project. It is safe for concurrent use.
type Client struct {
	key, base string
	http      *http.Client
	tries     tries
}

// New returns a client. It makes no request, and fails only for Options that make
// no sense.
func New(o Options) (*Client, error) {
	base, err := baseURL(o.URL)
	switch {
	case err != nil:
		return nil, err
	case o.APIKey == "":
		return nil, errors.New("cent: APIKey is missing")
	}
	tries, err := newTries(o.Timeout, o.Attempts, o.BackOff)
	if err != nil {
		return nil, err
	}
	return &Client{key: o.APIKey, base: base + "/api/", http: unredirected(o.HTTP), tries: tries}, nil
}

// baseURL checks an address and returns it without the slash that may end it.
func baseURL(address string) (string, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		// The parser's error repeats the address, which may hold a password.
		return "", errors.New("cent: URL cannot be read")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return "", errors.New("cent: URL is not an http or https address")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", errors.New("cent: URL has more than a host and a path")
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// unredirected is c, or a client of its own for nil, following no redirects.
func unredirected(c *http.Client) *http.Client {
	own := new(http.Client)
	if c != nil {
		*own = *c
	}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return own
}
