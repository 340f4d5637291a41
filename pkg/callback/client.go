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
	// maxResponseBytes limits the body of a response.
	maxResponseBytes = 64 << 10
	// maxHeaderBytes limits the headers of a response.
	maxHeaderBytes = 16 << 10
	// idleTimeout is short: a Lambda can be frozen for minutes between two requests, and
	// the application may have closed an idle connection without the Lambda seeing it.
	idleTimeout = 10 * time.Second
)

// newClient returns an HTTP client for all projects. It keeps connections alive,
// follows no redirects, uses no proxy and, unless insecure, connects to public
// addresses only.
func newClient(insecure bool, timeout time.Duration) *http.Client {
	// A dial can outlive the request that started it, and needs a limit of its own.
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
			// A small compressed response could expand to any size.
			DisableCompression: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// parseAddress parses an address in the options of a project. It fails for any address
// but https and, if insecure, http. The error does not contain the address.
func parseAddress(address string, insecure bool) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || (u.Scheme != "https" && (!insecure || u.Scheme != "http")) {
		return nil, errors.New("the address is not https")
	}
	return u, nil
}

// newRequest returns a POST of JSON. The error does not contain the address.
func newRequest(ctx context.Context, address *url.URL, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address.String(), bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the request cannot be created")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "centrifuge")
	return req, nil
}

// response is an HTTP response.
type response struct {
	status int
	body   []byte
}

// post makes one attempt within v.options.Timeout. It succeeds for a status of 403 and
// for a complete, uncompressed 200 of at most maxResponseBytes. The error can be logged: it
// contains neither the path and query of the address nor any part of the response.
func (v *Validator) post(ctx context.Context, address *url.URL, body []byte) (response, error) {
	ctx, cancel := context.WithTimeout(ctx, v.options.Timeout)
	defer cancel()
	req, err := newRequest(ctx, address, body)
	if err != nil {
		return response{}, err
	}
	resp, err := v.client.Do(req)
	if err != nil {
		return response{}, redact(err)
	}
	body, err = read(resp)
	if resp.StatusCode == http.StatusForbidden {
		err = nil // the body does not matter
	}
	return response{status: resp.StatusCode, body: body}, err
}

// read reads a response with status 200 whose body is complete, not compressed and of at most
// maxResponseBytes. It closes the body.
func read(resp *http.Response) ([]byte, error) {
	defer resp.Body.Close()
	// Read the body for any status, so that the connection can be reused.
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxResponseBytes+1))
	switch coding := resp.Header.Get("Content-Encoding"); {
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	case err != nil:
		return nil, redact(err)
	case len(b) > maxResponseBytes:
		return nil, errors.New("the response is larger than 64 KB")
	case coding != "" && coding != "identity":
		return nil, errors.New("the response is compressed: send it without Content-Encoding")
	}
	return b, nil
}

// redact returns an error of an HTTP client that can be logged. The errors of net/http
// contain the whole address, and parts of a malformed response.
func redact(err error) error {
	var op *net.OpError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return errors.New("no response within the timeout")
	case errors.As(err, &op):
		return op
	case errors.As(err, &certificate):
		return certificate
	}
	return errors.New("the connection was closed or the response is not HTTP")
}
