package delivery

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"centrifuge/pkg/hub"
)

var contentType = []string{"application/octet-stream"}

// attempt makes one request. It fails with ErrGone, hub.ErrTooLarge or another error,
// which is transient where another attempt may succeed, and unanswered where the time of
// the attempt has passed or the request may have been carried out.
func (p *Poster) attempt(ctx context.Context, t *turn, method, connection string, payload *Payload) error {
	if connection == "" {
		return errors.New("connection has no id")
	}
	credentials, err := p.credentials.Retrieve(ctx)
	if err != nil {
		return fmt.Errorf("retrieve credentials: %w", err)
	}
	if breaksLine(credentials.AccessKeyID) || breaksLine(credentials.SessionToken) {
		return errors.New("credentials hold a line break")
	}

	req := request{method, connection, payload, credentials, time.Now().Add(p.timeout), t.yield}
	get := p.wires.get
	if t.repeated {
		get = p.wires.open
	}
	w, err := get(ctx, req.deadline)
	if err != nil {
		return p.unsent(ctx, err)
	}
	answer, err := p.roundTrip(ctx, w, req)
	closed := err != nil && w.silent() && !timedOut(err) && !t.once || err == nil && answer.status == http.StatusRequestTimeout && answer.closes
	if closed && w.reused {
		// The server has closed an idle connection, and probably the others too. It may have
		// written 408 before. The request is sent again, and this is still the same attempt.
		p.wires.closeIdle()
		t.repeated = true
		if w, err = p.wires.open(ctx, req.deadline); err == nil {
			answer, err = p.roundTrip(ctx, w, req)
		}
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return unanswered{err, true, t.repeated || t.once}
	}
	switch status := answer.status; {
	case status < 300:
		return nil
	case status == http.StatusGone, answer.invalidID:
		return ErrGone
	case status == http.StatusTooManyRequests:
		return transient{ErrSlow}
	case status == http.StatusRequestEntityTooLarge:
		return hub.ErrTooLarge
	case status >= 500 && t.once:
		return unanswered{statusError{status, answer.kind}, true, true}
	case status >= 500, status == http.StatusRequestTimeout:
		return transient{statusError{status, answer.kind}}
	default: // a redirect too: redirects are not followed
		return statusError{status, answer.kind}
	}
}

// unsent is the error of a request that could not be sent.
func (p *Poster) unsent(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case timedOut(err):
		return unanswered{error: fmt.Errorf("no connection within %v: %w", p.timeout, err)}
	default:
		return transient{err}
	}
}

func timedOut(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
}

func breaksLine(s string) bool {
	return strings.IndexByte(s, '\n') >= 0 || strings.IndexByte(s, '\r') >= 0
}

// request is the request of one attempt.
type request struct {
	method, connection string
	payload            *Payload
	credentials        aws.Credentials
	deadline           time.Time
	overdue            func() // is called when the answer is overdue
}

// roundTrip signs and sends a request and reads the answer. It keeps w alive or closes it.
func (p *Poster) roundTrip(ctx context.Context, w *wire, req request) (a answer, err error) {
	alive := false
	defer func() {
		if alive {
			p.wires.put(w)
		} else {
			_ = w.conn.Close()
		}
	}()
	rest, err := p.prepare(ctx, w, req)
	if err != nil {
		return answer{}, err
	}
	if err := w.socket.begin(ctx, req.deadline, req.overdue); err != nil {
		return answer{}, err
	}
	stop := context.AfterFunc(ctx, w.socket.cut)
	a, alive, err = w.exchange(rest)
	alive = stop() && alive
	if timedOut(err) {
		err = fmt.Errorf("no answer within %v: %w", p.timeout, err)
	}
	return a, err
}

// prepare signs a request and writes it to w.out. The request is that of the SDK without
// the two headers about the SDK's retries. prepare returns the body if that is too large
// to be copied to w.out.
func (p *Poster) prepare(ctx context.Context, w *wire, req request) (rest []byte, err error) {
	body := req.payload.body
	// The path is escaped already: Amazon escapes the "=" of an id, and net/url does not.
	path := p.path + escape(req.connection)
	r := w.req
	r.Method, r.URL.Opaque, r.ContentLength = req.method, path, int64(len(body))
	if len(body) > 0 {
		r.Header["Content-Type"] = contentType
	} else {
		delete(r.Header, "Content-Type")
	}
	if req.credentials.SessionToken == "" {
		delete(r.Header, "X-Amz-Security-Token")
	}
	if err := p.signer.SignHTTP(ctx, req.credentials, r, req.payload.hash, "execute-api", p.region, p.now()); err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}

	host := r.Host // set by the signer if the port is the default of the scheme
	if host == "" {
		host = r.URL.Host
	}
	out := w.out[:0]
	out = append(out, req.method...)
	out = append(append(out, ' '), path...)
	out = append(append(out, " HTTP/1.1\r\nHost: "...), host...)
	out = append(out, "\r\nUser-Agent: centrifuge\r\n"...)
	for _, name := range [...]string{"Authorization", "Content-Type", "X-Amz-Date", "X-Amz-Security-Token"} {
		if values := r.Header[name]; len(values) == 1 {
			out = append(append(out, name...), ": "...)
			out = append(append(out, values[0]...), "\r\n"...)
		}
	}
	if len(body) > 0 {
		out = append(out, "Content-Length: "...)
		out = append(strconv.AppendInt(out, int64(len(body)), 10), "\r\n"...)
	}
	out = append(out, "\r\n"...)
	if len(body) <= joinedBytes {
		out = append(out, body...)
	} else {
		rest = body
	}
	w.out = out
	return rest, nil
}

// escape escapes a segment of a path as Amazon does: all characters except the unreserved
// ones of RFC 3986.
func escape(segment string) string {
	const hexadecimal = "0123456789ABCDEF"
	escaped := make([]byte, 0, len(segment)+8)
	for _, c := range []byte(segment) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9',
			c == '-', c == '.', c == '_', c == '~':
			escaped = append(escaped, c)
		default:
			escaped = append(escaped, '%', hexadecimal[c>>4], hexadecimal[c&15])
		}
	}
	return string(escaped)
}
