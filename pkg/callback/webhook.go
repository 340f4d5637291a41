package callback

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"centrifuge/pkg/hub"
)

const (
	// TimestampHeader carries the time of a webhook, in seconds since 1970.
	TimestampHeader = "X-Centrifuge-Timestamp"
	// SignatureHeader carries the signature of a webhook.
	SignatureHeader = "X-Centrifuge-Signature"
	// NotifyTimeout is how long a webhook may take, connecting included.
	NotifyTimeout = 5 * time.Second
)

// NotifierOptions set up a Notifier. The zero value is the default.
type NotifierOptions struct {
	// Insecure allows plain http and private addresses. UNSAFE: only for the stack
	// on one machine.
	Insecure bool
	// Timeout is how long a webhook may take; 0 means NotifyTimeout.
	Timeout time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Notifier posts to webhooks. It is safe for concurrent use and should live as long
// as its process: it holds the connections.
type Notifier struct {
	options NotifierOptions
	client  *http.Client
}

// NewNotifier makes a Notifier.
func NewNotifier(o NotifierOptions) *Notifier {
	if o.Timeout == 0 {
		o.Timeout = NotifyTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Notifier{options: o, client: newClient(o.Insecure, o.Timeout)}
}

// Notify posts body, which is JSON, to the WebhookURL of p, once and byte for byte.
// A project without one is not told, and that is no error. The request has the headers
//
//	Content-Type: application/json
//	User-Agent: centrifuge
//	X-Centrifuge-Timestamp: 1795338907
//	X-Centrifuge-Signature: sha256=6f2a…
//
// The signature is the HMAC-SHA256, in lower-case hexadecimal digits, with the secret
// of p as its key, of the timestamp as it stands in its header, a full stop, the body
// and a line feed. A receiver
//
//   - computes it over the body as it came, before any decoding;
//   - compares it in constant time (hmac.Equal, crypto.timingSafeEqual,
//     hmac.compare_digest, hash_equals), so that nobody can guess it byte by byte;
//   - refuses a timestamp more than five minutes from its own clock, so that nobody can
//     send again what they have overheard;
//   - remembers what it has done by event_id if doing it twice would do harm: a webhook
//     whose answer was lost is sent again, with another timestamp.
//
// A status of 2xx is success, whatever comes with it. Everything else is an error:
// other statuses, redirects (which are not followed), time-outs, broken connections
// and, unless insecure, addresses that are not https or not public. It names the status
// or the cause, and the host; nothing of the secret, of the rest of the address, or of
// the answer. When ctx ends first, it is the error of ctx, wrapped.
func (n *Notifier) Notify(ctx context.Context, p *hub.Project, body []byte) error {
	if p.Options.WebhookURL == "" {
		return nil
	}
	address, err := parseAddress(p.Options.WebhookURL, n.options.Insecure)
	if err != nil {
		return fmt.Errorf("notify webhook of project %s: %w", p.ID, err)
	}
	if err := n.post(ctx, p.Secret, address, body); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return fmt.Errorf("notify webhook of project %s at %s: %w", p.ID, address.Host, err)
	}
	return nil
}

func (n *Notifier) post(ctx context.Context, secret string, address *url.URL, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, n.options.Timeout)
	defer cancel()
	req, err := newPost(ctx, address, body)
	if err != nil {
		return err
	}
	timestamp := strconv.FormatInt(n.options.Now().Unix(), 10)
	req.Header.Set(TimestampHeader, timestamp)
	req.Header.Set(SignatureHeader, "sha256="+sign(secret, timestamp, body))
	resp, err := n.client.Do(req)
	if err != nil {
		return cause(err)
	}
	defer resp.Body.Close()
	// Read, within a limit, so that the connection can be used again. The status is the
	// answer: it does not matter how this ends.
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswerBytes))
	if resp.StatusCode/100 != 2 {
		return errors.New("status " + strconv.Itoa(resp.StatusCode))
	}
	return nil
}

// sign returns the signature of a webhook.
func sign(secret, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	// A token is the signature of something that ends with the project id, and no id
	// ends with a line: so nobody gets this one by choosing their name.
	mac.Write([]byte("\n"))
	return hex.EncodeToString(mac.Sum(nil))
}
