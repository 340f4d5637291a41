package callback

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"
)

const (
	// maxAnswerBytes is how much of an answer is read.
	maxAnswerBytes = 64 << 10
	// maxHeaderBytes bounds the headers of an answer.
	maxHeaderBytes = 16 << 10
	// idleTimeout is short because a Lambda may be frozen for minutes between two
	// questions, and finds connections dead that look alive.
	idleTimeout = 10 * time.Second
)

// newClient makes an HTTP client for all projects: it keeps connections alive,
// follows no redirect, uses no proxy and, unless insecure, connects to public
// addresses only.
func newClient(insecure bool, timeout time.Duration) *http.Client {
	// A dial outlives the request that began it, and so needs a limit of its own.
	dialer := &net.Dialer{Timeout: timeout}
	if !insecure {
		dialer.Control = guard
	}
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			ForceAttemptHTTP2:      true,
			MaxIdleConns:           128,
			MaxIdleConnsPerHost:    16,
			TLSHandshakeTimeout:    timeout,
			IdleConnTimeout:        idleTimeout,
			MaxResponseHeaderBytes: maxHeaderBytes,
			// What is not asked for compressed cannot blow up.
			DisableCompression: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// parseAddress returns the address of an application that a project names. It fails
// where that is not https, or http if insecure; the error does not hold it.
func parseAddress(address string, insecure bool) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || (u.Scheme != "https" && (!insecure || u.Scheme != "http")) {
		return nil, errors.New("not an https address")
	}
	return u, nil
}

// newPost makes a POST of JSON. The error does not hold the address.
func newPost(ctx context.Context, address *url.URL, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address.String(), bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the request cannot be made")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "centrifuge")
	return req, nil
}

// reply is an HTTP answer as it came.
type reply struct {
	status int
	body   []byte
}

// ask makes one attempt within v.options.Timeout. The reply is zero where none came in
// full. The error is fit for the log: it holds
// neither the path or query of the address nor anything of the answer.
func (v *Validator) ask(ctx context.Context, address *url.URL, body []byte) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, v.options.Timeout)
	defer cancel()
	req, err := newPost(ctx, address, body)
	if err != nil {
		return reply{}, err
	}
	resp, err := v.client.Do(req)
	if err != nil {
		return reply{}, cause(err)
	}
	defer resp.Body.Close()
	// Read whatever the status, so that the connection can be used again.
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes+1))
	r := reply{status: resp.StatusCode, body: b}
	switch coding := resp.Header.Get("Content-Encoding"); {
	case r.status == http.StatusForbidden:
		return r, nil // final, whatever is said along with it
	case r.status != http.StatusOK:
		return r, fmt.Errorf("status %d", r.status)
	case err != nil:
		return reply{}, cause(err)
	case len(b) > maxAnswerBytes:
		return reply{}, errors.New("an answer over 64 KB")
	case coding != "" && coding != "identity":
		return r, errors.New("a compressed answer, which was not asked for")
	}
	return r, nil
}

// cause reduces an error of the client to what may be logged: net/http puts the
// whole address, and parts of an answer that it does not understand, into its.
func cause(err error) error {
	var op *net.OpError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return errors.New("no answer in time")
	case errors.As(err, &op):
		return op
	case errors.As(err, &certificate):
		return certificate
	}
	return errors.New("the connection broke or what came was not HTTP")
}
