// Package cent calls the HTTP APIs of Centrifuge. Client calls the server API:
// an application publishes messages with it, and reads and changes subscriptions.
// Admin calls the admin API, which reads and changes projects and categories.
//
// It knows only these two APIs. Package auth makes tokens, and clients receive
// messages over WebSockets.
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
	DefaultTimeout  = 30 * time.Second
	MaxTimeout      = time.Minute
	DefaultAttempts = 4
	MaxAttempts     = 10
	DefaultBackOff  = 100 * time.Millisecond
	MaxBackOff      = 5 * time.Second
)

// MaxResponseBytes is the size limit of a response. Lambda's own limit is 6 MiB.
const MaxResponseBytes = 8 << 20

// Options configure a Client. URL and APIKey are required.
type Options struct {
	// URL is the base of the HTTP API, without /api: the output HTTPURL of the
	// deployment.
	URL string
	// APIKey is a key of the project.
	APIKey string
	// HTTP makes the requests; nil means a new client. Redirects are never followed,
	// whatever HTTP says: they would send the key to another server.
	HTTP *http.Client
	// Timeout limits one attempt, up to MaxTimeout; 0 means DefaultTimeout. The
	// context limits the whole call.
	Timeout time.Duration
	// Attempts is the number of attempts of a call, up to MaxAttempts; 0 means
	// DefaultAttempts, and 1 means that no call is repeated.
	Attempts int
	// BackOff is the longest wait after the first attempt. It doubles after each
	// attempt, up to MaxBackOff. A wait is random between 0 and that, so that many
	// callers do not repeat at the same time. 0 means DefaultBackOff.
	BackOff time.Duration
}

// Client calls the server API for one project. It is safe for concurrent use.
type Client struct {
	key, base string
	http      *http.Client
	retry     retry
}

// New returns a client. It makes no request. It fails for invalid Options.
func New(o Options) (*Client, error) {
	base, err := baseURL(o.URL)
	switch {
	case err != nil:
		return nil, err
	case o.APIKey == "":
		return nil, errors.New("cent: no API key: set APIKey")
	}
	retry, err := newRetry(o.Timeout, o.Attempts, o.BackOff)
	if err != nil {
		return nil, err
	}
	return &Client{key: o.APIKey, base: base + "/api/", http: withoutRedirects(o.HTTP), retry: retry}, nil
}

// baseURL checks an address and returns it without its final slash.
func baseURL(address string) (string, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		// The parser's error repeats the address, which may hold a password.
		return "", errors.New("cent: URL is invalid: write it as https://HOST, or http://127.0.0.1:8080 for make run")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return "", errors.New("cent: URL is not an http or https address: set the output HTTPURL of the deployment, or http://127.0.0.1:8080 for make run")
	case strings.HasSuffix(strings.TrimRight(u.Path, "/"), "/api"):
		return "", errors.New("cent: URL ends in /api: leave that out")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", errors.New("cent: URL has a user, a query or a fragment: give only the host and the path")
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// withoutRedirects returns a copy of c, or a new client for nil, that follows no
// redirects.
func withoutRedirects(c *http.Client) *http.Client {
	own := new(http.Client)
	if c != nil {
		*own = *c
	}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return own
}
