package delivery

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

const (
	// maxAnswerBytes limits the bytes of one answer that are read, head and body together.
	// Answers of API Gateway are far smaller. The connection of a longer one is closed.
	maxAnswerBytes = 64 << 10

	// maxIdle is how long a connection is kept alive without use.
	maxIdle = 30 * time.Second

	// joinedBytes is the largest body that is copied after its head, so that both are sent
	// in one write.
	joinedBytes = 8 << 10
)

// wires keeps connections to the one host alive, at most a fixed number. It replaces the transport of net/http,
// which needs three goroutines for each request and therefore more CPU than all the rest of
// a post except the signature; see bench.
type wires struct {
	address   string
	dialer    net.Dialer
	encrypted *tls.Config // nil for http
	base      *url.URL
	most      int
	patience  time.Duration

	mu   sync.Mutex
	idle []*wire // the one used last at the end, at most most
}

// wire is one HTTP/1.1 connection to the management API, with the buffers of its next
// request. One goroutine uses it at a time. (A connection in this package is that of a
// client.)
type wire struct {
	socket  *socket
	conn    net.Conn // socket, or TLS on it
	limited io.LimitedReader
	answers *bufio.Reader
	out     []byte
	req     *http.Request // to be signed; net/http never sends it
	reused  bool
	since   time.Time
	rest    [1]byte // for quiet
}

// newWires connects directly: it ignores proxies in the environment.
func newWires(base *url.URL, concurrency int) *wires {
	port := base.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[base.Scheme]
	}
	ws := &wires{
		patience: patience,
		address:  net.JoinHostPort(base.Hostname(), port),
		dialer:   net.Dialer{KeepAlive: 30 * time.Second},
		base:     base,
		most:     concurrency,
	}
	if base.Scheme == "https" {
		ws.encrypted = &tls.Config{
			ServerName:         base.Hostname(),
			MinVersion:         tls.VersionTLS12,
			NextProtos:         []string{"http/1.1"},
			ClientSessionCache: tls.NewLRUClientSessionCache(concurrency),
		}
	}
	return ws
}

// get returns the connection that was used last, if one is kept alive and quiet, or a new
// one.
func (ws *wires) get(ctx context.Context, deadline time.Time) (*wire, error) {
	for {
		w := ws.last()
		switch {
		case w == nil:
			return ws.open(ctx, deadline)
		case w.quiet():
			w.reused = true
			return w, nil
		}
		_ = w.conn.Close()
	}
}

// last removes and returns the connection that was used last, nil if there is none.
func (ws *wires) last() *wire {
	ws.mu.Lock()
	if n := len(ws.idle); n > 0 {
		w := ws.idle[n-1]
		// While a Lambda is frozen the server closes connections. Round(0) compares wall
		// clocks, which a freeze does not stop.
		if time.Now().Round(0).Sub(w.since.Round(0)) < maxIdle {
			ws.idle = ws.idle[:n-1]
			ws.mu.Unlock()
			return w
		}
	}
	ws.mu.Unlock()
	ws.closeIdle() // the other connections were used even earlier
	return nil
}

// open makes a new connection.
func (ws *wires) open(ctx context.Context, deadline time.Time) (*wire, error) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	plain, err := ws.dialer.DialContext(ctx, "tcp", ws.address)
	if err != nil {
		return nil, err
	}
	w := &wire{
		socket: newSocket(plain, ws.patience),
		req: &http.Request{
			URL:    &url.URL{Scheme: ws.base.Scheme, Host: ws.base.Host},
			Header: make(http.Header),
		},
	}
	w.conn = w.socket
	if ws.encrypted != nil {
		conn := tls.Client(w.socket, ws.encrypted)
		if err := conn.HandshakeContext(ctx); err != nil {
			_ = plain.Close()
			return nil, err
		}
		w.conn = conn
	}
	w.limited.R = w.conn
	w.answers = bufio.NewReaderSize(&w.limited, 2<<10)
	return w, nil
}

// put keeps w for the next request, unless enough others are kept.
func (ws *wires) put(w *wire) {
	w.since = time.Now()
	ws.mu.Lock()
	kept := len(ws.idle) < ws.most
	if kept {
		ws.idle = append(ws.idle, w)
	}
	ws.mu.Unlock()
	if !kept {
		_ = w.conn.Close()
	}
}

// closeIdle closes all connections that are not in use.
func (ws *wires) closeIdle() {
	ws.mu.Lock()
	idle := ws.idle
	ws.idle = nil
	ws.mu.Unlock()
	for _, w := range idle {
		_ = w.conn.Close()
	}
}

// quiet reports whether a connection that is kept alive is open and has brought nothing
// since the last answer. A byte of it would be taken for the answer to the next request. It
// does not wait. On TLS it also reads what is not data, such as session tickets.
func (w *wire) quiet() bool {
	w.socket.polls = true
	defer func() { w.socket.polls = false }()
	n, err := w.conn.Read(w.rest[:])
	return n == 0 && timedOut(err)
}

// exchange sends w.out and then body, which w.out may contain already, and reads the whole
// answer. It returns whether the connection can be used again.
func (w *wire) exchange(body []byte) (a answer, alive bool, err error) {
	w.limited.N = maxAnswerBytes
	if _, err := w.conn.Write(w.out); err != nil {
		return answer{}, false, err
	}
	if len(body) > 0 {
		if _, err := w.conn.Write(body); err != nil {
			return answer{}, false, err
		}
	}
	for {
		res, err := http.ReadResponse(w.answers, nil) //nolint:bodyclose // read to its end below; the connection is not its own
		if err != nil {
			return answer{}, false, err
		}
		if res.StatusCode < http.StatusOK { // an interim answer: the real one follows
			continue
		}
		a := answer{status: res.StatusCode, closes: res.Close}
		if a.status >= 300 {
			a.kind = kindOf(res.Header)
		}
		if a.status == http.StatusBadRequest {
			a.invalidID = namesInvalidID(a.kind, res.Body)
		}
		alive := !res.Close
		if res.ContentLength != 0 {
			// The status alone is the answer. If the body breaks off or is too long, the
			// connection is closed and nothing else changes.
			_, err := io.Copy(io.Discard, res.Body)
			alive = alive && err == nil && w.limited.N > 0
		}
		return a, alive && w.answers.Buffered() == 0, nil
	}
}

// silent reports that no byte of an answer was read.
func (w *wire) silent() bool { return w.limited.N == maxAnswerBytes }
