// Package cent calls the server API of a Centrifuge: what an application written
// in Go uses to publish messages, and to see and change who is subscribed.
//
// It knows that API alone. Tokens for clients are made by package auth; receiving
// messages is what clients do, over a WebSocket.
package cent

import (
	"errors"
	"fmt"
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
	options Options
	base    string
	http    *http.Client
}

// New returns a client. It makes no request, and fails only for Options that make
// no sense.
func New(o Options) (*Client, error) {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil:
		// The parser's error repeats the address, which may hold a password.
		return nil, errors.New("cent: URL cannot be read")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, errors.New("cent: URL is not an http or https address")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("cent: URL has more than a host and a path")
	case o.APIKey == "":
		return nil, errors.New("cent: APIKey is missing")
	}
	if o.Timeout, err = bounded("Timeout", o.Timeout, DefaultTimeout, MaxTimeout); err != nil {
		return nil, err
	}
	if o.Attempts, err = bounded("Attempts", o.Attempts, DefaultAttempts, MaxAttempts); err != nil {
		return nil, err
	}
	if o.BackOff, err = bounded("BackOff", o.BackOff, DefaultBackOff, MaxBackOff); err != nil {
		return nil, err
	}
	c := &Client{options: o, base: strings.TrimRight(u.String(), "/") + "/api/", http: new(http.Client)}
	if o.HTTP != nil {
		*c.http = *o.HTTP
	}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c, nil
}

func bounded[T int | time.Duration](name string, value, absent, most T) (T, error) {
	switch {
	case value == 0:
		return absent, nil
	case value < 0 || value > most:
		return 0, fmt.Errorf("cent: %s is %v, not between 0 and %v", name, value, most)
	}
	return value, nil
}
