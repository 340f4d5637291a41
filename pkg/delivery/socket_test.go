package delivery

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
)

// rawServer answers every request with an empty 200, and after the first of all with more.
// It sends each connection that it accepts to accepted, and the one of the first request to
// answered. encrypted is nil for http.
func rawServer(t *testing.T, encrypted *tls.Config, more string) (address string, accepted, answered chan net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	accepted, answered = make(chan net.Conn, 10), make(chan net.Conn, 10)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if encrypted != nil {
				conn = tls.Server(conn, encrypted)
			}
			accepted <- conn
			text := more
			more = ""
			go func() {
				requests := bufio.NewReader(conn)
				for {
					r, err := http.ReadRequest(requests)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, r.Body)
					_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"+text)
					answered <- conn
				}
			}()
		}
	}()
	return l.Addr().String(), accepted, answered
}

// TestIdleConnection makes a post, lets the server do something to the idle connection, and
// makes another post, which must not take that for its answer.
func TestIdleConnection(t *testing.T) {
	const unasked = "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"
	write := func(text string) func(net.Conn) {
		return func(c net.Conn) { _, _ = io.WriteString(c, text) }
	}
	tests := []struct {
		name  string
		more  string         // is written together with the first answer
		then  func(net.Conn) // nil where the connection stays as it is
		dials int
	}{
		{name: "nothing", dials: 1},
		{name: "answer that nobody asked for", then: write(unasked), dials: 2},
		{name: "part of an answer", then: write(unasked[:10]), dials: 2},
		{name: "empty line", then: write("\r\n"), dials: 2},
		{name: "answer and the end", then: func(c net.Conn) { write(unasked)(c); _ = c.Close() }, dials: 2},
		{name: "end", then: func(c net.Conn) { _ = c.Close() }, dials: 2},
		{name: "answer together with the first", more: unasked, dials: 2},
	}
	authority := httptest.NewTLSServer(nil)
	t.Cleanup(authority.Close)
	roots := x509.NewCertPool()
	roots.AddCert(authority.Certificate())
	for _, encrypted := range []*tls.Config{
		nil,
		{Certificates: authority.TLS.Certificates, MaxVersion: tls.VersionTLS12},
		{Certificates: authority.TLS.Certificates, MinVersion: tls.VersionTLS13},
	} {
		scheme, version := "http", ""
		if encrypted != nil {
			scheme, version = "https", tls.VersionName(max(encrypted.MinVersion, encrypted.MaxVersion))
		}
		for _, test := range tests {
			t.Run(test.name+", "+scheme+" "+version, func(t *testing.T) {
				address, accepted, answered := rawServer(t, encrypted, test.more)
				p, err := NewPoster(PosterOptions{
					URL: scheme + "://" + address + "/prod", Region: "eu-west-1", Attempts: 1, Timeout: time.Minute,
					Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", testSecret, testToken),
				})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(p.Close)
				if encrypted != nil {
					p.wires.encrypted.RootCAs = roots
				}
				post := func() {
					t.Helper()
					if err := p.Post(t.Context(), "C", NewPayload([]byte("hello"))); err != nil {
						t.Error(err)
					}
				}
				post()
				conn := <-answered
				if test.then != nil {
					test.then(conn)
					for p.wires.idle[0].quiet() { // it has not arrived
						runtime.Gosched()
					}
				}
				post()
				if got := len(accepted); got != test.dials {
					t.Errorf("two posts took %d connections, want %d", got, test.dials)
				}
			})
		}
	}
}
