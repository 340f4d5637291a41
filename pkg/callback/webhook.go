package callback

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"centrifuge/pkg/hub"
)

const (
	// TimestampHeader is the header with the time of a request, in seconds since 1970.
	TimestampHeader = "X-Centrifuge-Timestamp"
	// SignatureHeader is the header with the signature of a request.
	SignatureHeader = "X-Centrifuge-Signature"
	// NotifyTimeout limits a webhook, including the time to connect.
	NotifyTimeout = 5 * time.Second
)

// NotifierOptions configure a Notifier. The zero value is the default.
type NotifierOptions struct {
	// Insecure allows plain http and private addresses. UNSAFE: for the local stack
	// only.
	Insecure bool
	// Breakers are shared by all processes; nil means that every call posts.
	Breakers hub.Breakers
	// Log receives failures of Breakers; nil discards them.
	Log *slog.Logger
	// Timeout limits a webhook; 0 means NotifyTimeout.
	Timeout time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Notifier posts webhooks. It is safe for concurrent use. A process needs one: it keeps
// connections alive.
type Notifier struct {
	options NotifierOptions
	client  *http.Client
	breaker breaker
}

// NewNotifier returns a Notifier.
func NewNotifier(o NotifierOptions) *Notifier {
	if o.Timeout == 0 {
		o.Timeout = NotifyTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Notifier{options: o, client: newClient(o.Insecure, o.Timeout), breaker: breaker{o.Breakers, o.Log, o.Now}}
}

// Notify posts body, which is JSON, unchanged to the WebhookURL of p. It makes one
// attempt. It does nothing for a project without a WebhookURL. The request has the
// headers
//
//	Content-Type: application/json
//	User-Agent: centrifuge
//	X-Centrifuge-Timestamp: 1795338907
//	X-Centrifuge-Signature: sha256=6f2a…
//
// The signature is the lower-case hexadecimal HMAC-SHA256, with the WebhookSecret of p, of the
// timestamp as in its header, a full stop, the body and a line feed. The receiver
//
//   - computes it over the undecoded body;
//   - compares it in constant time (hmac.Equal, crypto.timingSafeEqual,
//     hmac.compare_digest, hash_equals), so that the response time does not reveal it
//     byte by byte;
//   - refuses a timestamp more than five minutes from its own clock, which prevents a
//     later replay;
//   - remembers each event_id if it must not handle a message twice: a webhook whose
//     response was lost is sent again, with a new timestamp.
//
// A status of 2xx is success, with any body. Everything else is an error: other
// statuses, redirects (which are not followed), timeouts, broken connections and, unless
// insecure, addresses that are not https or not public. The error contains the status or
// the cause, and the host. It contains no secret, no other part of the address and no
// part of the response. When ctx ends first, Notify returns the error of ctx, wrapped.
//
// Notify fails immediately, without an attempt, while the breaker of the address pauses:
// after hub.BreakerFailures failures in a row, in any process. Its caller repeats later.
func (n *Notifier) Notify(ctx context.Context, p *hub.Project, body []byte) error {
	if p.Options.WebhookURL == "" {
		return nil
	}
	address, err := parseAddress(p.Options.WebhookURL, n.options.Insecure)
	if err != nil {
		return fmt.Errorf("notify webhook of project %s: %w", p.ID, err)
	}
	turn, err := n.breaker.enter(ctx, p.ID, p.Options.WebhookURL)
	if err == nil {
		err = n.post(ctx, p.WebhookSecret(), address, body)
		switch {
		case err == nil:
			turn.succeeded(ctx)
		case ctx.Err() != nil:
			err = ctx.Err()
		default:
			_ = turn.failed(ctx) // this call makes no further attempt
		}
	}
	if err != nil {
		return fmt.Errorf("notify webhook of project %s at %s: %w", p.ID, address.Host, err)
	}
	return nil
}

func (n *Notifier) post(ctx context.Context, secret string, address *url.URL, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, n.options.Timeout)
	defer cancel()
	req, err := newSignedRequest(ctx, secret, n.options.Now(), address, body)
	if err != nil {
		return err
	}
	resp, err := n.client.Do(req)
	if err != nil {
		return redact(err)
	}
	defer resp.Body.Close()
	// Read the body, within a limit, so that the connection can be reused. An error does
	// not matter: the status is known.
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxResponseBytes))
	if resp.StatusCode/100 != 2 {
		return errors.New("status " + strconv.Itoa(resp.StatusCode))
	}
	return nil
}

// newSignedRequest returns a POST of JSON with the time and the signature.
func newSignedRequest(ctx context.Context, secret string, now time.Time, address *url.URL, body []byte) (*http.Request, error) {
	req, err := newRequest(ctx, address, body)
	if err != nil {
		return nil, err
	}
	timestamp := strconv.FormatInt(now.Unix(), 10)
	req.Header.Set(TimestampHeader, timestamp)
	req.Header.Set(SignatureHeader, "sha256="+sign(secret, timestamp, body))
	return req, nil
}

// sign returns the signature of a request.
func sign(secret, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	// A token signs a message that ends with the project id, and hub.Project.Validate
	// refuses an id that ends with a line feed. So no user name makes a token that is the
	// signature of a webhook.
	mac.Write([]byte("\n"))
	return hex.EncodeToString(mac.Sum(nil))
}
