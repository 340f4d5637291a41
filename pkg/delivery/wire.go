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

// wires keeps connections to the one host alive. It replaces the transport of net/http,
// which needs three goroutines for each request and therefore more CPU than all the rest of
// a post except the signature; see bench.
type wires struct {
	dial func(ctx context.Context) (net.Conn, error)
	base *url.URL

	mu   sync.Mutex
	idle []*wire // the one used last at the end
}

// wire is one HTTP/1.1 connection to the management API, with the buffers of its next
// request. One goroutine uses it at a time. (A connection in this package is that of a
// client.)
type wire struct {
	conn    net.Conn
	limited io.LimitedReader
	answers *bufio.Reader
	out     []byte
	req     *http.Request // to be signed; net/http never sends it
	reused  bool
	since   time.Time
}

// newWires connects directly: it ignores proxies in the environment.
func newWires(base *url.URL, concurrency int) *wires {
	port := base.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[base.Scheme]
	}
	address := net.JoinHostPort(base.Hostname(), port)
	dialer := net.Dialer{KeepAlive: 30 * time.Second}
	ws := &wires{base: base}
	if base.Scheme == "https" {
		encrypted := tls.Dialer{NetDialer: &dialer, Config: &tls.Config{
			MinVersion:         tls.VersionTLS12,
			NextProtos:         []string{"http/1.1"},
			ClientSessionCache: tls.NewLRUClientSessionCache(concurrency),
		}}
		ws.dial = func(ctx context.Context) (net.Conn, error) { return encrypted.DialContext(ctx, "tcp", address) }
	} else {
		ws.dial = func(ctx context.Context) (net.Conn, error) { return dialer.DialContext(ctx, "tcp", address) }
	}
	return ws
}

// get returns the connection that was used last, if one is kept alive, or a new one.
func (ws *wires) get(ctx context.Context, deadline time.Time) (*wire, error) {
	ws.mu.Lock()
	if n := len(ws.idle); n > 0 {
		w := ws.idle[n-1]
		// While a Lambda is frozen the server closes connections. Round(0) compares wall
		// clocks, which a freeze does not stop.
		if time.Now().Round(0).Sub(w.since.Round(0)) < maxIdle {
			ws.idle = ws.idle[:n-1]
			ws.mu.Unlock()
			w.reused = true
			return w, nil
		}
	}
	ws.mu.Unlock()
	ws.closeIdle() // the other connections were used even earlier
	return ws.open(ctx, deadline)
}

// open makes a new connection.
func (ws *wires) open(ctx context.Context, deadline time.Time) (*wire, error) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	conn, err := ws.dial(ctx)
	if err != nil {
		return nil, err
	}
	w := &wire{
		conn:    conn,
		limited: io.LimitedReader{R: conn},
		req: &http.Request{
			URL:    &url.URL{Scheme: ws.base.Scheme, Host: ws.base.Host},
			Header: make(http.Header),
		},
	}
	w.answers = bufio.NewReaderSize(&w.limited, 2<<10)
	return w, nil
}

// put keeps w for the next request.
func (ws *wires) put(w *wire) {
	w.since = time.Now()
	ws.mu.Lock()
	ws.idle = append(ws.idle, w)
	ws.mu.Unlock()
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
		a := answer{status: res.StatusCode}
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
