package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// explain adds to the error of a command what to do about it, if Centrifuge could not be
// reached or something else answered.
func (s *session) explain(ctx context.Context, err error) error {
	if err == nil || errors.As(err, new(exit)) || errors.As(err, new(usageError)) || isRefusal(err) || ctx.Err() != nil {
		return err
	}
	if cure := cure(ctx, err, s.Address, s.WebSocket); cure != "" {
		return fmt.Errorf("%w: %s", err, cure)
	}
	return err
}

// cure says what to do about a failed request to one of the addresses, "" if there is
// nothing to say.
func cure(ctx context.Context, err error, addresses ...string) string {
	var dns *net.DNSError
	var op *net.OpError
	var timeout net.Error
	switch {
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, new(tls.RecordHeaderError)):
		return "the server does not speak TLS on this port: use http:// for --address, ws:// for --websocket"
	case errors.As(err, new(*tls.CertificateVerificationError)):
		return "check that the host name is that of the certificate, and that this machine trusts its issuer"
	case errors.As(err, &dns):
		return "check the host name: the outputs HTTPURL and WebSocketURL of the deployment have it"
	case errors.As(err, &op) && op.Op == "dial" && isLoopback(op.Addr):
		return "is make run running on this port?"
	}
	for _, address := range addresses {
		if secure, found := speaksTLS(ctx, address); found {
			return "the server speaks TLS on this port: use " + secure
		}
	}
	switch {
	case errors.As(err, &op) && op.Op == "dial":
		return "check the host, the port and the network; AWS serves only https:// and wss://"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time: check the address and the network, or set a longer --timeout"
	}
	return ""
}

func isLoopback(address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// isLocal reports whether the address is one of this machine.
func isLocal(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback())
}

// probeTimeout limits the handshake of speaksTLS.
const probeTimeout = 3 * time.Second

// speaksTLS reports whether an address without TLS is that of a server with TLS. It
// returns the address with TLS. It sends nothing but the start of a handshake.
func speaksTLS(ctx context.Context, address string) (secure string, found bool) {
	u, err := url.Parse(address)
	if err != nil {
		return "", false
	}
	port := u.Port()
	switch u.Scheme {
	case "http":
		u.Scheme = "https"
	case "ws":
		u.Scheme = "wss"
	default:
		return "", false
	}
	if port == "" {
		port = "80"
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	// The certificate does not matter: whether the server answers in TLS does.
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // nothing is sent
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err == nil {
		conn.Close()
		return shown(u), true
	}
	// A server that refuses the handshake in TLS speaks TLS.
	var op *net.OpError
	return shown(u), errors.As(err, &op) && op.Op == "remote error"
}

// shown returns an address without what may be secret in it: the user and the query.
func shown(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
